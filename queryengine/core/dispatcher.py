"""Who runs next: queues per engine, fair between tenants, by priority within one, within the limits of each.

All of it is plain state on the event loop, so a limit is exact: counted and changed without an await between.
"""

import asyncio
import heapq
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from queryengine.core.estimates import Estimates
from queryengine.core.live import LiveQuery, QueuePlace
from queryengine.core.shares import Shares
from queryengine.domain.clock import Clock
from queryengine.domain.errors import Reason, error
from queryengine.domain.query import Query
from queryengine.workers.pool import Slot, WorkerPool

PLACES_SECONDS: Final = 0.2
"""Least time between two announcements of queue places."""
RETRY_SECONDS: Final = 5.0
HOLDERS_SECONDS: Final = 60.0
"""Least time between two lines in the log about who holds the slots of an engine."""

logger = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Waiting:
    rank: tuple[int, int]
    live: LiveQuery = field(compare=False)


class _EngineQueue:
    """The waiting queries of one engine: a heap per tenant, and the order in which tenants come."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[_Waiting]] = {}
        self._turns: deque[str] = deque()
        self._arrivals = 0

    def __len__(self) -> int:
        return sum(len(heap) for heap in self._heaps.values())

    def push(self, live: LiveQuery) -> None:
        tenant = live.query.tenant
        if tenant not in self._heaps:
            self._heaps[tenant] = []
            self._turns.append(tenant)
        self._arrivals += 1
        rank = (-live.query.spec.priority, self._arrivals)
        heapq.heappush(self._heaps[tenant], _Waiting(rank, live))

    def next(self, may_run: Callable[[LiveQuery], bool]) -> LiveQuery | None:
        """The first query that may run, of the first tenant that has one."""
        for tenant in self._turns:
            heap = self._heaps[tenant]
            if may_run(heap[0].live):
                return heap[0].live
            found = min((waiting for waiting in heap if may_run(waiting.live)), default=None)
            if found is not None:
                return found.live
        return None

    def pop(self, live: LiveQuery) -> None:
        """Take out what `next` found; its tenant goes to the back."""
        tenant = live.query.tenant
        self._turns.remove(tenant)
        self._turns.append(tenant)
        self.remove(live)

    def remove(self, live: LiveQuery) -> bool:
        heap = self._heaps.get(live.query.tenant, [])
        for number, waiting in enumerate(heap):
            if waiting.live is live:
                del heap[number]
                heapq.heapify(heap)
                self._drop_if_empty(live.query.tenant)
                return True
        return False

    def in_order(self) -> list[LiveQuery]:
        """Every waiting query in the order of its start, if nothing else comes."""
        heaps = {tenant: sorted(heap, reverse=True) for tenant, heap in self._heaps.items()}
        order: list[LiveQuery] = []
        turns = deque(self._turns)
        while turns:
            tenant = turns.popleft()
            order.append(heaps[tenant].pop().live)
            if heaps[tenant]:
                turns.append(tenant)
        return order

    def _drop_if_empty(self, tenant: str) -> None:
        if not self._heaps[tenant]:
            del self._heaps[tenant]
            self._turns.remove(tenant)


class WaitingPlace:
    """Proof that a tenant's limit has room for a query that waits."""


