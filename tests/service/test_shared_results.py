"""A result that two queries refer to is there for both, and goes with the last reference."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from queryengine.v1.query_pb2 import RESULT_STATE_RELEASED
from tests.support import COMPLETED, WAIT, Api, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 60_000
ENGINES = {"duckdb": {"type": "duckdb", "workers": 1}}


async def completed(api: Api, first: int) -> str:
    """A query whose result is as large as that of any other of these, and has other rows."""
    sql = f"SELECT range AS n FROM range({first}, {first + COUNT})"
    status = (await api.submit(sql, wait_timeout=WAIT)).status
    assert status.state == COMPLETED
    query_id: str = status.query_id
    return query_id


def share(state: Path, query_id: str, result_of: str) -> None:
    """Let a query refer to the result of another one, as a cache will."""
    with closing(sqlite3.connect(state / "queries.db")) as connection, connection:
        shared = f"{result_of}.1"
        changed = connection.execute("UPDATE queries SET result_id = ? WHERE query_id = ?", (shared, query_id))
        assert changed.rowcount == 1
        gone = connection.execute("DELETE FROM results WHERE result_id = ?", (f"{query_id}.1",))
        assert gone.rowcount == 1


def spooled(state: Path, query_id: str = "*") -> list[Path]:
    """Folders of results, of one query or of all."""
    return list(state.glob(f"spool/*/{query_id}/1"))


async def rows(api: Api, query_id: str) -> list[int]:
    numbers: list[int] = (await api.read(query_id)).table()["n"].to_pylist()
    return numbers


@pytest.mark.parametrize("first_released", ["owner", "other"])
async def test_a_shared_result_goes_with_its_last_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_released: str
) -> None:
    async with served(tmp_path, engines=ENGINES) as (_, api):
        owner, other = await completed(api, 0), await completed(api, COUNT)
        assert (await rows(api, owner), await rows(api, other)) == (
            list(range(COUNT)),
            list(range(COUNT, 2 * COUNT)),
        )
    share(tmp_path, other, owner)
    first, last = (owner, other) if first_released == "owner" else (other, owner)
    async with served(tmp_path, engines=ENGINES) as (service, api):
        for query_id in (owner, other):
            assert await rows(api, query_id) == list(range(COUNT))
        assert (await api.release(first)).status.result_state == RESULT_STATE_RELEASED
        assert (await refused(api.stream(first))).reason == "RESULT_RELEASED"
        assert await rows(api, last) == list(range(COUNT))
        assert (await api.fetch(last, offset=COUNT - 1)).page.row_count == 1
        assert spooled(tmp_path, owner)
        assert (await api.release(last)).status.result_state == RESULT_STATE_RELEASED
        assert not spooled(tmp_path, owner)
        # What nothing refers to any more is found by a sweep.
        assert spooled(tmp_path, other)
        monkeypatch.setattr("queryengine.executing.sweeps.STRAY_US", -1_000_000)
        await service.parts.execution.sweeper.sweep()
        assert not spooled(tmp_path)
        assert service.parts.state.meter.total == 0
