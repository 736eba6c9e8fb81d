"""The record of queries when its process is killed, its disk is full, its file is held, and its commits are watched."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.store import Store, StoreLocked
from tests.store_values import SERVER, query, submission

ROOT = Path(__file__).parents[2]

SUBMIT = """
import asyncio, itertools, sys
from pathlib import Path
from tests.store_values import SERVER, query
from queryengine.store import Store

async def main(path, first, count, in_flight):
    store = await Store.open(Path(path), owner=SERVER)
    numbers = iter(range(int(first), int(first) + int(count)))

    async def submit():
        for number in numbers:
            await store.submit(query(number))
            # One write to the pipe per acknowledgement: what the parent has read was acknowledged.
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()

    await asyncio.gather(*(submit() for _ in range(int(in_flight))))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def start(
    path: Path, *, first: int = 0, count: int, in_flight: int, under: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """A process that submits, and prints the number of each query once it is acknowledged."""
    arguments = [sys.executable, "-c", SUBMIT, str(path), str(first), str(count), str(in_flight)]
    return subprocess.Popen([*under, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "queries.db", owner=SERVER)
    yield store
    await store.close()


async def refused(store: Store, number: int, **changes: object) -> QueryEngineError:
    with pytest.raises(QueryEngineError) as refusal:
        await store.submit(query(number, **changes))
    assert refusal.value.failure.reason is Reason.STORE_UNAVAILABLE
    assert refusal.value.failure.retryable
    return refusal.value


async def pragma(store: Store, text: str) -> None:
    await store._writer.write(lambda connection: connection.exec_driver_sql(f"PRAGMA {text}").all())


@pytest.mark.timeout(300)
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "queries.db"
    acknowledged: set[int] = set()
    for kill in range(10):
        first = kill * 1_000_000
        process = start(path, first=first, count=1_000_000, in_flight=64)
        assert process.stdout is not None
        for _ in range(100 + 37 * kill):
            acknowledged.add(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        # The last line may be torn by the kill.
        acknowledged |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
        process.stdout.close()

    store = await Store.open(path, owner=SERVER)
    found = {int(each.query_id.replace("-", "")[-12:]) for each in await store.recover()}
    await store.close()
    assert len(acknowledged) >= 2_500
    assert acknowledged <= found
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def test_a_held_file_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "queries.db"
    holder = start(path, count=1_000_000, in_flight=1)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(StoreLocked) as refusal:
            asyncio.run(Store.open(path, owner="server-2"))
    finally:
        holder.kill()
        holder.stdout.close()
        holder.wait()
    assert str(path) in str(refusal.value)
    assert f"process {holder.pid}:" in str(refusal.value)


async def test_a_full_database_refuses_and_recovers_by_itself(store: Store) -> None:
    small, _ = await store.submit(query(1))
    await pragma(store, "max_page_count = 1")  # SQLite makes that the present size.
    big = submission(sql="SELECT 1 -- " + "x" * 100_000)
    answers = await asyncio.gather(
        *(store.submit(query(number, asked=big)) for number in range(2, 30)), return_exceptions=True
    )
    assert all(isinstance(each, QueryEngineError) for each in answers)
    assert "full" in str(await refused(store, 30, asked=big))
    assert await store.get("tenant", small.query_id) == small
    assert await store.list("tenant", limit=100) == [small]

    await pragma(store, "max_page_count = 1000000")
    assert await store.submit(query(2, asked=big)) == (query(2, asked=big), False)
    assert await store.healthy()


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from tests.store_values import SERVER, query, submission
from queryengine.domain.errors import QueryEngineError
from queryengine.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), owner=SERVER)
    await store.submit(query(1))
    # No file may grow past this: writing fails, as on a full disk, until there is room again.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    acknowledged, refused = [1], 0
    for number in range(2, 60):
        try:
            await store.submit(query(number, asked=submission(sql="SELECT 1 -- " + "x" * 50_000)))
            acknowledged.append(number)
        except QueryEngineError as error:
            assert error.failure.reason == "STORE_UNAVAILABLE", error
            refused += 1
    assert refused > 0 and len(acknowledged) > 1, (refused, acknowledged)
    assert len(await store.list("tenant", limit=100)) == len(acknowledged)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await store.healthy()
    await store.submit(query(100))
    acknowledged.append(100)
    await store.close()
    store = await Store.open(Path(sys.argv[1]), owner=SERVER)
    found = sorted(int(each.query_id[-12:]) for each in await store.list("tenant", limit=100))
    assert found == acknowledged, (found, acknowledged)
    await store.close()

asyncio.run(main())
"""


def test_a_full_disk_refuses_keeps_what_was_acknowledged_and_recovers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "queries.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_file_that_another_program_holds_refuses_in_bounded_time(store: Store, tmp_path: Path) -> None:
    await pragma(store, "busy_timeout = 50")
    with closing(sqlite3.connect(tmp_path / "queries.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refusal = await refused(store, 1)
        assert "locked" in str(refusal)
        assert refusal.failure.retry_after_seconds
        assert not await store.healthy()
        assert await store.get("tenant", query(1).query_id) is None
        other.execute("ROLLBACK")
    assert await store.submit(query(1)) == (query(1), False)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
def test_every_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    under = ("strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", str(trace))
    process = start(tmp_path / "queries.db", count=100, in_flight=1, under=under)
    output, _ = process.communicate(timeout=60)
    if process.returncode != 0 and not output:
        pytest.skip("strace may not trace here")
    assert output.split() == [str(number) for number in range(100)]
    assert trace.read_text().count("sync(") >= 100
