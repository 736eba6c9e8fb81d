"""A state folder that is damaged, full or taken away is noticed: at the start, or at the next write."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from queryengine.app.service import Service
from queryengine.client import QueryFailed
from queryengine.client.aio import AsyncClient
from queryengine.edges.grpc.server import SERVICE
from queryengine.results.spool.keys import tenant_hash
from queryengine.settings import Settings
from queryengine.store import StoreUnusable
from tests.faults.test_no_room import on_a_disk_of
from tests.server_process import ServerProcess, server_process
from tests.support import COMPLETED, FAILED, LOOPBACK, WAIT, Api, Gate, refused, served, until, until_sync

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20
ENGINES = {"scripted": {"type": "scripted", "workers": 1}}
LARGE = "columns s:string; rows 300 size 1000"
"""Goes to the spool; a small result is in the record."""


async def serving(service: Service) -> bool:
    async with grpc.aio.insecure_channel(service.admin_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


async def start_fails(folder: Path) -> str:
    settings = Settings(server=dict(LOOPBACK), engines=ENGINES, state={"directory": folder})  # type: ignore[arg-type]
    with pytest.raises(StoreUnusable) as refusal:
        await Service(settings).start()
    return str(refusal.value)


@pytest.mark.parametrize("damage", ["removed", "cut to nothing"])
async def test_a_missing_record_beside_results_is_refused(tmp_path: Path, damage: str) -> None:
    async with served(tmp_path, engines=ENGINES) as (_, api):
        query_id = (await api.script(LARGE, wait_timeout=WAIT)).status.query_id
    database = tmp_path / "queries.db"
    kept = database.read_bytes()
    for name in ("queries.db-wal", "queries.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    if damage == "removed":
        database.unlink()
    else:
        os.truncate(database, 0)
    for _ in range(2):
        message = await start_fails(tmp_path)
        assert "queries.db is missing or empty" in message
        assert f"remove {tmp_path / 'spool'}" in message
    # Nothing was written, and the way that the message shows is one.
    assert not database.exists() or not database.stat().st_size
    database.write_bytes(kept)
    async with served(tmp_path, engines=ENGINES) as (_, api):
        assert (await api.read(query_id)).next_row == 300


async def test_an_empty_spool_needs_no_record(tmp_path: Path) -> None:
    (tmp_path / "spool" / "left-empty").mkdir(parents=True)
    (tmp_path / "queries.db").touch()
    async with served(tmp_path, engines=ENGINES) as (_, api):
        assert (await api.script("rows 5", wait_timeout=WAIT)).status.state == COMPLETED


@pytest.mark.parametrize("gone", ["queries.db", "state"])
async def test_a_record_that_is_taken_away_is_noticed(
    tmp_path: Path, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    async with served(state, engines=ENGINES) as (service, api):
        assert (await api.script("rows 5", wait_timeout=WAIT)).status.state == COMPLETED
        assert await serving(service)
        taken = state if gone == "state" else state / gone
        taken.rename(tmp_path / "away")
        # The next write, not the next look.
        refusal = await refused(api.script("rows 5"))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        # Without a spool, that is what is met first.
        reason = "the spool cannot be used" if gone == "state" else "was removed or replaced while the server runs"
        assert reason in refusal.message
        await until(lambda: _is_not(serving(service)))
        assert "removed or replaced" in caplog.text
        if gone == "state":
            # What a run left of it that was under way.
            shutil.rmtree(state, ignore_errors=True)
        (tmp_path / "away").rename(taken)
        await until(lambda: serving(service))
        assert (await api.script("rows 5", wait_timeout=WAIT)).status.state == COMPLETED


async def _is_not(check: object) -> bool:
    return not await check  # type: ignore[misc]


async def test_a_spool_that_is_taken_away_fails_what_is_being_stored(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with served(tmp_path / "state", engines=ENGINES) as (service, api):
        query_id = (await api.script(f"rows 5; {gate.script}; rows 5")).status.query_id
        await until(lambda: _has_rows(api, query_id))
        shutil.rmtree(tmp_path / "state" / "spool")
        gate.open()
        status = await api.ended(query_id)
        assert (status.state, status.error.reason, status.error.retryable) == (FAILED, "STORE_UNAVAILABLE", True)
        assert "cannot be stored" in status.error.message
        refusal = await refused(api.stream(query_id))
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        async with AsyncClient(service.address, tenant="tenant") as client:
            with pytest.raises(QueryFailed, match="cannot be stored"):
                await client.attach(query_id).result().to_arrow()


async def _has_rows(api: Api, query_id: str) -> bool:
    return bool((await api.status(query_id)).stats.rows)


async def test_another_database_in_its_place_is_noticed(tmp_path: Path) -> None:
    async with served(tmp_path, engines=ENGINES) as (_, api):
        await api.script("rows 5", wait_timeout=WAIT)
        copy = tmp_path / "copy"
        copy.write_bytes((tmp_path / "queries.db").read_bytes())
        copy.replace(tmp_path / "queries.db")
        assert (await refused(api.script("rows 5"))).reason == "STORE_UNAVAILABLE"


async def test_empty_folders_of_tenants_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queryengine.executing.sweeps.STRAY_US", -1_000_000)
    async with served(tmp_path, engines=ENGINES) as (service, api):
        other = Api(api.channel, "other")
        kept = (await api.script(LARGE, wait_timeout=WAIT)).status.query_id
        gone = (await other.script(LARGE, wait_timeout=WAIT)).status.query_id
        await service.parts.state.store.healthy()
        await other.release(gone)
        await service.parts.execution.sweeper.sweep()
        assert [each.name for each in (tmp_path / "spool").iterdir()] == [tenant_hash("tenant")]
        assert (await api.read(kept)).next_row == 300
        assert (await other.script(LARGE, wait_timeout=WAIT)).status.state == COMPLETED


@contextmanager
def disk_of(size: int, server: ServerProcess) -> Iterator[tuple[str, ...]]:
    """A disk for the state that outlives the server; yields a command that runs another where it is mounted."""
    server.state.mkdir()
    holder = subprocess.Popen([*on_a_disk_of(size, server.state), "sleep", "600"])
    try:
        inside = ("nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        mounted = ["mountpoint", "-q", str(server.state)]
        until_sync(lambda: subprocess.run([*inside, *mounted], check=False, capture_output=True).returncode == 0)
        server.inside = inside
        yield inside
    finally:
        holder.kill()
        holder.wait()


def run(inside: tuple[str, ...], *command: str) -> str:
    """What a command prints; it may fail, as on a disk that it fills."""
    return subprocess.run([*inside, *command], check=False, capture_output=True, text=True).stdout


def fill(inside: tuple[str, ...], server: ServerProcess, size: int) -> None:
    run(inside, "sh", "-c", f"head -c {size} /dev/zero > {server.state / 'filler'}")


async def fills_and_fails(server: ServerProcess) -> None:
    """A result that takes the last block fails; a cancel is answered, and small queries go on."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        api = Api(channel, "tenant")
        query_id = (await api.script("columns s:string; endless size 100000")).status.query_id
        status = await api.ended(query_id, seconds=30)
        assert (status.state, status.error.reason) == (FAILED, "SPOOL_FULL")
        assert (await api.cancel(query_id)).status.state == FAILED
        assert (await api.script("rows 7", wait_timeout=WAIT)).status.state == COMPLETED


