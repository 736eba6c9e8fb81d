"""A Trino that hands its rows out as segments in a store that speaks S3."""

from collections.abc import Iterator, Mapping
from typing import cast

import pyarrow as pa
import pytest
from trino_support import ENDLESS_ROWS, Reader, becomes, failure_of, opened, read, statement

from queryengine.domain.errors import Reason
from queryengine.engines.trino.engine import TrinoEngine
from queryengine.engines.trino.query import TrinoQuery
from tests.servers.server import shared
from tests.servers.trino import SpoolingTrinoServer

ROWS = 200_000
NUMBERS = (
    "SELECT sequential_number AS n, rpad(CAST(sequential_number AS varchar), 40, 'x') AS s, "
    "TIMESTAMP '2024-01-01 00:00:00.000001' + sequential_number * INTERVAL '1' SECOND AS t "
    f"FROM TABLE(sequence(0, {ROWS - 1})) ORDER BY 1"
)


def server() -> SpoolingTrinoServer:
    return cast("SpoolingTrinoServer", shared(SpoolingTrinoServer))


@pytest.fixture
def engine() -> Iterator[TrinoEngine]:
    with opened(server().options()) as engine:
        yield engine


@pytest.mark.parametrize("encoding", ["json+zstd", "json+lz4", "json"])
def test_segments_and_pages_bring_the_same_rows(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened({**server().options(), "spooling": False}) as direct:
        expected = read(direct, NUMBERS).combine_chunks()
    monkeypatch.setattr("queryengine.engines.trino.engine.ENCODINGS", encoding)
    fetched: list[str] = []
    fetch = TrinoQuery.segment

    def noted(query: TrinoQuery, url: str, headers: Mapping[str, str]) -> bytes:
        fetched.append(url)
        return fetch(query, url, headers)

    monkeypatch.setattr(TrinoQuery, "segment", noted)
    with opened(server().options()) as engine:
        table = read(engine, NUMBERS).combine_chunks()
    assert len(fetched) == len(set(fetched)) > 1
    assert table.equals(expected)
    assert table.column("n").to_pylist() == list(range(ROWS))


def test_a_few_rows_come_inline(engine: TrinoEngine) -> None:
    table = read(engine, "SELECT name FROM nation ORDER BY nationkey LIMIT 2")
    assert table.to_pydict() == {"name": ["ALGERIA", "ARGENTINA"]}


def test_no_rows_have_columns(engine: TrinoEngine) -> None:
    assert read(engine, "SELECT name FROM nation WHERE nationkey < 0").schema.types == [pa.string()]


def test_segments_that_were_read_leave_the_store(engine: TrinoEngine) -> None:
    before = server().segments()
    with engine.open(statement(NUMBERS)) as execution:
        execution.start()
        batches = execution.batches()
        assert becomes(lambda: next(batches).num_rows > 0 and server().segments() > before, seconds=20)
        rest = sum(batch.num_rows for batch in batches)
        assert rest > 0
    assert becomes(lambda: server().segments() <= before, seconds=20)


def test_cancel_in_the_middle_of_segments(engine: TrinoEngine) -> None:
    reader = Reader(engine.open(statement(ENDLESS_ROWS)))
    assert reader.has_rows.wait(20)
    reader.execution.cancel()
    failure = reader.ended()
    assert failure is not None
    assert failure.reason is Reason.QUERY_CANCELLED
    assert becomes(lambda: server().running() == 0, seconds=20)


def test_a_query_that_fails_late_says_so(engine: TrinoEngine) -> None:
    sql = f"SELECT 1 / ({ROWS} - sequential_number), rpad('x', 500, 'x') FROM TABLE(sequence(0, {ROWS}))"
    failure = failure_of(lambda: read(engine, sql))
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert failure.message == "Division by zero"
