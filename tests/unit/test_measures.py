"""What a statement measures, which kinds it holds, and what it calls that nobody has looked at, engine by engine."""

from typing import Any

import pytest
from test_text_analysis import ALL, BY_TOKENS, DUCKDB, analysed

from queryengine.domain.analysis import Measures

SAME: dict[str, tuple[int, int, int, int]] = {
    "SELECT 1": (0, 0, 0, 0),
    "SELECT ((1)), (2)": (2, 0, 0, 0),
    "SELECT CASE WHEN (CASE WHEN a = 1 THEN (1) END) = 1 THEN 1 END FROM t": (4, 0, 0, 0),
    "SELECT a FROM t JOIN u ON t.a = u.a LEFT JOIN v ON t.a = v.a": (0, 2, 0, 0),
    "SELECT a, b FROM t, u, v WHERE t.a = u.b GROUP BY a, b": (0, 2, 0, 0),
    "SELECT a, b IS DISTINCT FROM c, d FROM t": (0, 0, 0, 0),
    "SELECT * FROM (SELECT a FROM t, u) x, v": (1, 2, 0, 0),
    "SELECT a FROM t UNION ALL SELECT b FROM u UNION SELECT 1": (0, 0, 2, 0),
    "SELECT a FROM t INTERSECT SELECT b FROM u EXCEPT SELECT c FROM v": (0, 0, 2, 0),
    "SELECT a FROM t WHERE a IN (1, 2, 3) AND b NOT IN (4, 5)": (1, 0, 0, 3),
    "SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4))": (2, 0, 0, 2),
    "SELECT a FROM t WHERE a IN (SELECT b, c FROM u) AND 'IN (1, 2)' = b": (1, 0, 0, 0),
    "SELECT max(a, b, c) FROM t -- JOIN (((\n": (1, 0, 0, 0),
    "SELECT 'a JOIN b', \"join\" FROM t": (0, 0, 0, 0),
}


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("sql", SAME)
def test_a_statement_is_measured_alike_in_every_dialect(engine: str, sql: str) -> None:
    assert analysed(ALL[engine], sql).measures == Measures(*SAME[sql])


@pytest.mark.parametrize(
    ("engine", "sql", "measures"),
    [
        ("duckdb", "SELECT * EXCLUDE (a) FROM t", (1, 0, 0, 0)),
        ("duckdb", "FROM t UNION ALL BY NAME FROM u", (0, 0, 1, 0)),
        ("duckdb", "SELECT [1, 2, 3, 4], {'a': [1]}", (2, 0, 0, 4)),
        ("duckdb", f"SELECT {'a, ' * 3000} 1 FROM t WHERE a IN ({'1, ' * 3000} 1)", (1, 0, 0, 3001)),
        ("duckdb", "PIVOT t ON a USING sum(b)", (1, 0, 0, 0)),
        ("clickhouse", "SELECT * EXCEPT (a) FROM t ARRAY JOIN b PREWHERE a IN [1, 2]", (1, 1, 0, 2)),
        ("clickhouse", "FROM t SELECT a, b", (0, 0, 0, 0)),
        ("postgresql", "SELECT a FROM t WHERE a = ANY (ARRAY[1, 2, 3])", (2, 0, 0, 3)),
        ("spark", "SELECT a FROM t MINUS SELECT b FROM u", (0, 0, 1, 0)),
        ("spark", "SELECT minus(a) AS minus FROM t", (1, 0, 0, 0)),
        ("sqlite", "SELECT a FROM t WHERE a IN ()", (1, 0, 0, 0)),
    ],
)
def test_what_a_dialect_has_of_its_own_is_measured(engine: str, sql: str, measures: tuple[int, ...]) -> None:
    assert analysed(ALL[engine], sql).measures == Measures(*measures)


@pytest.mark.parametrize(
    ("engine", "sql", "kinds"),
    [
        *((engine, "WITH a AS (SELECT 1 AS x) SELECT x FROM a", "SELECT") for engine in ALL),
        ("duckdb", "FROM t", "SELECT"),
        ("duckdb", "VALUES (1)", "SELECT"),
        ("duckdb", "DESCRIBE t", "DESCRIBE"),
        ("duckdb", "desc t", "DESCRIBE"),
        ("duckdb", "SHOW TABLES", "SHOW"),
        ("duckdb", "SUMMARIZE t", "SUMMARIZE"),
        ("duckdb", "EXPLAIN SELECT 1", "EXPLAIN SELECT"),
        ("duckdb", "EXPLAIN ANALYZE SUMMARIZE t", "EXPLAIN SUMMARIZE"),
        ("duckdb", "PIVOT t ON a USING sum(b)", "PIVOT"),
        ("duckdb", "SELECT * FROM (DESCRIBE t)", "DESCRIBE SELECT"),
        ("duckdb", "SELECT * FROM (/* x */ desc t)", "DESCRIBE SELECT"),
        ("duckdb", "WITH x AS (SUMMARIZE t) FROM x", "SELECT SUMMARIZE"),
        ("duckdb", "FROM (SHOW TABLES)", "SELECT SHOW"),
        ("duckdb", "WITH x AS (SELECT 1 AS a) PIVOT x ON a USING sum(a)", "PIVOT SELECT"),
        ("duckdb", "SELECT a, \"show\", 'describe' FROM t ORDER BY a DESC NULLS LAST", "SELECT"),
        ("clickhouse", "SELECT * FROM (EXPLAIN SELECT 1)", "EXPLAIN SELECT"),
        ("clickhouse", "SELECT show, describe FROM t ORDER BY (show) DESC", "SELECT"),
        ("postgresql", "TABLE t", "SELECT"),
    ],
)
def test_the_kinds_are_those_of_every_statement_inside(engine: str, sql: str, kinds: str) -> None:
    assert analysed(ALL[engine], sql).kinds == frozenset(kinds.split())


