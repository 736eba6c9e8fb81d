"""Translation between dialects: what means the same comes out in the other words, everything else is refused."""

import duckdb
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.kit.translating import translated

SAME = [
    ("spark", "duckdb", "SELECT `a b`, count(*) FROM t GROUP BY 1", 'SELECT "a b", COUNT(*) FROM t GROUP BY 1'),
    # Where Spark has NULLs first, so has the other by these words.
    ("spark", "duckdb", "SELECT a FROM t ORDER BY a, b DESC", "SELECT a FROM t ORDER BY a NULLS FIRST, b DESC"),
    ("duckdb", "spark", "SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a NULLS LAST"),
    ("postgresql", "trino", "SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t ORDER BY a DESC NULLS FIRST"),
    ("spark", "duckdb", r"SELECT 'it\'s'", "SELECT 'it''s'"),
    ("duckdb", "trino", "FROM t", "SELECT * FROM t"),
    ("duckdb", "postgresql", "SELECT a == 1 FROM t", "SELECT a = 1 FROM t"),
    (
        "trino",
        "duckdb",
        "SELECT a FROM hive.s.t WHERE d >= DATE '2024-01-01' AND b LIKE 'x%'",
        "SELECT a FROM hive.s.t WHERE d >= CAST('2024-01-01' AS DATE) AND b LIKE 'x%'",
    ),
    (
        "trino",
        "spark",
        "WITH x AS (SELECT DISTINCT id FROM a) SELECT CASE WHEN b IS NULL THEN 1 END FROM x LEFT JOIN u USING (id)",
        "WITH x AS (SELECT DISTINCT id FROM a) SELECT CASE WHEN b IS NULL THEN 1 END FROM x LEFT JOIN u USING (id)",
    ),
    ("trino", "duckdb", "SELECT 1 UNION ALL SELECT sum(-a) FROM t", "SELECT 1 UNION ALL SELECT SUM(-a) FROM t"),
]


@pytest.mark.parametrize(("source", "target", "sql", "expected"), SAME)
def test_what_means_the_same_is_written_in_the_other_words(source: str, target: str, sql: str, expected: str) -> None:
    assert translated(sql, source, target) == expected


REFUSED = [
    # One text, two meanings.
    ("trino", "duckdb", "SELECT a / b FROM t", "DIV"),
    ("trino", "duckdb", "SELECT a % b FROM t", "MOD"),
    ("postgresql", "duckdb", "SELECT a::date FROM t", "CAST"),
    ("trino", "duckdb", "SELECT CAST('1.5' AS INTEGER)", "CAST"),
    ("trino", "postgresql", 'SELECT "Total" FROM t', "the name 'Total'"),
    ("postgresql", "trino", r"SELECT a LIKE 'x\%' FROM t", "LIKE"),
    ("duckdb", "trino", "SELECT a LIKE b FROM t", "LIKE"),
    ("duckdb", "postgresql", "SELECT a || b FROM t", "DPIPE"),
    # Functions, which may differ in anything.
    ("trino", "duckdb", "SELECT foo(a) FROM t", "the function foo"),
    ("trino", "duckdb", "SELECT approx_distinct(a) FROM t", "the function approx_distinct"),
    ("trino", "duckdb", "SELECT now()", "the function current_timestamp"),
    ("trino", "duckdb", "SELECT sum(a) OVER (ORDER BY b) FROM t", "WINDOW"),
    ("trino", "duckdb", "SELECT count(a) FILTER (WHERE b > 1) FROM t", "FILTER"),
    ("postgresql", "duckdb", "SELECT 'x' ~ 'y'", "regexp_like"),
    # Clauses that not every dialect has.
    ("duckdb", "postgresql", "SELECT * EXCLUDE (a) FROM t", "STAR"),
    ("duckdb", "trino", "SELECT a FROM t GROUP BY ALL", "GROUP with ALL"),
    ("duckdb", "trino", "SELECT DISTINCT ON (a) a, b FROM t", "DISTINCT with ON"),
    ("duckdb", "trino", "SELECT a FROM t QUALIFY a = 1", "QUALIFY"),
    ("duckdb", "postgresql", "SELECT a FROM t LIMIT 10%", "LIMIT"),
    ("duckdb", "trino", "SELECT 1 UNION BY NAME SELECT 2", "UNION with BY_NAME"),
    ("duckdb", "trino", "SELECT * FROM a ASOF JOIN b USING (x)", "JOIN"),
    ("trino", "duckdb", "SELECT x FROM a NATURAL JOIN b", "JOIN with METHOD"),
    ("spark", "duckdb", "SELECT a FROM t LEFT SEMI JOIN u ON t.a = u.a", "SEMI JOIN"),
    ("trino", "duckdb", "SELECT * FROM t TABLESAMPLE BERNOULLI (10)", "SAMPLE"),
    ("trino", "duckdb", "SELECT * FROM UNNEST(ARRAY[1]) AS t(x)", "unnest"),
    ("spark", "duckdb", "SELECT /*+ BROADCAST(t) */ a FROM t", "HINT"),
    ("postgresql", "trino", "SELECT a FROM t FOR UPDATE", "LOCKS"),
    ("trino", "duckdb", "WITH RECURSIVE x(n) AS (SELECT 1) SELECT n FROM x", "WITH with RECURSIVE"),
    # Parameters, whose places have other forms.
    ("trino", "duckdb", "SELECT * FROM t WHERE a = ?", "placeholders"),
    ("spark", "duckdb", "SELECT * FROM t WHERE a = :x", "placeholders"),
    ("postgresql", "duckdb", "SELECT * FROM t WHERE a = $1", "placeholders"),
    ("duckdb", "trino", "SELECT * FROM t WHERE a = $x", "placeholders"),
    # No single query.
    ("trino", "duckdb", "SELECT 1; SELECT 2", "only one query"),
    ("trino", "duckdb", "DELETE FROM t", "only one query"),
    ("trino", "duckdb", "SHOW TABLES", "only one query"),
    ("trino", "duckdb", "SELEC 1", "not understood as trino"),
    ("trino", "duckdb", "", "only one query"),
]


@pytest.mark.parametrize(("source", "target", "sql", "what"), REFUSED)
def test_what_is_not_certain_is_refused_by_name(source: str, target: str, sql: str, what: str) -> None:
    with pytest.raises(QueryEngineError) as refusal:
        translated(sql, source, target)
    failure = refusal.value.failure
    assert failure.reason is Reason.TRANSLATION_REFUSED
    assert what in failure.message
    assert failure.metadata == {"written": source, "reads": target}


def test_a_text_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(QueryEngineError) as refusal:
        translated(f"SELECT {'(' * 5000}1{')' * 5000}", "trino", "duckdb")
    assert refusal.value.failure.reason in (Reason.STATEMENT_TOO_COMPLEX, Reason.TRANSLATION_REFUSED)


def test_the_rows_are_those_that_the_other_dialect_gives() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT * FROM (VALUES (2, 'b'), (NULL, 'n'), (1, 'A')) AS v(a, b)")
        sql = translated("SELECT `a`, upper(b) AS u FROM t ORDER BY a", "spark", "duckdb")
        # Spark has NULLs first.
        assert connection.execute(sql).fetchall() == [(None, "N"), (1, "A"), (2, "B")]
