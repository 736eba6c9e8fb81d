"""What an engine has, at the moment, of the tables that policies name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from queryengine.domain.analysis import Name


class LiveColumn(NamedTuple):
    """A column as the engine describes it."""

    name: str
    type: str
    """The engine's own word."""
    is_text: bool
    """Whether equal means equal to the last character: not so for padded text, or a collation that ignores case."""


@dataclass(frozen=True, slots=True)
class AskedTable:
    """A table, with those of its columns that somebody wants to know about."""

    path: Name
    columns: tuple[str, ...]
    enforced: bool = False
    """Whether the engine is to filter its rows itself."""

    def to_json(self) -> list[Any]:
        return [list(self.path), list(self.columns), self.enforced]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Self:
        path, columns, enforced = data
        return cls(tuple(path), tuple(columns), enforced)


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table that the engine has."""

    types: Mapping[str, str]
    """The engine's word for the type of each column that was asked for and is there, by the name asked for."""
    not_text: frozenset[str]
    """Those of them that are no plain text."""
    is_filtered: bool = False
    """Whether the engine itself shows the service only some of the rows, by policies of its own."""

    @classmethod
    def of(
        cls,
        asked: AskedTable,
        found: Iterable[LiveColumn],
        *,
        fold: Callable[[str], str] = str,
        is_filtered: bool = False,
    ) -> Self:
        """`fold` makes names equal that are the same to the engine."""
        by_name = {fold(each.name): each for each in found}
        known = {name: by_name[fold(name)] for name in asked.columns if fold(name) in by_name}
        return cls(
            {name: each.type for name, each in known.items()},
            frozenset(name for name, each in known.items() if not each.is_text),
            is_filtered,
        )

    def to_json(self) -> list[Any]:
        return [dict(self.types), sorted(self.not_text), self.is_filtered]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Self:
        types, not_text, is_filtered = data
        return cls(types, frozenset(not_text), is_filtered)
