"""What a server keeps is for its own user alone, whatever umask it was started with and whoever writes it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.server_process import server_process
from tests.support import COMPLETED, ROWS, RUNNING, WAIT, Api, served

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(root: Path) -> dict[str, str]:
    """Everything below a folder that others may touch, with its mode."""
    found = {}
    for path in (root, *root.rglob("*")):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except FileNotFoundError:
            continue
        if mode & 0o077:
            found[str(path.relative_to(root))] = f"{mode:o}"
    return found


async def test_nothing_in_the_state_folder_is_open_to_others(tmp_path: Path) -> None:
    listen = {"listen": f"unix:{tmp_path}/state/grpc", "admin_listen": "127.0.0.1:0", "metrics_listen": ""}
    spill = tmp_path / "state" / "spill"
    engines = {
        "duckdb": {"type": "duckdb", "workers": 1, "options": {"temp_directory": str(spill), "memory_limit": "150MB"}},
        "scripted": {"type": "scripted", "workers": 1},
    }
    (tmp_path / "state").mkdir(mode=0o700)
    with umask(0), server_process(tmp_path, server=listen, engines=engines) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            # Rows on disk, of a query that runs and of one that has ended.
            running = (await api.script(f"rows 2000; gate {server.gate}; rows 1")).status.query_id
            ended = (await api.submit("SELECT range, repeat('x', 100) FROM range(100000)", engine="duckdb")).status
            sort = "SELECT range, repeat('x', 200) x FROM range(2000000) ORDER BY hash(range)"
            spilling = (await api.submit(sort, engine="duckdb")).status.query_id
            assert (await api.ended(ended.query_id)).state == COMPLETED
            await api.reached(running, RUNNING)
            await api.has_rows(running)
            # Cut by a sandbox worker into a file of its own.
            assert (await api.read(ended.query_id, format=ROWS)).next_row == 100_000
            await api.reached(spilling, RUNNING, COMPLETED)
            assert any(spill.glob("duckdb-worker-*"))
            files = {path.name for path in server.state.rglob("*") if path.is_file()}
            assert {"queries.db", "queries.db-wal", "queries.db-shm", "queries.db.lock", "queries.db.reserve"} <= files
            assert any(path.is_file() for path in (server.state / "spool").rglob("*"))
            assert (server.state / "grpc").is_socket()
            assert open_to_others(server.state) == {}
            while (await api.status(spilling)).state == RUNNING:
                assert open_to_others(server.state) == {}
            server.gate.touch()
            await api.ended(running)
            assert open_to_others(server.state) == {}
    assert "other users" not in server.errors


async def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with served(state) as (_, api):
        query_id = (await api.script("rows 5", wait_timeout=WAIT)).status.query_id
    for name in ("queries.db", "queries.db-wal", "queries.db-shm"):
        path = state / name
        path.touch()
        path.chmod(0o644)
    async with served(state) as (_, api):
        assert (await api.status(query_id)).state == COMPLETED
        assert open_to_others(state) == {}


async def test_a_folder_that_others_can_read_is_worth_a_warning(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    with server_process(tmp_path, engines={"scripted": {"type": "scripted", "workers": 1}}) as server:
        server.start()
        assert f"other users of this machine can use {state} (mode 755); chmod 700 {state}" in server.errors
        assert stat.S_IMODE(state.stat().st_mode) == 0o755
        assert list(open_to_others(state)) == ["."]
