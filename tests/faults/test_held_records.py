"""A Submit that waits for a short query is recorded once, with its end: all of it or nothing, whatever fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from queryengine.app.service import Service
from queryengine.domain.errors import Reason, error
from queryengine.domain.query import Query
from queryengine.v1 import query_service_pb2 as pb
from tests.support import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING, WAIT, Api, Gate, new_id, refused, served, until

ONE = {"scripted": {"type": "scripted", "workers": 1}}
ROWS = "columns n:int64; rows 5"
LARGE = "columns s:string; rows 3000 size 100"


class Records:
    """What is written of new queries, and how: held back while `free` is clear, refused once each time `refuses`."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.refuses = False
        store = service.parts.state.store
        submit, submit_ended = store.submit, store.submit_ended

        async def watched_submit(query: Query) -> Any:
            self.written.append("submit")
            return await submit(query)

        async def watched_submit_ended(query: Query, *arguments: Any, **more: Any) -> Any:
            self.written.append("with its end")
            await self.free.wait()
            if self.refuses:
                self.refuses = False
                raise error(Reason.STORE_UNAVAILABLE, "database or disk is full")
            return await submit_ended(query, *arguments, **more)

        monkeypatch.setattr(store, "submit", watched_submit)
        monkeypatch.setattr(store, "submit_ended", watched_submit_ended)
        # However busy the machine is, a record is held until its run ends, where the test does not end the wait.
        monkeypatch.setattr("queryengine.live.first_write.RUNNING_SECONDS", 3600.0)
        monkeypatch.setattr("queryengine.live.first_write.WAITING_SECONDS", 3600.0)


@pytest.fixture
async def beside(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Service, Api, Records]]:
    async with served(tmp_path / "state", engines=ONE) as (service, api):
        yield service, api, Records(service, monkeypatch)


Beside = tuple[Service, Api, Records]


@pytest.mark.parametrize(("script", "rows"), [(ROWS, 5), (LARGE, 3000), ("columns n:int64; rows 0", 0)])
async def test_a_query_that_ends_soon_is_written_once_with_its_result(beside: Beside, script: str, rows: int) -> None:
    service, api, records = beside
    status = (await api.script(script, wait_timeout=WAIT)).status
    assert (status.state, status.stats.rows, status.attempt) == (COMPLETED, rows, 1)
    assert records.written == ["with its end"]
    stored = await service.parts.state.store.get("tenant", status.query_id)
    assert stored is not None
    assert (stored.state.value, stored.rows, stored.version) == ("COMPLETED", rows, status.version)
    assert len((await api.read(status.query_id)).table()) == rows


async def test_a_failure_is_written_once_too(beside: Beside) -> None:
    _, api, records = beside
    status = (await api.script("fail ENGINE_ERROR", wait_timeout=WAIT)).status
    assert (status.state, status.error.reason) == (FAILED, "ENGINE_ERROR")
    assert records.written == ["with its end"]


