"""Places in a queue: what a query that waits shows at a moment, and which watchers see a change of it."""

import asyncio
from typing import Any

import pytest

from queryengine.domain.query import Query
from queryengine.executing.estimates import Estimates
from queryengine.executing.pacing import Pacing
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Length, ShareLimits, Shares
from queryengine.live.query import LiveQuery, QueuePlace
from queryengine.policy.limits.accounts import Scope
from tests import store_values
from tests.unit.core_values import NOW_US, SECOND, HandClock, throttle
from tests.unit.fake_slots import FakeSlots


class World:
    """An engine `duckdb` of some slots on which queries have taken 10 seconds, and those of SQL `q` 4."""

    def __init__(self, *, slots: int = 1, history: bool = True, tenant_running: int = 10, **limits: Any) -> None:
        self.clock = HandClock()
        past = [("duckdb", store_values.submission(sql="q").query_hash(), 4 * SECOND), ("duckdb", "other", 10 * SECOND)]
        self.estimates = Estimates(past if history else [])
        self.estimates._by_engine = {"duckdb": 10.0 * SECOND} if history else {}
        given = {"tenant_slots_percent": 100, "long_run_ms": 3_600_000}
        given |= {"shared_us": 0, "short_run_ms": 0, **limits}
        self.throttle = throttle(self.clock, running=tenant_running)
        self.shares = Shares(["duckdb"], ShareLimits(**given), self.clock.now_us, self.throttle)
        self.queue = EngineQueue()
        self.engine = FakeSlots({"duckdb": slots})
        self.places = Places(
            {"duckdb": self.queue},
            slots=self.engine,
            shares=self.shares,
            estimates=self.estimates,
            clock=self.clock,
        )
        self._numbers = iter(range(1, 100_000))

    def query(self, tenant: str, sql: str = "SELECT 1") -> Query:
        return store_values.query(next(self._numbers), asked=store_values.submission(sql=sql), tenant=tenant)

    def runs(self, tenant: str, *, for_seconds: float, sql: str = "SELECT 1") -> Query:
        query = self.query(tenant, sql)
        self.shares.begin(query, self.clock.now - int(for_seconds * SECOND))
        return query

    def waits(self, tenant: str, sql: str = "SELECT 1") -> LiveQuery:
        live = LiveQuery(self.query(tenant, sql))
        self.queue.push(live, Length.USUAL)
        live.wait_in_queue(self.places.of)
        return live

    def pass_seconds(self, seconds: float) -> None:
        self.clock.now += int(seconds * SECOND)


def place(live: LiveQuery) -> QueuePlace:
    live.refresh_place()
    assert live.place is not None
    return live.place


def starts_in(world: World, live: LiveQuery) -> float | None:
    start_us = place(live).start_us
    return None if start_us is None else (start_us - world.clock.now) / SECOND


@pytest.mark.parametrize(
    ("slots", "running", "waiting", "starts"),
    [
        # Tenants, and for how long they have run; who waits; when each of those may start.
        (1, [("a", 0)], "bb", [10, 20]),
        (1, [("a", 7)], "bb", [3, 13]),
        (2, [("a", 7), ("a", 2)], "bbb", [3, 8, 13]),
        # Late: as late again.
        (1, [("a", 13)], "b", [3]),
        (1, [("a", 70)], "bb", [60, 70]),
        # Turns: the second of b comes after the first of c.
        (1, [("a", 0)], "bbc", [10, 30, 20]),
        # Slots that are free, as of workers that still start.
        (2, [], "bbb", [0, 0, 10]),
    ],
)
def test_a_start_is_guessed_from_what_runs_and_waits(
    slots: int, running: list[tuple[str, float]], waiting: str, starts: list[float]
) -> None:
    world = World(slots=slots)
    for tenant, seconds in running:
        world.runs(tenant, for_seconds=seconds)
    lives = [world.waits(tenant) for tenant in waiting]
    assert [starts_in(world, live) for live in lives] == starts


def test_a_run_of_known_sql_takes_as_long_as_before() -> None:
    world = World()
    world.runs("a", for_seconds=1, sql="q")
    known, unknown = world.waits("b", "q"), world.waits("b")
    assert place(known).start_us == NOW_US + 3 * SECOND
    assert place(known).end_us == NOW_US + 7 * SECOND
    assert place(unknown).start_us is not None
    assert place(unknown).end_us is None


