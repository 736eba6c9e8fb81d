"""SQLite's own SQL runs as it is written, full-text search included; what writes or reaches out does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.calls import computing
from tests.executing import table, tuples

SETUP = """
CREATE TABLE t (i INTEGER, s TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'x');
CREATE VIRTUAL TABLE docs USING fts5(title, body);
INSERT INTO docs VALUES ('one', 'the quick brown fox'), ('two', 'lazy dog, quick quick');
CREATE VIRTUAL TABLE words USING fts5vocab(docs, 'row');
CREATE VIRTUAL TABLE old USING fts4(body); INSERT INTO old VALUES ('hello world');
CREATE VIRTUAL TABLE boxes USING rtree(id, a, b); INSERT INTO boxes VALUES (1, 2, 3);
CREATE VIEW v AS SELECT i, s FROM t; CREATE TABLE json (j); INSERT INTO json VALUES ('{"a": [1, 2]}');
"""


KNOWN = computing("queryengine.engines.sqlalchemy", "sqlite_computing.txt")
LOOKED_AT = frozenset(
    [
        "bm25",
        "changes",
        "dbstat",
        "fts3",
        "fts3_tokenizer",
        "fts3tokenize",
        "fts4",
        "fts4aux",
        "fts5",
        "fts5_get_locale",
        "fts5_insttoken",
        "fts5_locale",
        "fts5_source_id",
        "fts5vocab",
        "highlight",
        "last_insert_rowid",
        "load_extension",
        "match",
        "matchinfo",
        "offsets",
        "optimize",
        "pragma_function_list",
        "pragma_module_list",
        "rtree",
        "rtree_i32",
        "rtreecheck",
        "rtreedepth",
        "rtreenode",
        "snippet",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "sqlite_log",
        "sqlite_source_id",
        "sqlite_stmt",
        "total_changes",
    ]
)
"""Functions and table functions of SQLite that reach beyond their arguments, or tell of the database."""


@pytest.mark.parametrize("list_of_them", ["pragma_function_list", "pragma_module_list"])
def test_every_function_of_sqlite_was_looked_at(list_of_them: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        names = {name.lower() for (name,) in connection.execute(f"SELECT DISTINCT name FROM {list_of_them}")}
    operators = {name for name in names if not name[0].isalpha()}
    assert len(names) > 5
    assert sorted(names - operators - KNOWN - LOOKED_AT) == []
    assert not KNOWN & LOOKED_AT


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "x.db"
    connection = sqlite3.connect(path)
    connection.executescript(SETUP)
    connection.close()
    return path


@pytest.fixture
def engine(path: Path) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("lite", {"url": f"sqlite:///{path}"})
    yield engine
    engine.close()


def run(engine: SQLAlchemyEngine, sql: str, *values: Any, **named: Any) -> pa.Table:
    engine.check(sql, {"url": "sqlite:////x.db"})
    parameters = tuple(BoundParameter("", each) for each in values) or tuple(
        BoundParameter(*each) for each in named.items()
    )
    return table(engine, sql, parameters=parameters)


def rows(engine: SQLAlchemyEngine, sql: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
    return tuples(run(engine, sql, *values, **named))


def failure(engine: SQLAlchemyEngine, sql: str, *values: Any, **named: Any) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, *values, **named)
    return caught.value.failure


VALID = (
    "SELECT title FROM docs WHERE docs MATCH 'quick' ORDER BY rank",
    "SELECT highlight(docs, 1, '<', '>'), bm25(docs) < 0 FROM docs WHERE docs MATCH 'quick' ORDER BY bm25(docs)",
    "SELECT snippet(docs, 1, '[', ']', '…', 2) FROM docs('brown')",
    "SELECT title FROM docs WHERE body MATCH 'qui* AND NOT' || ' fox' OR docs MATCH 'fox'",
    "SELECT title FROM docs WHERE docs MATCH 'body : NEAR(quick fox)' AND rank MATCH 'bm25(10.0, 5.0)'",
    "SELECT count(*), max(rowid) FROM docs",
    "SELECT term, doc FROM words ORDER BY term LIMIT 2",
    "SELECT offsets(old), snippet(old) FROM old WHERE old MATCH 'hello'",
    "SELECT id FROM boxes WHERE a >= 2 AND b <= 3",
    "SELECT value, key FROM json, json_each(j, '$.a')",
    "SELECT fullkey FROM json, json_tree(json.j) WHERE atom = 2",
    "SELECT j -> 'a' -> 1, j ->> '$.a[0]' FROM json",
    "SELECT i FROM t INDEXED BY nope",
    "SELECT i FROM t NOT INDEXED ORDER BY i DESC NULLS LAST LIMIT 1, 1",
    "SELECT i FROM t WHERE s GLOB 'x*' AND s NOT LIKE 'y_'",
    "SELECT i FROM t WHERE s GLOB '[x]' AND s LIKE 'x%' ESCAPE '\\' AND s IS NOT NULL AND s NOTNULL",
    "SELECT i FROM t WHERE (i, s) IN (VALUES (1, 'x'), (2, 'z')) OR i IS 3 AND s == 'x'",
    "SELECT i, s FROM t LEFT JOIN (SELECT 1 AS i) USING (i) NATURAL JOIN v ORDER BY 1",
    "SELECT a.i, b.i FROM t a RIGHT JOIN t b ON a.i = b.i + 1 ORDER BY 2",
    "SELECT a.i FROM t a FULL OUTER JOIN v b ON a.i = b.i CROSS JOIN (SELECT 1) ORDER BY 1",
    "SELECT s, count(*) FILTER (WHERE i > 1), group_concat(i, '-') FROM t GROUP BY s HAVING count(*) > 0 ORDER BY s",
    "SELECT sum(i) OVER (PARTITION BY s ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM t",
    "SELECT sum(i) OVER w, nth_value(i, 2) OVER w FROM t WINDOW w AS (ORDER BY i GROUPS UNBOUNDED PRECEDING)",
    "WITH RECURSIVE c (n) AS (VALUES (1) UNION SELECT n + 1 FROM c WHERE n < 3) SELECT n FROM c",
    "WITH c AS NOT MATERIALIZED (SELECT 1 AS n) SELECT n FROM c UNION ALL SELECT 2 EXCEPT SELECT 3 ORDER BY n",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT 1 << 2 | 1, 7 & 3, ~1, 5 % 2, 'a' || 'b', 1 <> 2, 1 == 1, - - 1, + 1",
    "SELECT x'41', 0x1F, 1e3, .5, 1., 'it''s', \"i\", [i], `i` FROM t LIMIT 1",
    "SELECT CAST('1' AS INTEGER), typeof(1.0), iif(1, 2, 3), nullif(1, 1), total(i) FROM t",
    "SELECT CASE i WHEN 1 THEN 'one' ELSE 'more' END, i BETWEEN 1 AND 2, i NOT IN (1), EXISTS (SELECT 1) FROM t",
    "SELECT strftime('%Y', '2024-01-02'), date('2024-01-31', '+1 month'), julianday('2000-01-01 12:00')",
    "SELECT s COLLATE NOCASE = 'X', likelihood(i = 1, 0.5), unlikely(0) FROM t",
    'SELECT i FROM main.t UNION SELECT rowid FROM "t" INTERSECT SELECT _rowid_ FROM [t]',
    "SELECT printf('%05d', 42), format('%s', 'x'), hex('a'), quote('x'), char(65), unicode('A')",
    "SELECT name FROM sqlite_master WHERE type = 'view'",
    "SELECT name FROM sqlite_schema WHERE name = 't'",
    "SELECT 1 AS replace, 2 AS \"select\", 3 AS [into], replace('a', 'a', 'b')",
    "SELECT 1 -- comment; DROP TABLE t\r\n + 1 /* /* ; */ + 1 /* left open",
)


@pytest.mark.parametrize("sql", VALID)
def test_what_sqlite_takes_runs(engine: SQLAlchemyEngine, path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    try:
        expected: list[tuple[Any, ...]] | None = connection.execute(sql).fetchall()
    except sqlite3.Error:
        expected = None
    finally:
        connection.close()
    if expected is None:
        assert failure(engine, sql).reason is Reason.STATEMENT_REJECTED
    else:
        assert rows(engine, sql) == expected


@pytest.mark.parametrize(
    ("sql", "values", "expected"),
    [
        ("SELECT ?1, ?2, ?1", (1, "b"), (1, "b", 1)),
        ("SELECT ?2, ?1", (1, 2), (2, 1)),
        ("SELECT ?, ?2, ?", (1, 2, 3), (1, 2, 3)),
        ("SELECT ?3, ?, ?1, ?2", (1, 2, 3, 4), (3, 4, 1, 2)),
        ("SELECT ?, '?', \"i\", [?x], `?` FROM (SELECT 2 AS i, 3 AS [?x], 4 AS `?`) -- ?", (1,), (1, "?", 2, 3, 4)),
        ("SELECT $a, @a, :a", {"a": 1}, (1, 1, 1)),
        ("SELECT :select, @größe, $x::y", {"select": 1, "größe": 2, "x::y": 3}, (1, 2, 3)),
        ("SELECT ':a', :a /* :b */ FROM docs WHERE docs MATCH :q", {"a": 1, "q": "fox"}, (":a", 1)),
    ],
)
def test_placeholders_of_every_form(
    engine: SQLAlchemyEngine, sql: str, values: tuple[Any, ...] | dict[str, Any], expected: tuple[Any, ...]
) -> None:
    found = rows(engine, sql, **values) if isinstance(values, dict) else rows(engine, sql, *values)
    assert found == [expected]


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELECT ?1, :a", (1,)),
        ("SELECT ?, $a", (1,)),
        ("SELECT ?1, ?2", (1,)),
        ("SELECT ?2", (1, 2)),
        ("SELECT @b", ()),
    ],
)
def test_placeholders_that_do_not_fit_are_named(engine: SQLAlchemyEngine, sql: str, values: tuple[Any, ...]) -> None:
    assert failure(engine, sql, *values).reason is Reason.PARAMETER_MISMATCH


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT load_extension('x')", "load_extension"),
        ("SELECT LOAD_EXTENSION('x')", "load_extension"),
        ("SELECT fts3_tokenizer('simple')", "fts3_tokenizer"),
        ("SELECT * FROM pragma_table_info('t')", "PRAGMA table_info"),
        ("SELECT * FROM pragma_database_list", "PRAGMA database_list"),
        ("REPLACE INTO t VALUES (1, 2)", "REPLACE"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT 1, 2", "INSERT"),
        ("WITH x AS (SELECT 1) REPLACE INTO t SELECT 1, 2", "INSERT"),
        ("WITH x AS (SELECT 1) DELETE FROM docs", "DELETE"),
        ("ATTACH ':memory:' AS x", "ATTACH"),
        ("PRAGMA writable_schema = 1", "PRAGMA"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("VACUUM INTO '/tmp/x'", "VACUUM"),
        ("SAVEPOINT x", "SAVEPOINT"),
        ("REINDEX", "REINDEX"),
        ("/* */ CREATE TEMP TABLE x AS SELECT 1", "CREATE"),
    ],
)
def test_what_is_refused_is_named(engine: SQLAlchemyEngine, path: Path, sql: str, words: str) -> None:
    before = path.read_bytes()
    found = failure(engine, sql)
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED
    assert words in found.message
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1 FOR UPDATE", Reason.SYNTAX_ERROR),
        ("SELECT 1 INTO x", Reason.SYNTAX_ERROR),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, Reason.STATEMENT_TOO_COMPLEX),
        ("SELECT 1" + " + 1" * 5000, Reason.STATEMENT_TOO_COMPLEX),
        (" UNION ALL ".join(["SELECT 1"] * 600), Reason.STATEMENT_TOO_COMPLEX),
        ("SELECT title FROM docs WHERE docs MATCH 'NOT'", Reason.STATEMENT_REJECTED),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_sqlite_itself_refuses(engine: SQLAlchemyEngine, sql: str, reason: Reason) -> None:
    assert failure(engine, sql).reason is reason


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("SELECT CAST(NULL AS INTEGER), CAST(NULL AS TEXT) AS s, NULL", ["int64", "string", "null"]),
        ("SELECT DISTINCT CAST(CAST(NULL AS TEXT) AS REAL) AS [x y] FROM t", ["double"]),
        ("WITH x AS (SELECT 1) SELECT coalesce(NULL, NULL), CAST(NULL AS VARCHAR(3)) FROM x", ["null", "string"]),
        (
            "SELECT CAST(NULL AS INTEGER) IS NULL, (CAST(NULL AS INTEGER)), max(i, NULL) FROM t",
            ["int64", "null", "null"],
        ),
    ],
)
def test_a_cast_decides_the_type_of_nothing(engine: SQLAlchemyEngine, sql: str, types: list[str]) -> None:
    assert [str(each) for each in run(engine, sql).schema.types] == types
