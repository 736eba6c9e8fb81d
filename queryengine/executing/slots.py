"""What the dispatcher and the places of waiting queries ask of the engine workers."""

from typing import Protocol

from queryengine.workers.supervisor import Slot


class Slots(Protocol):
    """The slots of every engine. WorkerPool keeps it; tests decide without worker processes."""

    def take(self, engine: str) -> Slot | None:
        """A free slot of an engine, or None."""
        ...

    def has_free(self, engine: str) -> bool:
        """Whether `take` has a slot to give."""
        ...

    def slots(self, engine: str) -> int:
        """Slots of an engine, as configured."""
        ...

    def why_down(self, engine: str) -> str:
        """Why nothing can run on an engine now, for people; empty when it can."""
        ...
