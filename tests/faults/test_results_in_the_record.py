"""A result in the record of its query: it is there with the completion or not at all, whatever fails in between."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.domain.errors import Reason, error
from queryengine.domain.lifecycle import Event
from queryengine.domain.query import Query
from queryengine.v1 import query_pb2
from queryengine.v1 import query_service_pb2 as pb
from tests.server_process import server_process
from tests.support import CANCELLED, COMPLETED, RUNNING, WAIT, Api, Gate, new_id, served, until

ONE = {"scripted": {"type": "scripted", "workers": 1}, "duckdb": {"type": "duckdb", "workers": 1}}
ROWS = "columns n:int64; rows 5"
LARGE = "columns s:string; rows 3000 size 100"


class Completions:
    """Writes of completions with a small result: held back while `held`, refused so many times, counted."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.refusals = 0
        self.seen = 0
        advance = service.parts.state.store.advance

        async def watched(query: Query, event: Event, *, payload: bytes | None = None, **more: Any) -> Any:
            if event is Event.COMPLETE and payload is not None:
                self.seen += 1
                await self.free.wait()
                if self.refusals:
                    self.refusals -= 1
                    raise error(Reason.STORE_UNAVAILABLE, "database or disk is full")
            return await advance(query, event, payload=payload, **more)

        monkeypatch.setattr(service.parts.state.store, "advance", watched)


@pytest.fixture
async def beside(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Service, Api, Completions]]:
    async with served(tmp_path / "state", engines=ONE) as (service, api):
        yield service, api, Completions(service, monkeypatch)


Beside = tuple[Service, Api, Completions]


def spooled(service: Service) -> int:
    return len(list(service.parts.state.results.list()))


async def numbers(api: Api, query_id: str) -> list[Any]:
    found: list[Any] = (await api.read(query_id)).table().column(0).to_pylist()
    return found


async def slots_in_use(api: Api, count: int) -> bool:
    reply = await api.call("ListEngines", pb.ListEnginesRequest())
    return bool(sum(each.running for each in reply.engines) == count)


async def test_a_small_result_is_in_the_record_and_a_larger_one_in_the_spool(beside: Beside) -> None:
    service, api, _ = beside
    small = (await api.script(ROWS, wait_timeout=WAIT)).status
    assert (small.state, small.result_state) == (COMPLETED, query_pb2.RESULT_STATE_READY)
    assert small.first_page_time.ToMicroseconds() <= small.end_time.ToMicroseconds()
    assert spooled(service) == 0
    recorded = await service.parts.state.store.payload_bytes()
    assert service.parts.state.meter.of("tenant") == recorded["tenant"] > 0
    large = (await api.script(LARGE, wait_timeout=WAIT)).status
    assert spooled(service) == 1
    assert await service.parts.state.store.payload_bytes() == recorded
    assert [await numbers(api, each.query_id) for each in (small, small)] == [[0, 1, 2, 3, 4]] * 2
    assert len(await numbers(api, large.query_id)) == 3000


async def test_a_small_result_is_there_after_a_restart_and_counts(tmp_path: Path) -> None:
    async with served(tmp_path, engines=ONE) as (service, api):
        query_id = (await api.script(ROWS, wait_timeout=WAIT)).status.query_id
        stored = service.parts.state.meter.of("tenant")
    async with served(tmp_path, engines=ONE) as (service, api):
        assert service.parts.state.meter.of("tenant") == stored > 0
        assert await numbers(api, query_id) == [0, 1, 2, 3, 4]
        page = await api.fetch(query_id, offset=2, page_size=2)
        assert (page.page.start_row, page.page.row_count, page.total_rows) == (2, 2, 5)
        status = (await api.release(query_id)).status
        assert status.result_state == query_pb2.RESULT_STATE_RELEASED
        assert (await service.parts.state.store.payload_bytes(), service.parts.state.meter.of("tenant")) == ({}, 0)


