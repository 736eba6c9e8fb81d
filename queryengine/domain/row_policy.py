"""What one principal may see of an engine's tables, as the policies in force resolve for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from queryengine.domain.analysis import Name

NULL_MASK: Final = "null"
HASH_MASK: Final = "hash"
LAST4_MASK: Final = "last4"
TENANT: Final = "tenant"
SUBJECT: Final = "subject"
CLAIMS: Final = "claims."
"""What a placeholder in a policy's SQL begins with when it names a claim."""


ITEMS_MAX: Final = 1000
"""Of the list of a condition."""
OPERATORS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        **dict.fromkeys(("eq", "neq", "lt", "lte", "gt", "gte"), (1, 1)),
        **dict.fromkeys(("in", "not_in"), (1, ITEMS_MAX)),
        **dict.fromkeys(("is_null", "is_not_null"), (0, 0)),
    }
)
"""Of conditions, each with how many values it takes at least and at most."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to be true of a column, as a value and never as SQL."""

    column: str
    operator: str
    """One of OPERATORS."""
    values: tuple[str | int | float | bool, ...] = ()

    def to_json(self) -> list[Any]:
        return [self.column, self.operator, list(self.values)]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Self:
        column, operator, values = data
        return cls(column, operator, tuple(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationPolicy:
    """What may be seen of one table."""

    path: Name
    """Its name by its parts, exactly as the engine has it."""
    columns: tuple[str, ...]
    """Every column that the policy knows, in their order; what the table has beyond them is not seen."""
    rule: str = ""
    """The name of the rule that applies; empty for a relation that is open."""
    rows: str = ""
    """A predicate over the columns; empty for all rows."""
    masks: Mapping[str, str]
    """By column: `null`, `hash`, `last4` or an expression over the columns."""
    hidden: frozenset[str] = frozenset()
    enforced: bool = False
    """Whether the engine filters its rows, too, by policies of its own."""
    conditions: tuple[Condition, ...] = ()
    """What a decision point demands of its rows, all of it."""

    @property
    def visible(self) -> tuple[str, ...]:
        return tuple(column for column in self.columns if column not in self.hidden)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": list(self.path),
            "columns": list(self.columns),
            "rule": self.rule,
            "rows": self.rows,
            "masks": dict(self.masks),
            "hidden": sorted(self.hidden),
            # Not where it is not used: versions of what was stored are made of this.
            **({"enforced": True} if self.enforced else {}),
            **({"conditions": [each.to_json() for each in self.conditions]} if self.conditions else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            path=tuple(data["path"]),
            columns=tuple(data["columns"]),
            rule=data["rule"],
            rows=data["rows"],
            masks=data["masks"],
            hidden=frozenset(data["hidden"]),
            enforced=data.get("enforced", False),
            conditions=tuple(map(Condition.from_json, data.get("conditions", ()))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPolicy:
    """What a principal may see of one engine."""

    schema: str
    """Of a table that a statement names without one."""
    default_open: bool = False
    """Whether tables that no policy names may be read."""
    relations: tuple[RelationPolicy, ...]
    """Those that the principal may see."""
    closed: tuple[Name, ...] = ()
    """Those of which it may see nothing."""
    hash_salt: str = ""
    """Goes into the masks `hash`; empty when there is none."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Of the placeholders: `tenant`, `subject`, `claims.x`. One that is missing has no value for the principal."""

    def encode(self) -> bytes:
        """All but the values, which are another principal's while the rest is the same for many."""
        data = {
            "schema": self.schema,
            "default_open": self.default_open,
            "relations": [each.to_json() for each in self.relations],
            "closed": [list(each) for each in self.closed],
            "hash_salt": self.hash_salt,
        }
        return json.dumps(data).encode()

    @classmethod
    def decode(cls, blob: bytes) -> Self:
        """Without values."""
        data = json.loads(blob)
        return cls(
            schema=data["schema"],
            default_open=data["default_open"],
            relations=tuple(map(RelationPolicy.from_json, data["relations"])),
            closed=tuple(map(tuple, data["closed"])),
            hash_salt=data["hash_salt"],
        )


@dataclass(frozen=True, slots=True)
class SecuredText:
    """A statement that reads only what its principal may see."""

    sql: str
    relations: tuple[Name, ...]
    """The policed relations that it reads, each once, in a fixed order."""
    unlisted: tuple[Name, ...] = ()
    """Likewise the tables that it reads although no policy names them, which are open by default."""
