"""Records have a quota: large parameters go when their query ends, and until then they count for their tenant."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.v1 import value_pb2
from tests.server_process import server_process
from tests.support import CANCELLED, COMPLETED, QUEUED, RUNNING, WAIT, Api, Gate, new_id, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

KIB, MIB = 1 << 10, 1 << 20
ENGINES = {"scripted": {"type": "scripted", "workers": 1}}


def parameter(size: int, letter: str = "x") -> list[value_pb2.Parameter]:
    return [value_pb2.Parameter(name="text", value=value_pb2.Value(string_value=letter * size))]


def stored(state: Path) -> dict[str, int]:
    """Bytes of parameters by query, as a reader of the file finds them."""
    with closing(sqlite3.connect(state / "queries.db")) as database:
        return dict(database.execute("SELECT query_id, length(parameters) FROM queries"))


def counted(state: Path) -> tuple[int, int]:
    """What the database has counted for the tenant, and what its records add up to."""
    with closing(sqlite3.connect(state / "queries.db")) as database:
        return database.execute(
            "SELECT (SELECT sum(bytes) FROM usage), (SELECT coalesce(sum(record_bytes), 0) FROM queries)"
        ).fetchone()


def held(service: Service, query_id: str) -> bytes | None:
    live = service.parts.shared.registry.in_memory("tenant", query_id)
    assert live is not None
    return live.query.submission.parameters


async def test_parameters_are_freed_when_the_query_has_ended(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path, engines=ENGINES) as (service, api):
        done = await api.script("echo", parameters=parameter(900 * KIB), wait_timeout=WAIT)
        assert done.status.state == COMPLETED
        running = (await api.script(f"start; {gate.script}; echo", parameters=parameter(800 * KIB))).status.query_id
        await api.reached(running, RUNNING)
        waiting = (await api.script("echo", parameters=parameter(700 * KIB, "w"))).status.query_id
        small = (await api.script("echo", parameters=parameter(10))).status.query_id
        gone = (await api.script("echo", parameters=parameter(600 * KIB))).status.query_id
        assert (await api.cancel(gone, wait_timeout=WAIT)).status.state == CANCELLED
        # None is in memory that is not needed; those that are still needed are in the store.
        assert [held(service, each) for each in (done.status.query_id, running, waiting, gone)] == [None] * 4
        assert held(service, small)
        sizes = stored(tmp_path)
        assert sizes[running] > 800 * KIB
        assert sizes[waiting] > 700 * KIB
        await until(lambda: stored(tmp_path)[done.status.query_id] == 0)
        assert sizes[gone] == 0
        assert service.parts.state.store.usage.of("tenant") > 1500 * KIB
        gate.open()
        assert (await api.ended(waiting)).state == COMPLETED
        assert (await api.read(waiting)).table().to_pydict() == {"text": ["w" * 700 * KIB]}
        await api.ended(small)
        await until(lambda: not any(stored(tmp_path).values()))
        # Counted in memory once the server knows of the commit that the file shows.
        await until(lambda: service.parts.state.store.usage.of("tenant") == counted(tmp_path)[0])
        assert counted(tmp_path)[0] == counted(tmp_path)[1] < 10 * KIB


async def test_a_repeated_submit_finds_its_query_after_its_parameters_are_gone(tmp_path: Path) -> None:
    query_id = new_id()
    async with served(tmp_path, engines=ENGINES) as (_, api):
        await api.script("echo", query_id=query_id, parameters=parameter(MIB // 2), wait_timeout=WAIT)
    async with served(tmp_path, engines=ENGINES) as (_, api):
        again = await api.script("echo", query_id=query_id, parameters=parameter(MIB // 2), wait_timeout=WAIT)
        assert (again.existing, again.status.state) == (True, COMPLETED)
        refusal = await refused(api.script("echo", query_id=query_id, parameters=parameter(MIB // 2, "y")))
        assert refusal.reason == "QUERY_ID_REUSED"
        assert (await api.read(query_id)).table().to_pydict() == {"text": ["x" * (MIB // 2)]}


async def test_a_tenant_over_its_share_is_refused_and_others_are_not(tmp_path: Path, gate: Gate) -> None:
    records = {"tenant_bytes_max": 2 * MIB}
    async with served(tmp_path, engines=ENGINES, records=records) as (service, api):
        running = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(running, RUNNING)
        size = 300 * KIB
        # All at once: what is being written counts, too.
        calls = [api.script("echo", parameters=parameter(size)) for _ in range(12)]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        accepted = [each.status.query_id for each in replies if not isinstance(each, BaseException)]
        assert len(accepted) == 2 * MIB // size
        assert sum(stored(tmp_path).values()) < 2 * MIB
        refusal = await refused(api.script("echo", parameters=parameter(size)))
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "RECORDS_FULL")
        assert (refusal.quota, refusal.metadata) == (True, {"limit": str(2 * MIB)})
        assert refusal.retry_seconds
        # A repeated Submit is no new one.
        assert (await api.script("echo", query_id=accepted[0], parameters=parameter(size))).existing
        assert (await api.script("rows 1")).status.state == QUEUED
        other = Api(api.channel, "other")
        assert (await other.script("echo", parameters=parameter(size))).status.state == QUEUED
        gate.open()
        await asyncio.gather(*(api.ended(each) for each in accepted))
        await until(lambda: service.parts.state.store.usage.of("tenant") < 100 * KIB)
        assert (await api.script("echo", parameters=parameter(size), wait_timeout=WAIT)).status.state == COMPLETED
        assert service.parts.state.records.pending_bytes == 0


async def test_all_tenants_together_have_a_bound(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path, engines=ENGINES, records={"bytes_max": 2 * MIB}) as (_, api):
        await api.reached((await api.script(f"{gate.script}; rows 1")).status.query_id, RUNNING)
        reasons = []
        for number in range(12):
            other = Api(api.channel, f"tenant-{number}")
            try:
                await other.script("echo", parameters=parameter(300 * KIB))
            except grpc.aio.AioRpcError as cause:
                reasons.append(cause.code().name)
        assert reasons == ["RESOURCE_EXHAUSTED"] * (12 - 2 * MIB // (300 * KIB))
        gate.open()


async def test_the_oldest_ended_queries_make_room_and_the_file_shrinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT 1 -- " + "x" * 60 * KIB
    engines = {"duckdb": {"type": "duckdb", "workers": 1}}
    async with served(tmp_path, engines=engines, records={"tenant_bytes_max": MIB}) as (service, api):
        ids = [(await api.submit(sql, wait_timeout=WAIT)).status.query_id for _ in range(15)]
        await api.release(ids[0])
        for each in ids[2:]:
            await api.release(each)
        await service.parts.execution.sweeper.sweep()
        # All of them ended within the last hour.
        assert len((await api.listed()).queries) == 15
        monkeypatch.setattr("queryengine.executing.sweeps.REMEMBERED_US", -1)
        monkeypatch.setattr("queryengine.executing.sweeps.BATCH", 1)
        monkeypatch.setattr("queryengine.store.sqlite.UNUSED_PAGES_KEPT", 4)
        before = service.parts.state.store.file_bytes()
        await service.parts.execution.sweeper.sweep()
        left = [query.query_id for query in (await api.listed()).queries]
        # The oldest went first, but for the one that has rows, and no more than had to.
        assert left == [*reversed(ids[-len(left) + 1 :]), ids[1]]
        assert 0.7 * MIB < service.parts.state.store.usage.of("tenant") < 0.8 * MIB
        assert service.parts.state.store.usage.of("tenant") == counted(tmp_path)[0] == counted(tmp_path)[1]
        with closing(sqlite3.connect(tmp_path / "queries.db")) as database:
            assert database.execute("PRAGMA freelist_count").fetchone()[0] <= 4
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert service.parts.state.store.file_bytes() < before


async def test_hundreds_of_large_submits_leave_the_memory_and_the_file_small(tmp_path: Path) -> None:
    """Scaled: 100 Submits of 500 kB. Without a bound they take 50 MB of the disk, and more of memory."""
    engines = {"duckdb": {"type": "duckdb", "workers": 1}}
    with server_process(tmp_path, engines=engines, limits={"tenant_queued": 1000}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            value = [value_pb2.Parameter(value=value_pb2.Value(string_value="x" * 500_000))]
            await api.submit("SELECT length($1)", parameters=value, wait_timeout=WAIT)
            before = server.resident_bytes
            for _ in range(100):
                done = await api.submit("SELECT length($1)", parameters=value, wait_timeout=WAIT)
                assert done.status.state == COMPLETED
            assert server.resident_bytes - before < 30 * MIB
            assert (server.state / "queries.db").stat().st_size < 8 * MIB
            await asyncio.gather(*(api.listed(page_size=1000) for _ in range(10)))
            assert server.resident_bytes - before < 40 * MIB
