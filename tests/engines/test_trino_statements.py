"""Trino's own SQL runs as it is written; what is no query, or reaches beyond a tenant, does not."""

from collections.abc import Iterator
from typing import Any

import pytest
from trino_support import ENDLESS_ROWS, failure_of, opened, read, server, statement

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, Position, Reason
from queryengine.engines.trino.engine import TrinoEngine


@pytest.fixture
def engine() -> Iterator[TrinoEngine]:
    with opened(server().options()) as engine:
        yield engine


def rows(engine: TrinoEngine, sql: str, **named: Any) -> list[tuple[Any, ...]]:
    TrinoEngine.check(sql, server().options())
    parameters = tuple(BoundParameter(*each) for each in named.items())
    columns = read(engine, sql, parameters=parameters).columns
    # Names may repeat.
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def failure(engine: TrinoEngine, sql: str, **named: Any) -> Failure:
    parameters = tuple(BoundParameter(*each) for each in named.items())
    return failure_of(lambda: read(engine, sql, parameters=parameters))


VALID: dict[str, list[tuple[Any, ...]]] = {
    "TABLE region ORDER BY regionkey LIMIT 0": [],
    "VALUES (1, 'a'), (2, 'b')": [(1, "a"), (2, "b")],
    "(((SELECT 1)))": [(1,)],
    "WITH x (a) AS (VALUES 1) SELECT a FROM x UNION ALL TABLE x": [(1,), (1,)],
    "WITH RECURSIVE t (n) AS (VALUES 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t ORDER BY n": [
        (1,),
        (2,),
        (3,),
    ],
    "WITH FUNCTION twice(x integer) RETURNS integer RETURN x * 2 SELECT twice(2)": [(4,)],
    "SELECT n FROM UNNEST(ARRAY[1, 2]) WITH ORDINALITY AS t (n, o) WHERE o > 1": [(2,)],
    'SELECT t.* FROM (VALUES (1, 2)) AS t ("delete", update)': [(1, 2)],
    "SELECT sequential_number FROM TABLE(sequence(start => 1, stop => 2))": [(1,), (2,)],
    "SELECT sequential_number FROM TABLE(system.builtin.sequence(1, 1))": [(1,)],
    "SELECT count(*) FROM nation TABLESAMPLE BERNOULLI (100)": [(25,)],
    "SELECT nationkey FROM nation ORDER BY 1 OFFSET 1 ROW FETCH FIRST 1 ROW WITH TIES": [(1,)],
    "SELECT regionkey, count(*) FROM nation GROUP BY GROUPING SETS ((regionkey), ()) ORDER BY 1 NULLS FIRST LIMIT 1": [
        (None, 25)
    ],
    "SELECT max_by(name, nationkey), approx_distinct(1), count_if(true) FROM nation": [("UNITED STATES", 1, 25)],
    "SELECT listagg(name, ',') WITHIN GROUP (ORDER BY name DESC) FILTER (WHERE nationkey < 2) FROM nation": [
        ("ARGENTINA,ALGERIA",)
    ],
    "SELECT sum(a) OVER w FROM (VALUES 1, 2) t (a) WINDOW w AS (ORDER BY a ROWS UNBOUNDED PRECEDING)": [(1,), (3,)],
    "SELECT * FROM (VALUES (1, 90), (2, 80), (3, 95)) t (d, p) MATCH_RECOGNIZE (ORDER BY d MEASURES LAST(U.p) AS p "
    "ONE ROW PER MATCH PATTERN (D+? U??U?) DEFINE D AS p < 95, U AS p > 90)": [],
    "SELECT transform(ARRAY[1, 2], x -> x + 1), reduce(ARRAY[1, 2], 0, (s, x) -> s + x, s -> s)": [([2, 3], 3)],
    "SELECT MAP(ARRAY['a'], ARRAY[1])['a'], ARRAY[1, 2][2], ROW(1, 'x')[2], CAST(ROW(1) AS ROW(a integer)).a": [
        (1, 2, "x", 1)
    ],
    "SELECT TRY(1 / 0), COALESCE(NULL, 1), NULLIF(1, 1), IF(true, 1), TRY_CAST('x' AS integer)": [
        (None, 1, None, 1, None)
    ],
    "SELECT DATE '2024-01-31' + INTERVAL '1' MONTH = DATE '2024-02-29', EXTRACT(YEAR FROM DATE '2024-01-02')": [
        (True, 2024)
    ],
    "SELECT TIMESTAMP '2024-01-02 03:04:05 UTC' AT TIME ZONE 'Asia/Tokyo' IS NOT NULL, 1 IS DISTINCT FROM NULL": [
        (True, True)
    ],
    "SELECT 'it''s', U&'\\0041', U&'d!0061' UESCAPE '!', X'4142' = to_utf8('AB'), 1e0, DECIMAL '1.5' > 1": [
        ("it's", "A", "da", True, 1.0, True)
    ],
    "SELECT 1 = ANY (VALUES 1, 2), 2 > ALL (VALUES 1), EXISTS (SELECT 1), 1 IN (1, 2), 'a' LIKE 'a!_' ESCAPE '!'": [
        (True, True, True, True, False)
    ],
    "SELECT json_query('{\"a\": [1]}', 'lax $.a' WITH WRAPPER), json_value('{\"a\": 1}', 'lax $.a?(@ > 0)')": [
        ("[[1]]", "1")
    ],
    "SELECT json_object('a' : 1, KEY 'b' VALUE 2 NULL ON NULL), json_array(1, NULL ABSENT ON NULL)": [
        ('{"a":1,"b":2}', "[1]")
    ],
    'SELECT "a b" FROM (SELECT 1 AS "a b")': [(1,)],
    "SELECT current_user, current_catalog, CURRENT_DATE IS NOT NULL, localtimestamp(3) IS NOT NULL": [
        ("tester", "tpch", True, True)
    ],
    "SELECT position('b' IN 'abc'), substring('abc' FROM 2 FOR 1), trim(BOTH 'x' FROM 'xax'), normalize('a', NFC)": [
        (2, "b", "a", "a")
    ],
    "SELECT 1 FROM nation n CROSS JOIN UNNEST(ARRAY[n.nationkey]) u (k) WHERE u.k = 1": [(1,)],
    "SELECT a FROM (VALUES 1) t (a) JOIN (VALUES 1) u (a) USING (a) LEFT JOIN LATERAL (SELECT 1 AS b) v ON true": [],
    "SELECT count(*) > 0 FROM system.metadata.catalogs, system.jdbc.catalogs, information_schema.tables": [(True,)],
    'SELECT t.system.x, t . "system".x FROM (SELECT CAST(ROW(1) AS ROW(x integer)) AS system) AS t': [(1, 1)],
    "SELECT 'system.runtime.queries', 'CALL kill_query()' -- system.runtime.queries": [
        ("system.runtime.queries", "CALL kill_query()")
    ],
    "SELECT 1 /* a /* ; */ + 1 -- ;\r + 1": [(3,)],
}
"""With their rows; of those with none, only that they run."""


