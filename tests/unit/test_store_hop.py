"""Work that visits the thread of a SQLite connection once, and work that may not."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from queryengine.domain.lifecycle import Event, QueryState
from queryengine.store import Store
from queryengine.store.hop import Connection
from tests.store_values import CHANGES, SERVER, query, stored


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    connection = await Connection(lambda: sqlite3.connect(tmp_path / "hop.db", isolation_level=None))
    yield connection
    await connection.close()


async def test_every_call_of_the_driver_is_made_in_one_visit(connection: Connection) -> None:
    threads: list[int] = []

    async def work() -> list[tuple[int]]:
        threads.append(threading.get_ident())
        await connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        await connection.execute("INSERT INTO t VALUES (1), (2)")
        rows, changed = connection.now("INSERT INTO t VALUES (?) RETURNING n", (3,))
        assert (rows, changed) == ([(3,)], 1)
        threads.append(threading.get_ident())
        return list(await connection.execute_fetchall("SELECT n FROM t"))

    assert await connection.run(work()) == [(1,), (2,), (3,)]
    assert threads[0] == threads[1] != threading.get_ident()
    assert not connection.is_here


async def test_what_the_driver_refuses_is_raised_without_values(connection: Connection) -> None:
    async def work() -> None:
        connection.now("CREATE TABLE t (n TEXT PRIMARY KEY)")
        for _ in range(2):
            connection.now("INSERT INTO t VALUES (?)", ("secret",))

    with pytest.raises(IntegrityError, match="UNIQUE constraint failed") as refusal:
        await connection.run(work())
    assert "secret" not in str(refusal.value)
    assert refusal.value.orig.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"


async def test_work_that_waits_for_something_else_is_refused_and_closed(connection: Connection) -> None:
    closed: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="something else than its connection"):
        await connection.run(work())
    assert closed
    assert await connection.execute_fetchall("SELECT 1") == [(1,)]


async def test_a_closed_connection_leaves_no_work_behind(tmp_path: Path) -> None:
    connection = await Connection(lambda: sqlite3.connect(tmp_path / "hop.db"))
    await connection.close()
    with pytest.raises(ValueError, match="closed"):
        await connection.run(asyncio.sleep(0))


async def test_a_write_and_a_read_of_the_store_are_one_visit_each(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "queries.db", owner=SERVER)
    running = await stored(store, QueryState.RUNNING)
    await store.get("tenant", running.query_id)
    visits: list[str] = []
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def count(callback: object, *arguments: object, **more: object) -> asyncio.Handle:
        if threading.current_thread().name == "queryengine-store":
            visits.append(getattr(callback, "__name__", ""))
        return wake(callback, *arguments, **more)  # type: ignore[arg-type]

    loop.call_soon_threadsafe = count  # type: ignore[method-assign]
    await store.submit(query(2))
    assert len(visits) == 1
    await store.advance(running, Event.COMPLETE, changes=CHANGES[Event.COMPLETE], payload=b"small")
    assert len(visits) == 2
    await store.get("tenant", running.query_id)
    assert len(visits) == 3
    await store.close()
