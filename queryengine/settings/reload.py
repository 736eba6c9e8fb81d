"""What of new settings a running server can take over. The rest waits for a restart, and is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from queryengine.settings.model import Settings
from queryengine.settings.tls import TlsSettings

RELOADABLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "server": frozenset({"drain_seconds", "watch_seconds"}),
        "tls": frozenset({"certificate", "key", "client_ca"}),
        "limits": frozenset(
            {
                "sql_bytes",
                "parameters",
                "tenant_running",
                "tenant_slots_percent",
                "shared_seconds",
                "short_run_seconds",
                "long_run_seconds",
                "tenant_queued",
                "tenant_streams",
                "queue_timeout_seconds",
                "execution_timeout_seconds",
                "interactive_timeout_seconds",
                "priority_seconds",
                "wait_timeout_max_seconds",
                "check_timeout_seconds",
            }
        ),
        "routing": frozenset({"rules", "dialect", "explicit", "full_queue"}),
        "statements": frozenset(
            {
                "kinds",
                "functions",
                "text_bytes_max",
                "depth_max",
                "joins_max",
                "set_operations_max",
                "list_items_max",
                "placeholders_max",
                "strict",
                "engines",
            }
        ),
        "results": frozenset(
            {
                "page_bytes",
                "ttl_seconds",
                "ttl_max_seconds",
                "query_bytes_max",
                "tenant_bytes_max",
                "spool_bytes_max",
                "collect_mark_percent",
                "refuse_mark_percent",
                "fail_mark_percent",
                "record_bytes",
                "segment_bytes",
                "sync",
            }
        ),
        "streams": frozenset(
            {"heartbeat_seconds", "rotate_seconds", "rotate_bytes", "whole_page_streams", "chunk_bytes"}
        ),
        "records": frozenset({"keep_seconds", "keep_usage_seconds", "tenant_bytes_max", "bytes_max"}),
        "audit": frozenset(
            {
                "statement",
                "on_failure",
                "fsync",
                "rotate_bytes",
                "rotate_seconds",
                "keep_files",
                "buffer_bytes",
                "wait_seconds",
            }
        ),
        "log": frozenset({"level", "format"}),
        "policies": frozenset({"decision_point", "hash_key", "engines"}),
        "auth": frozenset({"authenticators"}),
    }
)
"""Keys by group. Keys that are checked against each other go together, so that no mixture is one that was refused."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Settings to run with from now on, and the names of the keys that differ from those before."""

    settings: Settings
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]


def reloaded(running: Settings, new: Settings) -> Reload:
    """The running settings with what can change. Decides, does nothing."""
    applied, needs_restart = [], []
    groups: dict[str, Any] = {}
    for group in Settings.model_fields:
        old, now = getattr(running, group), getattr(new, group)
        if group == "engines":
            needs_restart += [f"engines.{name}" for name in {**old, **now} if old.get(name) != now.get(name)]
        elif group == "tenants":
            groups[group] = now
            applied += [f"tenants.{name}" for name in {**old, **now} if old.get(name) != now.get(name)]
        elif group == "default_engine":
            needs_restart += [group] if old != now else []
        else:
            differ = [key for key in type(now).model_fields if getattr(old, key) != getattr(now, key)]
            taken = {key: getattr(now, key) for key in differ if key in RELOADABLE.get(group, ())}
            if group == "tls" and not _same_ports(old, now):
                taken = {}
            groups[group] = old.model_copy(update=taken)
            applied += [f"{group}.{key}" for key in taken]
            needs_restart += [f"{group}.{key}" for key in differ if key not in taken]
    return Reload(running.model_copy(update=groups), tuple(applied), tuple(needs_restart))


def _same_ports(old: TlsSettings, now: TlsSettings) -> bool:
    """Whether only files differ: ports that ask for certificates stay as they are, and need their authorities."""

    def ports(tls: TlsSettings) -> tuple[object, ...]:
        return tls.is_on, tls.client_certificates, tls.mutual_listen, tls.health

    return ports(old) == ports(now)
