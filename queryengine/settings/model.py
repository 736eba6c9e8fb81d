"""What can be set: every key with its bounds, its default and its meaning, and its unit at the end of its
name.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from queryengine.engines.registry import ENGINE_TYPES, check_type
from queryengine.settings.audit import AuditSettings
from queryengine.settings.auth import AuthSettings
from queryengine.settings.group import GIB, KIB, MIB, Group
from queryengine.settings.limits import LimitSettings, SandboxSettings
from queryengine.settings.names import Name
from queryengine.settings.options import with_secrets
from queryengine.settings.policies import POLICY_GROUPS, PolicySettings
from queryengine.settings.routing import ROUTING_GROUPS, RoutingSettings
from queryengine.settings.server import ServerSettings
from queryengine.settings.state import StateSettings
from queryengine.settings.statements import FunctionSettings, StatementSettings
from queryengine.settings.tenants import TENANT_GROUPS, AccountName, TenantSettings
from queryengine.settings.tls import TlsSettings
from queryengine.telemetry.logs import LogStyle

ENVIRONMENT_PREFIX: Final = "QUERYENGINE_"
CLIENT_VARIABLES: Final = frozenset(
    f"{ENVIRONMENT_PREFIX}{name}"
    for name in (
        "TARGET",
        "TENANT",
        "USER",
        "TLS",
        "CA",
        "CERT",
        "KEY",
        "TOKEN_FILE",
        "API_KEY",
        "API_KEY_FILE",
        "ALLOW_INSECURE_CREDENTIALS",
        "HEADERS",
        "CONFIG",
        "CLIENT_CONFIG",
    )
)
"""Variables that the command line reads for itself; they may be set where a server is started, too."""

DAY_SECONDS: Final = 24 * 60 * 60


def _worker_count() -> int:
    return max(2, os.cpu_count() or 1)


class EngineSettings(Group):
    """One engine, under its name."""

    type: str = Field(description=f"Kind of engine: {', '.join(ENGINE_TYPES)}.")
    workers: int = Field(
        default_factory=_worker_count,
        ge=1,
        le=1024,
        description="Worker processes.",
        json_schema_extra={"default": "number of CPUs, at least 2"},
    )
    slots_per_worker: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Queries that one worker runs at a time; embedded engines allow only 1.",
    )
    memory_limit_mib: int = Field(
        default=4096,
        ge=256,
        description="Address space of one worker, in MiB; a query that needs more fails.",
    )
    probe_seconds: float = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="Between two looks whether an engine elsewhere answers; while it does not, its queries wait.",
    )
    confine: bool = Field(
        default=True,
        description="Whether workers of an embedded engine give up files, sockets and variables that it does not need.",
    )
    options: Mapping[str, Any] = Field(
        default_factory=dict,
        description="Settings of this kind of engine; see docs/engines.md. Texts in `url`, `password`, `token`, "
        "`init_sql` and `connect_args` may be `file:/path` or `env:NAME`, which stand for what is there.",
        repr=False,
        exclude=True,
        json_schema_extra={"default": "none"},
    )

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        check_type(value)
        return value

    @field_validator("options")
    @classmethod
    def _read_secrets(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        return with_secrets(value)


class ResultSettings(Group):
    """How results are cut into pages and how long they are kept."""

    page_bytes: int = Field(default=2 * MIB, ge=4 * KIB, le=3 * MIB, description="Size a page aims at.")
    first_page_flush_ms: int = Field(
        default=50, ge=0, description="Time after which the first page is sent, full or not, in ms."
    )
    inline_rows: int = Field(default=10_000, ge=0, description="Most rows in the answer to Submit.")
    inline_bytes: int = Field(default=MIB, ge=0, le=3 * MIB, description="Most bytes of rows in the answer to Submit.")
    ttl_seconds: float = Field(
        default=DAY_SECONDS, gt=0, description="Time a result is kept when the request does not say."
    )
    ttl_max_seconds: float = Field(
        default=7 * DAY_SECONDS, gt=0, description="Longest time a request may keep a result."
    )
    query_bytes_max: int = Field(default=10 * GIB, ge=1, description="Largest result of one query; a larger one fails.")
    tenant_bytes_max: int = Field(
        default=50 * GIB, ge=1, description="Stored results of one tenant; then Submit is refused."
    )
    spool_bytes_max: int | None = Field(
        default=None,
        ge=1,
        description="Room for all results.",
        json_schema_extra={"default": "what the disk has"},
    )
    collect_mark_percent: float = Field(
        default=80, gt=0, le=100, description="Part of the room in use at which collecting is early."
    )
    refuse_mark_percent: float = Field(
        default=90, gt=0, le=100, description="Part of the room in use at which Submit is refused."
    )
    fail_mark_percent: float = Field(
        default=95,
        gt=0,
        le=100,
        description="Part of the room in use at which the largest running query fails.",
    )
    record_bytes: int = Field(
        default=64 * KIB,
        ge=0,
        le=MIB,
        description="Largest result that is kept in the record of its query instead of files of its own, when it is "
        "whole before rows must be shown; 0 keeps all in files.",
    )
    segment_bytes: int = Field(default=16 * MIB, ge=MIB, description="Size of one file of stored pages.")
    sync: Literal["end", "all"] = Field(
        default="end",
        description="Files forced to disk before a query is completed: `end`, the last one with the end marker; `all`, "
        "for results that must outlive a power failure.",
    )

    @field_validator("ttl_max_seconds")
    @classmethod
    def _not_below_the_default(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("ttl_seconds", 0):
            raise ValueError("expected at least ttl_seconds")
        return value

    @field_validator("refuse_mark_percent", "fail_mark_percent")
    @classmethod
    def _marks_rise(cls, value: float, info: ValidationInfo) -> float:
        below = "collect_mark_percent" if info.field_name == "refuse_mark_percent" else "refuse_mark_percent"
        if value < info.data.get(below, 0):
            raise ValueError(f"expected at least {below}")
        return value


class StreamSettings(Group):
    """How results are pushed."""

    heartbeat_seconds: float = Field(default=15, gt=0, description="Silence after which a heartbeat is sent.")
    rotate_seconds: float = Field(
        default=120, gt=0, description="Age at which the server ends a stream for the client to resume."
    )
    rotate_bytes: int = Field(default=GIB, ge=MIB, description="Bytes sent after which it does so.")
    whole_page_streams: int = Field(
        default=8,
        ge=0,
        description="Streams that send whole pages; with more open, pages go in chunks to bound memory.",
    )
    chunk_bytes: int = Field(default=128 * KIB, ge=4 * KIB, le=3 * MIB, description="Size of such a chunk.")
    decoded_bytes_max: int = Field(
        default=64 * MIB,
        ge=4 * MIB,
        description="Memory for pages that were decoded for readers, as typed rows are, and are not sent yet; "
        "further readers wait.",
    )
    tenant_decoded_bytes_max: int = Field(default=32 * MIB, ge=4 * MIB, description="Of one tenant.")
    decoded_wait_seconds: float = Field(default=60, gt=0, description="Longest wait for that memory.")
    stalled_seconds: float = Field(
        default=300,
        gt=0,
        description="Time in which a reader takes nothing of a message and after which its stream ends, to be resumed.",
    )


class RecordSettings(Group):
    """How long the service remembers queries, and how many."""

    keep_seconds: float = Field(
        default=7 * DAY_SECONDS,
        gt=0,
        description="Time from its end for which a query is remembered; longer while its result is kept.",
    )
    keep_usage_seconds: float = Field(
        default=400 * DAY_SECONDS,
        ge=2 * DAY_SECONDS,
        description="Time for which the usage of each day is kept, also after the records of its queries are gone.",
    )
    tenant_bytes_max: int = Field(
        default=GIB,
        ge=MIB,
        description="Records of one tenant, about 1.5 KiB for a short query; until a query ends, its parameters count, "
        "too. From 80 % on, the oldest that ended more than an hour ago are forgotten early; then Submit is refused.",
    )
    bytes_max: int = Field(default=8 * GIB, ge=MIB, description="Records of all tenants, with the same consequences.")


class LogSettings(Group):
    """What is logged, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    format: Literal["text", "json"] = Field(
        default="text",
        description="Lines for people, or one JSON object per line. gRPC's own lines, which have "
        "another form, are off; GRPC_VERBOSITY=ERROR in the environment brings them.",
    )

    @property
    def style(self) -> LogStyle:
        return LogStyle(self.level, as_json=self.format == "json")