async def test_rows_that_took_longer_than_a_reader_waits_are_shown_before_the_end(beside: Beside, gate: Gate) -> None:
    service, api, completions = beside
    query_id = (await api.script(f"{ROWS}; {gate.script}")).status.query_id
    await api.has_rows(query_id)
    assert spooled(service) == 1
    gate.open()
    assert (await api.ended(query_id)).state == COMPLETED
    assert completions.seen == 0
    assert await numbers(api, query_id) == [0, 1, 2, 3, 4]


async def test_nothing_of_a_small_result_is_seen_before_it_is_durable(beside: Beside) -> None:
    service, api, completions = beside
    completions.free.clear()
    query_id = (await api.script(ROWS)).status.query_id
    reading = asyncio.ensure_future(api.read(query_id))
    await until(lambda: completions.seen)
    status = await api.status(query_id)
    assert (status.state, status.stats.rows) == (RUNNING, 0)
    assert not reading.done()
    # Its run is over: the slot is for the next.
    assert service.pool.load("scripted").running == 0
    completions.free.set()
    assert (await reading).table().column(0).to_pylist() == [0, 1, 2, 3, 4]
    assert (await api.status(query_id)).state == COMPLETED


async def test_a_completion_that_the_store_refuses_is_tried_until_it_is_written(beside: Beside) -> None:
    service, api, completions = beside
    completions.refusals = 3
    query_id = (await api.script(ROWS)).status.query_id
    assert (await api.ended(query_id)).stats.rows == 5
    assert (completions.seen, completions.refusals) == (4, 0)
    assert spooled(service) == 0


async def test_a_cancel_that_is_recorded_before_the_completion_is_answered_with_the_end(beside: Beside) -> None:
    _, api, completions = beside
    completions.free.clear()
    query_id = (await api.script(ROWS)).status.query_id
    await until(lambda: completions.seen)
    cancel = asyncio.ensure_future(api.cancel(query_id, wait_timeout=WAIT))
    await until(lambda: api.status(query_id))
    completions.free.set()
    # The run had ended: all of its rows are there.
    assert (await cancel).status.state == COMPLETED
    assert (await api.status(query_id)).state != CANCELLED
    assert await numbers(api, query_id) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage", ["x'00'", "zeroblob(length(payload))", "substr(payload, 1, length(payload) - 1)", "NULL"]
)
async def test_a_damaged_record_shows_as_lost_rows_and_never_as_others(tmp_path: Path, damage: str) -> None:
    async with served(tmp_path, engines=ONE) as (_, api):
        query_id = (await api.script(ROWS, wait_timeout=WAIT)).status.query_id
    with closing(sqlite3.connect(tmp_path / "queries.db")) as connection, connection:
        assert connection.execute(f"UPDATE results SET payload = {damage}").rowcount == 1
    async with served(tmp_path, engines=ONE) as (_, api):
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await api.read(query_id)
        assert "RESULT_LOST" in str(lost.value.trailing_metadata())
        status = await api.status(query_id)
        assert (status.state, status.result_state) == (COMPLETED, query_pb2.RESULT_STATE_LOST)


async def test_a_run_that_ended_unrecorded_begins_again_after_kill_9(tmp_path: Path) -> None:
    query_id = new_id()
    with server_process(tmp_path, engines=ONE) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            await api.script(f"gate {server.gate}; {ROWS}", query_id=query_id)
            await api.reached(query_id, RUNNING)
            # From here on no commit ends: the record stays as it is.
            with closing(sqlite3.connect(server.state / "queries.db", isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                server.gate.touch()
                # The run is over when its slot is free.
                await until(lambda: slots_in_use(api, 0))
                assert (await api.status(query_id)).state == RUNNING
                server.kill()
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            status = await api.ended(query_id)
            assert (status.state, status.attempt) == (COMPLETED, 2)
            assert await numbers(api, query_id) == [0, 1, 2, 3, 4]
