"""A query that asked for it is cancelled once nobody reads or watches it, wherever its submitter was when it left."""

import asyncio
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.live.readers import Readers
from tests.support import (
    CANCELLED,
    COMPLETED,
    QUEUED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    new_id,
    refused,
    served,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = {"disconnect_policy": "DISCONNECT_POLICY_CANCEL", "disconnect_grace": timedelta(milliseconds=50)}
LATER = {"disconnect_policy": "DISCONNECT_POLICY_CANCEL", "disconnect_grace": timedelta(seconds=1.5)}
MUCH_LATER = {"disconnect_policy": "DISCONNECT_POLICY_CANCEL", "disconnect_grace": timedelta(hours=1)}


async def is_cancelled(api: Api, query_id: str) -> None:
    status = await api.ended(query_id)
    assert status.state == CANCELLED
    assert status.error.reason == "QUERY_CANCELLED"
    assert "nobody has read or watched it for its disconnect_grace" in status.error.message


async def is_running(api: Api, query_id: str) -> bool:
    """Also while the Submit of the query has not answered."""
    try:
        return (await api.status(query_id)).state == RUNNING
    except grpc.aio.AioRpcError:
        return False


def readers_of(service: Service, api: Api, query_id: str) -> Readers:
    live = service.parts.shared.registry.in_memory(api.tenant, query_id)
    assert live is not None
    return live.readers


async def test_between_submit_and_the_first_stream(api: Api, gate: Gate) -> None:
    await is_cancelled(api, (await api.script(gate.script, **AT_ONCE)).status.query_id)


async def test_while_submit_waits(api: Api, gate: Gate) -> None:
    query_id = new_id()
    submit = asyncio.ensure_future(api.script(gate.script, query_id=query_id, wait_timeout=WAIT, **AT_ONCE))
    await until(lambda: is_running(api, query_id))
    submit.cancel()
    await is_cancelled(api, query_id)


@pytest.mark.parametrize("kind", ["stream", "watch"])
async def test_after_its_stream_broke(api: Api, gate: Gate, kind: str) -> None:
    query_id = (await api.script(gate.script, **LATER)).status.query_id
    reading = getattr(api, kind)(query_id)
    await reading.read()
    assert (await api.status(query_id)).state == RUNNING
    reading.leave()
    await is_cancelled(api, query_id)


async def test_a_call_that_waits_for_a_change_is_a_reader(service: Service, api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script, **MUCH_LATER)).status.query_id
    readers = readers_of(service, api, query_id)
    waiting = asyncio.ensure_future(api.status(query_id, after_version=1 << 62, wait_timeout=WAIT))
    await until(lambda: readers.count == 1)
    waiting.cancel()
    await until(lambda: readers.count == 0)
    gate.open()


async def test_a_call_that_waits_for_no_version_ends_with_the_query(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script, **AT_ONCE)).status.query_id
    waiting = asyncio.ensure_future(api.status(query_id, after_version=1 << 62, wait_timeout=WAIT))
    gate.open()
    assert (await waiting).state in {COMPLETED, CANCELLED}


async def test_while_the_query_waits_for_a_slot(tmp_path: Path, gate: Gate) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines) as (_, api):
        busy = await api.script(gate.script)
        query_id = (await api.script("rows 1", **LATER)).status.query_id
        assert (await api.status(query_id)).state == QUEUED
        await is_cancelled(api, query_id)
        gate.open()
        assert (await api.ended(busy.status.query_id)).state == COMPLETED


@pytest.mark.parametrize("comes_back", [False, True], ids=["for good", "and comes back"])
async def test_while_the_server_restarts(tmp_path: Path, gate: Gate, comes_back: bool) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    asked = MUCH_LATER if comes_back else LATER
    async with served(tmp_path / "state", engines=engines) as (_, api):
        query_id = (await api.script(gate.script, **MUCH_LATER)).status.query_id
        waiting_id = (await api.script("rows 1", **asked)).status.query_id
    async with served(tmp_path / "state", engines=engines) as (_, api):
        await api.reached(query_id, RUNNING)
        if comes_back:
            watch = api.watch(waiting_id)
            await watch.read()
            gate.open()
            assert (await watch.all())[-1].status.state == COMPLETED
        else:
            await is_cancelled(api, waiting_id)
            gate.open()
        assert (await api.ended(query_id)).state == COMPLETED


async def test_a_reader_that_is_refused_a_stream_has_not_left(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, limits={"tenant_streams": 1}) as (service, api):
        query_id = (await api.script(gate.script, **MUCH_LATER)).status.query_id
        other = api.watch(query_id)
        await other.read()
        seen: list[str] = []
        monkeypatch.setattr(readers_of(service, api, query_id), "seen", lambda: seen.append("seen"))
        assert (await refused(api.stream(query_id))).reason == "TENANT_STREAM_LIMIT"
        assert seen == ["seen"]
        gate.open()
        await other.all()


async def test_a_query_that_is_read_is_left_alone(api: Api, gate: Gate) -> None:
    query_id = new_id()
    reading = asyncio.ensure_future(
        api.script(f"wait 300; {gate.script}; rows 4", query_id=query_id, wait_timeout=WAIT, **AT_ONCE)
    )
    await until(lambda: is_running(api, query_id))
    watch = api.watch(query_id)
    await watch.read()
    gate.open()
    assert (await reading).status.state == COMPLETED
    await watch.all()


async def test_a_query_that_did_not_ask_for_it_runs_on(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"{gate.script}; rows 1", disconnect_grace=timedelta(0))).status.query_id
    stream = api.stream(query_id)
    await stream.read()
    stream.leave()
    gate.open()
    assert (await api.ended(query_id)).state == COMPLETED
