"""The queries that wait for one engine: tenants in turns by their weights, and within a tenant by priority and age.

A tenant takes a turn when its virtual time is the smallest, and each turn moves that on by the inverse of its weight;
so a tenant of weight 2 starts two queries for each one of a tenant of weight 1. Who comes, or comes back, joins at the
present virtual time: nothing is saved up while a tenant has nothing waiting or is kept waiting by a limit.

A level of priority is worth a head start of some time, so what has waited that much longer goes first: nothing starves.

Nothing here walks all that wait. To find who is next, or a place, takes as long as there are tenants; to add and to
remove, the logarithm of what a tenant has waiting.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from queryengine.live.query import LiveQuery

AGING_US: Final = 60 * 1_000_000
TURN: Final = 1_000_000
"""What a turn takes of the virtual time of a tenant of weight 1."""

_Rank: TypeAlias = tuple[int, int]
"""Time less the head start, and arrival; the smallest first. No two are equal."""
_Waiting: TypeAlias = tuple[_Rank, LiveQuery]
_rank: Final[Callable[[Any], _Rank]] = itemgetter(0)


class _Line:
    """What one tenant has waiting; each kind apart, since one may have to wait while another may run."""

    def __init__(self, tenant: str, time: int, number: int) -> None:
        self._tenant = tenant
        self.time = time
        """The virtual time of its next turn."""
        self.number = number
        """Of equal times, the one with the smallest goes first: who took a turn, or came, the longest ago."""
        self._waiting: dict[Hashable, list[_Waiting]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def turn(self) -> tuple[int, int, str]:
        return self.time, self.number, self._tenant

    def add(self, rank: _Rank, live: LiveQuery, kind: Hashable) -> None:
        insort(self._waiting.setdefault(kind, []), (rank, live), key=_rank)

    def remove(self, rank: _Rank, kind: Hashable) -> None:
        waiting = self._waiting[kind]
        del waiting[_index(waiting, rank)]
        if not waiting:
            del self._waiting[kind]

    def ahead_of(self, rank: _Rank) -> int:
        return sum(_index(waiting, rank) for waiting in self._waiting.values())

    def heads(self) -> Iterator[LiveQuery]:
        """The first of each kind, in their order; after it no other of its kind may run either."""
        if len(self._waiting) == 1:
            yield from (waiting[0][1] for waiting in self._waiting.values())
            return
        for _, live in sorted([waiting[0] for waiting in self._waiting.values()], key=_rank):
            yield live


def _index(waiting: list[_Waiting], rank: _Rank) -> int:
    return bisect_left(waiting, rank, key=_rank)


class EngineQueue:
    """The waiting queries of one engine."""

    def __init__(self, weight_of: Callable[[str], int] = lambda _: 1, *, aging_us: int = AGING_US) -> None:
        """`weight_of` a tenant is asked at each of its turns. `aging_us`: the head start of one level of priority."""
        self._weight_of = weight_of
        self._aging_us = aging_us
        self._lines: dict[str, _Line] = {}
        self._turns: list[tuple[int, int, str]] = []
        """Of the lines, the next turn first."""
        self._time = 0
        """The virtual time of the last turn."""
        self._left: dict[str, int] = {}
        """Virtual times of tenants that have nothing waiting any more and are ahead."""
        self._ranks: dict[LiveQuery, tuple[_Rank, Hashable]] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, live: LiveQuery) -> bool:
        return live in self._ranks

    def push(self, live: LiveQuery, kind: Hashable) -> None:
        """Queries of one tenant and kind may all run, or none of them."""
        line = self._lines.get(live.query.tenant) or self._joined(live.query.tenant)
        rank = (self._due(live), self._number())
        line.add(rank, live, kind)
        self._ranks[live] = rank, kind

    def next(self, may_run: Callable[[LiveQuery], bool]) -> LiveQuery | None:
        """The first query that may run, of the first tenant that has one. Asked of the first of each kind only."""
        for _, _, tenant in self._turns:
            for live in self._lines[tenant].heads():
                if may_run(live):
                    return live
        return None

    def pop(self, live: LiveQuery) -> None:
        """Take out what `next` found, as a turn of its tenant."""
        tenant = live.query.tenant
        line = self._lines[tenant]
        del self._turns[bisect_left(self._turns, line.turn)]
        self._time = max(self._time, line.time)
        line.time, line.number = self._time + self._stride(tenant), self._number()
        insort(self._turns, line.turn)
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
            del self._turns[bisect_left(self._turns, line.turn)]
            self._leaves(tenant, line)
        return True

    def adopt(self, kind_of: Callable[[LiveQuery], Hashable], *, aging_us: int) -> None:
        """Kinds and head starts are other ones than before; arrivals and turns stay as they are."""
        self._aging_us = aging_us
        for live, (rank, kind) in self._ranks.items():
            now = (self._due(live), rank[1]), kind_of(live)
            if now != (rank, kind):
                line = self._lines[live.query.tenant]
                line.remove(rank, kind)
                line.add(now[0], live, now[1])
                self._ranks[live] = now

    def ahead_in_tenant(self, live: LiveQuery) -> int:
        """How many queries of its own tenant come before a waiting one."""
        return self._lines[live.query.tenant].ahead_of(self._ranks[live][0])

    def position(self, live: LiveQuery) -> int:
        """How many queries start before a waiting one, if nothing else comes and each may run at its turn."""
        tenant = live.query.tenant
        line, ahead, stride = self._lines[tenant], self.ahead_in_tenant(live), self._stride(tenant)
        time = max(line.time, self._time) + ahead * stride if ahead else line.time
        mine = _Turn(line, ahead, stride, time)
        return ahead + sum(
            self._turns_before(mine, each, self._stride(other))
            for other, each in self._lines.items()
            if each is not line
        )

    def _turns_before(self, mine: "_Turn", line: _Line, stride: int) -> int:
        """How many queries of another line start before a turn."""
        if line.time > mine.time:
            return 0
        # All but its first count from the present time, if it was kept waiting.
        begin = max(line.time, self._time)
        turns = max(1 if line.time < mine.time else 0, -(-(mine.time - begin) // stride))
        if begin + turns * stride == mine.time or (not turns and line.time == mine.time):
            turns += mine.comes_after(line, turns, stride)
        return min(turns, len(line))

    def _due(self, live: LiveQuery) -> int:
        return live.query.submit_us - live.query.submission.priority * self._aging_us

    def _stride(self, tenant: str) -> int:
        return TURN // max(1, self._weight_of(tenant))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _joined(self, tenant: str) -> _Line:
        line = self._lines[tenant] = _Line(tenant, max(self._time, self._left.pop(tenant, 0)), self._number())
        insort(self._turns, line.turn)
        return line

    def _leaves(self, tenant: str, line: _Line) -> None:
        if not self._lines:
            # Nobody is ahead of anybody.
            self._time = 0
            self._left.clear()
            return
        if line.time > self._time:
            self._left[tenant] = line.time
        if len(self._left) > 2 * len(self._lines) + 1000:
            self._left = {each: time for each, time in self._left.items() if time > self._time}


class _Turn(NamedTuple):
    """One to come of a line, after so many others of it."""

    line: _Line
    ahead: int
    stride: int
    time: int

    def comes_after(self, line: _Line, ahead: int, stride: int) -> bool:
        """Whether a turn of another line at the same virtual time is first: who took the turn before it earlier."""
        if ahead and self.ahead and stride != self.stride:
            return stride > self.stride
        if ahead != self.ahead:
            return ahead < self.ahead
        return line.number < self.line.number
