"""What is known of a statement from its text, engine by engine; and that what is not understood is not known."""

from typing import Any

import pytest

from queryengine.domain.analysis import NOT_ANALYSED, Analysis
from queryengine.domain.errors import QueryEngineError
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.spark.engine import SparkEngine
from queryengine.engines.trino.engine import TrinoEngine

SQLITE = (SQLAlchemyEngine, {"url": "sqlite:////data/x.db"})
POSTGRESQL = (SQLAlchemyEngine, {"url": "postgresql://user@127.0.0.1/x"})
GENERIC = (SQLAlchemyEngine, {"url": "trino://user@127.0.0.1:1/catalog"})
DUCKDB, CLICKHOUSE, TRINO, SPARK = ((each, {}) for each in (DuckDBEngine, ClickHouseEngine, TrinoEngine, SparkEngine))
BY_TOKENS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "clickhouse": CLICKHOUSE, "trino": TRINO, "spark": SPARK}
ALL = {"duckdb": DUCKDB, "generic": GENERIC, **BY_TOKENS}


def analysed(engine: Any, sql: str) -> Analysis:
    kind, options = engine
    return kind.analyse(sql, options)


def names(*words: str) -> frozenset[str]:
    return frozenset(words)


@pytest.mark.parametrize(
    ("sql", "tables", "functions", "is_deterministic"),
    [
        ("SELECT 1", [], [], True),
        ("SELECT a + 1, upper(b) FROM t", [("t",)], ["+", "upper"], True),
        ('SELECT * FROM s.t JOIN "db".s2."T X" USING (a)', [("s", "t"), ("db", "s2", "T X")], [], True),
        ("SELECT * FROM a, (SELECT * FROM b) WHERE x IN (SELECT y FROM c)", [("a",), ("b",), ("c",)], [], True),
        ("WITH c AS (SELECT * FROM t) SELECT * FROM c", [("t",)], [], True),
        # What a WITH defines hides nothing outside of it, nor in itself, nor behind a schema.
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", [("t",)], [], True),
        ("SELECT * FROM c, (WITH c AS (SELECT 1) SELECT * FROM c)", [("c",)], [], True),
        ("WITH c AS (SELECT 1) SELECT * FROM C, s.c", [("s", "c")], [], True),
        ("SELECT random()", [], ["random"], False),
        ("SELECT 1 WHERE now() > NULL", [], ["now", ">"], None),
        ("SELECT current_date", [], ["current_date"], False),
        ("SELECT * FROM t TABLESAMPLE 10%", [("t",)], [], False),
        ("SELECT * FROM t LIMIT 1", [("t",)], [], None),
        ("SELECT DISTINCT ON (a) b FROM t", [("t",)], [], None),
        ("SELECT row_number() OVER () FROM t", [("t",)], ["row_number"], None),
        ("SELECT string_agg(a) FROM t", [("t",)], ["string_agg"], None),
        ("SELECT my_macro(a) FROM t", [("t",)], ["my_macro"], None),
        ("EXPLAIN SELECT upper(a) FROM t", [("t",)], ["upper"], None),
    ],
)
def test_duckdb_says_what_its_tree_holds(
    sql: str, tables: list[tuple[str, ...]], functions: list[str], is_deterministic: bool | None
) -> None:
    found = analysed(DUCKDB, sql)
    assert found.tables == frozenset(tables)
    # Comparisons are no functions in a tree.
    assert found.functions == names(*functions) - {">"}
    assert found.is_deterministic is (False if "now" in functions else is_deterministic)


@pytest.mark.parametrize(
    ("sql", "functions"),
    [("PIVOT t ON a USING sum(b)", None), (f"SELECT {'1, ' * 2000} sum(1) FROM t", frozenset({"sum"}))],
)
def test_what_duckdb_does_not_take_apart_is_not_known(sql: str, functions: frozenset[str] | None) -> None:
    found = analysed(DUCKDB, sql)
    assert (found.tables, found.functions, found.is_deterministic) == (None, functions, None)
    assert found.normalised is not None


@pytest.mark.parametrize("sql", ["DESCRIBE t", "SHOW TABLES", "SUMMARIZE t"])
def test_of_descriptions_the_tables_are_not_known(sql: str) -> None:
    found = analysed(DUCKDB, sql)
    assert (found.tables, found.is_deterministic) == (None, None)


def test_a_text_deeper_than_python_follows_is_not_refused_for_that() -> None:
    deep = f"SELECT {'(' * 300}1{' + 1)' * 300}"
    assert analysed(DUCKDB, deep).kind == "SELECT"


