"""What happens to an execution in a worker, as its server hears of it. The last event is Ended, Failed or Lost."""

from dataclasses import dataclass

from queryengine.domain.errors import Failure
from queryengine.engines.base import Progress
from queryengine.results.segment import PageEntry, ResultTotals


@dataclass(frozen=True, slots=True)
class SchemaKnown:
    """The engine reported the columns, as an Arrow IPC schema message."""

    schema: bytes


@dataclass(frozen=True, slots=True)
class PagePublished:
    """A page can be read."""

    page: PageEntry


@dataclass(frozen=True, slots=True)
class Progressed:
    """The engine is further."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """The result is whole and the engine is idle."""

    totals: ResultTotals
    confirmed: bool
    """The engine itself ended the execution, or said that nothing of it runs."""
    payload: bytes = b""
    """A small result, as the bytes of its segment: nothing of it is stored yet. Empty for a result in the spool, whose
    END marker is durable."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The execution failed and the engine, as far as it can be asked, is idle."""

    failure: Failure
    confirmed: bool
    """As in Ended."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker process is gone, or given up."""

    description: str
    by_itself: bool = False
    """The process died while this execution alone was on it, so that it is to blame."""


RunEvent = SchemaKnown | PagePublished | Progressed | Ended | Failed | Lost
