"""Keys that say which rows and columns callers see."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from queryengine.domain.identity import Role
from queryengine.settings.decision_point import DecisionPointSettings
from queryengine.settings.errors import within
from queryengine.settings.group import Group
from queryengine.settings.names import Name
from queryengine.settings.policy_texts import check_mask, check_placeholders
from queryengine.settings.secret import Secret

RELATIONS_MAX: Final = 10_000
TEXT_CHARACTERS_MAX: Final = 10_000
NAME_CHARACTERS_MAX: Final = 255
"""Of a table, with its schema."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARACTERS_MAX)]

Enforce = Literal["rewrite", "engine", "both"]


class RuleSettings(Group):
    """What the callers whom the rule is for see of a table; of several rules of a table, the first that is for a caller
    applies, and no other.
    """

    roles: Sequence[Role] = Field(default=(), description="Roles of which the caller has one; none for every caller.")
    claims: Mapping[str, Any] = Field(
        default_factory=dict,
        description="Claims that the credential must have, each with a value or a list of which it has one.",
        json_schema_extra={"default": "none"},
    )
    rows: str = Field(
        max_length=TEXT_CHARACTERS_MAX,
        default="",
        description="Predicate over the table's columns, in the SQL of the engine: rows for which it is not true are "
        "not seen. `{tenant}`, `{subject}` and `{claims.NAME}` stand for values of the caller.",
    )
    masks: Mapping[str, Text] = Field(
        default_factory=dict,
        description="What is seen in place of a column: `null`, `hash`, `last4`, or an expression over the columns.",
        json_schema_extra={"default": "none"},
    )
    hidden: Sequence[str] = Field(default=(), description="Columns that are not seen at all.")

    @field_validator("rows")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        with within():
            check_placeholders(value)
        return value

    @field_validator("masks")
    @classmethod
    def _known_placeholders_of_masks(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for column, text in value.items():
            with within(column):
                check_placeholders(text)
        return value

    @property
    def values_of_claims(self) -> dict[str, tuple[Any, ...]]:
        return {
            name: tuple(value) if isinstance(value, list | tuple) else (value,) for name, value in self.claims.items()
        }


class RelationSettings(Group):
    """A table that may be read."""

    columns: Sequence[Text] = Field(
        min_length=1, max_length=2000, description="Its columns; what it has beyond them is not seen."
    )
    enforce: Enforce | None = Field(
        default=None,
        description="What keeps its rows back, where that differs from the engine's `enforce`.",
        json_schema_extra={"default": "as the engine has it"},
    )
    open: bool = Field(default=False, description="Whether every caller sees all rows of these columns as they are.")
    rules: Mapping[Name, RuleSettings] = Field(
        default_factory=dict,
        description="Rules by name, in their order; a caller whom none is for sees nothing of the table.",
        json_schema_extra={"default": "none"},
    )

    @model_validator(mode="after")
    def _open_or_ruled(self) -> "RelationSettings":
        if self.open and self.rules:
            raise ValueError("expected `open: true` or rules, not both")
        if self.open and self.enforce is not None:
            raise ValueError("expected no `enforce` beside `open: true`: nothing of its rows is kept back")
        if not self.open and not self.rules:
            raise ValueError("expected rules, or `open: true` where every caller sees all of it")
        for name, rule in self.rules.items():
            for column, text in rule.masks.items():
                with within("rules", name, "masks", column):
                    check_mask(text, self.columns)
        return self


class EnginePolicySettings(Group):
    """The policies of one engine."""

    default: Literal["deny", "open"] = Field(
        default="deny", description="Whether tables that are not listed may be read; views over listed ones, too, then."
    )
    enforce: Enforce = Field(
        default="rewrite",
        description="What keeps rows back: `rewrite`, the service, by rewriting statements; `engine`, row policies of "
        "the engine's own, which the service gives tenant and subject; or `both`. Tables and columns are kept back by "
        "the service in any case.",
    )
    default_schema: str = Field(
        default="",
        description="Schema of a table that a statement names without one.",
        json_schema_extra={
            "default": "`public` of PostgreSQL, the database of the URL of ClickHouse, `schema` of Trino, `default` of "
            "Spark, else `main`"
        },
    )
    relations: Mapping[str, RelationSettings] = Field(
        min_length=1,
        max_length=RELATIONS_MAX,
        description='Tables by schema and name as the engine has them, as in `main.orders` or `sales."Order Lines"`.',
    )

    @field_validator("relations")
    @classmethod
    def _readable_names(cls, value: Mapping[str, RelationSettings]) -> Mapping[str, RelationSettings]:
        for name in value:
            if len(name) > NAME_CHARACTERS_MAX:
                raise ValueError(f"a name of a table has more than {NAME_CHARACTERS_MAX} characters: {name[:60]}…")
            path_of(name)
        return value


class PolicySettings(Group):
    """Which rows and columns callers see, by engine; see docs/security.md."""

    hash_key: Secret | None = Field(
        default=None,
        description="Secret that the mask `hash` is keyed with: `file:/path` or `env:NAME`.",
        json_schema_extra={"default": "none"},
    )
    decision_point: DecisionPointSettings | None = Field(
        default=None,
        description="A server, such as OPA, that says for each query whether it may run, and which rows it may see.",
        json_schema_extra={"default": "none"},
    )
    engines: Mapping[str, EnginePolicySettings] = Field(
        default_factory=dict,
        description="Policies by the name of the engine. An engine that is not listed has none.",
        json_schema_extra={"default": "none"},
    )


POLICY_GROUPS: Final = (
    ("policies.decision_point", DecisionPointSettings),
    ("policies.engines.NAME", EnginePolicySettings),
    ("policies.engines.NAME.relations.TABLE", RelationSettings),
    ("policies.engines.NAME.relations.TABLE.rules.RULE", RuleSettings),
)
"""What stands below `policies`, for the reference of all keys."""


def path_of(name: str) -> tuple[str, ...]:
    """The parts of a table's name; a part in double quotes may have points in it. Raises ValueError."""
    parts, rest = list[str](), name
    while True:
        if rest.startswith('"'):
            end = rest.find('"', 1)
            while end >= 0 and rest[end : end + 2] == '""':
                end = rest.find('"', end + 2)
            part, rest = rest[1:end].replace('""', '"'), rest[end + 1 :] if end > 0 else "."
        else:
            part, point, after = rest.partition(".")
            rest = point + after
        if not part or (rest and not rest.startswith(".")):
            raise ValueError(f"{name!r} is no name of a table; expected one as main.orders")
        parts.append(part)
        if not rest:
            return tuple(parts)
        rest = rest[1:]