PLAIN = (
    "WITH x(a, b) AS (SELECT 1, 2), y (c) AS (SELECT count(*) FROM x WHERE a IN (1, 2) AND NOT (b = 3)) "
    "SELECT coalesce(max(a), 1), CAST(sum(b) AS decimal(10, 2)), CASE WHEN (a = 1) THEN (1) END, "
    "row_number() OVER (PARTITION BY lower(upper(replace('a', 'b', 'c'))) ORDER BY a) "
    "FROM (SELECT a, b FROM x) AS t(a, b) JOIN (SELECT 1) u(c) ON (t.a = u.c) "
    "WHERE EXISTS (SELECT 1) AND a > ALL (SELECT 1) GROUP BY (a), b HAVING (max(a) > 1) UNION (SELECT 1, 2, 3, 4)"
)


@pytest.mark.parametrize("engine", BY_TOKENS)
def test_what_computes_is_proven(engine: str) -> None:
    assert analysed(ALL[engine], PLAIN).unproven == frozenset()


UNPROVEN: dict[str, list[str]] = {
    "SELECT my_function(a) FROM t": ["my_function"],
    "SELECT upper(lower(MY_Function (a))) FROM t": ["my_function"],
    "SELECT s.my_function/* x */(a) FROM t": ["my_function"],
    "SELECT * FROM my_function(1) AS t(a)": ["my_function"],
    "SELECT 1 FROM t WHERE a IN (my_function(1))": ["my_function"],
    "WITH x AS (SELECT my_function(1)) SELECT 1 FROM x": ["my_function"],
    "WITH x(a) AS (SELECT 1), y AS (SELECT 2) SELECT f(a), g(b) FROM x": ["f", "g"],
    "SELECT CAST(f(a) AS decimal(10, 2)) FROM t": ["f"],
    "SELECT a, f(x) AS (select, b) FROM t": ["f"],
    "SELECT DISTINCT ON (a) f(b) FROM t": ["f"],
}


@pytest.mark.parametrize("engine", BY_TOKENS)
@pytest.mark.parametrize("sql", UNPROVEN)
def test_what_nobody_has_looked_at_is_named(engine: str, sql: str) -> None:
    assert analysed(ALL[engine], sql).unproven == frozenset(UNPROVEN[sql])


@pytest.mark.parametrize(
    ("engine", "sql", "names"),
    [
        ("postgresql", "SELECT \"pg_sleep\"(1), pg_catalog.current_setting('x')", "pg_sleep current_setting"),
        ("postgresql", r'SELECT U&"pg\005fsleep"(1)', "pg_sleep"),
        ("postgresql", "SELECT * FROM ROWS FROM (pg_ls_dir('.')) x", "pg_ls_dir"),
        ("postgresql", "SELECT query_to_xml('SELECT 1', true, true, '')", "query_to_xml"),
        ("clickhouse", "SELECT sleepEachRow(1), getSetting('x')", "sleepeachrow getsetting"),
        ("clickhouse", "SELECT * APPLY(sleepEachRow) FROM t", "sleepeachrow"),
        ("clickhouse", "SELECT * APPLY sleepEachRow FROM t", "sleepeachrow"),
        ("clickhouse", "SELECT in(1, secrets)", "in"),
        ("clickhouse", "SELECT 1 WHERE NOT in(1, secrets)", "in"),
        ("clickhouse", "SELECT a NOT IN (1) FROM t WHERE (a) IN (1) AND a GLOBAL IN (2)", ""),
        ("clickhouse", "SELECT sumIf(a, b), quantilesTDigestOrNullIf(0.5)(a, b), uniqStateMerge(a) FROM t", ""),
        ("clickhouse", "SELECT fileIf(a), `url`('x')", "fileif url"),
        ("clickhouse", "SELECT dictGet('d', 'a', 1), joinGet('j', 'a', 1)", "dictget joinget"),
        ("clickhouse", "SELECT * FROM s3('x')", "s3"),
        ("trino", "SELECT a FROM TABLE(my_table_function(1))", "my_table_function"),
        ("spark", "SELECT input_file_name()", "input_file_name"),
        ("spark", "SELECT /*+ BROADCAST(t) */ f(a) FROM t", "f"),
        ("sqlite", "SELECT load_extension('x'), [readfile]('y')", "load_extension readfile"),
        ("sqlite", "SELECT highlight(t, 0, '', '') FROM t", "highlight"),
    ],
)
def test_what_reaches_out_is_never_proven(engine: str, sql: str, names: str) -> None:
    assert analysed(ALL[engine], sql).unproven == frozenset(names.split())


@pytest.mark.parametrize(
    ("sql", "unproven"),
    [
        ("SELECT sum(a), current_date, a || upper(b) FROM range(3) t(a)", []),
        (
            "SELECT my_macro(a), obj_description(1) FROM duckdb_tables()",
            ["my_macro", "obj_description", "duckdb_tables"],
        ),
        (f"SELECT {'a, ' * 3000} my_macro(1) FROM t", ["my_macro"]),
        ("PIVOT t ON a USING sum(b)", None),
    ],
)
def test_duckdb_knows_calls_by_its_tree(sql: str, unproven: Any) -> None:
    assert analysed(DUCKDB, sql).unproven == (None if unproven is None else frozenset(unproven))
