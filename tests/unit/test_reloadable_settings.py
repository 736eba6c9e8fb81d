"""Which of new settings a running server takes over, and what it says of the others."""

from pathlib import Path
from typing import Any

import pytest

from queryengine.settings import Settings, reloaded
from queryengine.settings.reload import RELOADABLE

ENGINES = {"a": {"type": "duckdb", "workers": 2}}


def settings(**groups: Any) -> Settings:
    return Settings(**{"engines": ENGINES, **groups})


@pytest.mark.parametrize(
    ("new", "applied", "needs_restart"),
    [
        ({}, (), ()),
        ({"log": {"level": "debug"}}, ("log.level",), ()),
        ({"limits": {"tenant_running": 3, "sql_bytes": 9}}, ("limits.sql_bytes", "limits.tenant_running"), ()),
        (
            {"limits": {"tenant_running": 3, "request_bytes": 9000}},
            ("limits.tenant_running",),
            ("limits.request_bytes",),
        ),
        ({"server": {"listen": "a:1", "drain_seconds": 1}}, ("server.drain_seconds",), ("server.listen",)),
        ({"state": {"directory": "/elsewhere"}}, (), ("state.directory",)),
        ({"sandbox": {"check_workers": 7}}, (), ("sandbox.check_workers",)),
        (
            {"results": {"ttl_seconds": 9e6, "ttl_max_seconds": 9e6}},
            ("results.ttl_seconds", "results.ttl_max_seconds"),
            (),
        ),
        ({"engines": {"a": {"type": "duckdb", "workers": 3}}}, (), ("engines.a",)),
        ({"engines": {"b": {"type": "duckdb"}}}, (), ("engines.a", "engines.b", "default_engine")),
        ({"engines": {"a": {**ENGINES["a"], "options": {"threads": 3}}}}, (), ("engines.a",)),
    ],
)
def test_what_differs_is_applied_or_named(
    new: dict[str, Any], applied: tuple[str, ...], needs_restart: tuple[str, ...]
) -> None:
    running, wanted = settings(), settings(**new)
    done = reloaded(running, wanted)
    assert (done.applied, done.needs_restart) == (applied, needs_restart)
    for name in applied:
        group, key = name.split(".")
        assert getattr(getattr(done.settings, group), key) == getattr(getattr(wanted, group), key)
    # The rest is as it was, and is named again the next time.
    again = reloaded(done.settings, wanted)
    assert (again.applied, again.needs_restart) == ((), needs_restart)
    assert reloaded(done.settings, running).applied == applied


def test_every_key_that_is_said_to_apply_exists() -> None:
    for group, keys in RELOADABLE.items():
        assert keys <= set(type(getattr(settings(), group)).model_fields)


def test_where_keys_were_written_is_still_known(tmp_path: Path) -> None:
    running = settings(state={"directory": tmp_path})
    assert reloaded(running, settings()).settings.origin("log", "level") == running.origin("log", "level")
