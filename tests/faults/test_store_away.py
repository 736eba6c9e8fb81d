"""A store that fails for a while: what was reported stays true, and no query is forgotten in between."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from queryengine.app.service import Service
from queryengine.domain.errors import Reason, error
from queryengine.domain.lifecycle import Event
from queryengine.domain.query import Query
from queryengine.executing import sweeper
from queryengine.v1 import query_pb2
from tests.support import CANCELLED, COMPLETED, RUNNING, WAIT, Api, Gate, refused, served, until

ONE_AT_A_TIME = {"scripted": {"type": "scripted", "workers": 1}}
IN_THE_SPOOL = {"record_bytes": 0}
"""Whose completion is reported before it is written; tests/faults/test_results_in_the_record.py has the others."""
ROWS = "columns n:int64; rows 5"


class Outage:
    """Refuses writes while it lasts: those of the events named, and with `facts` those that are no event."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: frozenset[Event] = frozenset()
        self.facts = False
        self.refused = 0
        advance, update = service.parts.state.store.advance, service.parts.state.store.update

        async def may_advance(query: Query, event: Event, **more: Any) -> Any:
            self._pass(event not in self.events)
            return await advance(query, event, **more)

        async def may_update(query: Query, **more: Any) -> Any:
            self._pass(not self.facts)
            return await update(query, **more)

        monkeypatch.setattr(service.parts.state.store, "advance", may_advance)
        monkeypatch.setattr(service.parts.state.store, "update", may_update)

    def _pass(self, may: bool) -> None:
        if not may:
            self.refused += 1
            raise error(Reason.STORE_UNAVAILABLE, "no room")


@pytest.fixture
async def beside(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Service, Api, Outage]]:
    async with served(tmp_path / "state", engines=ONE_AT_A_TIME, results=IN_THE_SPOOL) as (service, api):
        yield service, api, Outage(service, monkeypatch)


Beside = tuple[Service, Api, Outage]


async def completed(api: Api) -> str:
    status = (await api.script(ROWS, wait_timeout=WAIT)).status
    assert status.state == COMPLETED
    return status.query_id


async def waiting(api: Api, gate: Gate) -> str:
    """A query that waits behind one that runs until the gate opens."""
    running = await api.script(f"{gate.script}; {ROWS}")
    await api.reached(running.status.query_id, RUNNING)
    return (await api.script(ROWS)).status.query_id


async def test_a_cancel_of_some_that_cannot_be_written_is_refused_and_holds(beside: Beside, gate: Gate) -> None:
    _, api, outage = beside
    labels = {"job": "nightly"}
    running = (await api.script(f"{gate.script}; {ROWS}", labels=labels)).status.query_id
    await api.reached(running, RUNNING)
    waiting = (await api.script(ROWS, labels=labels)).status.query_id
    outage.facts = True
    refusal = await refused(api.cancel_matching(labels=labels))
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
    assert outage.refused == 2
    assert (await api.ended(running)).state == CANCELLED
    outage.facts = False
    # Safe to repeat, and by then both have ended.
    await api.cancel_matching(labels=labels, wait_timeout=WAIT)
    assert (await api.ended(waiting)).state == CANCELLED


async def test_a_waiting_query_whose_cancel_cannot_be_written_ends_when_it_can(beside: Beside, gate: Gate) -> None:
    _, api, outage = beside
    query_id = await waiting(api, gate)
    outage.events = frozenset({Event.CANCEL})
    cancel = asyncio.ensure_future(api.cancel(query_id))
    await until(lambda: outage.refused)
    # Whoever asked may leave.
    cancel.cancel()
    await asyncio.wait([cancel])
    outage.events = frozenset()
    assert (await api.ended(query_id)).state == CANCELLED
    gate.open()


async def test_a_wish_to_cancel_that_cannot_be_written_holds_in_memory(beside: Beside, gate: Gate) -> None:
    _, api, outage = beside
    query_id = await waiting(api, gate)
    outage.facts = True
    assert (await refused(api.cancel(query_id))).reason == "STORE_UNAVAILABLE"
    outage.facts = False
    gate.open()
    assert (await api.ended(query_id)).state == CANCELLED


@pytest.mark.parametrize("extend", [False, True])
async def test_rows_are_not_released_or_kept_before_their_end_is_written(beside: Beside, extend: bool) -> None:
    _, api, outage = beside
    outage.events = frozenset({Event.COMPLETE})
    query_id = await completed(api)
    await until(lambda: outage.refused)
    later = Timestamp()
    later.GetCurrentTime()
    later.seconds += 3600
    fields = {"extend_to": later} if extend else {}
    refusal = await refused(api.release(query_id, **fields))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert (await api.read(query_id)).next_row == 5
    outage.events = frozenset()

    async def release() -> Any:
        try:
            return await api.release(query_id, **fields)
        except grpc.aio.AioRpcError:
            return None

    status = (await until(release)).status
    assert status.result_state == (query_pb2.RESULT_STATE_READY if extend else query_pb2.RESULT_STATE_RELEASED)


async def test_what_was_reported_is_listed_though_it_is_not_written_yet(beside: Beside) -> None:
    _, api, _ = beside
    for _ in range(10):
        query_id = await completed(api)
        listed = await api.listed(states=[COMPLETED], page_size=1)
        assert [each.query_id for each in listed.queries] == [query_id]


async def test_a_full_spool_ends_a_query_that_runs(beside: Beside, gate: Gate) -> None:
    service, api, outage = beside
    outage.events = frozenset({Event.COMPLETE})
    large = (await api.script("columns s:string; rows 3000 size 1000", wait_timeout=WAIT)).status.query_id
    small = (await api.script(f"{ROWS}; {gate.script}")).status.query_id
    await api.reached(small, RUNNING)
    service.parts.execution.sweeper.fail_largest()
    assert (await api.ended(small)).error.reason == "SPOOL_FULL"
    assert (await api.status(large)).state == COMPLETED
    gate.open()


async def test_the_sweeper_outlives_a_disk_that_does_not_answer(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service, api, _ = beside
    monkeypatch.setattr(sweeper, "URGENT_SECONDS", 0.01)
    monkeypatch.setattr(sweeper, "LOOK_SECONDS", 0.01)
    spool = service.settings.state.spool
    swept = asyncio.Event()

    async def sweep(real: Any = service.parts.execution.sweeper.sweep) -> None:
        await real()
        swept.set()

    monkeypatch.setattr(service.parts.execution.sweeper, "sweep", sweep)
    with caplog.at_level("WARNING", sweeper.__name__):
        spool.rename(tmp_path / "elsewhere")
        refusal = await refused(api.script(ROWS))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        await until(lambda: "sweep put off" in caplog.text, seconds=20)
    swept.clear()
    (tmp_path / "elsewhere").rename(spool)
    await asyncio.wait_for(swept.wait(), 20)
    await completed(api)
