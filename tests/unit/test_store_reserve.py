"""The reserve: taken when there is plenty of room, given up once, and a full disk refuses a write only without it."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from queryengine.domain.errors import QueryEngineError
from queryengine.store import Store
from queryengine.store.reserve import PLENTY_BYTES, RESERVE_BYTES, Reserve
from tests.store_values import SERVER, query, submission

BIG = submission(sql="SELECT 1 -- " + "x" * 100_000)


def test_room_is_held_and_given_up_once(tmp_path: Path) -> None:
    database, held = tmp_path / "queries.db", tmp_path / "queries.db.reserve"
    reserve = Reserve(database)
    reserve.take()
    assert held.stat().st_blocks * 512 >= RESERVE_BYTES
    assert reserve.give_up()
    assert not held.exists()
    assert not reserve.give_up()
    reserve.take()
    assert held.stat().st_blocks * 512 >= RESERVE_BYTES


def test_no_room_is_taken_where_it_is_scarce_and_what_was_held_before_still_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reserve(tmp_path / "before.db").take()
    scarce = SimpleNamespace(f_bavail=PLENTY_BYTES - 1, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: scarce)
    for name, held in (("new.db", False), ("before.db", True)):
        reserve = Reserve(tmp_path / name)
        reserve.take()
        assert reserve.give_up() is held


async def test_a_write_on_a_full_disk_has_the_reserve_and_the_next_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / "queries.db.reserve"
    store = await Store.open(tmp_path / "queries.db", owner=SERVER)
    assert held.exists()
    connection = store._writer._connection
    assert connection is not None

    def pragma(text: str) -> int:
        """In the thread of the connection, where the reserve is given up, too."""
        cursor = connection.sync_connection.connection.driver_connection._conn.execute(f"PRAGMA {text}")
        return int(cursor.fetchone()[0])

    def give_up(reserve: Reserve) -> bool:
        freed = real(reserve)
        if freed:
            pragma(f"max_page_count = {pragma('page_count') + 40}")
        return freed

    real = Reserve.give_up
    monkeypatch.setattr(Reserve, "give_up", give_up)
    monkeypatch.setattr(Reserve, "take", lambda _: None)
    # SQLite makes that the present size.
    await store._writer.write(lambda _: pragma("max_page_count = 1"))
    assert await store.submit(query(1, asked=BIG)) == (query(1, asked=BIG), False)
    assert not held.exists()
    later = [store.submit(query(number, asked=BIG)) for number in range(2, 5)]
    refusals = await asyncio.gather(*later, return_exceptions=True)
    assert any(isinstance(each, QueryEngineError) and "full" in str(each) for each in refusals)
    await store.close()
