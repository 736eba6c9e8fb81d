"""A run begins while its record is written. Until then nobody sees it, and when it is refused nothing of it is left.

The disk is made to wait by a gate before the commit, or to fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from queryengine.app.service import Service
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import Stop, cancelled
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    QUEUED,
    RUNNING,
    WAIT,
    Gate,
    new_id,
    refused,
    served,
    until,
)

FAILING = "SELECT error('out of cheese')"


@contextmanager
def slow_disk(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Events: a Submit waits before its commit, with the end of its run or without; it may go on."""
    store, waits, goes_on = service.parts.state.store, asyncio.Event(), asyncio.Event()

    def slow(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def slowly(*what: Any, **with_it: Any) -> Any:
            waits.set()
            await goes_on.wait()
            return await write(*what, **with_it)

        return slowly

    with monkeypatch.context() as patch:
        patch.setattr(store, "submit", slow(store.submit))
        patch.setattr(store, "submit_ended", slow(store.submit_ended))
        yield waits, goes_on


async def idle(service: Service) -> None:
    await until(lambda: all(service.pool.load(name).running == 0 for name in ("duckdb", "scripted")))


async def failed_before(directory: Path) -> str:
    """The id of a query that failed under a server that is gone."""
    async with served(directory) as (_, api):
        return (await api.submit(FAILING, wait_timeout=WAIT)).status.query_id


async def test_who_asks_for_a_new_id_waits_for_the_commit(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = new_id()
    async with served(tmp_path) as (service, api):
        with slow_disk(service, monkeypatch) as (waits, goes_on):
            submit = asyncio.ensure_future(api.submit("SELECT 1 AS a", query_id=chosen, wait_timeout=WAIT))
            await waits.wait()
            status = asyncio.ensure_future(api.status(chosen))
            rows = asyncio.ensure_future(api.read(chosen))
            assert not (await api.listed()).queries
            assert not status.done()
            goes_on.set()
            assert (await status).state in (RUNNING, COMPLETED)
            assert (await rows).table().to_pylist() == [{"a": 1}]
            assert (await submit).status.state == COMPLETED


async def test_who_asks_for_an_old_id_gets_the_old_query(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await failed_before(tmp_path)
    async with served(tmp_path) as (service, api):
        with slow_disk(service, monkeypatch) as (waits, goes_on):
            submit = asyncio.ensure_future(api.submit(FAILING, query_id=old))
            await waits.wait()
            status = asyncio.ensure_future(api.status(old))
            rows = asyncio.ensure_future(refused(api.read(old)))
            cancel = asyncio.ensure_future(api.cancel(old))
            goes_on.set()
            assert (await status).state == FAILED
            assert (await rows).reason == "STATEMENT_REJECTED"
            assert (await cancel).status.state == FAILED
            assert (await submit).existing
        await idle(service)
        assert (
            service.parts.shared.metrics.registry.get_sample_value(
                "queryengine_queue_seconds_count", {"engine": "duckdb"}
            )
            == 0
        )


async def test_an_id_that_is_refused_shows_nothing_of_the_refused_request(
    grpc_awake: None, tmp_path: Path, gate: Gate
) -> None:
    old = await failed_before(tmp_path)
    async with served(tmp_path) as (service, api):
        wrong = asyncio.ensure_future(refused(api.script(f"rows 3; {gate.script}", query_id=old)))
        again = asyncio.ensure_future(refused(api.script(f"rows 3; {gate.script}", query_id=old)))
        assert (await wrong).reason == (await again).reason == "QUERY_ID_REUSED"
        assert (await api.status(old)).state == FAILED
        assert (await api.submit(FAILING, query_id=old)).existing
        await idle(service)


async def test_a_submit_that_could_not_be_written_can_be_sent_again(
    grpc_awake: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    chosen = new_id()
    async with served(tmp_path) as (service, api):

        async def fail(_: Any) -> Any:
            raise error(Reason.STORE_UNAVAILABLE, "no disk", retry_after_seconds=0.0)

        with monkeypatch.context() as patch:
            patch.setattr(service.parts.state.store, "submit", fail)
            assert (await refused(api.script(f"rows 3; {gate.script}", query_id=chosen))).reason == "STORE_UNAVAILABLE"
        assert (await refused(api.status(chosen))).reason == "QUERY_NOT_FOUND"
        assert not list((tmp_path / "spool").glob("*/*"))
        gate.open()
        again = await api.script(f"rows 3; {gate.script}", query_id=chosen, wait_timeout=WAIT)
        assert (again.existing, again.status.state) == (False, COMPLETED)
        await idle(service)


async def test_a_server_stops_after_a_refused_id(grpc_awake: None, tmp_path: Path, gate: Gate) -> None:
    old = await failed_before(tmp_path)
    async with served(tmp_path) as (service, api):
        call = asyncio.ensure_future(refused(api.script(f"rows 3; {gate.script}", query_id=old)))
        await until(lambda: service.pool.load("scripted").running)
        async with asyncio.timeout(20):
            await service.stop(5)
        assert (await call).reason in {"QUERY_ID_REUSED", ""}


async def test_a_cancel_holds_when_the_run_is_put_back(grpc_awake: None, tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path) as (service, api):
        query_id = (await api.script(gate.script)).status.query_id
        await api.reached(query_id, RUNNING)
        [live] = service.parts.shared.registry.active()
        live.request_stop(Stop(Failure(Reason.SERVER_LOST, "drain"), QueryState.QUEUED))
        await api.cancel(query_id, reason="enough")
        status = await api.ended(query_id)
        assert status.state == CANCELLED
        assert "enough" in status.error.message


async def test_a_cancel_holds_over_a_restart(grpc_awake: None, tmp_path: Path) -> None:
    engines = {"gone": {"type": "duckdb", "workers": 1}}
    async with served(tmp_path, engines=engines) as (service, api):
        running = await api.submit("SELECT count(*) FROM range(1_000_000_000_000)")
        await api.reached(running.status.query_id, RUNNING)
        waiting = (await api.submit("SELECT 1")).status.query_id
        await api.reached(waiting, QUEUED)
        [live] = [each for each in service.parts.shared.registry.active() if each.query.query_id == waiting]
        facts = {"cancel_us": 1, "cancel_reason": "enough"}
        await service.parts.state.store.update(live.query, changes=facts)
    async with served(tmp_path) as (_, api):
        status = await api.status(waiting)
        assert (status.state, status.error.reason) == (CANCELLED, cancelled("").reason)


async def test_the_meter_counts_what_lies_on_disk(grpc_awake: None, tmp_path: Path) -> None:
    async with served(tmp_path) as (service, api):
        kept = [await api.submit(f"SELECT * FROM range({10**n})", wait_timeout=WAIT) for n in range(6)]
        for number, query in enumerate(kept):
            if number % 2:
                await api.release(query.status.query_id)
        with pytest.raises(QueryEngineError):
            await service.parts.shared.registry.find("tenant", new_id())
        state = service.parts.state
        spooled = sum(found.bytes for found in state.results.list())
        recorded = sum((await state.store.payload_bytes()).values())
        assert state.meter.total == spooled + recorded
        assert min(spooled, recorded) > 0
