"""The texts that Spark gets to read: everything that its own grammar calls a query, and nothing beside one."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Position, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.spark.engine import SparkEngine
from tests.servers.server import shared
from tests.servers.spark import SparkServer

VARIANT = """(SELECT parse_json('{"a": {"b": 1}, "l": [2]}') AS v)"""


@pytest.fixture(scope="module")
def engine() -> Iterator[SparkEngine]:
    engine = SparkEngine("mine", shared(SparkServer).options())
    yield engine
    engine.close()


def read(engine: SparkEngine, sql: str, *parameters: BoundParameter) -> list[tuple[Any, ...]]:
    with engine.open(Statement(sql=sql, query_id="q", parameters=parameters)) as execution:
        schema = execution.start()
        rows = pa.Table.from_batches(execution.batches(), schema).to_pylist()
        return [tuple(row.values()) for row in rows]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1 |> LIMIT 1", [(1,)]),
        ("VALUES (1), (2) |> WHERE col1 > 1 |> LIMIT 1", [(2,)]),
        ("FROM range(3) |> SET id = id + 1 |> DROP id |> EXTEND 5 AS x |> LIMIT 1", [(5,)]),
        ("FROM range(4) |> AGGREGATE count(*) AS n, sum(id) AS s", [(4, 6)]),
        ("WITH t AS (SELECT 7) TABLE t", [(7,)]),
        ("WITH t AS (SELECT 7 AS a) SELECT * FROM (TABLE t) UNION ALL TABLE t", [(7,), (7,)]),
        (f"SELECT v:a.b::int, v:l[0]::int FROM {VARIANT}", [(1, 2)]),
        (f"SELECT v:a, v:['l'] FROM {VARIANT}", [('{"b":1}', "[2]")]),
        ("FROM range(1) SELECT *", [(0,)]),
        ("SELECT 1 MINUS SELECT 2", [(1,)]),
        ("SELECT -- one; two\n 1 /* ; /* nested */ */;", [(1,)]),
        ("; ;\nSELECT 1;;", [(1,)]),
        ("SELECT ';', 'it\\'s', \"?\", r'\\', `a``;b` FROM (SELECT 3 AS `a``;b`)", [(";", "it's", "?", "\\", 3)]),
        ("/*+ BROADCAST(t) */ SELECT 1", None),
        ("SELECT /*+ BROADCAST(t) */ 1 FROM range(1) t", [(1,)]),
    ],
)
def test_spark_reads_what_its_grammar_knows(engine: SparkEngine, sql: str, rows: list[tuple[Any, ...]] | None) -> None:
    if rows is None:
        with pytest.raises(QueryEngineError) as caught:
            read(engine, sql)
        assert caught.value.failure.reason is Reason.SYNTAX_ERROR
    else:
        assert read(engine, sql) == rows


def test_a_path_into_a_variant_is_no_parameter(engine: SparkEngine) -> None:
    sql = f"SELECT v:a.b::int + :a, CASE WHEN :b THEN v:l[0]::int END FROM {VARIANT} WHERE :b"
    assert read(engine, sql, BoundParameter("a", 10), BoundParameter("b", True)) == [(11, 2)]
    with pytest.raises(QueryEngineError) as caught:
        read(engine, f"SELECT v:a FROM {VARIANT}", BoundParameter("a", 1))
    assert caught.value.failure.reason is Reason.PARAMETER_MISMATCH


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "array(" * 201 + "1" + ")" * 201,
        "SELECT " + "CASE WHEN true THEN " * 5000 + "1" + " END" * 5000,
        # Nested without brackets: Spark runs out of stack.
        "SELECT " + "NOT " * 30_000 + "true",
        "SELECT " + "- " * 30_000 + "1",
        " UNION ALL ".join(["SELECT 1"] * 3000),
    ],
    ids=lambda sql: sql[:20],
)
def test_a_nested_statement_is_too_complex_and_spark_goes_on(engine: SparkEngine, sql: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        read(engine, sql)
    assert caught.value.failure.reason is Reason.STATEMENT_TOO_COMPLEX
    assert read(engine, "SELECT 1") == [(1,)]


def test_a_place_is_that_of_the_users_text(engine: SparkEngine) -> None:
    for sql, place in ((";\n SELECT nope", Position(2, 9)), ("/* x */ SELECT 1,\n  nope", Position(2, 3))):
        with pytest.raises(QueryEngineError) as caught:
            read(engine, sql)
        assert caught.value.failure.position == place
