"""Slots of engines without a worker process."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class FakeSlot:
    """A slot that knows whether it was given back."""

    engine: str
    owner: "FakeSlots"
    is_given: bool = True

    def release(self) -> None:
        if self.is_given:
            self.is_given = False
            self.owner.taken[self.engine] -= 1


class FakeSlots:
    """So many slots for each engine, and engines that are down for a reason."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        self._slots = slots
        self.taken: Counter[str] = Counter()
        self.down: dict[str, str] = {}

    def take(self, engine: str) -> Any:
        if not self.has_free(engine):
            return None
        self.taken[engine] += 1
        return FakeSlot(engine, self)

    def has_free(self, engine: str) -> bool:
        return not self.why_down(engine) and self.taken[engine] < self._slots[engine]

    def slots(self, engine: str) -> int:
        return self._slots[engine]

    def why_down(self, engine: str) -> str:
        return self.down.get(engine, "")
