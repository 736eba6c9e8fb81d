"""Guesses of how long a query will take and wait, from the queries before it. In memory; read from the store at start.

A guess is a time from now on, so it is never in the past, and it takes into account how long a run has lasted already.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from queryengine.domain.routing import Estimate
from queryengine.executing.discretion import Discretion

PASTS_MAX: Final = 10_000
WEIGHT: Final = 0.3
"""Of the newest run against all before it."""


class Estimates:
    """Moving averages of execution times in microseconds, by the past of a query and by engine."""

    def __init__(
        self,
        history: Iterable[tuple[str, str, int] | tuple[str, str, int, int | None, int | None]],
        discretion: Discretion = Discretion(),  # noqa: B008 - It is a value.
    ) -> None:
        """`history`: of completed queries, newest first, what `learn` takes."""
        self.past_of = discretion.past_of
        """Names the queries from which one is guessed at: those of the same SQL, as far as it may tell of them."""
        self._by_past: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._by_engine: dict[str, float] = {}
        self._sizes: dict[tuple[str, str], tuple[int | None, int | None]] = {}
        """Rows of the result and bytes read, of the last run with a past."""
        for run in reversed(list(history)):
            self.learn(*run)

    def learn(
        self, engine: str, past: str, microseconds: int, rows: int | None = None, scanned_bytes: int | None = None
    ) -> None:
        """Take note of a completed run; what of it is not known, or not to be shown, is None."""
        key = (engine, past)
        self._sizes[key] = (rows, scanned_bytes)
        self._by_past[key] = _moved(self._by_past.pop(key, None), microseconds)
        self._by_engine[engine] = _moved(self._by_engine.get(engine), microseconds)
        if len(self._by_past) > PASTS_MAX:
            oldest, _ = self._by_past.popitem(last=False)
            del self._sizes[oldest]

    def execution_us(self, engine: str, past: str) -> int | None:
        """Guess for a query with this past; None when none has completed."""
        found = self._by_past.get((engine, past))
        return None if found is None else int(found)

    def estimate(self, engine: str, past: str) -> Estimate:
        """All that its past says of a query: how long runs took on the average, and how large the last one was."""
        microseconds = self.execution_us(engine, past)
        rows, scanned_bytes = self._sizes.get((engine, past), (None, None))
        return Estimate(seconds=None if microseconds is None else microseconds / 1e6, rows=rows, bytes=scanned_bytes)

    def average_us(self, engine: str) -> int | None:
        """Guess for any SQL on an engine; None when nothing has completed on it."""
        found = self._by_engine.get(engine)
        return None if found is None else int(found)


def wait_us(free_after_us: Sequence[int], ahead: int, each_us: int) -> int:
    """Guess of how long a query waits behind so many others that take as long each. `free_after_us` says for every slot
    when it comes free, 0 for one that is free. Takes the logarithm of the time, whatever the number of queries.
    """
    each_us = max(1, each_us)
    earliest = min(free_after_us)
    # With that slot alone it would begin at the latest.
    latest = earliest + ahead * each_us
    while earliest < latest:
        middle = (earliest + latest) // 2
        begun = sum(1 + (middle - free) // each_us for free in free_after_us if free <= middle)
        if begun > ahead:
            latest = middle
        else:
            earliest = middle + 1
    return earliest


def _moved(average: float | None, value: int) -> float:
    return float(value) if average is None else average + WEIGHT * (value - average)
