"""What is said about a waiting query: its place, when it may start and end, why it waits. Worked out when somebody
looks, so that it is right at that moment, and so that a queue of any length costs nothing while nobody does.
"""

from collections.abc import Mapping

from queryengine.domain.clock import Clock
from queryengine.domain.query import Query
from queryengine.executing.estimates import Estimates, wait_us
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import HeldSlot, Shares
from queryengine.executing.slots import Slots
from queryengine.live.query import LiveQuery, QueuePlace
from queryengine.live.remaining import remaining_us


class Places:
    """The places of all that wait, and who has looked at one and waits for it to change."""

    def __init__(
        self, queues: Mapping[str, EngineQueue], *, slots: Slots, shares: Shares, estimates: Estimates, clock: Clock
    ) -> None:
        self._queues = queues
        self._estimates = estimates
        self._shares = shares
        self._clock = clock
        self._slots = slots
        self._looked_at: dict[str, set[LiveQuery]] = {engine: set() for engine in queues}
        """Waiting queries whose place somebody has seen, by engine."""

    def of(self, live: LiveQuery) -> QueuePlace:
        """The place of a query that waits, as of now."""
        engine, now_us = live.query.plan.engine, self._clock.now_us()
        self._looked_at[engine].add(live)
        queue = self._queues[engine]
        down = self._slots.why_down(engine)
        start_us = None if down else self._start_us(live, now_us)
        run_us = self._estimates.execution_us(engine, self._estimates.past_of(live.query))
        place = QueuePlace(
            position=queue.position(live),
            depth=len(queue),
            reason=down or self._why(live.query, now_us),
            start_us=start_us,
            end_us=None if start_us is None or run_us is None else start_us + run_us,
        )
        # A guess that moves a little is not reported, until the time that it names has passed.
        return live.place if live.place is not None and _holds(live.place, place, now_us) else place

    def announce(self) -> None:
        """Bring up to date what everyone knows who has looked at a place and waits for a change of it."""
        for engine, looked_at in self._looked_at.items():
            for live in list(looked_at):
                if live.pulse.is_awaited and live in self._queues[engine]:
                    live.refresh_place()
                else:
                    looked_at.discard(live)

    def forget(self, live: LiveQuery) -> None:
        """A query no longer waits."""
        self._looked_at[live.query.plan.engine].discard(live)

    def _why(self, query: Query, now_us: int) -> str:
        engine = query.plan.engine
        limited = self._shares.why_limited(query, self._slots.slots(engine))
        return limited or self._shares.why_held(query, now_us)

    def _start_us(self, live: LiveQuery, now_us: int) -> int | None:
        """Guess from what runs and waits; None when nothing has completed on the engine, or when the query waits for
        something else than slots of it.
        """
        engine, slots = live.query.plan.engine, self._slots.slots(live.query.plan.engine)
        each_us = self._estimates.average_us(engine)
        if each_us is None:
            return None
        queue, runs = self._queues[engine], self._shares.runs(engine)
        free_after = [self._left_us(engine, run, each_us, now_us) for run in runs]
        wait = wait_us([*free_after, *[0] * (slots - len(free_after))], queue.position(live), each_us)
        if not self._shares.may_run(live.query, slots):
            held = self._shares.limit_of(live.query)
            if held is not None and held.until_us is not None:
                return max(now_us + wait, held.until_us)
            _, awaited = self._shares.kept_waiting_by(live.query, slots)
            keys = {run.key for run in awaited}
            left = [left for left, run in zip(free_after, runs, strict=True) if run.key in keys]
            if not left:
                return None
            wait = max(wait, wait_us(left, queue.ahead_in_tenant(live), each_us))
        return now_us + wait

    def _left_us(self, engine: str, run: HeldSlot, average_us: int, now_us: int) -> int:
        expected = self._estimates.execution_us(engine, run.past)
        elapsed_us = now_us - run.start_us
        return remaining_us(average_us if expected is None else expected, elapsed_us, run.timeout_ms * 1000)


def _holds(said: QueuePlace, now: QueuePlace, now_us: int) -> bool:
    """Whether what was said before is still true."""
    if (said.position, said.depth, said.reason) != (now.position, now.depth, now.reason):
        return False
    if said.start_us is None or now.start_us is None or (said.end_us is None) != (now.end_us is None):
        return said == now
    return said.start_us >= now_us
