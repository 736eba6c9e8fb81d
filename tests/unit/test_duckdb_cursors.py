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
    "lossless Arrow": ("SELECT uuid() AS id", {}),
    "a failure": ("SELECT error('broken') AS failed", {}),
}
LONG = 1_800_000
"""Milliseconds. Of a statement that sets none."""


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
    shown = [read(engine, "SELECT name FROM t"), read(engine, "SELECT true AS truth")]
    return [settings(engine), *((table.schema, table.to_pylist()) for table in shown)]


def settings(engine: DuckDBEngine) -> list[object]:
    """Those that the next execution would run with; SQL of users does not see them."""
    session = engine.sessions.take("", LONG)
    session.execute("BEGIN")
    found = session.execute("SELECT name, value FROM duckdb_settings() ORDER BY name").fetchall()
    engine.sessions.give_back(session, "", LONG)
    return found


@pytest.mark.parametrize("trace", TRACES)
def test_an_execution_leaves_nothing_to_the_next(engine: DuckDBEngine, trace: str) -> None:
    before = facts(engine)
    sql, options = TRACES[trace]
    with nullcontext() if trace != "a failure" else pytest.raises(QueryEngineError):
        read(engine, sql, options)
    assert facts(engine) == before


def test_a_seed_does_not_make_the_next_query_predictable() -> None:
    engine = DuckDBEngine("duck", {"allow_functions": ["setseed"]})
    draws = set()
    for _ in range(3):
        read(engine, "SELECT setseed(0.5)")
        draws.add(read(engine, "SELECT random() AS r")["r"][0].as_py())
    engine.close()
    assert len(draws) == 3


def test_the_next_execution_sees_what_was_committed_meanwhile(engine: DuckDBEngine) -> None:
    assert read(engine, "SELECT count(*) AS n FROM t")["n"].to_pylist() == [1]
    engine.sessions.instance.execute("INSERT INTO t VALUES ('new')")
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


# ---- tenants on one instance

SHARED = {
    "a database": "ATTACH ':memory:' AS other_database",
    "a global setting": "SET GLOBAL TimeZone = 'Asia/Kathmandu'",
    "a table": "CREATE TABLE left_over AS SELECT 1 AS a",
    "rows": "INSERT INTO t VALUES ('new')",
    "a type": "CREATE TYPE left_over AS ENUM ('secret')",
    "a sequence": "CREATE SEQUENCE left_over",
}
"""What would show to every session of an instance. No statement of a user can do it; this is the second guard."""


def on(engine: DuckDBEngine, tenant: str, sql: str) -> list[dict[str, object]]:
    return read(engine, sql, {"tenant": tenant}).to_pylist()


@pytest.mark.parametrize("what", SHARED)
def test_an_instance_that_was_changed_is_replaced_before_another_tenant_comes(engine: DuckDBEngine, what: str) -> None:
    on(engine, "a", "SELECT 1 AS a")
    changed = engine.sessions.instance
    changed.execute(SHARED[what])
    assert on(engine, "a", "SELECT name FROM t")[0] == {"name": "main"}
    assert engine.sessions.instance is changed
    assert on(engine, "b", "SELECT name FROM t") == [{"name": "main"}]
    assert engine.sessions.instance is not changed
    found = "SELECT (SELECT count(*) FROM duckdb_types() WHERE type_name = 'left_over') AS types, "
    found += "(SELECT count(*) FROM duckdb_tables()) AS tables, (SELECT count(*) FROM duckdb_sequences()) AS sequences"
    assert on(engine, "b", found) == [{"types": 0, "tables": 2, "sequences": 0}]


def test_an_instance_that_was_not_changed_serves_the_next_tenant(engine: DuckDBEngine) -> None:
    instance = engine.sessions.instance
    for tenant in "aabacb":
        on(engine, tenant, "SELECT name FROM t")
        on(engine, tenant, "PIVOT t ON name USING count(*)")
    assert engine.sessions.instance is instance


def test_tenants_do_not_share_a_session(engine: DuckDBEngine) -> None:
    """A session holds random numbers, temporary objects, variables and prepared statements."""
    first = engine.sessions.take("a", LONG)
    first.execute("SELECT setseed(0.5); CREATE TEMP TABLE mine AS SELECT 1; SET VARIABLE v = 1; PREPARE p AS SELECT 1")
    first.execute("BEGIN")
    engine.sessions.give_back(first, "a", LONG)
    second = engine.sessions.take("b", LONG)
    assert second is not first
    assert second.execute("SELECT getvariable('v')").fetchall() == [(None,)]
    assert second.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]
    assert second.execute("SELECT count(*) FROM duckdb_prepared_statements()").fetchall() == [(0,)]
    second.close()


def test_a_session_of_the_same_tenant_is_used_again(engine: DuckDBEngine) -> None:
    first = engine.sessions.take("a", LONG)
    first.execute("BEGIN")
    engine.sessions.give_back(first, "a", LONG)
    again = engine.sessions.take("a", LONG)
    assert again is first
    again.close()