def test_nothing_is_guessed_without_a_past_or_while_the_engine_is_down() -> None:
    world = World(history=False)
    world.runs("a", for_seconds=1)
    live = world.waits("b", "q")
    assert (place(live).position, place(live).start_us, place(live).end_us) == (0, None, None)
    world = World()
    world.runs("a", for_seconds=1)
    live = world.waits("b", "q")
    world.engine.down["duckdb"] = "connection refused"
    assert place(live) == QueuePlace(0, 1, "connection refused")
    world.engine.down["duckdb"] = ""
    assert place(live) == QueuePlace(0, 1, "", NOW_US + 9 * SECOND, NOW_US + 13 * SECOND)


def test_a_tenant_at_its_limit_waits_for_its_own_runs() -> None:
    world = World(slots=8, tenant_running=2)
    world.runs("a", for_seconds=1)
    world.runs("a", for_seconds=4)
    assert [starts_in(world, world.waits("a")) for _ in range(3)] == [6, 9, 16]
    assert starts_in(world, world.waits("b")) == 0


def test_who_waits_for_a_limit_that_other_engines_use_up_is_told_no_time() -> None:
    world = World(slots=8, tenant_running=1)
    world.throttle._running[Scope.TENANT, "a", ""] = 1
    assert starts_in(world, world.waits("a")) is None


@pytest.mark.parametrize("passed", [0, 1, 9, 10, 11, 60, 3600])
def test_no_guess_is_in_the_past_whenever_it_is_looked_at(passed: float) -> None:
    world = World(slots=2)
    for seconds in (0, 5):
        world.runs("a", for_seconds=seconds)
    lives = [world.waits(tenant, "q") for tenant in "bbac"]
    before = [place(live) for live in lives]
    world.pass_seconds(passed)
    for live, first in zip(lives, before, strict=True):
        now = place(live)
        assert now.start_us is not None
        assert now.end_us is not None
        assert world.clock.now <= now.start_us < now.end_us
        # It is news only once what was said is over.
        assert (now == first) is (first.start_us is not None and first.start_us >= world.clock.now)


def test_a_look_is_a_change_only_when_the_place_is_another_one() -> None:
    world = World()
    running = world.runs("a", for_seconds=0)
    first, second = world.waits("b"), world.waits("b")
    place(second)
    version = second.version
    place(second)
    world.pass_seconds(5)
    place(second)
    assert second.version == version
    world.shares.end(running)
    world.queue.pop(first)
    assert place(second).position == 0
    assert second.version > version


async def test_only_who_watches_is_told() -> None:
    """Whatever the length of the queue: what nobody watches is not looked at."""
    world = World()
    lives = [world.waits("b") for _ in range(2000)]
    asked: list[LiveQuery] = []
    for live in lives:
        live.wait_in_queue(lambda live: asked.append(live) or world.places.of(live))  # type: ignore[func-returns-value]
    looks = [asyncio.ensure_future(live.wait_for_version(live.version + 1, 30)) for live in lives[-2:]]
    place(lives[5])
    await asyncio.sleep(0)
    asked.clear()
    world.queue.pop(lives[0])
    world.places.announce()
    await asyncio.gather(*looks)
    assert sorted(lives.index(live) for live in set(asked)) == [1998, 1999]
    assert [live.place.position for live in lives[-2:] if live.place] == [1997, 1998]
    # Nobody waits any more.
    asked.clear()
    world.places.announce()
    assert not asked
    assert not world.places._looked_at["duckdb"]


async def test_who_begins_to_wait_late_has_missed_nothing() -> None:
    world = World()
    first, second = world.waits("b"), world.waits("b")
    seen = place(second)
    version = second.version
    world.queue.pop(first)
    world.places.announce()
    assert second.place == seen
    await asyncio.wait_for(second.wait_for_version(version, 3600), 30)
    assert second.place is not None
    assert second.place.position == 0


@pytest.mark.parametrize(
    ("changes", "looks"),
    [
        # When something changes; when a look is due until then, a second at a time.
        ([], [0, 5, 10]),
        ([0], [0, 5, 10]),
        ([1], [0, 2, 7, 12]),
        ([1, 2, 3, 4, 5], [0, 2, 4, 6, 11]),
        ([8], [0, 5, 8, 13]),
    ],
)
def test_changes_are_looked_at_at_once_then_at_intervals_and_again_after_a_while(
    changes: list[int], looks: list[int]
) -> None:
    pacing = Pacing(least_seconds=2, idle_seconds=5)
    found = []
    for now in range(looks[-1] + 1):
        if now in changes:
            pacing.changed()
        if pacing.due_at() <= now:
            pacing.looked(now)
            found.append(now)
    assert found == looks
