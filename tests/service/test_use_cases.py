"""What an edge other than gRPC is given: every promise of the contract is kept by the use cases themselves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from queryengine.accepting.cancelling import CancelResult
from queryengine.accepting.submit_call import SubmitCall
from queryengine.accepting.submitting import Submitted
from queryengine.app.service import Service
from queryengine.app.use_cases import UseCases
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.filters import QueryFilter
from queryengine.domain.identity import Principal
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.submission import Submission
from queryengine.live.query import LiveQuery
from queryengine.reading.streaming import Finished, ReadRequest, Streams
from tests.support import Gate, new_id, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

EDGE = Principal(tenant="edge")
LONG = 60.0
READ = ReadRequest(start_row=0, attempt=0, as_rows=False, heartbeat_seconds=LONG)


def valid() -> None:
    """A credential that stays valid."""


class Edge:
    """An edge of the simplest kind: one tenant, who calls the use cases and notes when a call leaves its turn."""

    def __init__(self, cases: UseCases, streams: Streams) -> None:
        self.cases = cases
        self.streams = streams
        self.turns_left = 0

    def leave_turn(self) -> None:
        self.turns_left += 1

    async def submit(self, sql: str, *, query_id: str = "", wait_seconds: float = 0.0, **asked: object) -> Submitted:
        submission = Submission(tenant="edge", sql=sql, engine_hint="scripted", **asked)  # type: ignore[arg-type]
        call = SubmitCall(
            query_id=query_id,
            principal=EDGE,
            submission=submission,
            wait_seconds=wait_seconds,
            leave_turn=self.leave_turn,
        )
        return await self.cases.submitting.submit(call)

    async def cancel(self, query_id: str, *, wait_seconds: float = 0.0) -> CancelResult:
        done = await self.cases.cancelling.cancel(
            EDGE, query_id, reason="enough", wait_seconds=wait_seconds, leave_turn=self.leave_turn
        )
        return done.result

    async def read(self, live: LiveQuery) -> list[object]:
        return [item async for item in self.streams.read(live, READ, still_valid=valid)]


@pytest_asyncio.fixture(loop_scope="session")
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines, limits={"tenant_streams": 2}) as (service, _):
        assert isinstance(service, Service)
        yield Edge(service.parts.cases, service.parts.reading.streams)


async def test_a_submit_that_waits_has_the_first_rows(edge: Edge) -> None:
    done = await edge.submit("rows 3", wait_seconds=LONG)
    assert done.live.query.state is QueryState.COMPLETED
    assert done.inline is not None
    assert (done.inline.totals.rows, done.inline.is_all) == (3, True)
    assert edge.turns_left


async def test_a_submit_that_waits_says_of_a_failure_what_it_is(edge: Edge) -> None:
    done = await edge.submit("rows 1; fail ENGINE_ERROR boom", wait_seconds=LONG)
    assert done.live.query.failure is not None
    assert (done.live.query.failure.reason, done.inline) == (Reason.ENGINE_ERROR, None)


async def test_a_submit_that_does_not_wait_long_enough_leaves_the_query_running(edge: Edge, gate: Gate) -> None:
    done = await edge.submit(f"{gate.script}; rows 1", wait_seconds=0.01)
    assert (done.live.is_final, done.inline) == (False, None)
    gate.open()
    assert await done.live.wait_until_final(LONG)


async def test_an_id_is_submitted_once_and_means_one_thing(edge: Edge) -> None:
    query_id = new_id()
    first = await edge.submit("rows 1", query_id=query_id, wait_seconds=LONG)
    again = await edge.submit("rows 1", query_id=query_id, wait_seconds=LONG)
    assert (first.existing, again.existing) == (False, True)
    assert again.live is first.live
    with pytest.raises(QueryEngineError) as refusal:
        await edge.submit("rows 2", query_id=query_id)
    assert refusal.value.failure.reason is Reason.QUERY_ID_REUSED


async def test_bad_submissions_are_refused(edge: Edge) -> None:
    for sql, asked, reason in (
        ("nonsense", {}, Reason.SYNTAX_ERROR),
        ("rows 1", {"catalog": "c"}, Reason.UNSUPPORTED),
        ("rows 1", {"session_settings": {"a": "b"}}, Reason.UNSUPPORTED),
    ):
        with pytest.raises(QueryEngineError) as refusal:
            await edge.submit(sql, **asked)
        assert refusal.value.failure.reason is reason


async def test_a_cancel_that_waits_says_how_it_ended(edge: Edge, gate: Gate) -> None:
    running = (await edge.submit(gate.script)).live
    await until(lambda: running.query.state is QueryState.RUNNING)
    waiting = (await edge.submit("rows 1")).live
    # What waits ends at once, what runs once its engine has stopped.
    assert await edge.cancel(waiting.query.query_id) is CancelResult.CANCELLED
    assert await edge.cancel(running.query.query_id, wait_seconds=LONG) is CancelResult.CANCELLED
    assert edge.turns_left
    assert await edge.cancel(running.query.query_id) is CancelResult.CANCELLED
    completed = (await edge.submit("rows 1", wait_seconds=LONG)).live
    assert await edge.cancel(completed.query.query_id) is CancelResult.ALREADY_ENDED
    with pytest.raises(QueryEngineError) as refusal:
        await edge.cancel(new_id())
    assert refusal.value.failure.reason is Reason.QUERY_NOT_FOUND


async def test_streams_of_a_tenant_are_limited(edge: Edge, gate: Gate) -> None:
    live = (await edge.submit(f"{gate.script}; rows 2")).live
    readings = [asyncio.ensure_future(edge.read(live)) for _ in range(2)]
    await until(lambda: live.readers.count == 2)
    for opened in (
        edge.streams.read(live, READ, still_valid=valid),
        edge.streams.watch(live, 0, LONG, still_valid=valid),
    ):
        with pytest.raises(QueryEngineError) as refusal:
            await anext(opened)
        assert (refusal.value.failure.reason, refusal.value.failure.metadata) == (
            Reason.TENANT_STREAM_LIMIT,
            {"limit": "2", "limit_key": "limits.tenant_streams"},
        )
    gate.open()
    for items in await asyncio.gather(*readings):
        assert isinstance(items[-1], Finished)
    assert isinstance((await edge.read(live))[-1], Finished)


async def test_looking_waits_for_a_change_and_knows_other_spellings_of_an_id(edge: Edge, gate: Gate) -> None:
    live = (await edge.submit(f"{gate.script}; rows 1")).live
    await until(lambda: live.query.state is QueryState.RUNNING)
    looking = asyncio.ensure_future(
        edge.cases.looking.status(
            EDGE,
            live.query.query_id.upper(),
            after_version=1 << 60,
            wait_seconds=LONG,
            leave_turn=edge.leave_turn,
        )
    )
    await until(lambda: live.readers.count == 1)
    gate.open()
    assert (await looking) is live
    assert live.is_final
    for foreign in ("other", "edge"):
        with pytest.raises(QueryEngineError) as refusal:
            await edge.cases.looking.find(
                Principal(tenant=foreign), "x" * 65 if foreign == "edge" else live.query.query_id
            )
        assert refusal.value.failure.reason is Reason.QUERY_NOT_FOUND


async def test_rows_are_released_and_queries_listed(edge: Edge) -> None:
    live = (await edge.submit("rows 2", wait_seconds=LONG)).live
    found = await edge.cases.listing.list(EDGE, QueryFilter(engine="scripted"), before=None, limit=10)
    assert found == [live]
    released = await edge.cases.releasing.release(EDGE, live.query.query_id)
    assert released.query.result_state is ResultState.RELEASED
    with pytest.raises(QueryEngineError) as refusal:
        await edge.read(live)
    assert refusal.value.failure.reason is Reason.RESULT_RELEASED