async def test_a_query_that_takes_longer_is_recorded_meanwhile(
    beside: Beside, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, api, records = beside
    monkeypatch.setattr("queryengine.live.first_write.RUNNING_SECONDS", 0.0)
    query_id = new_id()
    call = asyncio.ensure_future(api.script(f"{gate.script}; {ROWS}", query_id=query_id, wait_timeout=WAIT))
    await until(lambda: records.written)
    assert (await api.status(query_id)).state == RUNNING
    gate.open()
    assert (await call).status.state == COMPLETED
    assert records.written == ["submit"]


async def test_one_that_nobody_waits_for_is_recorded_at_once(beside: Beside, gate: Gate) -> None:
    _, api, records = beside
    query_id = (await api.script(f"{gate.script}; {ROWS}")).status.query_id
    assert records.written == ["submit"]
    gate.open()
    assert (await api.ended(query_id)).state == COMPLETED


async def test_whoever_looks_for_it_meanwhile_waits_and_a_second_submit_is_the_same(beside: Beside) -> None:
    service, api, records = beside
    records.free.clear()
    query_id = new_id()
    first = asyncio.ensure_future(api.script(ROWS, query_id=query_id, wait_timeout=WAIT))
    await until(lambda: records.written)
    again = asyncio.ensure_future(api.script(ROWS, query_id=query_id, wait_timeout=WAIT))
    look, cancel = asyncio.ensure_future(api.status(query_id)), asyncio.ensure_future(api.cancel(query_id))
    # The slot is free though nothing is decided.
    await until(lambda: service.pool.load("scripted").running == 0)
    assert not any(call.done() for call in (first, again, look, cancel))
    records.free.set()
    assert [(await first).existing, (await again).existing] == [False, True]
    assert (await look).state == COMPLETED
    assert (await cancel).result == pb.CANCEL_RESULT_ALREADY_ENDED
    assert records.written == ["with its end"]


async def test_what_cannot_be_written_was_never_there_and_may_be_sent_again(beside: Beside) -> None:
    service, api, records = beside
    records.refuses = True
    query_id = new_id()
    refusal = await refused(api.script(LARGE, query_id=query_id, wait_timeout=WAIT))
    assert refusal.reason == "STORE_UNAVAILABLE"
    assert (await refused(api.status(query_id))).reason == "QUERY_NOT_FOUND"
    await until(lambda: not list(service.parts.state.results.list()))
    assert service.parts.state.meter.total == 0
    reply = await api.script(LARGE, query_id=query_id, wait_timeout=WAIT)
    assert (reply.status.state, reply.existing) == (COMPLETED, False)


async def test_an_id_of_an_earlier_server_keeps_its_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query_id = new_id()
    async with served(tmp_path, engines=ONE) as (_, api):
        await api.script(ROWS, query_id=query_id, wait_timeout=WAIT)
    async with served(tmp_path, engines=ONE) as (service, api):
        records = Records(service, monkeypatch)
        reply = await api.script(ROWS, query_id=query_id, wait_timeout=WAIT)
        assert (reply.existing, reply.status.attempt, reply.end.total_rows) == (True, 1, 5)
        assert records.written == ["with its end"]
        other = await refused(api.script("rows 1", query_id=query_id, wait_timeout=WAIT))
        assert other.reason == "QUERY_ID_REUSED"
        assert (await api.read(query_id)).table().column(0).to_pylist() == [0, 1, 2, 3, 4]


async def test_it_is_recorded_though_its_caller_leaves(beside: Beside) -> None:
    _, api, records = beside
    records.free.clear()
    query_id = new_id()
    call = api.script(ROWS, query_id=query_id, wait_timeout=WAIT)
    waiting = asyncio.ensure_future(call.code())
    await until(lambda: records.written)
    call.cancel()
    await waiting
    records.free.set()
    assert (await api.ended(query_id)).state == COMPLETED


async def waiting(service: Service, api: Api, script: str = ROWS, **asked: Any) -> asyncio.Future[Any]:
    """A Submit that waits for its end, of a query that waits for a slot."""
    call = asyncio.ensure_future(api.script(script, wait_timeout=WAIT, **asked))
    dispatcher = service.parts.execution.dispatcher
    await until(lambda: dispatcher.waiting("scripted") or call.done())
    assert not call.done()
    return call


async def test_one_that_waits_for_its_slot_is_written_once_too(beside: Beside, gate: Gate) -> None:
    service, api, records = beside
    await api.script(gate.script)
    call = await waiting(service, api)
    gate.open()
    status = (await call).status
    assert (status.state, status.stats.rows, status.attempt) == (COMPLETED, 5, 1)
    assert records.written == ["submit", "with its end"]
    stored = await service.parts.state.store.get("tenant", status.query_id)
    assert stored is not None
    assert (stored.state.value, stored.version) == ("COMPLETED", status.version)


async def test_one_that_waits_for_long_is_recorded_meanwhile(
    beside: Beside, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, api, records = beside
    monkeypatch.setattr("queryengine.live.first_write.WAITING_SECONDS", 0.0)
    await api.script(gate.script)
    query_id = new_id()
    call = await waiting(service, api, query_id=query_id)
    await until(lambda: len(records.written) == 2)
    assert (await api.status(query_id)).state == QUEUED
    gate.open()
    assert (await call).status.state == COMPLETED
    assert records.written == ["submit", "submit"]


async def test_who_looks_for_one_that_waits_has_it_recorded(beside: Beside, gate: Gate) -> None:
    service, api, records = beside
    await api.script(gate.script)
    query_id = new_id()
    call = await waiting(service, api, query_id=query_id)
    assert (await api.status(query_id)).state == QUEUED
    assert records.written == ["submit", "submit"]
    assert (await api.cancel(query_id)).result == pb.CANCEL_RESULT_CANCELLED
    assert (await call).status.state == CANCELLED
    gate.open()


async def test_one_that_waits_for_too_long_ends_as_recorded(beside: Beside, gate: Gate) -> None:
    service, api, records = beside
    await api.script(gate.script)
    status = (await api.script(ROWS, wait_timeout=WAIT, limits={"queue_timeout": {"nanos": 1_000_000}})).status
    assert (status.state, status.error.reason) == (FAILED, "QUEUE_TIMEOUT")
    assert records.written == ["submit", "submit"]
    gate.open()
    stored = await service.parts.state.store.get("tenant", status.query_id)
    assert stored is not None
    assert stored.state.value == "FAILED"


async def test_one_that_cannot_be_written_waits_no_more(
    beside: Beside, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, api, _ = beside
    await api.script(gate.script)
    query_id = new_id()
    call = await waiting(service, api, query_id=query_id)

    async def full(_: Query) -> Any:
        raise error(Reason.STORE_UNAVAILABLE, "database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(service.parts.state.store, "submit", full)
        assert (await refused(api.status(query_id))).reason == "QUERY_NOT_FOUND"
        assert (await refused(call)).reason == "STORE_UNAVAILABLE"
    assert service.parts.execution.dispatcher.waiting("scripted") == 0
    again = await waiting(service, api, query_id=query_id)
    gate.open()
    assert ((await again).existing, (await again).status.state) == (False, COMPLETED)


async def test_an_id_of_an_earlier_server_keeps_its_query_and_waits_for_no_slot(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    query_id = new_id()
    async with served(tmp_path, engines=ONE) as (_, api):
        await api.script("fail ENGINE_ERROR", query_id=query_id, wait_timeout=WAIT)
    async with served(tmp_path, engines=ONE) as (service, api):
        Records(service, monkeypatch)
        await api.script(gate.script)
        call = await waiting(service, api, "fail ENGINE_ERROR", query_id=query_id)
        assert (await api.status(query_id)).state == FAILED
        assert (await call).existing
        assert service.parts.execution.dispatcher.waiting("scripted") == 0
        gate.open()
