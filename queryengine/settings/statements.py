"""Keys that say which statements may run: the statement gate, for all engines and for each."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import Field, field_validator
from pydantic.config import JsonDict

from queryengine.domain.identity import Role
from queryengine.settings.group import Group

COMPUTING: Final = "@computing"
"""In a list of functions: all that are known to compute from their arguments alone."""

Kind = Literal["SELECT", "PIVOT", "DESCRIBE", "SHOW", "SUMMARIZE", "EXPLAIN"]
_NONE: Final[JsonDict] = {"default": "none"}
_NO_LIMIT: Final[JsonDict] = {"default": "no limit"}
_ROLES: Final = frozenset(Role) | {"any"}


class FunctionSettings(Group):
    """Which functions statements may call, by name, in any case, without a schema."""

    allow: Sequence[str] = Field(
        default=(),
        description="Functions, and tables of the engine's system, that may be used although `only` does not name "
        "them, or the service refuses them as they wait or reach settings, files, networks, other SQL or other "
        "sessions. Row policies refuse them all the same, and so may the engine itself.",
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
            if name.startswith("@") and name != COMPUTING:
                raise ValueError(f"unknown group {name!r}; there is {COMPUTING} alone")
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
        description="Functions by name: `allow`, `deny`, `only`; see below.",
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

    def allowed_functions(self, engine: str) -> Sequence[str]:
        """`functions.allow` of an engine, for which `of` makes all its rules."""
        own = self.engines.get(engine)
        if own is not None and "functions" in own.model_fields_set and "allow" in own.functions.model_fields_set:
            return own.functions.allow
        return self.functions.allow
