"""What is known of a statement from its text alone, before anything of it runs."""

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from queryengine.domain.errors import Failure

Name = tuple[str, ...]
"""A qualified name by its parts, as it is written but for quotation marks."""

KINDS: Final = MappingProxyType(
    {
        **dict.fromkeys(("SELECT", "WITH", "VALUES", "TABLE", "FROM"), "SELECT"),
        **dict.fromkeys(("PIVOT", "UNPIVOT"), "PIVOT"),
        **dict.fromkeys(("DESCRIBE", "DESC"), "DESCRIBE"),
        **{word: word for word in ("EXPLAIN", "SHOW", "SUMMARIZE")},
    }
)
"""The kind of a statement that reads, by the word that it begins with. Words of one kind can say the same."""


class Measures(NamedTuple):
    """How large a statement is, by its tokens; a text that is not parsed has them too."""

    depth: int
    """Of brackets and CASE within each other."""
    joins: int
    """JOIN in all its forms, and commas between tables."""
    set_operations: int
    """UNION, INTERSECT, EXCEPT, MINUS."""
    list_items: int
    """Of the longest list behind IN, or in square brackets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policed:
    """What runs in place of a text for principals of one policy, and what of the policy has shaped it."""

    sql: str
    version: str
    """Of what they see of the tables that it reads; never empty."""
    policies: tuple[str, ...]
    """The rules that apply, as `schema.table:rule`."""
    relations: tuple[Name, ...]
    """The tables with policies that it reads, in the order of the rules."""
    unlisted: tuple[Name, ...] = ()
    """The others that it reads, which are open by default."""
    enforced: tuple[Name, ...] | None = None
    """Those of them that the engine itself filters; None where it is not given who asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Each fact is None where the text is not understood so far, which says nothing about the statement."""

    kind: str | None = None
    """The word that the statement begins with, in upper case, such as SELECT, WITH or EXPLAIN."""
    kinds: frozenset[str] | None = None
    """Values of KINDS: that of the statement and those of all statements inside of it."""
    tables: frozenset[Name] | None = None
    """Everything that is read by a name: no table is missing, and a name that stands for a part of the statement itself
    may be among them. What a view or a macro reads is not."""
    functions: frozenset[str] | None = None
    """Everything that may be called, in lower case: no function is missing, also of those that another one calls by a
    name in a text, and other words that stand before a parenthesis may be among them. None, too, where that name is
    computed."""
    parts: frozenset[str] = frozenset()
    """What some of `functions` are made of, in lower case: `sum` where `sumIf` is called, or `list_sum`."""
    unproven: frozenset[str] | None = None
    """Those of `functions` which are not known to compute from their arguments alone: they may reach files, networks,
    settings, catalogs, other tables or other sessions, or nobody has looked at them."""
    reaching: frozenset[str] = frozenset()
    """Functions that it calls and tables that it reads, in lower case and without their schema, which are known to
    wait, or to reach settings, locks, other sessions, other SQL, files or networks."""
    measures: Measures | None = None
    placeholders: frozenset[str] | None = None
    """Names of parameters; "1", "2", … when they are positional."""
    is_deterministic: bool | None = None
    """Whether the same data always give the same rows, in whatever order, but for the last digits of sums of floating
    point numbers."""
    normalised: str | None = None
    """The text without comments and without white space that means nothing."""
    refusal: Failure | None = None
    """Why the engine does not run the text."""
    policed: Policed | None = None
    """None on an engine without row and column policies."""

    def query_hash(self, sql: str) -> str:
        """Hash of the normalised text; of the text with all white space folded where it is not known."""
        text = " ".join(sql.split()) if self.normalised is None else self.normalised
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form of what is known of a text that is not refused; the inverse of from_json."""
        facts = {
            "kind": self.kind,
            "kinds": _sorted(self.kinds),
            "tables": None if self.tables is None else sorted(map(list, self.tables)),
            "functions": _sorted(self.functions),
            "parts": _sorted(self.parts) or None,
            "unproven": _sorted(self.unproven),
            "reaching": _sorted(self.reaching) or None,
            "measures": self.measures,
            "placeholders": _sorted(self.placeholders),
            "is_deterministic": self.is_deterministic,
            "normalised": self.normalised,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        tables, measures = data.get("tables"), data.get("measures")
        return cls(
            kind=data.get("kind"),
            kinds=_names(data.get("kinds")),
            tables=None if tables is None else frozenset(map(tuple, tables)),
            functions=_names(data.get("functions")),
            parts=_names(data.get("parts")) or frozenset(),
            unproven=_names(data.get("unproven")),
            reaching=_names(data.get("reaching")) or frozenset(),
            measures=None if measures is None else Measures(*measures),
            placeholders=_names(data.get("placeholders")),
            is_deterministic=data.get("is_deterministic"),
            normalised=data.get("normalised"),
        )


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _names(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


NOT_ANALYSED: Final = Analysis()
