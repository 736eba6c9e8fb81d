"""The loop that acts on decisions: each once, whatever fails, woken by what changes and by time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.executing import scheduler
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.estimates import Estimates
from queryengine.executing.holders import Holders
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.scheduler import Scheduler
from queryengine.executing.shares import Shares
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.live.tasks import Tasks
from tests.unit.core_values import query, share_limits, throttle
from tests.unit.fake_slots import FakeSlots

ENDED = Failure(Reason.ENGINE_ERROR, "ended")


class HandRunner:
    """Runs that end when a test says so, in the state that it says."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self.outcomes: dict[str, asyncio.Future[QueryState]] = {}

    async def run(self, live: LiveQuery, _: Any) -> QueryState:
        name = live.query.query_id
        outcome = self.outcomes[name] = asyncio.get_running_loop().create_future()
        live.query = live.query.but(state=QueryState.RUNNING, attempt=live.query.attempt + 1)
        self.begun.put_nowait(name)
        return await outcome

    async def settle(self, live: LiveQuery, state: QueryState) -> None:
        live.query = live.query.but(state=state)

    async def end_waiting(self, live: LiveQuery, event: Event, failure: Failure) -> None:
        state = QueryState.CANCELLED if event is Event.CANCEL else QueryState.FAILED
        live.query = live.query.but(state=state, failure=failure)
        self.ended.put_nowait((live.query.query_id, event))


class World:
    """A scheduler over one engine."""

    def __init__(self, slots: int) -> None:
        self.slots, self.clock, self.wake, self.tasks = (
            FakeSlots({"main": slots}),
            SystemClock(),
            asyncio.Event(),
            Tasks(),
        )
        self.runner = HandRunner()
        queues = {"main": EngineQueue()}
        shares = Shares(["main"], share_limits(), self.clock.now_us, throttle(self.clock))
        self.dispatcher = Dispatcher(queues, slots=self.slots, shares=shares, clock=self.clock)
        self.scheduler = Scheduler(
            self.dispatcher,
            self.runner,  # type: ignore[arg-type]
            places=Places(queues, slots=self.slots, shares=shares, estimates=Estimates([]), clock=self.clock),
            holders=Holders(queues, slots=self.slots, shares=shares, clock=self.clock),
            tasks=self.tasks,
            wake=self.wake,
            clock=self.clock,
        )

    def submit(self, name: str, *, queue_timeout_ms: int = 600_000) -> LiveQuery:
        found = LiveQuery(query(name, queue_timeout_ms=queue_timeout_ms, submit_us=self.clock.now_us()))
        self.scheduler.enqueue(found, self.dispatcher.place_of_old(found.query))
        return found

    async def begun(self) -> str:
        return await asyncio.wait_for(self.runner.begun.get(), 30)

    async def given_up(self) -> tuple[str, Event]:
        return await asyncio.wait_for(self.runner.ended.get(), 30)

    def end(self, name: str, state: QueryState = QueryState.COMPLETED) -> None:
        self.runner.outcomes.pop(name).set_result(state)


@asynccontextmanager
async def scheduling(slots: int = 1) -> AsyncIterator[World]:
    world = World(slots)
    world.tasks.spawn(world.scheduler.run(), "scheduler")
    try:
        yield world
    finally:
        await world.tasks.close()
        assert world.slots.taken.total() == 0


async def test_what_waits_starts_when_a_run_has_ended() -> None:
    async with scheduling() as world:
        for name in ("a1", "a2"):
            world.submit(name)
        assert await world.begun() == "a1"
        world.end("a1")
        assert await world.begun() == "a2"
        assert world.dispatcher.waiting("main") == 0


async def test_workers_that_come_up_start_what_waits() -> None:
    async with scheduling() as world:
        world.slots.down["main"] = "starting"
        world.submit("a1")
        await asyncio.sleep(0)
        world.slots.down.clear()
        world.wake.set()
        assert await world.begun() == "a1"


async def test_a_queue_timeout_strikes_by_time_alone() -> None:
    async with scheduling() as world:
        world.submit("a1")
        assert await world.begun() == "a1"
        late = world.submit("a2", queue_timeout_ms=1)
        assert await world.given_up() == ("a2", Event.FAIL)
        assert late.query.failure is not None
        assert late.query.failure.reason is Reason.QUEUE_TIMEOUT


async def test_a_run_that_is_put_back_waits_and_runs_again() -> None:
    async with scheduling() as world:
        found = world.submit("a1")
        assert await world.begun() == "a1"
        world.end("a1", QueryState.QUEUED)
        assert await world.begun() == "a1"
        assert found.query.attempt == 2


async def test_a_run_that_is_put_back_after_a_cancel_ends() -> None:
    async with scheduling() as world:
        found = world.submit("a1")
        await world.begun()
        found.request_stop(Stop(cancelled("enough"), QueryState.CANCELLED))
        world.end("a1", QueryState.QUEUED)
        assert await world.given_up() == ("a1", Event.CANCEL)


async def test_a_cancel_ends_what_waits_once_and_nothing_else() -> None:
    async with scheduling() as world:
        world.submit("a1")
        await world.begun()
        waits = world.submit("a2")
        for _ in range(2):
            await world.scheduler.cancel_waiting(waits, ENDED)
        assert await world.given_up() == ("a2", Event.CANCEL)
        assert world.runner.ended.empty()
        world.end("a1")
        world.submit("a3")
        assert await world.begun() == "a3"


async def test_nothing_starts_nor_waits_again_once_it_is_closed() -> None:
    async with scheduling() as world:
        found = world.submit("a1")
        await world.begun()
        world.submit("a2")
        world.scheduler.close()
        world.end("a1", QueryState.QUEUED)
        await asyncio.wait({task for task in world.tasks._tasks if task.get_name() == "run-a1"})
        assert found.query.state is QueryState.QUEUED
        assert world.dispatcher.waiting("main") == 1
        assert world.runner.begun.empty()


async def test_a_defect_of_one_decision_is_logged_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduler, "DEFECT_SECONDS", 0.0)
    async with scheduling() as world:
        decide, left = world.dispatcher.decide, [1]

        def breaks_once() -> Any:
            if left:
                left.pop()
                raise ZeroDivisionError("injected")
            return decide()

        monkeypatch.setattr(world.dispatcher, "decide", breaks_once)
        world.submit("a1")
        assert await world.begun() == "a1"
        assert caplog.text.count("in the scheduler") == 1


async def test_a_run_that_raises_gives_its_slot_back(caplog: pytest.LogCaptureFixture) -> None:
    async with scheduling() as world:
        world.submit("a1")
        await world.begun()
        world.runner.outcomes.pop("a1").set_exception(ZeroDivisionError("injected"))
        world.submit("a2")
        assert await world.begun() == "a2"
        assert "task run-a1 failed" in caplog.text


async def test_who_watches_a_place_learns_of_a_change() -> None:
    async with scheduling() as world:
        world.submit("a1")
        await world.begun()
        world.submit("a2")
        last = world.submit("a3")
        last.refresh_place()
        assert last.place is not None
        assert last.place.position == 1
        world.end("a1")
        while last.place.position:
            await asyncio.wait_for(last.wait_for_version(last.version, 30), 60)
        assert await world.begun() == "a2"
