"""A whole server whose record is in PostgreSQL: what it acknowledged outlives it, and its folder stays its own."""

import random
from pathlib import Path

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.settings import Settings
from queryengine.store import StoreLocked, StoreUnusable
from tests.contract.store_case import record_url
from tests.server_process import server_process
from tests.support import COMPLETED, FINAL, LOOPBACK, QUEUED, WAIT, Api, Gate, new_id, refused, served, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

ENGINES = {"scripted": {"type": "scripted", "workers": 1}}
VARIABLE = "QUERYENGINE_STATE__DATABASE"


async def test_queries_live_in_the_database_and_results_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setenv(VARIABLE, record_url(tmp_path))
    large = "columns s:string; rows 3000 size 1000"
    async with served(tmp_path, engines=ENGINES) as (_, api):
        small = await api.script("rows 5", wait_timeout=WAIT, labels={"team": "growth"})
        assert small.end.total_rows == 5
        spooled = (await api.script(large, wait_timeout=WAIT)).status.query_id
        released = (await api.script(large, wait_timeout=WAIT)).status.query_id
        await api.release(released)
        running = (await api.script(f"{gate.script}; rows 2")).status.query_id
        waiting = (await api.script("rows 4")).status
        assert waiting.state == QUEUED
        assert (await api.cancel(waiting.query_id, wait_timeout=WAIT)).status.state in FINAL
        gate.open()
        assert (await api.ended(running)).state == COMPLETED
        assert len((await api.listed(labels={"team": "growth"})).queries) == 1
    assert not (tmp_path / "queries.db").exists()
    async with served(tmp_path, engines=ENGINES) as (_, api):
        assert (await api.read(small.status.query_id)).next_row == 5
        assert (await api.read(spooled)).next_row == 3000
        assert (await refused(api.stream(released))).reason == "RESULT_RELEASED"
        assert (await api.script("rows 5", query_id=small.status.query_id)).existing
        assert len((await api.listed()).queries) == 5


async def test_what_was_acknowledged_survives_a_kill_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, record_url(tmp_path))
    chance = random.Random(3)
    acknowledged: set[str] = set()
    with server_process(tmp_path, engines=ENGINES, limits={"tenant_queued": 10_000}) as server:
        for _ in range(2):
            server.start()
            async with grpc.aio.insecure_channel(server.address) as channel:
                api = Api(channel, "tenant")
                for _ in range(chance.randrange(10, 30)):
                    query_id = new_id()
                    await api.script("rows 3", query_id=query_id)
                    acknowledged.add(query_id)
                server.kill()
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            for query_id in acknowledged:
                assert (await api.ended(query_id)).state == COMPLETED
                assert (await api.read(query_id)).next_row == 3
        server.terminate()
        await until(lambda: server.process.poll() is not None)
        assert "secret" not in server.errors


async def test_folder_and_database_are_those_of_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = record_url(tmp_path)
    monkeypatch.setenv(VARIABLE, url)

    async def start_fails(folder: Path, kind: type[StoreUnusable]) -> str:
        settings = Settings(server=dict(LOOPBACK), engines=ENGINES, state={"directory": folder})  # type: ignore[arg-type]
        with pytest.raises(kind) as refusal:
            await Service(settings).start()
        return str(refusal.value)

    async with served(tmp_path / "one", engines=ENGINES) as (_, api):
        assert "is in use by queryengine" in await start_fails(tmp_path / "two", StoreLocked)
        monkeypatch.setenv(VARIABLE, record_url(tmp_path / "other"))
        assert "one server process per file" in await start_fails(tmp_path / "one", StoreLocked)
        # A server with SQLite, too.
        monkeypatch.delenv(VARIABLE)
        assert "one server process per file" in await start_fails(tmp_path / "one", StoreLocked)
        await api.script("columns s:string; rows 3000 size 1000", wait_timeout=WAIT)
    monkeypatch.setenv(VARIABLE, record_url(tmp_path / "other"))
    message = await start_fails(tmp_path / "one", StoreUnusable)
    assert "is missing or empty, but" in message
    assert "secret" not in message
