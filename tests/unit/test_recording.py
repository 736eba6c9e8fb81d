"""Whatever fails while a query is recorded, its slot or its place in the queue is used or free again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from queryengine.accepting.cancelling import Cancelling
from queryengine.accepting.looking import Looking
from queryengine.accepting.recording import Recording
from queryengine.accepting.unread import Unread
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.estimates import Estimates
from queryengine.executing.holders import Holders
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.scheduler import Scheduler
from queryengine.executing.shares import Shares
from queryengine.live.first_write import FirstWrite
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.policy.row_security.policies import Policies
from queryengine.store import Store
from queryengine.telemetry.metrics import Metrics
from tests.unit.core_values import HandClock, query, share_limits, throttle
from tests.unit.fake_slots import FakeSlots


class Defect(Exception):  # noqa: N818 - What no code of ours expects.
    """Raised where a test says so."""


class Runs:
    """A runner whose runs last until they are asked to stop."""

    def __init__(self) -> None:
        self.begun = 0

    def claimed(self, asked: Query) -> Query:
        return asked.but(state=QueryState.RUNNING, attempt=1, owner="server", start_us=1)

    async def run(self, live: LiveQuery, _: Any) -> str:
        self.begun += 1
        await live.stop_asked()
        return "ran"

    async def settle(self, live: LiveQuery, _: Any) -> None:
        live.query = live.query.but(state=QueryState.CANCELLED)


class World:
    """Recording over a real store, and one engine with a slot."""

    first_write = FirstWrite
    """The class, for what is to fail in it."""

    def __init__(self, store: Store) -> None:
        clock = HandClock()
        queues = {"main": EngineQueue()}
        self.store, self.slots, self.tasks, self.runs = store, FakeSlots({"main": 1}), Tasks(), Runs()
        self.shares = Shares(["main"], share_limits(), clock.now_us, throttle(clock))
        self.queue = queues["main"]
        self.dispatcher = Dispatcher(queues, slots=self.slots, shares=self.shares, clock=clock)
        self.registry = Registry(store, Metrics(["main"], "0"), Lifetimes(clock, keep_records_us=1 << 60))
        self.scheduler = Scheduler(
            self.dispatcher,
            self.runs,  # type: ignore[arg-type]
            places=Places(queues, slots=self.slots, shares=self.shares, estimates=Estimates([]), clock=clock),
            holders=Holders(queues, slots=self.slots, shares=self.shares, clock=clock),
            tasks=self.tasks,
            wake=asyncio.Event(),
            clock=clock,
        )
        looking = Looking(self.registry, Policies({}))
        cancelling = Cancelling(looking=looking, store=store, scheduler=self.scheduler, clock=clock)
        self.recording = Recording(
            store=store,
            registry=self.registry,
            dispatcher=self.dispatcher,
            scheduler=self.scheduler,
            unread=Unread(cancelling, self.tasks),
            metrics=Metrics(["main"], "0"),
        )

    def counted(self) -> tuple[int, int, int, int]:
        """Slots that are taken, runs and places that count for tenants, queries that wait."""
        throttle = self.shares.throttle
        return self.slots.taken.total(), throttle.running, throttle.waiting, len(self.queue)


@asynccontextmanager
async def recording(folder: Path) -> AsyncIterator[World]:
    store = await Store.open(folder / "queries.db", owner="server")
    world = World(store)
    try:
        yield world
    finally:
        await world.tasks.close()
        await store.close()


def raising(cause: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise cause

    return fail


def raising_later(cause: Exception) -> Any:
    async def fail(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(0)
        raise cause

    return fail


DEFECT = Defect("injected")
FULL = error(Reason.STORE_UNAVAILABLE, "the disk is full")

RUNNING = {
    "claim": ("scheduler", "claimed", raising(DEFECT)),
    "make it": ("registry", "new", raising(DEFECT)),
    "begin to write": ("first_write", "write", raising(DEFECT)),
    "begin to run": ("scheduler", "start", raising(DEFECT)),
    "write": ("store", "submit", raising_later(FULL)),
    "write, unexpected": ("store", "submit", raising_later(DEFECT)),
    "show it": ("registry", "keep", raising(DEFECT)),
    "announce it": ("registry", "undecided", raising(DEFECT)),
}
WAITING = {
    "write": ("store", "submit", raising_later(FULL)),
    "write, unexpected": ("store", "submit", raising_later(DEFECT)),
    "show it": ("registry", "keep", raising(DEFECT)),
    "enqueue": ("dispatcher", "enqueue", raising(DEFECT)),
    "enqueue, late": ("scheduler", "_has_changed", raising(DEFECT)),
}


@pytest.mark.parametrize("what", RUNNING)
async def test_a_slot_is_free_when_this_fails(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, method, failing = RUNNING[what]
    async with recording(tmp_path) as world:
        with monkeypatch.context() as patch:
            patch.setattr(getattr(world, part), method, failing)
            with pytest.raises((Defect, QueryEngineError)):
                await world.recording.record(query("a1"))
        assert world.counted() == (0, 0, 0, 0)
        # The next one has it.
        await world.recording.record(query("a2"))
        assert world.counted() == (1, 1, 0, 0)


@pytest.mark.parametrize("what", ["claim", "make it", "begin to write", "begin to run"])
async def test_nothing_is_written_of_what_cannot_begin(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, method, failing = RUNNING[what]
    async with recording(tmp_path) as world:
        monkeypatch.setattr(getattr(world, part), method, failing)
        with pytest.raises(Defect):
            await world.recording.record(query("a1"))
        assert await world.store.get("a", "a1") is None
        assert world.runs.begun == 0


@pytest.mark.parametrize("what", WAITING)
async def test_a_place_is_free_when_this_fails(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, method, failing = WAITING[what]
    async with recording(tmp_path) as world:
        await world.recording.record(query("a1"))
        with monkeypatch.context() as patch:
            patch.setattr(getattr(world, part), method, failing)
            with pytest.raises((Defect, QueryEngineError)):
                await world.recording.record(query("a2"))
        assert world.counted() == (1, 1, 0, 0)
        await world.recording.record(query("a3"))
        assert world.counted() == (1, 1, 1, 1)


@pytest.mark.parametrize("runs", [True, False])
async def test_what_was_recorded_before_takes_nothing(runs: bool, tmp_path: Path) -> None:
    async with recording(tmp_path) as world:
        before = query("a1")
        await world.store.submit(before)
        if not runs:
            await world.recording.record(query("b1"))
        counted = world.counted()
        live, is_old = await world.recording.record(before)
        assert is_old
        assert live.query.state is QueryState.QUEUED
        assert world.counted() == counted
