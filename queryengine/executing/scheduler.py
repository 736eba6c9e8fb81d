"""The one loop that acts on what the dispatcher decides: starts runs, ends what has waited for too long, and has those
who watch their place in a queue learn what has changed.

It sleeps until its event is set, which the workers do when a slot may have come free or an engine become usable, and
its own methods when a run ended, a query began to wait or a limit changed; or until time alone changes something.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.domain.consumption import Consumption
from queryengine.domain.errors import Failure
from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher, GiveUp, Start, WaitingPlace
from queryengine.executing.holders import Holders
from queryengine.executing.pacing import Pacing
from queryengine.executing.places import Places
from queryengine.executing.runner import Runner
from queryengine.executing.shares import ShareLimits
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.live.tasks import Tasks
from queryengine.workers.supervisor import Slot

PLACES_SECONDS: Final = 0.2
"""Least time between two announcements of changed places to those who watch them."""
LOOK_SECONDS: Final = 5.0
"""Between two looks at what time alone changes: guesses that have passed, slots that have been held for long."""
DEFECT_SECONDS: Final = 1.0
"""Pause after a defect of ours, so that one that repeats does not fill the log."""


class Scheduler:
    """`run` is the loop. The other methods only note what is to be done, and return at once."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        runner: Runner,
        *,
        places: Places,
        holders: Holders,
        tasks: Tasks,
        wake: asyncio.Event,
        clock: Clock,
    ) -> None:
        self._dispatcher = dispatcher
        self._runner = runner
        self._places = places
        self._holders = holders
        self._tasks = tasks
        self._wake = wake
        self._clock = clock
        self._pacing = Pacing(least_seconds=PLACES_SECONDS, idle_seconds=LOOK_SECONDS)
        self._closed = False

    async def run(self) -> None:
        """Decide and act, for ever, whatever fails: without this loop nothing that waits would start."""
        while True:
            self._wake.clear()
            try:
                self._act()
                left = self._seconds_left()
            except Exception as cause:
                incident("the scheduler", cause)
                await asyncio.sleep(DEFECT_SECONDS)
                continue
            timer = None if left is None else asyncio.get_running_loop().call_later(left, self._wake.set)
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Start nothing more and give nothing up; what waits stays durable. Idempotent."""
        self._closed = True
        self._dispatcher.close()

    def adopt(self, limits: ShareLimits, *, aging_us: int, recorded: Iterable[Consumption] = ()) -> None:
        """Hold to other limits from now on, as Dispatcher.adopt; what may run by them starts."""
        self._dispatcher.adopt(limits, aging_us=aging_us, recorded=recorded)
        self._wake.set()

    def claimed(self, query: Query) -> Query:
        """A new query as it starts at once: RUNNING, its first attempt, owned by this server."""
        return self._runner.claimed(query)

    def start(self, live: LiveQuery, slot: Slot) -> None:
        """Run a query in a slot that was reserved for it. A new one is RUNNING, as `claimed` makes it."""
        live.run = self._tasks.spawn(self._run(live, slot), f"run-{live.query.query_id}")

    def free(self, query: Query, slot: Slot) -> None:
        """A run is over, or never began: its slot is for the next."""
        try:
            self._dispatcher.free(query, slot)
        finally:
            if self._dispatcher.is_awaited:
                self._has_changed()

    def enqueue(self, live: LiveQuery, place: WaitingPlace) -> None:
        """Let a query wait for a slot, in a place reserved for it."""
        self._dispatcher.enqueue(live, place)
        live.wait_in_queue(self._places.of)
        self._has_changed()

    def enqueue_again(self, live: LiveQuery) -> None:
        """Let a query wait that was accepted before, by this server or an earlier one."""
        self.enqueue(live, self._dispatcher.place_of_old(live.query))

    async def cancel_waiting(self, live: LiveQuery, failure: Failure) -> None:
        """End a query that waits; returns once it has ended. Does nothing for one that is in no queue."""
        if self._dispatcher.remove(live):
            self._has_left(live)
            self._wake.set()
            # Nobody else ends what is in no queue, so it is ended also when the caller leaves.
            ending = self._runner.end_waiting(live, Event.CANCEL, failure)
            await asyncio.wait([self._tasks.spawn(ending, f"cancel-{live.query.query_id}")])

    async def withdraw(self, live: LiveQuery, why: str) -> None:
        """Return once nothing is left of a query that nobody is to see: it waits no more, or its run is over."""
        if self._dispatcher.remove(live):
            self._has_left(live)
            self._wake.set()
        elif live.run is not None:
            live.request_stop(Stop(cancelled(why), QueryState.CANCELLED))
            await asyncio.wait([live.run])

    def _act(self) -> None:
        self._dispatcher.look()
        while (decision := self._dispatcher.decide()) is not None:
            match decision:
                case Start(live, slot):
                    self.start(live, slot)
                case GiveUp(live, failure):
                    ending = self._runner.end_waiting(live, Event.FAIL, failure)
                    self._tasks.spawn(ending, f"queue-timeout-{live.query.query_id}")
            self._has_left(decision.live)
        now = self._clock.monotonic()
        if self._dispatcher.is_awaited and self._pacing.due_at() <= now:
            self._pacing.looked(now)
            self._places.announce()
            self._holders.log()

    def _seconds_left(self) -> float | None:
        """Until time alone gives the loop something to do; None for never."""
        deadline = self._dispatcher.next_deadline()
        if deadline is None or self._closed:
            return None
        return max(0.0, min(deadline, self._pacing.due_at()) - self._clock.monotonic())

    async def _run(self, live: LiveQuery, slot: Slot) -> None:
        try:
            ran = await self._runner.run(live, slot)
        finally:
            self.free(live.query, slot)
        if ran is not None:
            await self._runner.settle(live, ran)
        live.run = None
        await self._wait_again(live)

    async def _wait_again(self, live: LiveQuery) -> None:
        """Back to the queue with a query whose run ended it for nobody: it is QUEUED again, or still."""
        if live.query.state is not QueryState.QUEUED or live.is_refused:
            return
        if live.cancel_wish is not None:
            await self._runner.end_waiting(live, Event.CANCEL, live.cancel_wish.failure)
        elif not self._closed:
            self.enqueue_again(live)

    def _has_left(self, live: LiveQuery) -> None:
        """A query no longer waits."""
        live.wait_in_queue(None)
        self._places.forget(live)
        self._pacing.changed()

    def _has_changed(self) -> None:
        self._pacing.changed()
        self._wake.set()
