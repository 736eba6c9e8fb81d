"""What is known of a statement from its text alone, before anything of it runs."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Self

from queryengine.domain.errors import Failure

Name = tuple[str, ...]
"""A qualified name by its parts, as it is written but for quotation marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Each fact is None where the text is not understood so far, which says nothing about the statement."""

    kind: str | None = None
    """The word that the statement begins with, in upper case, such as SELECT, WITH or EXPLAIN."""
    tables: frozenset[Name] | None = None
    """Everything that is read by a name: no table is missing, and a name that stands for a part of the statement itself
    may be among them. What a view or a macro reads is not."""
    functions: frozenset[str] | None = None
    """Everything that may be called, in lower case: no function is missing, and other words that stand before a
    parenthesis may be among them."""
    placeholders: frozenset[str] | None = None
    """Names of parameters; "1", "2", … when they are positional."""
    is_deterministic: bool | None = None
    """Whether the same data always give the same rows, in whatever order, but for the last digits of sums of floating
    point numbers."""
    normalised: str | None = None
    """The text without comments and without white space that means nothing."""
    refusal: Failure | None = None
    """Why the engine does not run the text."""

    def query_hash(self, sql: str) -> str:
        """Hash of the normalised text; of the text with all white space folded where it is not known."""
        text = " ".join(sql.split()) if self.normalised is None else self.normalised
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form of what is known of a text that is not refused; the inverse of from_json."""
        facts = {
            "kind": self.kind,
            "tables": None if self.tables is None else sorted(map(list, self.tables)),
            "functions": None if self.functions is None else sorted(self.functions),
            "placeholders": None if self.placeholders is None else sorted(self.placeholders),
            "is_deterministic": self.is_deterministic,
            "normalised": self.normalised,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        tables, functions, placeholders = map(data.get, ("tables", "functions", "placeholders"))
        return cls(
            kind=data.get("kind"),
            tables=None if tables is None else frozenset(map(tuple, tables)),
            functions=None if functions is None else frozenset(functions),
            placeholders=None if placeholders is None else frozenset(placeholders),
            is_deterministic=data.get("is_deterministic"),
            normalised=data.get("normalised"),
        )


NOT_ANALYSED: Final = Analysis()
