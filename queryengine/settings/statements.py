"""Keys that say which statements may run: the statement gate, for all engines and for each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from pydantic import Field, field_validator
from pydantic.config import JsonDict

from queryengine.domain.identity import Role
from queryengine.settings.group import Group

COMPUTING: Final = "@computing"
"""In a list of functions: all that are known to compute from their arguments alone."""

Kind = Literal["SELECT", "PIVOT", "DESCRIBE", "SHOW", "SUMMARIZE", "EXPLAIN"]
_NONE: Final[JsonDict] = {"default": "none"}
_NO_LIMIT: Final[JsonDict] = {"default": "no limit"}
_Rules = TypeVar("_Rules", bound="StatementRules")
_ROLES: Final = frozenset(Role) | {"any"}


class FunctionSettings(Group):
    """Which functions statements may call, by name, in any case, without a schema."""

    allow: Sequence[str] = Field(
        default=(),
        description="Functions that may be called although `only` does not name them, and on DuckDB and PostgreSQL "
        "although the engine's own rules refuse them.",
        json_schema_extra=_NONE,
    )
    deny: Sequence[str] = Field(
        default=(), description="Functions that may not be called, whatever else is said.", json_schema_extra=_NONE
    )
    only: Sequence[str] = Field(
        default=(),
        description="When it is not empty, no other function may be called. `@computing` in it stands for all that are "
        "known to compute from their arguments alone.",
        json_schema_extra=_NONE,
    )

    @field_validator("allow", "deny", "only")
    @classmethod
    def _names(cls, value: Sequence[str]) -> Sequence[str]:
        for name in value:
            if not name or re.search(r"[\s.()\"'`]", name):
                raise ValueError(f"expected the name of a function without its schema, not {name!r}")
        return tuple(name.lower() for name in value)

    @field_validator("allow", "deny")
    @classmethod
    def _no_group(cls, value: Sequence[str]) -> Sequence[str]:
        if COMPUTING in value:
            raise ValueError(f"{COMPUTING} can stand in `only` alone")
        return value


class StatementRules(Group):
    """What a statement may be."""

    kinds: Mapping[str, Sequence[Kind]] | None = Field(
        default=None,
        description="Kinds of statements by role (`any` for everybody): `SELECT`, which is every query, `PIVOT`, "
        "`DESCRIBE`, `SHOW`, `SUMMARIZE`, `EXPLAIN`. A caller may send those of all of its roles; statements inside of "
        "others count, too.",
        json_schema_extra={"default": "all that the engine reads"},
    )
    functions: FunctionSettings = Field(
        default_factory=FunctionSettings,
        description="Functions by name: `allow`, `deny`, `only`; see below. A change of `allow` needs a restart.",
        json_schema_extra={"default": "those that the engine's own rules leave"},
    )
    text_bytes_max: int | None = Field(
        default=None, ge=1, description="Longest text of a statement.", json_schema_extra=_NO_LIMIT
    )
    depth_max: int | None = Field(
        default=None, ge=0, description="Most brackets and CASE within each other.", json_schema_extra=_NO_LIMIT
    )
    joins_max: int | None = Field(
        default=None, ge=0, description="Most joins; commas between tables count.", json_schema_extra=_NO_LIMIT
    )
    set_operations_max: int | None = Field(
        default=None, ge=0, description="Most UNION, INTERSECT, EXCEPT, MINUS.", json_schema_extra=_NO_LIMIT
    )
    list_items_max: int | None = Field(
        default=None,
        ge=0,
        description="Most items of a list behind IN or in square brackets.",
        json_schema_extra=_NO_LIMIT,
    )
    placeholders_max: int | None = Field(
        default=None, ge=0, description="Most parameters that the text names.", json_schema_extra=_NO_LIMIT
    )
    strict: bool = Field(
        default=False,
        description="Whether a statement is refused of which a limit cannot be measured, as with an engine type of "
        "another package. Rules on kinds and functions always refuse what they cannot judge.",
    )

    @field_validator("kinds", mode="before")
    @classmethod
    def _known_roles(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            unknown = sorted(str(role) for role in value if role not in _ROLES)
            if unknown:
                raise ValueError(f"unknown role {unknown[0]!r}; expected one of {', '.join(sorted(_ROLES))}")
        return value


class StatementSettings(StatementRules):
    """Which statements may run. A key holds for every engine but those for which `statements.engines.NAME` sets it."""

    engines: Mapping[str, StatementRules] = Field(
        default_factory=dict,
        description="The same keys for one engine, by its name.",
        json_schema_extra={"default": "none"},
    )

    def of(self, engine: str) -> StatementRules:
        """The rules of an engine."""
        own = self.engines.get(engine)
        common = StatementRules(**{key: getattr(self, key) for key in StatementRules.model_fields})
        if own is None:
            return common
        update = {key: getattr(own, key) for key in own.model_fields_set}
        if "functions" in update:
            mine = {key: getattr(own.functions, key) for key in own.functions.model_fields_set}
            update["functions"] = self.functions.model_copy(update=mine)
        return common.model_copy(update=update)

    def allowing_as(self, running: "StatementSettings") -> tuple["StatementSettings", tuple[str, ...]]:
        """These settings with what `running` allows by name, which engines are given when they start; and the keys that
        differ.
        """
        engines = {name: _with_allowed(rules, running.engines.get(name, rules)) for name, rules in self.engines.items()}
        kept = _with_allowed(self, running).model_copy(update={"engines": engines})
        return kept, tuple(_differences(self, kept))


def _with_allowed(rules: _Rules, running: StatementRules) -> _Rules:
    if rules.functions.allow == running.functions.allow:
        return rules
    functions = rules.functions.model_copy(update={"allow": running.functions.allow})
    return rules.model_copy(update={"functions": functions})


def _differences(wanted: StatementSettings, kept: StatementSettings) -> Iterator[str]:
    if wanted.functions.allow != kept.functions.allow:
        yield "functions.allow"
    for name, rules in wanted.engines.items():
        if rules.functions.allow != kept.engines[name].functions.allow:
            yield f"engines.{name}.functions.allow"
