"""No room for results: what grows is failed, what is new is refused, what is stored stays readable, and room that comes
back is used.
"""

import asyncio
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from tests.server_process import server_process
from tests.support import COMPLETED, FAILED, WAIT, Api, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20
ROOM = 24 * MIB


def on_a_disk_of(size: int, folder: Path) -> tuple[str, ...]:
    """A command that runs another where the folder is a disk of that many bytes. Skips where that is not allowed."""
    mounted = f'mount -t tmpfs -o size={size} tmpfs {folder} && exec "$@"'
    inside = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "server")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a disk of a given size needs unshare --user --mount, which is not allowed here")
    return inside


@pytest_asyncio.fixture(loop_scope="session")
async def small(tmp_path: Path) -> AsyncIterator[tuple[Service, Api]]:
    results = {"spool_bytes_max": ROOM, "tenant_bytes_max": ROOM}
    engines = {"scripted": {"type": "scripted", "workers": 2}}
    async with served(tmp_path, engines=engines, results=results) as small:
        yield small


async def test_a_full_spool_fails_what_grows_and_refuses_what_is_new(small: tuple[Service, Api]) -> None:
    service, api = small
    kept = (await api.script("columns s:string; rows 3000 size 1000", wait_timeout=WAIT)).status.query_id
    waiting = (await api.script("columns n:int64; rows 1; wait 60000")).status.query_id
    growing = (await api.script("columns s:string; rows 20800 size 1000; endless size 10")).status.query_id
    status = await api.ended(growing, seconds=20)
    assert (status.state, status.error.reason, status.error.retryable) == (FAILED, "SPOOL_FULL", True)
    refusal = await refused(api.stream(growing))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "SPOOL_FULL")
    assert not list(service.settings.state.spool.glob(f"*/{growing}/*"))
    # The smaller one runs on, and what was stored is whole.
    assert (await api.read(kept)).next_row == 3000
    await api.cancel(waiting, wait_timeout=WAIT)
    assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_spool_that_is_nearly_full_refuses_new_queries_until_there_is_room(
    small: tuple[Service, Api],
) -> None:
    service, api = small
    stored = []
    while service.parts.state.quota.fullness() < 0.9:
        reply = await api.script("columns s:string; rows 2000 size 1000", wait_timeout=WAIT)
        assert reply.status.state == COMPLETED
        stored.append(reply.status.query_id)
    refusal = await refused(api.script("rows 1"))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "SPOOL_FULL")
    assert refusal.retry_seconds
    assert refusal.quota
    assert (await api.read(stored[0])).next_row == 2000
    await api.release(stored.pop())
    assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_disk_that_is_full_fails_the_query_and_tears_nothing(tmp_path: Path) -> None:
    """No file of the worker may grow past 4 MiB: writing then fails, in the middle of a record, as on a full disk."""
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines) as (service, api):
        worker = psutil.Process(service.pool.load("scripted").worker_pids[0])
        worker.rlimit(psutil.RLIMIT_FSIZE, (4 * MIB + 12_345, resource.RLIM_INFINITY))
        query_id = (await api.script("columns s:string; endless size 1000")).status.query_id
        stream = api.stream(query_id)
        refusal = await refused(stream)
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "SPOOL_FULL")
        row = 0
        for page in (event.page for event in stream.events if event.HasField("page")):
            assert page.start_row == row
            row += page.row_count
        assert row > 1000
        assert (await api.status(query_id)).state == FAILED
        small = await api.script("rows 5", wait_timeout=WAIT)
        assert (small.status.state, small.end.total_rows) == (COMPLETED, 5)
        worker.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        large = await api.script("columns s:string; rows 10000 size 1000", wait_timeout=WAIT)
        assert large.status.state == COMPLETED
        assert (await api.read(large.status.query_id)).next_row == 10_000


async def test_a_query_that_fills_the_disk_of_the_record_ends_and_leaves_room(tmp_path: Path) -> None:
    """The state is on a disk of 24 MiB, in a mount namespace of the server's own, where the rows of one query take the
    last block before anybody has looked.
    """
    state = tmp_path / "state"
    state.mkdir()
    inside = on_a_disk_of(ROOM, state)
    engines = {"scripted": {"type": "scripted", "workers": 2}}
    with server_process(tmp_path, engines=engines) as server:
        server.inside = inside
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            kept = (await api.script("rows 1000", wait_timeout=WAIT)).status.query_id
            full = (await api.script("columns s:string; endless size 100000")).status.query_id
            status = await api.ended(full, seconds=20)
            assert (status.state, status.error.reason) == (FAILED, "SPOOL_FULL")
            assert (await api.read(kept)).next_row == 1000
            assert (await api.script("rows 7", wait_timeout=WAIT)).status.state == COMPLETED
        server.terminate()
        await until(lambda: server.process.poll() is not None, seconds=20)
        assert "database or disk is full" not in server.errors


async def test_a_tenant_has_room_of_its_own(tmp_path: Path) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines, results={"tenant_bytes_max": MIB}) as (service, mine):
        theirs = Api(mine.channel, "other")
        full = await mine.script("columns s:string; rows 2000 size 1000", wait_timeout=WAIT)
        refusal = await refused(mine.script("rows 1"))
        assert refusal.reason == "SPOOL_FULL"
        assert "ReleaseResults" in refusal.message
        assert (await theirs.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        await mine.release(full.status.query_id)
        await until(lambda: asyncio.sleep(0, service.parts.state.meter.total < MIB))
        assert (await mine.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