async def test_little_room_at_the_start_is_enough_to_end_what_fills_it(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=ENGINES) as server, disk_of(24 * MIB, server) as inside:
        fill(inside, server, 12 * MIB)
        for _ in range(2):
            server.start()
            await fills_and_fails(server)
            server.terminate()
            await until(lambda: server.process.poll() is not None, seconds=20)


async def test_too_little_room_at_the_first_start_is_refused_by_name(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=ENGINES) as server, disk_of(8 * MIB, server) as inside:
        fill(inside, server, 4 * MIB)
        process = server.launch()
        await until(lambda: process.poll() is not None, seconds=30)
        assert process.returncode == 1
        assert "has less than 5 MiB free; make room and start again" in server.errors
        assert "Traceback" not in server.errors


async def test_a_server_starts_on_a_disk_that_its_own_result_has_filled(tmp_path: Path) -> None:
    """Killed in the middle of it, with the reserve gone and not a block left."""
    with server_process(tmp_path, engines=ENGINES) as server, disk_of(24 * MIB, server) as inside:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            query_id = (await api.script(f"columns s:string; rows 100 size 100000; gate {server.gate}")).status.query_id
            await api.has_rows(query_id)
        server.kill()
        run(inside, "rm", "-f", str(server.state / "queries.db.reserve"))
        # As its next pages would have.
        found = run(inside, "find", str(server.state / "spool"), "-name", "00000.seg").strip()
        run(inside, "sh", "-c", f"head -c 30M /dev/zero >> {found}")
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            assert (await api.ended(query_id)).error.reason == "SERVER_LOST"
            assert (await api.script("rows 7", wait_timeout=WAIT)).status.state == COMPLETED