@pytest.mark.parametrize("sql", VALID)
def test_what_trino_takes_runs(engine: TrinoEngine, sql: str) -> None:
    found = rows(engine, sql)
    if VALID[sql]:
        assert found == VALID[sql]


HOSTILE = {
    "CALL system.runtime.kill_query('x', 'y')": "CALL",
    "SET SESSION query_max_run_time = '1h'": "SET",
    "EXECUTE IMMEDIATE 'DROP TABLE x'": "EXECUTE",
    "EXPLAIN ANALYZE SELECT 1": "EXPLAIN",
    "SHOW SESSION": "SHOW",
    "DESCRIBE nation": "DESCRIBE",
    "COMMIT": "COMMIT",
    "START TRANSACTION": "START",
    "INSERT INTO memory.default.x VALUES 1": "INSERT",
    "CREATE TABLE memory.default.x AS SELECT 1": "CREATE",
    "WITH x AS (SELECT 1) DELETE FROM memory.default.x": "DELETE",
    "/* /* */ DROP TABLE memory.default.x -- */ SELECT 1": "DROP",
    "-- \rDROP TABLE memory.default.x": "DROP",
    "SELECT 1; DROP TABLE memory.default.x": Reason.NOT_ONE_STATEMENT,
    "SELECT '\\'; DROP TABLE memory.default.x; --'": Reason.NOT_ONE_STATEMENT,
    "SELECT 1' USING 1; DROP TABLE x --": Reason.SYNTAX_ERROR,
    "`SELECT` 1": Reason.SYNTAX_ERROR,
    "SELECT query FROM system.runtime.queries": "SELECT",
    'SELECT query FROM "system"."runtime"."queries"': "SELECT",
    "SELECT query FROM SYSTEM . /* x */ Runtime.queries": "SELECT",
    "TABLE system.runtime.tasks": "SELECT",
    "SELECT (SELECT max(query) FROM system.runtime.queries)": "SELECT",
    "SELECT t.system.x FROM (SELECT 1 AS system) AS t, system.runtime.queries": "SELECT",
    "SELECT * FROM TABLE(postgresql . system . /* x */ query (query => 'DROP TABLE x'))": "SELECT",
    "SELECT * FROM TABLE(postgresql.system.query(query => 'DROP TABLE x'))": "SELECT",
    "SELECT * FROM TABLE(\"elastic\".\"system\".raw_query(schema => 'a', index => 'b', query => 'c'))": "SELECT",
}
"""With the word that is refused, or the reason."""


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_no_query_of_ones_own_does_not_run(engine: TrinoEngine, sql: str) -> None:
    found = failure(engine, sql)
    expected = HOSTILE[sql]
    if isinstance(expected, Reason):
        assert found.reason is expected
    else:
        assert found.reason is Reason.STATEMENT_NOT_ALLOWED
        assert found.metadata["statement_type"] == expected


