"""Who runs next, and who has waited for too long: fair between tenants, by priority within one, within the limits of
each. Returns decisions and acts on none of them: see `executing/scheduler.py`.

All of it is plain state on the event loop, so a limit is exact: counted and changed without an await between.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, Reason, error
from queryengine.domain.query import Query
from queryengine.executing.deadlines import Deadlines
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import ShareLimits, Shares
from queryengine.executing.slots import Slots
from queryengine.executing.waited_out import engine_was_down, waited_out
from queryengine.live.query import LiveQuery
from queryengine.workers.supervisor import Slot

RETRY_SECONDS: Final = 5.0


class WaitingPlace:
    """Proof that a tenant's limit has room for a query that waits."""


@dataclass(frozen=True, slots=True)
class Start:
    """Run this query in this slot. The query has left its queue, and the slot counts as its tenant's until `free`."""

    live: LiveQuery
    slot: Slot


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End this query: it has waited for its queue timeout, and has left its queue."""

    live: LiveQuery
    failure: Failure


class Dispatcher:
    """Decides over the slots of all engines. A slot that it gave, by `reserve` or in a Start, is given back by one call
    of `free`, whatever becomes of the run.
    """

    def __init__(
        self,
        queues: Mapping[str, EngineQueue],
        *,
        slots: Slots,
        shares: Shares,
        clock: Clock,
        tenant_queued: int,
    ) -> None:
        self._queues = queues
        self._slots = slots
        self._shares = shares
        self._clock = clock
        self._tenant_queued = tenant_queued
        self._queued: Counter[str] = Counter()
        self._deadlines = Deadlines()
        self._closed = False

    def adopt(self, limits: ShareLimits, *, tenant_queued: int) -> None:
        """Hold to other limits from now on. What runs and waits is not touched."""
        self._shares.adopt(limits)
        self._tenant_queued = tenant_queued

    def close(self) -> None:
        """Decide nothing more; what waits stays durable. Idempotent."""
        self._closed = True

    def admit(self, engine: str, tenant: str) -> None:
        """Refuse early what `reserve` would refuse now, before anything is done for it. Raises TENANT_QUEUE_FULL."""
        if len(self._queues[engine]) or not self._slots.has_free(engine):
            self._admit(tenant)

    def reserve(self, query: Query) -> Slot | WaitingPlace:
        """A slot at once when one is free and nobody waits for it, else a place in the queue. Counted from here on:
        use a slot and `free` it, use a place by `enqueue`, or `give_back`.

        Raises TENANT_QUEUE_FULL when the tenant may not have another query wait.
        """
        self._shares.asked(query)
        if not self._closed and not len(self._queues[query.plan.engine]) and self._may_run(query):
            slot = self._take(query)
            if slot is not None:
                return slot
        self._admit(query.tenant)
        return self.place_of_old(query.tenant)

    def place_of_old(self, tenant: str) -> WaitingPlace:
        """A place in the queue for a query that was accepted before: never refused."""
        self._queued[tenant] += 1
        return WaitingPlace()

    def give_back(self, tenant: str, _: WaitingPlace) -> None:
        """Undo `reserve`, of a place to wait in."""
        self._count_out(tenant)

    def enqueue(self, live: LiveQuery, _: WaitingPlace) -> None:
        """Let a query wait for a slot, in a place reserved for it, until its queue timeout."""
        query = live.query
        self._queues[query.plan.engine].push(live, self._shares.length(query))
        left_us = query.submit_us + query.plan.queue_timeout_ms * 1000 - self._clock.now_us()
        self._deadlines.set(live, self._clock.monotonic() + max(0, left_us) / 1e6)

    def remove(self, live: LiveQuery) -> bool:
        """Take a query out of its queue; False when it is not in it."""
        if not self._queues[live.query.plan.engine].remove(live):
            return False
        self._has_left(live)
        return True

    def free(self, query: Query, slot: Slot) -> None:
        """A run is over, or never began: its slot and its tenant's share of the slots are free from here on. The only
        place where either becomes so, which is why no moment knows one without the other.
        """
        try:
            slot.release()
        finally:
            self._shares.end(query)

    def decide(self) -> Start | GiveUp | None:
        """What to do next; None when there is nothing to do before something changes, or before `next_deadline`. To be
        called until it returns None. A decision is made once, and holds whatever the next call says.
        """
        if self._closed:
            return None
        return self._give_up() or self._start()

    def next_deadline(self) -> float | None:
        """When the next query will have waited for too long, by the steady clock; None while nobody waits."""
        found = self._deadlines.earliest()
        return found[0] if found is not None else None

    def waiting(self, engine: str) -> int:
        return len(self._queues[engine])

    @property
    def is_awaited(self) -> bool:
        """Whether any query waits."""
        return any(map(len, self._queues.values()))

    def _start(self) -> Start | None:
        for engine, queue in self._queues.items():
            if len(queue) and self._slots.has_free(engine):
                live = queue.next(lambda waiting: self._may_run(waiting.query))
                slot = self._take(live.query) if live is not None else None
                if live is not None and slot is not None:
                    queue.pop(live)
                    self._has_left(live)
                    return Start(live, slot)
        return None

    def _give_up(self) -> GiveUp | None:
        found = self._deadlines.earliest()
        if found is None or found[0] > self._clock.monotonic():
            return None
        live = found[1]
        failure = self._waited_out(live.query)
        self.remove(live)
        return GiveUp(live, failure)

    def _waited_out(self, query: Query) -> Failure:
        engine = query.plan.engine
        if why_down := self._slots.why_down(engine):
            return engine_was_down(query, why_down)
        slots = self._slots.slots(engine)
        rule, runs = self._shares.kept_waiting_by(query, slots)
        return waited_out(query, rule, runs, slots, self._clock.now_us(), may_name=self._shares.may_name)

    def _take(self, query: Query) -> Slot | None:
        slot = self._slots.take(query.plan.engine)
        if slot is not None:
            try:
                self._shares.begin(query, self._clock.now_us())
            except BaseException:
                slot.release()
                raise
        return slot

    def _may_run(self, query: Query) -> bool:
        return self._shares.may_run(query, self._slots.slots(query.plan.engine))

    def _admit(self, tenant: str) -> None:
        if self._queued[tenant] >= self._tenant_queued:
            message = f"{self._tenant_queued} queries of this tenant are waiting already; try again later"
            raise error(
                Reason.TENANT_QUEUE_FULL,
                message,
                retry_after_seconds=RETRY_SECONDS,
                limit=self._tenant_queued,
            )

    def _has_left(self, live: LiveQuery) -> None:
        """A query is no longer in its queue."""
        self._deadlines.discard(live)
        self._count_out(live.query.tenant)

    def _count_out(self, tenant: str) -> None:
        self._queued[tenant] -= 1
        if not self._queued[tenant]:
            del self._queued[tenant]
