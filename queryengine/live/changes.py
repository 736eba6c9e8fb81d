"""Which queries of a tenant have changed, in the order of their last changes, for whoever watches all of them.

Kept for tenants that somebody watches, or has watched of late; for all others a change costs the look for its tenant. A
log holds the number of each query's last change, not the change, so memory is bounded by queries, however often one
changes; and a watcher holds no more than the number up to which it has seen all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.live.positions import Positions
from queryengine.live.pulse import Pulse

CHANGED_MAX: Final = 8_192
"""Queries whose last change is known, of one tenant."""
CHANGED_IN_ALL_MAX: Final = 65_536
"""Of all tenants that are watched; each then has an equal share."""
UNWATCHED_MAX: Final = 1_000
"""Tenants whose changes are still noted while nobody watches, so that a watcher may come back."""
UNWATCHED_SECONDS: Final = 600.0
PROGRESS_SECONDS: Final = 0.5
"""Within which watchers are woken for a change that is not one of state."""


class ChangeLog:
    """The changes of one tenant. A position is a number of its changes."""

    def __init__(self) -> None:
        self.sequence = 0
        """Number of the last change."""
        self._positions = Positions()
        self._forgotten = 0
        """Of this change and those before it, it is not known any more which queries they were of."""
        self._last: OrderedDict[str, int] = OrderedDict()
        """The number of each query's last change, the lowest first."""
        self._pulse = Pulse()
        self._wake_up: asyncio.TimerHandle | None = None

    def note(self, query_id: str, *, at_once: bool, room: int) -> None:
        """Take note of a change, and forget the oldest ones beyond the room for so many queries."""
        self.sequence += 1
        self._last[query_id] = self.sequence
        self._last.move_to_end(query_id)
        while len(self._last) > room:
            _, self._forgotten = self._last.popitem(last=False)
        if at_once:
            self.wake()
        elif self._wake_up is None and self._pulse.is_awaited:
            self._wake_up = asyncio.get_running_loop().call_later(PROGRESS_SECONDS, self.wake)

    def wake(self) -> None:
        """Have all who wait look again."""
        if self._wake_up is not None:
            self._wake_up.cancel()
            self._wake_up = None
        self._pulse.beat()

    async def wait(self, timeout_seconds: float) -> bool:
        """True when there is something to look for, False when the time has passed."""
        return await self._pulse.wait(timeout_seconds)

    def since(self, sequence: int, count: int) -> list[tuple[int, str]] | None:
        """The first so many of the queries that have changed since, each with the number of its last change; None when
        some are not known any more.
        """
        if sequence < self._forgotten:
            return None
        changed = []
        for query_id, number in reversed(self._last.items()):
            if number <= sequence:
                break
            changed.append((number, query_id))
        return changed[: -count - 1 : -1]

    def position(self, sequence: int) -> str:
        """As text for watchers, which only this log reads."""
        return self._positions.text(sequence)

    def sequence_at(self, position: str) -> int | None:
        """None for a position that is not known, or not any more."""
        sequence = self._positions.number(position)
        return sequence if sequence is not None and self._forgotten <= sequence <= self.sequence else None


class Changes:
    """The logs of all tenants."""

    def __init__(self) -> None:
        self._logs: dict[str, ChangeLog] = {}
        self._watchers: dict[str, int] = {}
        self._unwatched: OrderedDict[str, float] = OrderedDict()
        """Tenants that nobody watches any more, and since when, the longest first."""

    @property
    def watchers(self) -> int:
        return sum(self._watchers.values())

    def note(self, key: tuple[str, str], at_once: bool) -> None:
        """The query of a tenant and an id has changed. Watchers see it at once, or else soon."""
        tenant, query_id = key
        log = self._logs.get(tenant)
        if log is not None:
            log.note(query_id, at_once=at_once, room=min(CHANGED_MAX, CHANGED_IN_ALL_MAX // len(self._logs) + 1))

    @contextmanager
    def watched(self, tenant: str) -> Iterator[ChangeLog]:
        """The log of a tenant, for one more watcher."""
        self._drop_unwatched()
        self._unwatched.pop(tenant, None)
        log = self._logs.setdefault(tenant, ChangeLog())
        self._watchers[tenant] = self._watchers.get(tenant, 0) + 1
        try:
            yield log
        finally:
            self._watchers[tenant] -= 1
            if not self._watchers[tenant]:
                del self._watchers[tenant]
                self._unwatched[tenant] = asyncio.get_running_loop().time()
                self._drop_unwatched()

    def wake(self) -> None:
        """Have all watchers look again."""
        for log in self._logs.values():
            log.wake()

    def _drop_unwatched(self) -> None:
        too_old = asyncio.get_running_loop().time() - UNWATCHED_SECONDS
        while self._unwatched:
            tenant, since = next(iter(self._unwatched.items()))
            if since > too_old and len(self._unwatched) <= UNWATCHED_MAX:
                return
            del self._unwatched[tenant], self._logs[tenant]
