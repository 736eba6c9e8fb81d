"""Who runs next: queues per engine, fair between tenants, by priority within one, within the limits of each.

All of it is plain state on the event loop, so a limit is exact: counted and changed without an await between.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, Reason, error
from queryengine.domain.query import Query
from queryengine.executing.estimates import Estimates
from queryengine.executing.pacing import Paced
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import ShareLimits, Shares
from queryengine.executing.waited_out import engine_was_down, waited_out
from queryengine.live.query import LiveQuery
from queryengine.workers.pool import WorkerPool
from queryengine.workers.seat import Slot

PLACES_SECONDS: Final = 0.2
"""Least time between two announcements of changed places to those who watch them."""
LOOK_SECONDS: Final = 5.0
"""Between two looks at what time alone changes: guesses that have passed, slots that have been held for long."""
RETRY_SECONDS: Final = 5.0
HOLDERS_SECONDS: Final = 60.0
"""Least time between two lines in the log about who holds the slots of an engine."""

logger = logging.getLogger(__name__)


class WaitingPlace:
    """Proof that a tenant's limit has room for a query that waits."""


class Dispatcher:
    """Gives slots to queries. `start` is called with a query and its slot, `expire` with one that has waited for its
    queue timeout and with its failure; they must not block.
    """

    def __init__(
        self,
        *,
        engines: list[str],
        estimates: Estimates,
        clock: Clock,
        shares: Shares,
        tenant_queued: int,
        start: Callable[[LiveQuery, Slot], None],
        expire: Callable[[LiveQuery, Failure], None],
    ) -> None:
        self._queues = {engine: EngineQueue() for engine in engines}
        self._clock = clock
        self._shares = shares
        self._tenant_queued = tenant_queued
        self._start = start
        self._expire = expire
        self._places = Places(
            queues=self._queues,
            estimates=estimates,
            shares=shares,
            clock=clock,
            slots=self._slots,
            why_down=self._why_down,
        )
        self._news = Paced(
            self._tell,
            is_needed=lambda engine: self.waiting(engine) > 0,
            least_seconds=PLACES_SECONDS,
            idle_seconds=LOOK_SECONDS,
        )
        self._timeouts: dict[LiveQuery, asyncio.TimerHandle] = {}
        self._held_logged: dict[str, float] = {}
        """When it was logged last who holds the slots of an engine."""
        self._queued: Counter[str] = Counter()
        self._pool: WorkerPool | None = None
        self._closed = False

    def attach(self, pool: WorkerPool) -> None:
        """Name the pool that slots come from; it calls `pump` in turn, so one of the two has to come first."""
        self._pool = pool

    def adopt(self, limits: ShareLimits, *, tenant_queued: int) -> None:
        """Hold to other limits from now on. What runs and waits is not touched; what may run now is started."""
        self._shares.adopt(limits)
        self._tenant_queued = tenant_queued
        for engine in self._queues:
            self.pump(engine)

    def reserve(self, query: Query) -> Slot | WaitingPlace:
        """A slot at once when one is free and nobody waits for it, else a place in the queue. Counted from here on:
        use it by running in it, by `enqueue`, or `give_back`.

        Raises TENANT_QUEUE_FULL when the tenant may not have another query wait.
        """
        tenant, engine = query.tenant, query.plan.engine
        self._shares.asked(query)
        if not self._closed and not len(self._queues[engine]) and self._pool and self._may_run(query):
            slot = self._pool.take(engine)
            if slot is not None:
                self._shares.begin(query, self._clock.now_us())
                return slot
        self._admit(tenant)
        return self.place_of_old(tenant)

    def admit(self, engine: str, tenant: str) -> None:
        """Refuse early what `reserve` would refuse now, before anything is done for it. Raises TENANT_QUEUE_FULL."""
        if len(self._queues[engine]) or self._pool is None or not self._pool.has_free(engine):
            self._admit(tenant)

    def _admit(self, tenant: str) -> None:
        if self._queued[tenant] >= self._tenant_queued:
            message = f"{self._tenant_queued} queries of this tenant are waiting already; try again later"
            raise error(
                Reason.TENANT_QUEUE_FULL,
                message,
                retry_after_seconds=RETRY_SECONDS,
                limit=self._tenant_queued,
            )

    def place_of_old(self, tenant: str) -> WaitingPlace:
        """A place in the queue for a query that was accepted by an earlier server process: never refused."""
        self._queued[tenant] += 1
        return WaitingPlace()

    def give_back(self, tenant: str, _: WaitingPlace) -> None:
        """Undo `reserve`, of a place to wait in."""
        self._queued[tenant] -= 1

    def enqueue(self, live: LiveQuery, _: WaitingPlace) -> None:
        """Let a query wait for a slot, in a place reserved for it, until its queue timeout."""
        query = live.query
        self._queues[query.plan.engine].push(live, self._shares.length(query))
        live.wait_in_queue(self._places.of)
        if not self._closed:
            left_us = query.submit_us + query.plan.queue_timeout_ms * 1000 - self._clock.now_us()
            loop = asyncio.get_running_loop()
            self._timeouts[live] = loop.call_later(max(0, left_us) / 1e6, self._time_out, live)
        self.pump(query.plan.engine)

    def remove(self, live: LiveQuery) -> bool:
        """Take a query out of its queue; False when it is not in it."""
        engine = live.query.plan.engine
        if not self._queues[engine].remove(live):
            return False
        self._has_left(live)
        self._news.changed(engine)
        return True

    def finished(self, live: LiveQuery) -> None:
        """A run that `start` was called for is over."""
        self._shares.end(live.query)
        # The tenant may have waited for its own limit, at any engine.
        for engine in self._queues:
            self.pump(engine)

    def pump(self, engine: str) -> None:
        """Start what can start. Called whenever a slot or a limit may have come free."""
        self._start_waiting(engine)
        if len(self._queues[engine]):
            self._news.changed(engine)

    def _start_waiting(self, engine: str) -> None:
        queue = self._queues[engine]
        while not self._closed and self._pool is not None and len(queue) and self._pool.has_free(engine):
            live = queue.next(lambda waiting: self._may_run(waiting.query))
            slot = self._pool.take(engine) if live is not None else None
            if live is None or slot is None:
                break
            queue.pop(live)
            self._has_left(live)
            self._shares.begin(live.query, self._clock.now_us())
            self._start(live, slot)

    def waiting(self, engine: str) -> int:
        return len(self._queues[engine])

    def close(self) -> None:
        """Start nothing more, end nothing more; what waits stays durable. Idempotent."""
        self._closed = True
        self._news.close()
        for timeout in self._timeouts.values():
            timeout.cancel()
        self._timeouts.clear()

    def _may_run(self, query: Query) -> bool:
        return self._pool is not None and self._shares.may_run(query, self._slots(query.plan.engine))

    def _slots(self, engine: str) -> int:
        return self._pool.slots(engine) if self._pool is not None else 1

    def _why_down(self, engine: str) -> str:
        """Why nothing can run on an engine now, for people; empty when it can, or when that is not known."""
        if self._pool is None:
            return ""
        load = self._pool.load(engine)
        return "" if load.available else load.detail

    def _has_left(self, live: LiveQuery) -> None:
        """A query is not in its queue any more."""
        self._queued[live.query.tenant] -= 1
        live.wait_in_queue(None)
        self._places.forget(live)
        timeout = self._timeouts.pop(live, None)
        if timeout is not None:
            timeout.cancel()

    def _time_out(self, live: LiveQuery) -> None:
        query, engine = live.query, live.query.plan.engine
        why_down, slots = self._why_down(engine), self._slots(engine)
        if why_down:
            failure = engine_was_down(query, why_down)
        else:
            failure = waited_out(query, *self._shares.kept_waiting_by(query, slots), slots, self._clock.now_us())
        if self.remove(live):
            self._expire(live, failure)

    def _tell(self, engine: str) -> None:
        # By time alone a query may be let run.
        self._start_waiting(engine)
        self._places.tell(engine)
        if len(self._queues[engine]) and not self._why_down(engine):
            self._log_holders(engine)

    def _log_holders(self, engine: str) -> None:
        """Name every query that holds a slot for long while others wait, at most every HOLDERS_SECONDS."""
        now = asyncio.get_running_loop().time()
        if now < self._held_logged.get(engine, 0.0) + HOLDERS_SECONDS:
            return
        holders = self._shares.held_by(engine, self._clock.now_us())
        if holders:
            self._held_logged[engine] = now
            count = len(self._queues[engine])
            logger.warning("engine %s: %d queries wait, its slots are held by %s", engine, count, ", ".join(holders))
