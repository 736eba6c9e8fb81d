"""A cursor serves one execution after another, and none of them notices."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.duckdb.engine import DuckDBEngine

TABLES = (
    "CREATE SCHEMA other",
    "CREATE TABLE other.t AS SELECT 'other' AS name",
    "CREATE TABLE t AS SELECT 'main' AS name",
)
TRACES = {
    "a time zone": ("SELECT now()::VARCHAR AS at", {"session_settings": {"TimeZone": "Asia/Kathmandu"}}),
    "a schema": ("SELECT name FROM t", {"schema": "other"}),
    "a seed": ("SELECT SetSeed(0.5) AS seeded", {}),
    "lossless Arrow": ("SELECT uuid() AS id", {}),
    "a failure": ("SELECT error('broken') AS failed", {}),
}


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine("duckdb", {"init_sql": list(TABLES)})
    engine.prepare()
    yield engine
    engine.close()


def read(engine: DuckDBEngine, sql: str, options: Mapping[str, object] | None = None) -> pa.Table:
    statement = Statement(sql=sql, query_id="q", **(options or {}))  # type: ignore[arg-type]
    with engine.open(statement) as execution:
        schema = execution.start()
        return pa.Table.from_batches(list(execution.batches()), schema=schema)


def facts(engine: DuckDBEngine) -> list[object]:
    """What a session shows of itself."""
    settings = "SELECT name, value FROM duckdb_settings() ORDER BY name"
    shown = [read(engine, settings), read(engine, "SELECT name FROM t"), read(engine, "SELECT true AS truth")]
    return [(table.schema, table.to_pylist()) for table in shown]


@pytest.mark.parametrize("trace", TRACES)
def test_an_execution_leaves_nothing_to_the_next(engine: DuckDBEngine, trace: str) -> None:
    before = facts(engine)
    sql, options = TRACES[trace]
    with nullcontext() if trace != "a failure" else pytest.raises(QueryEngineError):
        read(engine, sql, options)
    assert facts(engine) == before


def test_a_seed_does_not_make_the_next_query_predictable(engine: DuckDBEngine) -> None:
    draws = set()
    for _ in range(3):
        read(engine, "SELECT setseed(0.5)")
        draws.add(read(engine, "SELECT random() AS r")["r"][0].as_py())
    assert len(draws) == 3


def test_the_next_execution_sees_what_was_committed_meanwhile(engine: DuckDBEngine) -> None:
    assert read(engine, "SELECT count(*) AS n FROM t")["n"].to_pylist() == [1]
    engine._instance.execute("INSERT INTO t VALUES ('new')")
    assert read(engine, "SELECT count(*) AS n FROM t")["n"].to_pylist() == [2]


def test_a_deadline_is_that_of_its_own_execution(engine: DuckDBEngine) -> None:
    read(engine, "SELECT 1")
    slow = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 7"
    with pytest.raises(QueryEngineError) as caught:
        read(engine, slow, {"execution_timeout_seconds": 0.1})
    assert caught.value.failure.reason is Reason.QUERY_TIMEOUT
    assert read(engine, "SELECT count(*) AS n FROM range(3000000)")["n"].to_pylist() == [3_000_000]


def test_executions_may_be_open_at_once(engine: DuckDBEngine) -> None:
    statements = [Statement(sql=f"SELECT {number} AS n", query_id="q") for number in range(3)]
    executions = [engine.open(statement) for statement in statements]
    for execution in executions:
        execution.start()
    found = [[batch["n"].to_pylist() for batch in execution.batches()] for execution in executions]
    for execution in executions:
        execution.close()
    assert found == [[[0]], [[1]], [[2]]]
    assert read(engine, "SELECT 4 AS n")["n"].to_pylist() == [4]
