"""The steps of a run without a server: what comes of each when it goes well, is refused, or breaks."""

import asyncio
from typing import Any

import pytest

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.executing.outcomes import LastWord
from queryengine.executing.runner import Runner
from queryengine.live.first_write import FirstWrite
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.results.segment import ResultTotals
from queryengine.workers.events import Ended, Failed, Lost
from tests.unit.core_values import NOW_US, HandClock, live, query
from tests.unit.fake_slots import FakeSlot, FakeSlots

ENDED = Ended(ResultTotals(rows=0, pages=0, bytes=0), confirmed=True)
FAILED = Failed(Failure(Reason.ENGINE_ERROR, "no such table"), confirmed=True)
LOST = Lost("the worker process died")
BROKEN = ZeroDivisionError("injected")
CANCEL = Stop(cancelled("enough"), QueryState.CANCELLED)


class World:
    """A runner whose parts do what a test says, and note what is asked of them."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.said: list[Any] = []
        self.follows: LastWord | Exception = ENDED
        self.parameters_are: bytes | Exception = b"p"
        self.claims: bool | Exception = True
        parts: Any = self
        self.runner = Runner(
            owner="me", recorder=parts, registry=parts, following=parts, settling=parts, clock=self.clock
        )

    # As Recorder.

    async def parameters(self, _: Query) -> bytes:
        return _or_raise(self.parameters_are)

    async def advance(self, seen: Query, event: Event, changes: dict[str, Any]) -> tuple[bool, Query]:
        self.said.append(event.value)
        if not _or_raise(self.claims):
            return False, seen.but(state=QueryState.CANCELLED, version=seen.version + 1)
        return True, seen.but(state=QueryState.RUNNING, attempt=seen.attempt + 1, version=seen.version + 1, **changes)

    # As Registry.

    def keep(self, _: LiveQuery) -> None:
        self.said.append("keep")

    # As Following.

    async def follow(self, found: LiveQuery, _: Any, parameters: bytes) -> LastWord:
        self.said.append(("follow", found.query.attempt, parameters))
        return _or_raise(self.follows)

    # As Settling.

    async def settle(self, _: LiveQuery, last: LastWord, ended_us: int) -> None:
        self.said.append(("settle", last, ended_us))

    async def fail(self, _: LiveQuery, cause: Exception) -> None:
        self.said.append(("fail", cause))

    async def discard(self, _: LiveQuery) -> None:
        self.said.append("discard")


def _or_raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


SLOT: Any = FakeSlot("main", FakeSlots({"main": 1}))


@pytest.mark.parametrize("last", [ENDED, FAILED, LOST])
async def test_a_waiting_query_is_claimed_followed_and_settled(last: LastWord) -> None:
    world, found = World(), live("a1")
    world.follows = last
    ran = await world.runner.run(found, SLOT)
    assert ran is not None
    assert (found.query.state, found.query.owner, found.query.start_us) == (QueryState.RUNNING, "me", NOW_US)
    world.clock.pass_seconds(1)
    await world.runner.settle(found, ran)
    # By the time at which it ended, which is before its slot was another's.
    assert world.said == ["claim", ("follow", 1, b"p"), ("settle", last, NOW_US)]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("parameters_are", []),
        ("claims", ["claim"]),
        ("follows", ["claim", ("follow", 1, b"p")]),
    ],
)
@pytest.mark.parametrize("cause", [BROKEN, error(Reason.QUERY_NOT_FOUND, "no such query")])
async def test_a_defect_in_any_step_is_settled_as_one(part: str, said: list[Any], cause: Exception) -> None:
    world, found = World(), live("a1")
    setattr(world, part, cause)
    ran = await world.runner.run(found, SLOT)
    assert ran is not None
    await world.runner.settle(found, ran)
    assert world.said == [*said, ("fail", cause)]


async def test_what_was_cancelled_before_its_claim_stays_as_it_is() -> None:
    world, found = World(), live("a1")
    found.request_stop(CANCEL)
    assert await world.runner.run(found, SLOT) is None
    assert not world.said
    assert found.query.state is QueryState.QUEUED


async def test_what_has_ended_before_its_claim_does_not_run() -> None:
    world, found = World(), live("a1")
    world.claims = False
    assert await world.runner.run(found, SLOT) is None
    assert world.said == ["claim", "keep"]
    assert found.query.state is QueryState.CANCELLED


class Writes:
    """A store whose one answer comes when a test says so."""

    def __init__(self) -> None:
        self.written: list[QueryState] = []
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def first_write(self, written: Query) -> FirstWrite:
        return FirstWrite(self, written)  # type: ignore[arg-type]

    async def submit(self, written: Query) -> Any:
        self.written.append(written.state)
        return await self._answer

    def answer(self, durable: tuple[None, bool] | QueryEngineError) -> None:
        if isinstance(durable, QueryEngineError):
            self._answer.set_exception(durable)
        else:
            self._answer.set_result(durable)


@pytest.mark.parametrize(
    ("durable", "last", "said"),
    [
        ((None, False), ENDED, ("settle", ENDED, NOW_US)),
        ((None, False), BROKEN, ("fail", BROKEN)),
        # Its id had a record, or the record could not be written: nobody hears of the run.
        ((None, True), ENDED, "discard"),
        ((None, True), BROKEN, "discard"),
        (error(Reason.STORE_UNAVAILABLE, "the disk is full"), ENDED, "discard"),
    ],
)
async def test_a_run_that_began_at_its_submit_is_settled_once_that_is_durable(
    durable: tuple[None, bool] | QueryEngineError,
    last: LastWord | Exception,
    said: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, store = World(), Writes()
    world.follows = last
    found = LiveQuery(world.runner.claimed(query("a1")))
    found.first_write = store.first_write(found.query)
    found.first_write.write()
    ran = await world.runner.run(found, SLOT)
    assert ran is not None
    settling = asyncio.ensure_future(world.runner.settle(found, ran))
    await asyncio.sleep(0)
    assert world.said == [("follow", 1, b"p")]
    world.clock.pass_seconds(1)
    store.answer(durable)
    await settling
    assert world.said[1:] == [said]
    # A defect is in the log whoever hears of it.
    assert caplog.text.count("ZeroDivisionError") == (1 if said == "discard" and last is BROKEN else 0)


@pytest.mark.parametrize(("last", "said"), [(ENDED, ("settle", ENDED, NOW_US)), (BROKEN, ("fail", BROKEN))])
async def test_a_run_that_ends_while_its_record_is_held_is_settled_at_once(
    last: LastWord | Exception, said: Any
) -> None:
    world, store = World(), Writes()
    world.follows = last
    found = live("a1")
    found.first_write = store.first_write(found.query)
    ran = await world.runner.run(found, SLOT)
    assert ran is not None
    # It waited, and its claim was not written either.
    assert (found.query.state, found.query.attempt, found.query.owner) == (QueryState.RUNNING, 1, "me")
    await world.runner.settle(found, ran)
    assert world.said == [("follow", 1, b"p"), said]
    assert found.first_write.is_held
    assert store.written == []


@pytest.mark.parametrize(
    ("durable", "said"),
    [
        ((None, False), ["claim", ("follow", 1, b"p")]),
        ((None, True), []),
        (error(Reason.STORE_UNAVAILABLE, "the disk is full"), []),
    ],
)
async def test_what_gets_its_slot_while_it_is_written_is_claimed_once_that_is_durable(
    durable: tuple[None, bool] | QueryEngineError, said: list[Any]
) -> None:
    world, store = World(), Writes()
    found = live("a1")
    found.first_write = store.first_write(found.query)
    found.first_write.write()
    running = asyncio.ensure_future(world.runner.run(found, SLOT))
    await asyncio.sleep(0)
    assert store.written == [QueryState.QUEUED]
    assert world.said == []
    store.answer(durable)
    assert (await running is not None) == bool(said)
    assert world.said == said
    assert found.is_refused != bool(said)
