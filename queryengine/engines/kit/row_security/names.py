"""Which table a name means: one that the policy knows for certain, or none."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from queryengine.domain.analysis import Name
from queryengine.domain.errors import Reason, error
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.kit.row_security.grammar import Grammar, lowered

SHOWN_MAX: Final = 20
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_SYSTEM: Final = frozenset({"information_schema", "pg_catalog", "pg_toast", "system", "temp"})
_SYSTEM_BEGINS: Final = ("pg_", "sqlite_", "duckdb_", "pragma_")


class Relations:
    """The tables of one policy by name."""

    def __init__(self, policy: RowPolicy, grammar: Grammar) -> None:
        self._policy = policy
        self._grammar = grammar

    def find(self, parts: Sequence[exp.Identifier]) -> RelationPolicy | None:
        """The policy of the table that the parts name; None for one that no policy names and that is open by default.
        Raises RELATION_NOT_ALLOWED for any other.
        """
        full = self.full(parts)
        found = [each for each in self._policy.relations if self._is(each.path, full)]
        if len(found) == 1:
            return found[0]
        if not found and self._policy.default_open and self._is_free(full):
            return None
        raise self.refusal(".".join(str(part.this) for part in parts))

    def full(self, parts: Sequence[exp.Identifier]) -> Name:
        """The name that the parts stand for, with its schema."""
        named = tuple(map(self._grammar.fold, parts))
        return named if len(named) > 1 else (self._schema(), *named)

    def refusal(self, name: str) -> Exception:
        known = [".".join(each.path) for each in self._policy.relations]
        listed = ", ".join(known[:SHOWN_MAX]) + (", …" if len(known) > SHOWN_MAX else "")
        message = f"{name} is not among the tables that you may read; those are: {listed or 'none'}"
        return error(Reason.RELATION_NOT_ALLOWED, message, relation=name, readable=listed)

    def _schema(self) -> str:
        return self._grammar.fold(exp.to_identifier(self._policy.schema, quoted=True))

    def _folded(self, path: Name) -> Name:
        return tuple(self._grammar.fold(exp.to_identifier(part, quoted=True)) for part in path)

    def _is(self, path: Name, named: Name) -> bool:
        """Whether a name means the table of a path; a name without a catalog may."""
        folded = self._folded(path)
        return folded == named or (len(folded) == len(named) + 1 and folded[1:] == named)

    def _is_free(self, named: Name) -> bool:
        """Whether a name is surely that of a table that no policy names: a plain one, no part of the catalog, and not
        called like a table that one names, in whichever schema.
        """
        policed = {
            lowered(path[-1]) for path in (*(each.path for each in self._policy.relations), *self._policy.closed)
        }
        parts = tuple(map(lowered, named))
        is_system = any(part in _SYSTEM or part.startswith(_SYSTEM_BEGINS) for part in parts)
        return parts[-1] not in policed and not is_system and all(part and _PLAIN.issuperset(part) for part in parts)
