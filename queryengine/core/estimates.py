"""Guesses of how long a query will take, from the queries before it. In memory; read from the store at start."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

HASHES_MAX: Final = 10_000
WEIGHT: Final = 0.3
"""Of the newest run against all before it."""


class Estimates:
    """Moving averages of execution times in microseconds, by SQL and by engine."""

    def __init__(self, history: Iterable[tuple[str, str, int]]) -> None:
        """`history`: engine, query_hash and microseconds of completed queries, newest first."""
        self._by_hash: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._by_engine: dict[str, float] = {}
        for engine, query_hash, microseconds in reversed(list(history)):
            self.learn(engine, query_hash, microseconds)

    def learn(self, engine: str, query_hash: str, microseconds: int) -> None:
        key = (engine, query_hash)
        self._by_hash[key] = _moved(self._by_hash.pop(key, None), microseconds)
        self._by_engine[engine] = _moved(self._by_engine.get(engine), microseconds)
        if len(self._by_hash) > HASHES_MAX:
            self._by_hash.popitem(last=False)

    def execution_us(self, engine: str, query_hash: str) -> int | None:
        """Guess for this SQL; None when it has never completed."""
        found = self._by_hash.get((engine, query_hash))
        return None if found is None else int(found)

    def wait_us(self, engine: str, ahead: int, slots: int) -> int | None:
        """Guess of the wait behind `ahead` queries; None when none has completed on the engine."""
        average = self._by_engine.get(engine)
        return None if average is None else int(average * (ahead + 1) / max(1, slots))


def _moved(average: float | None, value: int) -> float:
    return float(value) if average is None else average + WEIGHT * (value - average)
