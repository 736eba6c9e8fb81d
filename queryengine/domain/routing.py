"""How the engine of a query was chosen: facts that are recorded with it and shown to its user."""

from dataclasses import dataclass
from typing import Any, Final, Self

DIALECTS: Final = ("clickhouse", "duckdb", "mysql", "postgresql", "spark", "sqlite", "trino")
"""Words for dialects of SQL in settings and requests."""
FACTS_MAX: Final = 20
FACT_CHARACTERS_MAX: Final = 200
REASON_CHARACTERS_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a statement will take; None is not known."""

    seconds: float | None = None
    rows: int | None = None
    """Of the result."""
    bytes: int | None = None
    """Read from storage."""

    @property
    def is_known(self) -> bool:
        return (self.seconds, self.rows, self.bytes) != (None, None, None)


NO_ESTIMATE: Final = Estimate()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An engine that a rule prefers to the chosen one, and why it was not taken."""

    engine: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDecision:
    """The rule that chose an engine, what made it apply, and the engines that it preferred in vain."""

    rule: str
    facts: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    translated_from: str = ""
    """The dialect that the statement is translated from; empty where it runs as submitted."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form; the inverse of from_json."""
        return {
            "rule": self.rule,
            "facts": list(self.facts),
            "passed_over": [[each.engine, each.why] for each in self.passed_over],
            "translated_from": self.translated_from,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            rule=data["rule"],
            facts=tuple(data["facts"]),
            passed_over=tuple(PassedOver(engine, why) for engine, why in data["passed_over"]),
            translated_from=data.get("translated_from", ""),
        )


def clipped(text: str, characters: int) -> str:
    """A text on one line, cut to so many characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= characters else folded[: characters - 1] + "…"