@pytest.mark.parametrize("engine", BY_TOKENS)
@pytest.mark.parametrize(
    ("sql", "functions", "is_deterministic"),
    [
        ("SELECT 1", [], True),
        ("SELECT count(*), max(a) FROM t WHERE b IN (1, 2)", ["count", "max"], True),
        ("SELECT f(a) FROM t", ["f"], None),
        ("SELECT random()", ["random"], False),
        ("SELECT CURRENT_DATE", ["current_date"], False),
        ("SELECT a FROM t LIMIT 3", [], None),
        ("SELECT s.f (a) FROM t", ["f"], None),
    ],
)
def test_tokens_miss_no_function(engine: str, sql: str, functions: list[str], is_deterministic: bool | None) -> None:
    found = analysed(BY_TOKENS[engine], sql)
    assert found.functions == frozenset(functions)
    assert found.is_deterministic is is_deterministic
    # Which tables are read, tokens do not say, but that none is.
    assert found.tables == (None if "FROM" in sql else frozenset())


@pytest.mark.parametrize(("engine", "sql"), [("postgresql", 'SELECT "F"(a)'), ("clickhouse", "SELECT `F`(a)")])
def test_a_quoted_name_is_a_function_too(engine: str, sql: str) -> None:
    assert analysed(BY_TOKENS[engine], sql).functions == names("f")


@pytest.mark.parametrize("engine", ALL)
def test_the_kind_is_the_first_word(engine: str) -> None:
    assert analysed(ALL[engine], "select 1").kind == "SELECT"


@pytest.mark.parametrize("engine", ["duckdb", *BY_TOKENS])
@pytest.mark.parametrize(
    ("sql", "normalised"),
    [
        ("SELECT 1", "SELECT 1"),
        ("  SELECT\n\t1 ;\n", "SELECT 1"),
        ("SELECT 'a  b',  c", "SELECT 'a  b', c"),
        ("SELECT/* no */1 -- no\n", "SELECT 1"),
        ("SELECT a -- no\n  , b", "SELECT a , b"),
        ("SELECT '-- ü  /* */'", "SELECT '-- ü  /* */'"),
    ],
)
def test_the_normalised_text_has_no_comment_and_no_white_space_that_means_nothing(
    engine: str, sql: str, normalised: str
) -> None:
    found = analysed(ALL[engine], sql)
    assert found.normalised == normalised
    assert found.query_hash(sql) == found.query_hash("anything") == NOT_ANALYSED.query_hash(normalised) or "  " in sql


@pytest.mark.parametrize(
    ("engine", "sql", "placeholders"),
    [
        ("duckdb", "SELECT $a, $b, $a", ["a", "b"]),
        ("duckdb", "SELECT ?, ?", ["1", "2"]),
        ("sqlite", "SELECT :a, @b", ["a", "b"]),
        ("postgresql", "SELECT $1, $2", ["1", "2"]),
        ("clickhouse", "SELECT {a:Int64}", ["a"]),
        ("trino", "SELECT ?, ?", ["1", "2"]),
        ("spark", "SELECT :a", ["a"]),
        ("generic", "SELECT :a", ["a"]),
    ],
)
def test_placeholders_are_named(engine: str, sql: str, placeholders: list[str]) -> None:
    assert analysed(ALL[engine], sql).placeholders == frozenset(placeholders)


def test_sqlglot_says_what_its_tree_holds() -> None:
    found = analysed(GENERIC, "SELECT my_f(a), upper(b) FROM c.s.t JOIN u ON t.x = u.x")
    assert found.tables == {("c", "s", "t"), ("u",)}
    assert found.functions == names("my_f", "upper")
    assert (found.is_deterministic, found.normalised) == (None, None)


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("sql", ["", "SELECT 1; SELECT 2", "DELETE FROM t", "SELECT (1"])
def test_what_a_check_refuses_is_not_analysed(engine: str, sql: str) -> None:
    kind, options = ALL[engine]
    with pytest.raises(QueryEngineError) as checked:
        kind.check(sql, options)
    with pytest.raises(QueryEngineError) as refusal:
        kind.analyse(sql, options)
    assert refusal.value.failure == checked.value.failure


@pytest.mark.parametrize(
    "analysis",
    [
        NOT_ANALYSED,
        Analysis(kind="SELECT", tables=frozenset({("a", "b.c"), ("d",)}), functions=names("f", "+")),
        Analysis(tables=frozenset(), functions=names(), placeholders=names("1"), is_deterministic=False, normalised=""),
    ],
)
def test_an_analysis_travels_as_json(analysis: Analysis) -> None:
    assert Analysis.from_json(analysis.to_json()) == analysis