@pytest.mark.parametrize("home", [{"catalog": "system", "schema": "runtime"}, {"catalog": "x", "schema": "System"}])
def test_names_are_not_those_of_system_by_catalog_or_schema(engine: TrinoEngine, home: dict[str, str]) -> None:
    found = failure_of(lambda: read(engine, "SELECT query FROM queries", **home))
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED
    assert "system.metadata" in found.message


def test_nobody_sees_or_ends_what_another_tenant_runs(engine: TrinoEngine) -> None:
    with engine.open(statement(ENDLESS_ROWS, tenant="acme")) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        name = execution.progress().engine_query_id
        for sql in ("SELECT query FROM system.runtime.queries", f"CALL system.runtime.kill_query('{name}', 'x')"):
            assert failure(engine, sql).reason is Reason.STATEMENT_NOT_ALLOWED
        next(batches)


@pytest.mark.parametrize(
    ("sql", "named", "expected"),
    [
        ("SELECT :select, :größe, ':a' /* :a */ -- :a", {"select": 1, "größe": 2}, (1, 2, ":a")),
        ("SELECT ARRAY[:a, 2][:a], json_object('k':1, 'm' : :b)", {"a": 1, "b": 2}, (1, '{"k":1,"m":2}')),
        ("SELECT CAST(:d AS date) > DATE '2024-01-01' LIMIT :n", {"d": "2024-01-02", "n": 1}, (True,)),
    ],
)
def test_parameters_stand_wherever_a_value_may(
    engine: TrinoEngine, sql: str, named: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert rows(engine, sql, **named) == [expected]


@pytest.mark.parametrize(
    ("sql", "named", "place"),
    [
        ("SELECT 1 FROM FROM", {}, (1, 15)),
        ("SELECT 1 FROM FROM WHERE :a", {"a": 1}, (1, 15)),
        ("\n\t SELECT 1,\n\t'é', '\U0001f600', nope", {}, (3, 12)),
        ("/* \U0001f600 */ SELECT :größe, nope", {"größe": "it's"}, (1, 24)),
        ("SELECT '\U0001f600'\r\n  , :a, nope", {"a": 1}, (2, 9)),
        ("SELECT :a, 'it''s \U0001f600', nope", {"a": 1}, (1, 23)),
        ("SELECT date :d", {"d": "2024-01-02"}, (1, 13)),
    ],
)
def test_places_are_those_of_the_user(
    engine: TrinoEngine, sql: str, named: dict[str, Any], place: tuple[int, int]
) -> None:
    found = failure(engine, sql, **named)
    assert found.position == Position(*place)