def _one_duckdb() -> Mapping[str, EngineSettings]:
    return {"duckdb": EngineSettings(type="duckdb")}


def _first_engine(data: Mapping[str, Any]) -> str:
    return str(next(iter(data["engines"])))


@dataclasses.dataclass(frozen=True)
class Origins:
    """Where keys were written, which makes no settings different."""

    find: Callable[[tuple[str, ...]], str] = dataclasses.field(compare=False)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    server: ServerSettings = Field(default_factory=ServerSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    engines: Mapping[Name, EngineSettings] = Field(
        default_factory=_one_duckdb,
        min_length=1,
        max_length=256,
        description="Engines by name: a lower-case letter, then letters, digits, - and _.",
        json_schema_extra={"default": "one in-memory duckdb, named duckdb"},
    )
    default_engine: str = Field(
        default_factory=_first_engine,
        description="Engine of requests that name none.",
        json_schema_extra={"default": "the first"},
    )
    auth: AuthSettings = Field(default_factory=AuthSettings)
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    statements: StatementSettings = Field(default_factory=StatementSettings)
    policies: PolicySettings = Field(default_factory=PolicySettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    tenants: Mapping[AccountName, TenantSettings] = Field(
        default_factory=dict,
        max_length=100_000,
        description="Limits by the name of a tenant, `*` for each that is not named; see docs/limits.md.",
        json_schema_extra={"default": "none"},
    )
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    results: ResultSettings = Field(default_factory=ResultSettings)
    streams: StreamSettings = Field(default_factory=StreamSettings)
    records: RecordSettings = Field(default_factory=RecordSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    _origins: Origins = PrivateAttr(default=Origins(lambda _: "settings"))

    def knowing(self, origins: Origins) -> Self:
        """These settings, which can say where each key was written."""
        self._origins = origins
        return self

    def origin(self, *key: str) -> str:
        """Where a key was written, or the nearest one around it: file and line, or environment variable."""
        return self._origins.find(key)

    @field_validator("auth")
    @classmethod
    def _certificates_are_asked_for(cls, value: AuthSettings, info: ValidationInfo) -> AuthSettings:
        tls = info.data.get("tls")
        if tls is not None and not tls.asks_clients and any(each.type == "mtls" for each in value.authenticators):
            raise ValueError("`mtls` needs tls.client_certificates: required, or tls.mutual_listen")
        return value

    @field_validator("default_engine")
    @classmethod
    def _known_engine(cls, value: str, info: ValidationInfo) -> str:
        engines = info.data.get("engines")
        if engines is not None and value not in engines:
            raise ValueError(f"expected one of the configured engines: {', '.join(engines)}")
        return value

    @field_validator("routing")
    @classmethod
    def _routes_to_known_engines(cls, value: RoutingSettings, info: ValidationInfo) -> RoutingSettings:
        if problem := value.problem(info.data.get("engines", {})):
            raise ValueError(problem)
        return value

    @field_validator("statements")
    @classmethod
    def _rules_of_known_engines(cls, value: StatementSettings, info: ValidationInfo) -> StatementSettings:
        engines = info.data.get("engines", value.engines)
        if unknown := [name for name in value.engines if name not in engines]:
            raise ValueError(f"engines.{unknown[0]}: expected one of the configured engines: {', '.join(engines)}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - The signature is pydantic's.
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what the file says. QUERYENGINE_TLS is for the command line, not a group."""
        assert isinstance(env_settings, EnvSettingsSource)
        variables = env_settings.env_vars
        env_settings.env_vars = {name: variables[name] for name in variables if name.upper() not in CLIENT_VARIABLES}
        return env_settings, init_settings


def groups() -> Iterator[tuple[str, type[BaseModel]]]:
    """The groups of keys by name, in the order of the documentation; Settings itself for the keys above
    engines.
    """
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation
            if name == "statements":
                yield f"{name}.functions", FunctionSettings
            if name == "routing":
                yield from ROUTING_GROUPS
            if name == "policies":
                yield from POLICY_GROUPS
        elif name == "engines":
            yield "engines", Settings
            yield "engines.NAME", EngineSettings
        elif name == "tenants":
            yield from TENANT_GROUPS
