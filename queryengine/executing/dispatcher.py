"""Who runs next, and who has waited for too long: fair between tenants, by priority within one, within the limits of
each. Returns decisions and acts on none of them: see `executing/scheduler.py`.

All of it is plain state on the event loop, so a limit is exact: counted and changed without an await between.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from queryengine.domain.clock import Clock, steady_us
from queryengine.domain.consumption import Consumption
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.executing.deadlines import Deadlines
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import ShareLimits, Shares
from queryengine.executing.slots import Slots
from queryengine.executing.throttle import LimitWait
from queryengine.executing.waited_out import engine_was_down, waited_out
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import Accounts
from queryengine.policy.limits.refusing import refused
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
    ) -> None:
        self._queues = queues
        self._slots = slots
        self._shares = shares
        self._throttle = shares.throttle
        self._clock = clock
        self._waits: dict[LiveQuery, LimitWait] = {}
        self._deadlines = Deadlines()
        self._closed = False

    def adopt(self, limits: ShareLimits, *, aging_us: int, recorded: Iterable[Consumption] = ()) -> None:
        """Hold to other limits from now on, and to those that TenantLimits has taken over. What runs and waits goes on.
        `recorded` is what queries of this day have used.
        """
        self._shares.adopt(limits)
        self._throttle.adopt(recorded)
        for queue in self._queues.values():
            queue.adopt(lambda live: self._shares.kind(live.query), aging_us=aging_us)
        for live, before in list(self._waits.items()):
            before.end(steady_us(self._clock))
            self._begin_wait(live)

    def close(self) -> None:
        """Decide nothing more; what waits stays durable. Idempotent."""
        self._closed = True

    def admit(self, accounts: Accounts, plan: Plan) -> None:
        """Refuse early what `reserve` would refuse now, before anything is done for it. Raises TENANT_QUEUE_FULL and
        USAGE_LIMIT.
        """
        self._admit_usage(accounts, plan)
        if len(self._queues[plan.engine]) or not self._slots.has_free(plan.engine):
            self._admit(accounts)

    def reserve(self, query: Query) -> Slot | WaitingPlace:
        """A slot at once when one is free and nobody waits for it, else a place in the queue. Counted from here on:
        use a slot and `free` it, use a place by `enqueue`, or `give_back`.

        Raises TENANT_QUEUE_FULL when its tenant, subject or key may not have another query wait, and USAGE_LIMIT when
        it would wait for nothing.
        """
        self._shares.asked(query)
        if not self._closed and not len(self._queues[query.plan.engine]) and self._may_run(query):
            slot = self._take(query)
            if slot is not None:
                return slot
        accounts = self._throttle.accounts(query)
        self._admit_usage(accounts, query.plan)
        self._admit(accounts)
        return self.place_of_old(query)

    def place_of_old(self, query: Query) -> WaitingPlace:
        """A place in the queue for a query that was accepted before: never refused."""
        self._throttle.count_queued(self._throttle.accounts(query))
        return WaitingPlace()

    def give_back(self, query: Query, _: WaitingPlace) -> None:
        """Undo `reserve`, of a place to wait in."""
        self._throttle.count_out_queued(self._throttle.accounts(query))

    def enqueue(self, live: LiveQuery, _: WaitingPlace) -> None:
        """Let a query wait for a slot, in a place reserved for it, until its queue timeout."""
        query = live.query
        self._queues[query.plan.engine].push(live, self._shares.kind(query))
        self._begin_wait(live)
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

    def look(self) -> None:
        """To be called before `decide`, once each time: limits on what an hour uses change with time alone."""
        self._throttle.look()

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
        return waited_out(
            query,
            *self._shares.kept_waiting_by(query, slots),
            slots,
            self._clock.now_us(),
            held=self._shares.limit_of(query),
            may_name=self._shares.may_name,
        )

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

    def _admit(self, accounts: Accounts) -> None:
        found = self._throttle.queued(accounts)
        if found is not None:
            account, bound = found
            waiting = f"{bound.value} queries of {account} are waiting already"
            message = f"{waiting}, as many as {bound.key} allows; try again later"
            raise refused(Reason.TENANT_QUEUE_FULL, message, account, bound, retry_after_seconds=RETRY_SECONDS)

    def _admit_usage(self, accounts: Accounts, plan: Plan) -> None:
        """A query waits for another hour or day only if it would see it."""
        held = self._throttle.held_by(accounts)
        if held is None or held.until_us is None:
            return
        left_us = held.until_us - self._clock.now_us()
        if left_us >= plan.queue_timeout_ms * 1000:
            raise refused(
                Reason.USAGE_LIMIT, str(held), held.account, held.bound, retry_after_seconds=max(1.0, left_us / 1e6)
            )

    def _begin_wait(self, live: LiveQuery) -> None:
        wait = self._waits[live] = self._throttle.wait(self._throttle.accounts(live.query), live.throttled_us())
        live.limit_wait = lambda: self._throttle.waited_us(wait)

    def _has_left(self, live: LiveQuery) -> None:
        """A query is no longer in its queue."""
        self._deadlines.discard(live)
        self._throttle.end_wait(self._waits.pop(live))
        self._throttle.count_out_queued(self._throttle.accounts(live.query))
