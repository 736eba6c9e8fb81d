"""When each of many waiting queries has waited for too long. Finds the earliest in the logarithm of their number."""

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from queryengine.live.query import LiveQuery

STALE_MAX: Final = 64
"""Entries of queries that no longer wait, beside one for each that waits, before they are cleared away."""


class Deadlines:
    """One deadline for each query, in seconds of a steady clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, LiveQuery]] = []
        self._numbers: dict[LiveQuery, int] = {}
        """The entry that holds, by query; every other entry is stale."""
        self._count = count()

    def __len__(self) -> int:
        return len(self._numbers)

    def set(self, live: LiveQuery, at: float) -> None:
        number = self._numbers[live] = next(self._count)
        heappush(self._heap, (at, number, live))

    def discard(self, live: LiveQuery) -> None:
        """A query no longer waits. Does nothing for one that has no deadline."""
        self._numbers.pop(live, None)
        if len(self._heap) > 2 * len(self._numbers) + STALE_MAX:
            self._heap = [entry for entry in self._heap if self._holds(entry)]
            heapify(self._heap)

    def earliest(self) -> tuple[float, LiveQuery] | None:
        """The earliest deadline and its query; None when there is none."""
        while self._heap and not self._holds(self._heap[0]):
            heappop(self._heap)
        return (self._heap[0][0], self._heap[0][2]) if self._heap else None

    def _holds(self, entry: tuple[float, int, LiveQuery]) -> bool:
        return self._numbers.get(entry[2]) == entry[1]
