"""Keys that say which engine runs a statement: rules in their order, of which the first that is for it decides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator
from pydantic.config import JsonDict

from queryengine.domain.identity import Role
from queryengine.policy.routing.patterns import parts_of
from queryengine.settings.errors import within
from queryengine.settings.group import Group
from queryengine.settings.names import Name

RULES_MAX: Final = 1_000
WEIGHT_MAX: Final = 1_000_000
NAME_CHARACTERS_MAX: Final = 255

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Dialect = Literal["clickhouse", "duckdb", "mysql", "postgresql", "spark", "sqlite", "trino"]
Kind = Literal["SELECT", "PIVOT", "DESCRIBE", "SHOW", "SUMMARIZE", "EXPLAIN"]
Hints = Literal["allow", "refuse", "override"]
_ANY: Final[JsonDict] = {"default": "any"}
_NONE: Final[JsonDict] = {"default": "none"}


def _several(value: Any) -> Any:
    """One text, which may stand in place of a list with it alone."""
    return (value,) if isinstance(value, str) else value


class EstimateSettings(Group):
    """Bounds on what a statement is expected to take, by the completed runs of the same text. What is not known keeps
    within no bound.
    """

    below_seconds: float | None = Field(
        default=None, gt=0, description="It runs for less than this.", json_schema_extra=_ANY
    )
    below_rows: int | None = Field(default=None, ge=1, description="Its result has fewer rows.", json_schema_extra=_ANY)
    below_bytes: int | None = Field(
        default=None, ge=1, description="It reads less from storage.", json_schema_extra=_ANY
    )
    least_seconds: float | None = Field(
        default=None, gt=0, description="It runs for this long, or longer.", json_schema_extra=_ANY
    )
    least_rows: int | None = Field(
        default=None, ge=1, description="Its result has so many rows, or more.", json_schema_extra=_ANY
    )
    least_bytes: int | None = Field(
        default=None, ge=1, description="It reads this much from storage, or more.", json_schema_extra=_ANY
    )
    or_unknown: bool = Field(default=False, description="Whether what is not known keeps within the bounds.")

    @model_validator(mode="after")
    def _some_bound(self) -> "EstimateSettings":
        bounds = self.below | self.least
        if not bounds:
            raise ValueError("expected a bound such as below_seconds")
        return self

    @property
    def below(self) -> dict[str, float]:
        return dict(self._bounds("below_"))

    @property
    def least(self) -> dict[str, float]:
        return dict(self._bounds("least_"))

    def _bounds(self, prefix: str) -> Iterator[tuple[str, float]]:
        for name in ("seconds", "rows", "bytes"):
            value = getattr(self, prefix + name)
            if value is not None:
                yield name, value


class WhenSettings(Group):
    """Conditions of a rule, all of which must hold. In lists one match is enough; `*` in a name stands for any
    characters.
    """

    tenants: Sequence[Pattern] = Field(default=(), description="Tenants.", json_schema_extra=_ANY)
    subjects: Sequence[Pattern] = Field(
        default=(), description="Users and services, within their tenants.", json_schema_extra=_ANY
    )
    roles: Sequence[Role] = Field(default=(), description="Roles of the caller.", json_schema_extra=_ANY)
    labels: Mapping[str, Annotated[Sequence[Pattern], BeforeValidator(_several), Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Labels that the request must have, each with a value or a list of which it has one.",
        json_schema_extra=_ANY,
    )
    catalogs: Sequence[Pattern] = Field(
        default=(), description="The catalog that the request names.", json_schema_extra=_ANY
    )
    schemas: Sequence[Pattern] = Field(
        default=(), description="The schema that the request names.", json_schema_extra=_ANY
    )
    named: Sequence[Pattern] = Field(
        default=(), description="Named queries, by their names without a version.", json_schema_extra=_ANY
    )
    dialects: Sequence[Dialect] = Field(
        default=(), description="The dialect that the request says its text is written in.", json_schema_extra=_ANY
    )
    row_limit_below: int | None = Field(
        default=None,
        ge=1,
        description="The request wants fewer rows than this, by its row limit.",
        json_schema_extra=_ANY,
    )
    row_limit_least: int | None = Field(
        default=None,
        ge=1,
        description="The request wants so many rows or more, or sets no row limit.",
        json_schema_extra=_ANY,
    )
    tables: Sequence[Pattern] = Field(
        default=(),
        description="Tables such as `sales.*`: the statement reads some, and none beside these. A pattern without a "
        "catalog or schema is for all; names are completed by the catalog and schema of the request.",
        json_schema_extra=_ANY,
    )
    any_table: Sequence[Pattern] = Field(
        default=(), description="Tables of which the statement reads one, at least.", json_schema_extra=_ANY
    )
    kinds: Sequence[Kind] = Field(default=(), description="Kinds of statements.", json_schema_extra=_ANY)
    functions: Sequence[Pattern] = Field(
        default=(), description="Functions of which the statement calls one, at least.", json_schema_extra=_ANY
    )
    estimate: EstimateSettings | None = Field(
        default=None,
        description="Bounds on what the statement is expected to take; see below.",
        json_schema_extra=_ANY,
    )

    @model_validator(mode="after")
    def _no_empty_list(self) -> "WhenSettings":
        """One would hold for everything, as if it were not there."""
        for name in self.model_fields_set:
            with within(name):
                if getattr(self, name) in ((), [], {}):
                    raise ValueError("must not be empty")
        return self

    @field_validator("tables", "any_table")
    @classmethod
    def _readable(cls, value: Sequence[str]) -> Sequence[str]:
        for pattern in value:
            parts_of(pattern)
        return value


class SplitSettings(Group):
    """Statements shared out between engines."""

    engines: Mapping[str, int] = Field(
        min_length=2,
        description="Weights by engine, as `{current: 95, canary: 5}`. One that is down or full is replaced by the "
        "others in their order, unless the rule is strict.",
    )
    by: Literal["tenant", "subject", "statement", "request"] = Field(
        default="tenant",
        description="What always goes the same way: a tenant, a subject, equal texts (`statement`), or only equal "
        "requests (`request`), parameters and options included.",
    )

    @field_validator("engines")
    @classmethod
    def _weights(cls, value: Mapping[str, int]) -> Mapping[str, int]:
        if any(not 0 <= weight <= WEIGHT_MAX for weight in value.values()) or not sum(value.values()):
            raise ValueError(f"expected weights from 0 to {WEIGHT_MAX}, not all 0")
        return value


Translated = Literal["duckdb", "postgresql", "spark", "trino"]


class RoutingRuleSettings(Group):
    """For whom and what a rule is, and which engine runs that. Exactly one of `to` and `split` says which."""

    when: WhenSettings = Field(
        default_factory=WhenSettings,
        description="Conditions; see below.",
        json_schema_extra={"default": "none: for everything"},
    )
    to: Annotated[Sequence[str], BeforeValidator(_several)] = Field(
        default=(),
        description="One engine, or several in their order: one that cannot do what the request asks, is down or full "
        "is passed over.",
        json_schema_extra=_NONE,
    )
    split: SplitSettings | None = Field(
        default=None, description="Engines by weight instead; see below.", json_schema_extra=_NONE
    )
    strict: bool = Field(
        default=False, description="Whether statements wait for the first engine even while it is down or full."
    )
    translate_from: Translated | None = Field(
        default=None,
        description="Dialect of texts whose requests name none. They, and those of requests that name one, are "
        "translated to that of the engine, between duckdb, postgresql, spark and trino; what cannot be translated for "
        "certain is refused.",
        json_schema_extra={"default": "texts run as they are"},
    )
    explicit: Hints = Field(
        default="allow",
        description="What becomes of requests that name an engine: `allow`, the rule is not for them; `refuse`, they "
        "may name those of the rule alone; `override`, the name does not count.",
    )

    @model_validator(mode="after")
    def _one_target(self) -> "RoutingRuleSettings":
        if bool(self.to) == (self.split is not None):
            raise ValueError("expected either `to` or `split`")
        if len(set(self.to)) < len(self.to):
            raise ValueError("to: an engine is listed twice")
        return self

    @property
    def engines(self) -> tuple[str, ...]:
        """All that it may choose, in the order in which they are written."""
        return tuple(self.to) if self.split is None else tuple(self.split.engines)


class RoutingSettings(Group):
    """Which engine runs what names none; see docs/routing.md."""

    rules: Mapping[Name, RoutingRuleSettings] = Field(
        default_factory=dict,
        max_length=RULES_MAX,
        description="Rules by name, in their order. What no rule is for runs on the default engine.",
        json_schema_extra=_NONE,
    )
    dialect: Dialect | None = Field(
        default=None,
        description="Dialect in which texts are read for the conditions `tables`, `any_table`, `kinds`, `functions` "
        "and `estimate`, where the request names none.",
        json_schema_extra={"default": "that of the default engine"},
    )
    explicit: Literal["allow", "refuse"] = Field(
        default="allow",
        description="Whether requests may name an engine where no rule says anything of it; `refuse` them else.",
    )
    full_queue: int | None = Field(
        default=None,
        ge=0,
        description="An engine without a free slot is full when so many queries wait for it.",
        json_schema_extra={"default": "its number of slots"},
    )

    def problem(self, engines: Mapping[str, Any]) -> str:
        """What of it names an engine that there is not; empty when all are there."""
        for name, rule in self.rules.items():
            for engine in rule.engines:
                if engine not in engines:
                    known = ", ".join(engines)
                    return f"rules.{name}: there is no engine {engine!r}; expected some of {known}"
        return ""


ROUTING_GROUPS: Final = (
    ("routing.rules.RULE", RoutingRuleSettings),
    ("routing.rules.RULE.when", WhenSettings),
    ("routing.rules.RULE.when.estimate", EstimateSettings),
    ("routing.rules.RULE.split", SplitSettings),
)
"""What stands below `routing.rules`, for the reference of all keys."""
