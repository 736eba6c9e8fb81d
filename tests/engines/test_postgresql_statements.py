"""PostgreSQL's own SQL runs as it is written; what is no query, or reaches beyond a tenant, does not."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from postgresql_support import shared_server

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.engines.databases import SQLAlchemyEngine
from tests.executing import table, tuples
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    server = shared_server()
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE pairs (a int, b text, parent int); "
            "INSERT INTO pairs VALUES (1, 'x', NULL), (2, 'y', 1), (3, 'x', 2); GRANT SELECT ON pairs TO reader; "
            "CREATE VIEW pg_locks_of_ours AS SELECT 1 AS a; GRANT SELECT ON pg_locks_of_ours TO reader"
        )
        yield server
        connection.execute("DROP TABLE pairs; DROP VIEW pg_locks_of_ours")


@pytest.fixture(scope="module")
def engine(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("pg", server.options())
    yield engine
    engine.close()


def run(engine: SQLAlchemyEngine, sql: str, **fields) -> pa.Table:
    SQLAlchemyEngine.check(sql, {"url": "postgresql://x"})
    parameters = tuple(BoundParameter(*each) for each in fields.pop("named", {}).items())
    return table(engine, sql, parameters=parameters, **fields)


def rows(engine: SQLAlchemyEngine, sql: str, **fields) -> list[tuple[Any, ...]]:
    return tuples(run(engine, sql, **fields))


def failure(engine: SQLAlchemyEngine, sql: str, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, **fields)
    return caught.value.failure


VALID: dict[str, list[tuple[Any, ...]]] = {
    "SELECT @ -5": [(5,)],
    "SELECT box '((0,0),(2,2))' && box '((1,1),(3,3))'": [(True,)],
    "SELECT substring('foobar' SIMILAR '%#\"o_b#\"%' ESCAPE '#')": [("oob",)],
    "SELECT COLLATION FOR ('a'::text COLLATE \"C\")": [('"C"',)],
    "SELECT a FROM pairs ORDER BY a USING >": [(3,), (2,), (1,)],
    "SELECT j.a FROM pairs p JOIN pairs q USING (a) AS j ORDER BY 1 LIMIT 1": [(1,)],
    "SELECT xmlelement(name foo, xmlattributes('x' AS bar), 'y')::text": [('<foo bar="x">y</foo>',)],
    "SELECT xmlforest('a' AS x, 1 AS y)::text": [("<x>a</x><y>1</y>",)],
    "SELECT xmlserialize(CONTENT xmlparse(CONTENT '<a/>') AS text)": [("<a/>",)],
    "SELECT xpath('/a/text()', '<a>1</a>'::xml)::text": [("{1}",)],
    "SELECT n FROM XMLTABLE('/r/i' PASSING xml '<r><i>1</i><i>2</i></r>' COLUMNS n int PATH '.')": [(1,), (2,)],
    'SELECT U&"d\\0061ta" FROM (SELECT 1 AS data) x': [(1,)],
    "SELECT U&'\\0441\\043B'": [("сл",)],
    "SELECT U&'d!0061t' UESCAPE '!'": [("dat",)],
    "TABLE pairs ORDER BY a LIMIT 1": [(1, "x", None)],
    "VALUES (1, 'a'), (2, 'b')": [(1, "a"), (2, "b")],
    "(((SELECT 1)))": [(1,)],
    "SELECT 1 AS into, 2 AS select": [(1, 2)],
    "SELECT numeric(3,-2) '12345'": [],
    "SELECT '5' !~~ '4', 'ab' ~~* 'A%', 'ab' !~ 'c', 2 ^ 3, |/ 25.0, ||/ 27.0": [],
    "SELECT 5 # 3, 6 & 3, 6 | 1, ~ 1, 1 << 3, 16 >> 2": [(6, 2, 7, -2, 8, 4)],
    "SELECT point '(1,2)' <-> point '(4,6)'": [(5.0,)],
    "SELECT circle '<(0,0),2>' @> point '(1,1)'": [(True,)],
    "SELECT lseg '[(0,0),(2,2)]' ?# lseg '[(0,2),(2,0)]'": [(True,)],
    "SELECT ?- lseg '[(0,0),(1,0)]', ?| lseg '[(0,0),(1,0)]'": [],
    "SELECT '{\"a\": {\"b\": [1, 2]}}'::jsonb #>> '{a,b,1}'": [("2",)],
    "SELECT '{\"a\": 1}'::jsonb ? 'a', '{\"a\": 1}'::jsonb ?| ARRAY['x', 'a'], '[1]'::jsonb @> '1'": [
        (True, True, True)
    ],
    "SELECT '{\"a\": 1, \"b\": 2}'::jsonb - 'a'": [('{"b": 2}',)],
    "SELECT jsonb_path_query('[1, 2, 3]', '$[*] ? (@ > 1)')::text": [("2",), ("3",)],
    "SELECT ('{\"a\": {\"b\": 7}}'::jsonb)['a']['b']::text": [("7",)],
    "SELECT int4range(1, 5) * int4range(3, 9), int4range(1, 3) -|- int4range(3, 5)": [("[3,5)", True)],
    "SELECT '{[1,3),[5,7)}'::int4multirange @> 6": [(True,)],
    "SELECT 'fat & rat'::tsquery @@ 'a fat cat sat on a rat'::tsvector": [(True,)],
    "SELECT to_tsvector('english', 'rats') @@ to_tsquery('english', 'rat <-> x | rat')": [(True,)],
    "SELECT (ARRAY[1,2,3,4])[2:3], (ARRAY[1,2,3])[:2], ARRAY[1] || 2": [([2, 3], [1, 2], [1, 2])],
    "SELECT 3 = ANY (ARRAY[1,3]), 3 > ALL (VALUES (1), (2)), 2 = SOME (ARRAY[2])": [(True, True, True)],
    "SELECT ROW(1, 2) < ROW(1, 3), (1, 2) IS DISTINCT FROM (1, NULL)": [],
    "SELECT x.* FROM pairs x, LATERAL (SELECT x.a * 2 AS d) y WHERE y.d = 4": [(2, "y", 1)],
    "SELECT n, o FROM unnest(ARRAY['a','b']) WITH ORDINALITY AS u (n, o)": [("a", 1), ("b", 2)],
    "SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(5, 6)) AS r (x, y)": [(1, 5), (2, 6)],
    'SELECT * FROM json_to_record(\'{"a":1,"update":"x"}\') AS r (a int, update text)': [(1, "x")],
    "SELECT a FROM pairs TABLESAMPLE SYSTEM (100) REPEATABLE (1) ORDER BY a FETCH FIRST 1 ROW WITH TIES": [(1,)],
    "SELECT a FROM ONLY pairs ORDER BY b NULLS FIRST, a DESC OFFSET 1 ROW FETCH NEXT ROW ONLY": [(1,)],
    "SELECT b, count(*) FROM pairs GROUP BY GROUPING SETS ((b), ()) ORDER BY b": [("x", 2), ("y", 1), (None, 3)],
    "SELECT b, GROUPING(b) FROM pairs GROUP BY ROLLUP (b) ORDER BY 2, 1": [("x", 0), ("y", 0), (None, 1)],
    "SELECT count(*) FROM pairs GROUP BY DISTINCT CUBE (a, b) ORDER BY 1 DESC LIMIT 1": [(3,)],
    "SELECT sum(a) OVER w FROM pairs WINDOW w AS (ORDER BY a ROWS 1 PRECEDING EXCLUDE TIES)": [],
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM pairs": [(2.0,)],
    "SELECT string_agg(DISTINCT b, ',' ORDER BY b DESC) FILTER (WHERE a > 0) FROM pairs": [("y,x",)],
    "SELECT rank(2) WITHIN GROUP (ORDER BY a), mode() WITHIN GROUP (ORDER BY b) FROM pairs": [(2, "x")],
    "SELECT DISTINCT ON (b) b, a FROM pairs ORDER BY b, a DESC": [("x", 3), ("y", 2)],
    "WITH RECURSIVE t (a, d) AS (SELECT a, 0 FROM pairs WHERE parent IS NULL UNION ALL "
    "SELECT p.a, d + 1 FROM pairs p, t WHERE p.parent = t.a) SEARCH DEPTH FIRST BY a SET o "
    "SELECT a, d FROM t ORDER BY o": [
        (1, 0),
        (2, 1),
        (3, 2),
    ],
    "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n % 3 + 1 FROM t) CYCLE n SET c USING p SELECT n FROM t": [],
    "WITH x AS NOT MATERIALIZED (SELECT 1 AS a) SELECT a FROM x INTERSECT ALL SELECT 1 EXCEPT ALL SELECT 2": [(1,)],
    "SELECT EXTRACT(epoch FROM INTERVAL '1 day' DAY TO SECOND (3))::int": [(86400,)],
    "SELECT OVERLAY('Txxxxas' PLACING 'hom' FROM 2 FOR 4), POSITION('om' IN 'Thomas'), TRIM(BOTH 'x' FROM 'xTomx')": [],
    "SELECT (DATE '2001-02-16', DATE '2001-12-21') OVERLAPS (DATE '2001-10-30', DATE '2002-10-30')": [(True,)],
    "SELECT TIMESTAMP '2001-02-16 20:38' AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo' > '2001-02-17'": [],
    "SELECT 'a' IS NORMALIZED, normalize('a', NFC), 'abc' SIMILAR TO '%(b|d)%'": [(True, "a", True)],
    "SELECT B'101' | B'010', X'1F', E'a\\tb', $$it's$$, $q$a$$b$q$": [("111", "00011111", "a\tb", "it's", "a$$b")],
    "SELECT 'a'\n'b', 1 AS x": [],
    "SELECT CAST(1 AS double precision), int '7', float8 '1.5', 'x'::character varying(3), 1::pg_catalog.int8": [],
    "SELECT 2 OPERATOR(pg_catalog.+) 3, 'a' COLLATE \"C\" < 'b'": [(5, True)],
    "SELECT make_interval(days => 2) = INTERVAL '2 days', format('%s', VARIADIC ARRAY['a'])": [(True, "a")],
    "SELECT current_user IS NOT NULL, CURRENT_CATALOG, current_schema": [],
    "SELECT 1 IN (SELECT 1), EXISTS (TABLE pairs), NOT true IS UNKNOWN": [],
    "SELECT CASE a WHEN 1 THEN 'one' ELSE 'more' END FROM pairs ORDER BY a LIMIT 1": [("one",)],
    "SELECT a FROM pairs WHERE b BETWEEN SYMMETRIC 'z' AND 'y' AND a IS NOT NULL AND (a, b) IN ((2, 'y'))": [(2,)],
    "SELECT a.pg_locks_of_ours FROM (SELECT 1 AS pg_locks_of_ours) a": [(1,)],
    "SELECT a FROM pg_locks_of_ours": [(1,)],
    "SELECT relname FROM pg_class WHERE relname = 'pairs'": [("pairs",)],
    "SELECT pg_get_viewdef('pg_locks_of_ours'::regclass), pg_typeof(1)::text, pg_size_pretty(1::bigint)": [],
    "SELECT count(*) > 0 FROM information_schema.tables, pg_catalog.pg_tables, pg_stat_user_tables": [(True,)],
    "SELECT random() < 1, gen_random_uuid() IS NOT NULL, clock_timestamp() > now() - interval '1 hour'": [(True,) * 3],
    "SELECT 'pg_stat_activity', $$pg_terminate_backend(1)$$ -- pg_sleep(1), set_config('a', 'b', true)": [],
}
"""With their rows; for an empty list, those that PostgreSQL itself gives."""


@pytest.mark.parametrize("sql", VALID)
def test_what_postgresql_takes_runs(server: PostgreSQLServer, engine: SQLAlchemyEngine, sql: str) -> None:
    expected = VALID[sql]
    if not expected:
        with server.connect() as connection:
            # As the role of the engine; else the user of the statement is another.
            connection.execute("SET ROLE reader")
            expected = connection.execute(sql).fetchall()
    assert [tuple(map(str, row)) for row in rows(engine, sql)] == [tuple(map(str, row)) for row in expected]


# ---- what does not run

HOSTILE = {
    "COMMIT": "COMMIT",
    "END": "END",
    "ROLLBACK; BEGIN": Reason.NOT_ONE_STATEMENT,
    "BEGIN": "BEGIN",
    "START TRANSACTION READ WRITE": "START",
    "SET TRANSACTION READ WRITE": "SET",
    "RESET ROLE": "RESET",
    "SELECT 1; COMMIT; DROP TABLE pairs": Reason.NOT_ONE_STATEMENT,
    "SELECT '\\'; COMMIT; DROP TABLE pairs; --'": Reason.NOT_ONE_STATEMENT,
    "SELECT E'\\'; COMMIT; --' FROM nope": Reason.STATEMENT_REJECTED,
    "SELECT $a$ $b$; COMMIT; --$a$; SELECT 2": Reason.NOT_ONE_STATEMENT,
    "/* /* */ SELECT 1; */ DROP TABLE pairs": "DROP",
    "SELECT 1) TO STDOUT; DROP TABLE pairs; COPY (SELECT 1": Reason.NOT_ONE_STATEMENT,
    "SELECT 1) TO PROGRAM 'id' --": Reason.SYNTAX_ERROR,
    "SELECT 1 -- )": None,
    "COPY pairs TO PROGRAM 'id'": "COPY",
    "DO $$ BEGIN COMMIT; END $$": "DO",
    "CALL f()": "CALL",
    "NOTIFY x": "NOTIFY",
    "LISTEN x": "LISTEN",
    "LOCK TABLE pairs": "LOCK",
    "PREPARE x AS SELECT 1": "PREPARE",
    "EXECUTE queryengine": "EXECUTE",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": "DECLARE",
    "EXPLAIN ANALYZE DELETE FROM pairs": "EXPLAIN",
    "SHOW ALL": "SHOW",
    "REFRESH MATERIALIZED VIEW x": "REFRESH",
    "SELECT * INTO x FROM pairs": "INTO",
    "SELECT 1 INTO TEMP x": "INTO",
    "SELECT * FROM pairs FOR UPDATE": "LOCK",
    "SELECT * FROM (SELECT * FROM pairs FOR NO KEY UPDATE) x": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT * FROM pairs FOR SHARE SKIP LOCKED": "LOCK",
    "WITH x AS (DELETE FROM pairs RETURNING *) SELECT * FROM x": "DELETE",
    "WITH x AS (WITH y AS (INSERT INTO pairs VALUES (9) RETURNING *) SELECT * FROM y) SELECT * FROM x": "INSERT",
    "WITH x AS (SELECT 1) UPDATE pairs SET a = 9 RETURNING *": "UPDATE",
    "MERGE INTO pairs USING pairs p ON true WHEN MATCHED THEN DELETE": "MERGE",
}
"""With the word that is refused, or the reason; None for what runs."""


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_no_query_does_not_run(server: PostgreSQLServer, engine: SQLAlchemyEngine, sql: str) -> None:
    expected = HOSTILE[sql]
    if expected is None:
        assert rows(engine, sql) == [(1,)]
        return
    found = failure(engine, sql)
    if isinstance(expected, Reason):
        assert found.reason is expected
    else:
        assert found.reason is Reason.STATEMENT_NOT_ALLOWED
        assert found.metadata["statement_type"] == expected
    with server.connect() as connection:
        assert connection.execute("SELECT count(*) FROM pairs WHERE a < 9").fetchone() == (3,)


def test_strings_end_where_the_check_says_whatever_the_role_has_set(
    server: PostgreSQLServer, engine: SQLAlchemyEngine
) -> None:
    with server.connect() as connection:
        connection.execute("ALTER ROLE reader SET standard_conforming_strings = off")
        try:
            assert rows(engine, r"SELECT '\', ';--' AS b") == [("\\", ";--")]
        finally:
            connection.execute("ALTER ROLE reader RESET standard_conforming_strings")


# ---- placeholders and places


@pytest.mark.parametrize(
    ("sql", "named", "expected"),
    [
        ("SELECT :select::int AS a", {"select": 1}, (1,)),
        ("SELECT :größe::int + :größe AS a", {"größe": 2}, (4,)),
        ("SELECT @ :a, COLLATION FOR (:b::text)", {"a": -5, "b": "x"}, (5, '"default"')),
        ("SELECT ':a', $$:a$$, :a /* :a */ -- :a", {"a": 1}, (":a", ":a", 1)),
        ("SELECT (ARRAY[1,2,3])[:a::int:3], (ARRAY[1,2,3])[2:n] FROM (SELECT 3 AS n) x", {"a": 2}, ([2, 3], [2, 3])),
        ("SELECT x[1 :n] FROM (SELECT 2 AS n, ARRAY[1,2,3] AS x) x WHERE :a", {"a": True}, ([1, 2],)),
        (
            "SELECT make_interval(days => :d) = :e::interval, format('%s', :f::text)",
            {"d": 1, "e": "1 day", "f": "y"},
            (True, "y"),
        ),
    ],
)
def test_parameters_stand_wherever_a_value_may(
    engine: SQLAlchemyEngine, sql: str, named: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert rows(engine, sql, named=named) == [expected]


def test_a_type_before_a_parameter_is_told_how_it_is_written(engine: SQLAlchemyEngine) -> None:
    found = failure(engine, "SELECT 1,\n\tdate :day AS d", named={"day": "2024-01-02"})
    assert found.reason is Reason.SYNTAX_ERROR
    assert found.position == Position(2, 7)
    assert ":day::date" in found.message
    assert "$1" not in found.message
    assert failure(engine, "SELECT * FROM :t", named={"t": "pairs"}).position == Position(1, 15)


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1 FROM FROM", (1, 15)),
        ("\n\t SELECT 1,\n\t'é', '\U0001f600', nope", (3, 12)),
        ("/* \U0001f600 */ SELECT nope", (1, 16)),
        ("SELECT '\U0001f600'\r\n  , nope(1)", (2, 5)),
        ("SELECT :a, '\U0001f600', nope", (1, 17)),
        ("SELECT\n 1 ::: int", (2, 6)),
        ("SELECT numeric(x) FROM (SELECT '1' AS y) z", (1, 19)),
    ],
)
def test_places_are_those_of_the_user(engine: SQLAlchemyEngine, sql: str, place: tuple[int, int]) -> None:
    found = failure(engine, sql, named={"a": 1} if ":a" in sql else {})
    assert found.position == Position(*place)
