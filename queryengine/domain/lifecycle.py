"""The life of a query: every state, every event, every legal edge. Nothing else decides a state.

The store applies an edge by compare-and-set: `UPDATE … WHERE state IN (sources(event))`. The first final event wins; a
later one changes nothing and is a normal answer. docs/lifecycle.md is drawn from this table.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class QueryState(StrEnum):
    """Where a query is. Final states have no edge out."""

    QUEUED = "QUEUED"
    """Durable, waits for a slot; the dispatcher moves it on."""
    RUNNING = "RUNNING"
    """On its engine, owned by one server and one attempt; the runner moves it on."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ResultState(StrEnum):
    """What can be read of a result; separate from the query's state, because rows outlive the run."""

    NONE = "NONE"
    PARTIAL = "PARTIAL"
    READY = "READY"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    LOST = "LOST"


HOLDS_ROWS: Final = frozenset({ResultState.READY, ResultState.LOST})
"""Of an ended query with rows on disk: all of them, or what is left."""


class Event(StrEnum):
    """What can happen to a query."""

    CLAIM = "claim"
    """The dispatcher gives it a slot; the attempt number grows by one."""
    COMPLETE = "complete"
    """The END marker of its result is durable."""
    FAIL = "fail"
    """An error ended it: the engine's, a limit's or a timeout's, or an orphan that may not run again."""
    CANCEL = "cancel"
    """Somebody asked for it, and nothing of it runs any more."""
    ORPHAN = "orphan"
    """Its server or its engine is gone, no row was published and attempts are left: it waits again."""


TRANSITIONS: Final[Mapping[tuple[QueryState, Event], QueryState]] = MappingProxyType(
    {
        (QueryState.QUEUED, Event.CLAIM): QueryState.RUNNING,
        (QueryState.QUEUED, Event.CANCEL): QueryState.CANCELLED,
        (QueryState.QUEUED, Event.FAIL): QueryState.FAILED,
        (QueryState.RUNNING, Event.COMPLETE): QueryState.COMPLETED,
        (QueryState.RUNNING, Event.FAIL): QueryState.FAILED,
        (QueryState.RUNNING, Event.CANCEL): QueryState.CANCELLED,
        (QueryState.RUNNING, Event.ORPHAN): QueryState.QUEUED,
    }
)

ATTEMPTS_MAX: Final = 3
"""How often a query may be claimed."""

FINAL: Final = frozenset(QueryState) - {state for state, _ in TRANSITIONS}


def sources(event: Event) -> frozenset[QueryState]:
    """The states an event may happen in: the WHERE clause of its update."""
    return frozenset(state for state, each in TRANSITIONS if each is event)


def to_mermaid() -> str:
    """The table as a Mermaid state diagram, edges in table order."""
    lines = ["stateDiagram-v2", f"    [*] --> {QueryState.QUEUED}"]
    lines += [f"    {source} --> {target}: {event}" for (source, event), target in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in QueryState if state in FINAL]
    return "\n".join(lines)
