"""No text makes sqlglot try exponentially many ways."""

import time

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.clickhouse import row_security as clickhouse
from queryengine.engines.duckdb import row_security as duckdb
from queryengine.engines.kit.backtracking import LEVELS_MAX
from queryengine.engines.kit.row_security.grammar import Grammar
from queryengine.engines.postgresql import row_security as postgresql
from queryengine.engines.spark import row_security as spark
from queryengine.engines.sqlalchemy import sqlite_security
from queryengine.engines.sqlalchemy.parsed import analyse
from queryengine.engines.trino import row_security as trino

FORMS = {
    "ROW(": ")", "DECIMAL(": ")", "date (": ")", "VARCHAR/* x */(": ")", "ARRAY[": "]", "INT[": "]", "TIMESTAMP (": ")",
    "f(ROW(": "))", "(1, MAP(STRUCT(": "))))"[:3], "CASE WHEN uuid(": ") THEN 1 END",
}  # fmt: skip


@pytest.mark.parametrize("opening", FORMS)
def test_deep_brackets_behind_types_are_refused_at_once(opening: str) -> None:
    # Sqlglot would take longer than the universe has been there, so that a machine cannot be too slow for this.
    with pytest.raises(QueryEngineError) as caught:
        analyse(f"SELECT {opening * 60}1{FORMS[opening] * 60}", "trino")
    assert caught.value.failure.reason is Reason.STATEMENT_TOO_COMPLEX


@pytest.mark.parametrize(
    "grammar",
    [clickhouse.GRAMMAR, duckdb.GRAMMAR, postgresql.GRAMMAR, spark.GRAMMAR, sqlite_security.GRAMMAR, trino.GRAMMAR],
)
def test_no_text_takes_long_where_policies_apply(grammar: Grammar) -> None:
    with pytest.raises(QueryEngineError) as caught:
        grammar.parse(f"SELECT {'DECIMAL(' * 60}1{')' * 60}")
    assert caught.value.failure.reason is Reason.STATEMENT_TOO_COMPLEX


def test_what_is_allowed_takes_little() -> None:
    began = time.process_time()
    analyse(f"SELECT {'BIGINT[' * LEVELS_MAX}1{']' * LEVELS_MAX}", "trino")
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {', '.join(['ROW(1)'] * 50)}",
        f"SELECT {'coalesce(' * 20}1{')' * 20}",
        "SELECT CAST(a AS decimal(10, 2)), CAST(b AS array(row(x varchar(10)))) FROM t",
    ],
)
def test_what_is_not_nested_passes(sql: str) -> None:
    assert analyse(sql, "trino").kinds == {"SELECT"}