class Dispatcher:
    """Gives slots to queries. `start` is called with a query and its slot, and must not block."""

    def __init__(
        self,
        *,
        engines: list[str],
        estimates: Estimates,
        clock: Clock,
        shares: Shares,
        tenant_queued: int,
        start: Callable[[LiveQuery, Slot], None],
    ) -> None:
        self._queues = {engine: _EngineQueue() for engine in engines}
        self._estimates = estimates
        self._clock = clock
        self._shares = shares
        self._tenant_queued = tenant_queued
        self._start = start
        self._held_logged: dict[str, float] = {}
        """When it was logged last who holds the slots of an engine."""
        self._queued: Counter[str] = Counter()
        self._pool: WorkerPool | None = None
        self._announcing: set[str] = set()
        self._closed = False

    def attach(self, pool: WorkerPool) -> None:
        """Name the pool that slots come from; it calls `pump` in turn, so one of the two has to come first."""
        self._pool = pool

    def reserve(self, query: Query) -> Slot | WaitingPlace:
        """A slot at once when one is free and nobody waits for it, else a place in the queue. Counted from here on:
        use it by running in it, by `enqueue`, or `give_back`.

        Raises TENANT_QUEUE_FULL when the tenant may not have another query wait.
        """
        tenant, engine = query.tenant, query.spec.engine
        if not self._closed and not len(self._queues[engine]) and self._pool and self._may_run(query):
            slot = self._pool.take(engine)
            if slot is not None:
                self._shares.begin(query, self._clock.now_us())
                return slot
        if self._queued[tenant] >= self._tenant_queued:
            message = f"{self._tenant_queued} queries of this tenant are waiting already; try again later"
            raise error(
                Reason.TENANT_QUEUE_FULL,
                message,
                retry_after_seconds=RETRY_SECONDS,
                limit=self._tenant_queued,
            )
        return self.place_of_old(tenant)

    def place_of_old(self, tenant: str) -> WaitingPlace:
        """A place in the queue for a query that was accepted by an earlier server process: never refused."""
        self._queued[tenant] += 1
        return WaitingPlace()

    def give_back(self, tenant: str, _: WaitingPlace) -> None:
        """Undo `reserve`, of a place to wait in."""
        self._queued[tenant] -= 1

    def enqueue(self, live: LiveQuery, _: WaitingPlace) -> None:
        """Let a query wait for a slot, in a place reserved for it."""
        engine = live.query.spec.engine
        self._queues[engine].push(live)
        self.pump(engine)

    def remove(self, live: LiveQuery) -> bool:
        """Take a query out of its queue; False when it is not in it."""
        engine = live.query.spec.engine
        if not self._queues[engine].remove(live):
            return False
        self._queued[live.query.tenant] -= 1
        self._announce_soon(engine)
        return True

    def finished(self, live: LiveQuery) -> None:
        """A run that `start` was called for is over."""
        self._shares.end(live.query)
        # The tenant may have waited for its own limit, at any engine.
        for engine in self._queues:
            self.pump(engine)

    def pump(self, engine: str) -> None:
        """Start what can start. Called whenever a slot or a limit may have come free."""
        queue = self._queues[engine]
        while not self._closed and self._pool is not None and len(queue):
            live = queue.next(lambda waiting: self._may_run(waiting.query))
            slot = self._pool.take(engine) if live is not None else None
            if live is None or slot is None:
                break
            queue.pop(live)
            self._queued[live.query.tenant] -= 1
            self._shares.begin(live.query, self._clock.now_us())
            self._start(live, slot)
        self._announce_soon(engine)

    def waiting(self, engine: str) -> int:
        return len(self._queues[engine])

    def why_down(self, engine: str) -> str:
        """Why nothing can run on an engine now, for people; empty when it can, or when that is not known."""
        if self._pool is None:
            return ""
        load = self._pool.load(engine)
        return "" if load.available else load.detail

    def why_held(self, query: Query) -> str:
        """Who has held the slots of a waiting query's engine for long, for its tenant; empty when nobody has."""
        return self._shares.why_held(query.spec.engine, query.tenant, self._clock.now_us())

    def close(self) -> None:
        """Start nothing more; what waits stays durable."""
        self._closed = True

    def _may_run(self, query: Query) -> bool:
        return self._pool is not None and self._shares.may_run(query, self._pool.slots(query.spec.engine))

    def _announce_soon(self, engine: str) -> None:
        """Tell waiting queries their places, at most every PLACES_SECONDS."""
        if len(self._queues[engine]) and engine not in self._announcing and not self._closed:
            self._announcing.add(engine)
            asyncio.get_running_loop().call_later(PLACES_SECONDS, self._announce_later, engine)
            self._announce(engine)

    def _announce_later(self, engine: str) -> None:
        self._announcing.discard(engine)
        self._announce(engine)

    def _announce(self, engine: str) -> None:
        order = self._queues[engine].in_order()
        slots = self._pool.slots(engine) if self._pool else 1
        now_us = self._clock.now_us()
        why_down = self.why_down(engine)
        if order and not why_down:
            self._log_holders(engine, len(order), now_us)
        for position, live in enumerate(order):
            wait_us = self._estimates.wait_us(engine, position, slots)
            # A guess that moves with the clock would be a change each time it is looked at; keep the first for a place.
            kept = live.place.estimated_start_us if live.place and live.place.position == position else None
            guess = kept or (None if wait_us is None else now_us + wait_us)
            reason = why_down or self._shares.why_held(engine, live.query.tenant, now_us)
            live.wait_at(QueuePlace(position, len(order), None if why_down else guess, reason))

    def _log_holders(self, engine: str, waiting: int, now_us: int) -> None:
        """Name every query that holds a slot for long while others wait, at most every HOLDERS_SECONDS."""
        now = asyncio.get_running_loop().time()
        if now < self._held_logged.get(engine, 0.0) + HOLDERS_SECONDS:
            return
        holders = self._shares.held_by(engine, now_us)
        if holders:
            self._held_logged[engine] = now
            logger.warning("engine %s: %d queries wait, its slots are held by %s", engine, waiting, ", ".join(holders))
