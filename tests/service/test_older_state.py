"""A state folder that an earlier version wrote is taken up: its results are read, its unfinished queries end.

`tests/data/state-of-schema-3.tar.gz` was copied from under a running server of the version with schema 3 and segment
format 1, with segments of 8 KiB: two completed queries, a failed one, one that runs with a page published, one that
waits.

`tests/data/state-of-schema-4.tar.gz` was written by `tests/older_state.py`, which says what is in it.
"""

import shutil
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf import duration_pb2

from queryengine.domain.clock import SystemClock
from queryengine.results.segment import MAGIC_1
from queryengine.v1 import query_pb2, result_pb2
from tests.older_state import ENGINES as ENGINES_4
from tests.older_state import IDS
from tests.segments import segment_path
from tests.support import CANCELLED, COMPLETED, FAILED, ROWS, WAIT, Api, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATE = Path(__file__).parents[1] / "data" / "state-of-schema-3.tar.gz"
ENGINES = {"scripted": {"type": "scripted", "workers": 1}}
SERVED, ECHOED, FELL, RAN, WAITED = (f"00000000-0000-4000-8000-{number:012}" for number in range(1, 6))


class ThatMinute(SystemClock):
    """The minute after a state was written."""

    def __init__(self, hour: int = 9, minute: int = 13) -> None:
        self._now_us = int(datetime(2026, 11, 28, hour, minute, tzinfo=UTC).timestamp() * 1e6)

    def now_us(self) -> int:
        return self._now_us


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with tarfile.open(STATE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def folder(state: Path, query_id: str) -> Path:
    (found,) = state.glob(f"spool/*/{query_id}/1")
    return found


async def test_results_are_read_and_unfinished_queries_end(state: Path) -> None:
    first = segment_path(folder(state, SERVED), 0)
    assert first.read_bytes().startswith(MAGIC_1)
    async with served(state, clock=ThatMinute(), engines=ENGINES) as (_, api):
        reading = await api.read(SERVED)
        assert len(reading.pages) > 10
        assert reading.table()["n"].to_pylist() == list(range(400))
        assert len((await api.read(SERVED, start_row=7, format=ROWS)).rows()) == 393
        assert (await api.read(ECHOED)).table().to_pydict() == {"text": ["x" * 30_000]}
        assert (await api.status(FELL)).error.message == "boom"
        assert (await api.ended(RAN)).error.reason == "SERVER_LOST"
        assert (await api.ended(WAITED)).state == COMPLETED
        assert (await api.read(WAITED)).table().to_pydict() == {"text": ["x" * 20_000]}
        states = [(query.query_id, query.state) for query in (await api.listed()).queries]
        assert states == [
            (WAITED, COMPLETED),
            (RAN, FAILED),
            (FELL, FAILED),
            (ECHOED, COMPLETED),
            (SERVED, COMPLETED),
        ]


WEEK = duration_pb2.Duration(seconds=7 * 24 * 3600)
SUBMITTED = {
    SERVED: "columns n:int64, s:string; rows 400 size 500",
    FELL: "columns n:int64; rows 1; fail ENGINE_ERROR boom",
}


@pytest.mark.parametrize("query_id", SUBMITTED)
async def test_a_submit_that_is_repeated_is_known(state: Path, query_id: str) -> None:
    """Its fingerprint was made of the engine chosen and of the limits in force, by whatever way they came."""
    text, result = SUBMITTED[query_id], result_pb2.ResultOptions(ttl=WEEK)
    async with served(state, clock=ThatMinute(), engines=ENGINES) as (_, api):
        for engine in ("scripted", ""):
            again = await api.submit(text, query_id=query_id, engine=engine, result=result)
            assert again.existing
            assert again.status.query_id == query_id
        for other in ({"result": None}, {"sql": text + ";"}, {"limits": query_pb2.Limits(row_limit=1)}):
            asked = {"sql": text, "result": result, **other}
            refusal = await refused(api.submit(**asked, query_id=query_id, engine="scripted"))
            assert refusal.reason == "QUERY_ID_REUSED"


async def test_a_result_of_the_old_format_is_that_of_its_record(state: Path) -> None:
    """Its segments name no place, so rows and bytes are compared with what the record says of them."""
    shutil.rmtree(folder(state, SERVED))
    shutil.copytree(folder(state, ECHOED), folder(state, ECHOED).parents[1] / SERVED / "1")
    async with served(state, clock=ThatMinute(), engines=ENGINES) as (_, api):
        assert (await refused(api.stream(SERVED))).reason == "RESULT_LOST"
        assert (await refused(api.fetch(SERVED, offset=0))).reason == "RESULT_LOST"
        new = await api.script("rows 3", query_id=SERVED.replace("8000", "9000"), wait_timeout=WAIT)
        assert new.end.total_rows == 3


@pytest.fixture
def state_4(tmp_path: Path) -> Path:
    with tarfile.open(STATE.with_name("state-of-schema-4.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


async def test_a_state_of_schema_4_keeps_its_results_and_queries(state_4: Path) -> None:
    async with served(state_4, clock=ThatMinute(15, 17), engines=ENGINES_4) as (service, api):
        reading = (await api.read(IDS["pages"])).table()
        assert reading["n"].to_pylist() == list(range(400))
        assert len((await api.read(IDS["pages"], start_row=7, format=ROWS)).rows()) == 393
        large = await api.read(IDS["large"])
        assert large.next_row == 3000
        assert sum(len(page.arrow) for page in large.pages) > 3_000_000
        assert (await api.read(IDS["echo"])).table().to_pydict() == {"text": ["x" * 30_000]}
        assert (await api.read(IDS["none"])).next_row == 0
        assert (await api.read(IDS["duckdb"])).table()["s"].to_pylist() == ["ü"] * 10
        assert (await api.status(IDS["failed"])).error.message == "boom"
        cancelled = await api.status(IDS["cancelled"])
        assert (cancelled.state, "enough" in cancelled.error.message) == (CANCELLED, True)
        for name, reason in (("released", "RELEASED"), ("expired", "EXPIRED"), ("lost", "LOST")):
            assert (await refused(api.stream(IDS[name]))).reason == f"RESULT_{reason}"
        assert (await Api(api.channel, "other").read(IDS["other"])).next_row == 7
        assert (await api.ended(IDS["running"])).error.reason == "SERVER_LOST"
        assert (await api.ended(IDS["queued"])).state == COMPLETED
        assert (await api.read(IDS["queued"])).table().to_pydict() == {"text": ["x" * 20_000]}
        # Labels and SQL are found where they lie now.
        for labels, names in (
            ({"team": "growth"}, ["queued", "pages"]),
            ({'a"b': "ü\0"}, ["pages"]),
            ({"b": "ü\0"}, []),
        ):
            assert [each.query_id for each in (await api.listed(labels=labels)).queries] == [
                IDS[name] for name in names
            ]
        (duckdb,) = (await api.listed(engine="duckdb")).queries
        assert duckdb.sql_preview.startswith("SELECT 'ü' AS s, range AS n FROM range(10) -- long long")
        # A repeated Submit is recognised.
        assert (await api.script("rows 3", query_id=IDS["released"])).existing
        refusal = await refused(api.script("rows 4", query_id=IDS["released"]))
        assert refusal.reason == "QUERY_ID_REUSED"
        await api.release(IDS["large"])
        assert (await refused(api.stream(IDS["large"]))).reason == "RESULT_RELEASED"
        assert await service.parts.state.store.healthy()
    held = [("tenant", IDS[name]) for name in ("pages", "echo", "none", "duckdb", "lost", "queued")]
    assert results(state_4) == {(tenant, f"{query_id}.1") for tenant, query_id in [*held, ("other", IDS["other"])]}
    assert spooled(state_4) >= {query_id for _, query_id in held[:4]}
    assert IDS["large"] not in spooled(state_4)


def results(state: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(state / "queries.db")) as database:
        return set(database.execute("SELECT tenant, result_id FROM results"))


def spooled(state: Path) -> set[str]:
    return {each.name for each in state.glob("spool/*/*")}
