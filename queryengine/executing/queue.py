"""The queries that wait for one engine: within a tenant by priority and arrival, and the tenants in turns.

Nothing here walks all that wait. To find who is next, or a place, takes as long as there are tenants; to add and to
remove, the logarithm of what a tenant has waiting.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, Final, TypeAlias

from queryengine.executing.shares import Length
from queryengine.live.query import LiveQuery

_Rank: TypeAlias = tuple[int, int]
"""Priority and arrival, the smallest first. No two are equal."""
_Waiting: TypeAlias = tuple[_Rank, LiveQuery]
_rank: Final[Callable[[Any], _Rank]] = itemgetter(0)


class _Line:
    """What one tenant has waiting; each length apart, since one may have to wait while another may run."""

    def __init__(self) -> None:
        self._waiting: tuple[list[_Waiting], ...] = tuple([] for _ in Length)

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def add(self, rank: _Rank, live: LiveQuery, length: Length) -> None:
        insort(self._waiting[length], (rank, live), key=_rank)

    def remove(self, rank: _Rank, length: Length) -> None:
        waiting = self._waiting[length]
        del waiting[_index(waiting, rank)]

    def ahead_of(self, rank: _Rank) -> int:
        return sum(_index(waiting, rank) for waiting in self._waiting)

    def heads(self) -> Iterator[LiveQuery]:
        """The first of each length, in their order; after it no other of its length may run either."""
        for _, live in sorted([first for waiting in self._waiting for first in waiting[:1]], key=_rank):
            yield live


def _index(waiting: list[_Waiting], rank: _Rank) -> int:
    return bisect_left(waiting, rank, key=_rank)


class EngineQueue:
    """The waiting queries of one engine."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, _Line] = OrderedDict()
        """By tenant, in the order of their turns."""
        self._ranks: dict[LiveQuery, tuple[_Rank, Length]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, live: LiveQuery) -> bool:
        return live in self._ranks

    def push(self, live: LiveQuery, length: Length) -> None:
        line = self._lines.setdefault(live.query.tenant, _Line())
        self._arrivals += 1
        rank = (-live.query.submission.priority, self._arrivals)
        line.add(rank, live, length)
        self._ranks[live] = rank, length

    def next(self, may_run: Callable[[LiveQuery], bool]) -> LiveQuery | None:
        """The first query that may run, of the first tenant that has one. Asked of the first of each length only."""
        for line in self._lines.values():
            for live in line.heads():
                if may_run(live):
                    return live
        return None

    def pop(self, live: LiveQuery) -> None:
        """Take out what `next` found; its tenant goes to the back."""
        self._lines.move_to_end(live.query.tenant)
        self.remove(live)

    def remove(self, live: LiveQuery) -> bool:
        """False when the query does not wait here."""
        found = self._ranks.pop(live, None)
        if found is None:
            return False
        tenant = live.query.tenant
        line = self._lines[tenant]
        line.remove(*found)
        if not len(line):
            del self._lines[tenant]
        return True

    def ahead_in_tenant(self, live: LiveQuery) -> int:
        """How many queries of its own tenant come before a waiting one."""
        return self._lines[live.query.tenant].ahead_of(self._ranks[live][0])

    def position(self, live: LiveQuery) -> int:
        """How many queries start before a waiting one, if nothing else comes and each may run at its turn."""
        ahead = self.ahead_in_tenant(live)
        position, turns = ahead, ahead + 1
        for tenant, line in self._lines.items():
            if tenant == live.query.tenant:
                # Who comes after it in turn has one turn less by then.
                turns = ahead
            else:
                position += min(len(line), turns)
        return position
