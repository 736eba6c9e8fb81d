"""ClickHouse's own SQL runs as it is written; what is no query, or reaches beyond a tenant, does not."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.executing import table, tuples
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared


@pytest.fixture(scope="module")
def server() -> ClickHouseServer:
    return cast("ClickHouseServer", shared(ClickHouseServer))


@pytest.fixture
def engine(server: ClickHouseServer) -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", server.options())
    yield engine
    engine.close()


def run(engine: ClickHouseEngine, sql: str, **fields) -> pa.Table:
    engine.check(sql, {})
    parameters = fields.pop("named", {})
    bound = tuple(BoundParameter(*each) for each in parameters.items()) or fields.pop("parameters", ())
    return table(engine, sql, parameters=bound, **fields)


def rows(engine: ClickHouseEngine, sql: str, **fields) -> list[tuple[Any, ...]]:
    return tuples(run(engine, sql, **fields))


def failure(engine: ClickHouseEngine, sql: str, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, **fields)
    return caught.value.failure


VALID: dict[str, list[tuple[Any, ...]]] = {
    "SELECT number FROM numbers(10) ORDER BY number LIMIT 2 BY number % 2 LIMIT 3": [(0,), (1,), (2,)],
    "SELECT 5 MOD 2, 7 DIV 2": [(1, 3)],
    "SELECT TOP 1 number FROM numbers(3) ORDER BY number DESC": [(2,)],
    "SELECT COLUMNS('n') APPLY(toString) APPLY(x -> concat(x, '!')) FROM numbers(1)": [("0!",)],
    "SELECT tuple(1, 2).-1, tuple(1, 2).1": [(2, 1)],
    "SELECT number % 2 AS n, count() FROM numbers(3) GROUP BY n WITH TOTALS ORDER BY n": [(0, 2), (1, 1)],
    "SELECT 1, 2, FROM system.one": [(1, 2)],
    "FROM numbers(2) SELECT number ORDER BY ALL": [(0,), (1,)],
    "SELECT * EXCEPT (number), number + 1 AS n FROM numbers(1)": [(1,)],
    "SELECT * REPLACE (number * 2 AS number) FROM numbers(2)": [(0,), (2,)],
    "WITH 1 AS x, (SELECT 2) AS y SELECT x + y": [(3,)],
    "WITH x AS (SELECT 1 AS a) SELECT a FROM x": [(1,)],
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t": [(1,), (2,), (3,)],
    "SELECT x FROM (SELECT [1, 2] AS a) ARRAY JOIN a AS x": [(1,), (2,)],
    "SELECT x FROM (SELECT [1] AS a) LEFT ARRAY JOIN a AS x": [(1,)],
    "SELECT a.number FROM numbers(2) AS a ANY LEFT JOIN numbers(1) AS b USING number ORDER BY 1": [(0,), (1,)],
    "SELECT a.number FROM numbers(3) a SEMI JOIN numbers(2) b ON a.number = b.number ORDER BY 1": [(0,), (1,)],
    "SELECT a.number FROM numbers(3) a ANTI JOIN numbers(2) b ON a.number = b.number": [(2,)],
    "SELECT b.n FROM (SELECT 5 AS n, 1 AS k) a ASOF JOIN (SELECT 3 AS n, 1 AS k) b ON a.k = b.k AND a.n >= b.n": [(3,)],
    "SELECT count() FROM numbers(2) AS a GLOBAL ANY INNER JOIN numbers(2) AS b USING number": [(2,)],
    "SELECT count() FROM t PREWHERE a > 1": [(0,)],
    "SELECT number FROM numbers(5) LIMIT 1 OFFSET 2": [(2,)],
    "SELECT number FROM numbers(5) LIMIT 2, 1": [(2,)],
    "SELECT number FROM numbers(5) ORDER BY number % 2 LIMIT 2 WITH TIES": [(0,), (2,), (4,)],
    "SELECT number FROM numbers(3) ORDER BY number OFFSET 1 ROW FETCH FIRST 1 ROWS ONLY": [(1,)],
    "SELECT number * 2 AS n FROM numbers(2) ORDER BY n WITH FILL FROM 0 TO 4 STEP 1": [(0,), (1,), (2,), (3,)],
    "SELECT n, v FROM (SELECT 1 AS n, 5 AS v) ORDER BY n WITH FILL TO 3 INTERPOLATE (v AS v + 1)": [(1, 5), (2, 6)],
    "SELECT sum(number) FROM numbers(3) GROUP BY number WITH ROLLUP ORDER BY 1": [(0,), (1,), (2,), (3,)],
    "SELECT count() FROM numbers(2) GROUP BY GROUPING SETS ((number), ()) ORDER BY 1": [(1,), (1,), (2,)],
    "SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY ALL HAVING k = 1 QUALIFY 1": [(1, 2)],
    "SELECT sum(number) OVER w FROM numbers(2) WINDOW w AS (ORDER BY number) ORDER BY 1": [(0,), (1,)],
    "SELECT quantile(0.5)(number), topK(1)(number % 1) FROM numbers(3)": [(1.0, [0])],
    "SELECT sumIf(number, number > 1), countIf(number > 0), uniqExact(number) FROM numbers(3)": [(2, 2, 3)],
    "SELECT count() FILTER (WHERE number > 0) FROM numbers(3)": [(2,)],
    "SELECT arrayMap((x, y) -> x * y, [1, 2], [3, 4]), arrayFilter(x -> x % 2, [1, 2, 3])": [([3, 8], [1, 3])],
    "SELECT [1, 2, 3][-1], map('a', 1)['a'], (1, 'b').2, [[1]][1][1]": [(3, 1, "b", 1)],
    "SELECT 1 ? 2 : 3, NOT 1, 1 = 1 AND 2 == 2, 1 <> 2, 1 IS NULL, 1 IS NOT DISTINCT FROM 1": [],
    "SELECT 'a' || 'b', 'abc' LIKE 'a%', 'abc' ILIKE 'A%', 'abc' REGEXP 'b', 'it''s \\'q\\''": [],
    "SELECT x'41', b'01000001', 0xff, 0b11, 1_000, 1e3, nan IS NULL, -0.": [],
    "SELECT $$it's$$, $h$a;$$b$h$, \u2018quoted\u2019": [("it's", "a;$$b", "quoted")],
    'SELECT 1 AS `a b`, 2 AS "c d", `a b` + "c d", 3 AS \u201ce f\u201d': [(1, 2, 3, 3)],
    "SELECT CAST(1 AS String), 1::Int8, CAST('1', 'UInt8'), '[1]'::Array(UInt8)": [("1", 1, 1, [1])],
    "SELECT DATE '2024-01-02' + INTERVAL 1 DAY = '2024-01-03', INTERVAL '1' HOUR = toIntervalHour(1)": [(1, True)],
    "SELECT EXTRACT(YEAR FROM toDate('2024-01-02')), TRIM(BOTH 'x' FROM 'xa')": [],
    "SELECT SUBSTRING('abc' FROM 2 FOR 1), POSITION('b' IN 'abc'), toTypeName(1)": [("b", 2, "UInt8")],
    "SELECT CASE 1 WHEN 1 THEN 'a' ELSE 'b' END, if(1, 2, 3), multiIf(0, 1, 2)": [("a", 2, 2)],
    "SELECT 1 IN (1, 2), 1 NOT IN (2), (1, 2) IN ((1, 2)), 1 GLOBAL IN (SELECT 1), 1 IN system.one": [],
    "SELECT EXISTS(SELECT 1), 1 = ANY (SELECT 1), (SELECT 1)": [],
    "SELECT 1 UNION DISTINCT SELECT 1 INTERSECT SELECT 1": [(1,)],
    "(SELECT 1) UNION ALL (SELECT 2) EXCEPT SELECT 2": [],
    "SELECT * FROM values('a UInt8, b String', (1, 'x'), (2, 'y')) ORDER BY a": [(1, "x"), (2, "y")],
    "SELECT generate_series FROM generate_series(1, 3, 2)": [(1,), (3,)],
    "SELECT * FROM view(SELECT 1 AS a)": [(1,)],
    "SELECT name FROM system.columns WHERE database = 'system' AND table = 'one'": [("dummy",)],
    "SELECT table_name FROM information_schema.tables WHERE table_name = 't' AND table_type = 'BASE TABLE' LIMIT 1": [],
    "SELECT name FROM system.`tables` WHERE name = 'one' AND database = 'system'": [("one",)],
    "SELECT 1 AS settings, settings + 1, 2 AS format, format": [(1, 2, 2, 2)],
    "SELECT settings FROM (SELECT 1 AS settings) ORDER BY settings DESC": [(1,)],
    "SELECT x.settings FROM (SELECT 1 AS settings) AS x WHERE settings = 1 GROUP BY settings": [(1,)],
    "SELECT t.system.x, t . `system`.x FROM (SELECT CAST((1,), 'Tuple(x UInt8)') AS system) AS t": [(1, 1)],
    "SELECT 'system.processes', $$ KILL QUERY $$ -- remote('x')": [("system.processes", " KILL QUERY ")],
    "SELECT 1 // comment\n + 1 # another\n + 1 #! and one more": [(3,)],
    "SELECT 1 /* /* nested */ ; */ + 1": [(2,)],
    "SELECT\u00a01": [(1,)],
}
"""With their rows; for an empty list, those that the server itself gives."""


@pytest.mark.parametrize("sql", VALID)
def test_what_clickhouse_takes_runs(server: ClickHouseServer, engine: ClickHouseEngine, sql: str) -> None:
    expected = VALID[sql]
    if not expected:
        client = server.client()
        try:
            answer = client.raw_query(sql, fmt="JSONCompactEachRow").decode()
        finally:
            client.close()
        expected = [tuple(json.loads(line)) for line in answer.splitlines()]
        assert [tuple(map(_plain, row)) for row in rows(engine, sql)] == [tuple(map(_plain, row)) for row in expected]
        return
    assert rows(engine, sql) == expected


def _plain(value: Any) -> str:
    """ClickHouse's JSON has texts for what is no number of JSON, and numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower()


# ---- what does not run

HOSTILE = {
    "KILL QUERY WHERE 1": "KILL",
    "SYSTEM FLUSH LOGS": "SYSTEM",
    "SET max_threads = 1": "SET",
    "INSERT INTO t SELECT 1, 'x'": "INSERT",
    "INSERT INTO FUNCTION url('http://127.0.0.1:1', 'TSV', 'a Int8') SELECT 1": "INSERT",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT 1, 'x'": "INSERT",
    "DELETE FROM t WHERE 1": "DELETE",
    "OPTIMIZE TABLE t": "OPTIMIZE",
    "EXPLAIN SELECT 1": "EXPLAIN",
    "SHOW PROCESSLIST": "SHOW",
    "DESCRIBE TABLE t": "DESCRIBE",
    "EXISTS TABLE t": "EXISTS",
    "SELECT 1; KILL QUERY WHERE 1": Reason.NOT_ONE_STATEMENT,
    "SELECT '\\'; KILL QUERY WHERE 1; --'": None,
    "SELECT 1) UNION ALL (SELECT 2": Reason.SYNTAX_ERROR,
    "SELECT 1\n) FORMAT CSV SETTINGS readonly = 0 --": Reason.SYNTAX_ERROR,
    "/* /* */ SELECT 1; */ KILL QUERY WHERE 1": "KILL",
    "SELECT * FROM (KILL QUERY WHERE 1)": Reason.SYNTAX_ERROR,
    "SELECT * FROM (SHOW PROCESSLIST)": Reason.SYNTAX_ERROR,
    "SELECT * FROM (EXPLAIN SELECT 1)": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT 1 SETTINGS max_threads = 1": "SETTINGS",
    "SELECT 1 SETTINGS readonly": "SETTINGS",
    "SELECT 1 FROM t SETTINGS `max_threads` = 1": "SETTINGS",
    "SELECT * FROM (SELECT 1 /* */ settings limit = 5)": "SETTINGS",
    "SELECT 1 FORMAT JSON": "FORMAT",
    "SELECT * FROM t FORMAT Null": "FORMAT",
    "SELECT 1 INTO OUTFILE '/tmp/x'": "INTO OUTFILE",
    "SELECT query FROM system.processes": "SELECT",
    'SELECT query FROM `system`."processes"': "SELECT",
    "SELECT query FROM \u201csystem\u201d . /* x */ processes": "SELECT",
    "SELECT query FROM `s\\ystem`.processes": "SELECT",
    "SELECT 1 IN system.user_processes": "SELECT",
    "SELECT 1.system.x, * FROM system.processes AS `1.system`": "SELECT",
    "SELECT * FROM system.query_log": "SELECT",
    "SELECT * FROM system.query_cache, system.errors": "SELECT",
    "SELECT * FROM merge('system', '^processes$')": "SELECT",
    "SELECT * FROM merge(system, '^processes$')": "SELECT",
    "SELECT * FROM merge(REGEXP('sys.*'), '^processes$')": "SELECT",
    "SELECT * FROM merge(concat('sys', 'tem'), '^processes$')": "SELECT",
    "SELECT * FROM merge('s\\x79stem', '^processes$')": "SELECT",
    "SELECT * FROM cluster('default', system, processes)": "SELECT",
    "SELECT * FROM clusterAllReplicas('default', 'system.processes')": "SELECT",
    "SELECT * FROM remote('127.0.0.1', system, processes)": "SELECT",
    "SELECT * FROM loop(system.processes)": "SELECT",
    "SELECT * FROM eval('KILL QUERY WHERE 1')": "SELECT",
    "SELECT * FROM view(SELECT query FROM system.processes)": "SELECT",
    "SELECT file('/etc/passwd')": "SELECT",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')": "SELECT",
    "SELECT * FROM url('http://127.0.0.1:1/x', 'TSV', 'a String')": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'TSV', 'a String')": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')": Reason.STATEMENT_NOT_ALLOWED,
    "SELECT * FROM executable('id', 'TSV', 'a String')": "SELECT",
}
"""With the word that is refused, or the reason; None for what runs."""


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_no_query_of_ones_own_does_not_run(engine: ClickHouseEngine, sql: str) -> None:
    expected = HOSTILE[sql]
    if expected is None:
        assert len(rows(engine, sql)) == 1
        return
    found = failure(engine, sql)
    if isinstance(expected, Reason):
        assert found.reason is expected
    else:
        assert found.reason is Reason.STATEMENT_NOT_ALLOWED
        assert found.metadata["statement_type"] == expected


def test_a_parameter_names_no_table_that_is_refused(engine: ClickHouseEngine) -> None:
    sql = "SELECT count() FROM {d:Identifier}.{t:Identifier}"
    assert rows(engine, sql, named={"d": "system", "t": "one"}) == [(1,)]
    for named in ({"d": "system", "t": "processes"}, {"d": "SYSTEM", "t": "query_log"}):
        assert failure(engine, sql, named=named).reason is Reason.STATEMENT_NOT_ALLOWED
    found = failure(engine, "SELECT count() FROM system.{t:Identifier}", named={"t": "processes"})
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED


def test_names_are_not_those_of_system_by_a_schema(engine: ClickHouseEngine) -> None:
    found = failure(engine, "SELECT query FROM processes", schema="system")
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED
    assert "system.tables" in found.message


def test_nobody_sees_what_another_tenant_runs(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    endless = "SELECT number, 'acme' FROM numbers(1000000000000)"
    with engine.open(Statement(sql=endless, query_id="q", tenant="acme")) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        assert server.running("acme") == 1
        for sql in ("SELECT query FROM system.processes", "KILL QUERY WHERE query LIKE '%acme%' SYNC"):
            assert failure(engine, sql, tenant="globex").reason is Reason.STATEMENT_NOT_ALLOWED
        next(batches)


# ---- placeholders and places


@pytest.mark.parametrize(
    ("sql", "fields", "expected"),
    [
        ("SELECT 5 MOD {a:UInt8}, '{a:UInt8}' -- {b:Int8}", {"named": {"a": 2}}, (1, "{a:UInt8}")),
        ("SELECT { a : Array(Nullable(UInt8)) }[1], [1, 2][{i:Int8}]", {"named": {"a": [1], "i": -1}}, (1, 2)),
        ("SELECT TOP {select:UInt8} ? MOD 2", None, ()),
        ("SELECT ? MOD 2, '?', $$?$$, ? /* ? */ + 1", {"parameters": (5, 2)}, (1, "?", "?", 3)),
        ("SELECT 1 ? 2 : {a:UInt8}", {"named": {"a": 3}}, (2,)),
        (
            "SELECT tuple({a:UInt8}, 2).-2, COLUMNS('x') APPLY(toString) FROM (SELECT 1 AS x)",
            {"named": {"a": 3}},
            (3, "1"),
        ),
    ],
)
def test_parameters_stand_wherever_a_value_may(
    engine: ClickHouseEngine, sql: str, fields: dict[str, Any] | None, expected: tuple[Any, ...]
) -> None:
    if fields is None:
        assert failure(engine, sql).reason is Reason.PARAMETER_MISMATCH
        return
    if "parameters" in fields:
        fields = {"parameters": tuple(BoundParameter("", each) for each in fields["parameters"])}
    assert rows(engine, sql, **fields) == [expected]


@pytest.mark.parametrize("sql", ["SELECT {a:Int8} + {a:UInt8}", "SELECT ? + (1 ? 2 : 3)"])
def test_what_cannot_be_told_apart_is_refused(engine: ClickHouseEngine, sql: str) -> None:
    assert failure(engine, sql).reason in {Reason.PARAMETER_MISMATCH, Reason.UNSUPPORTED}


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1 FROM 2", (1, 15)),
        ("\n\t SELECT 1,\n\t'é', '\U0001f600' nope nope", (3, 16)),
        ("/* \U0001f600 */ SELECT 1 1", (1, 18)),
        ("SELECT '\U0001f600'\r\n  , (1 1)", (2, 8)),
        ("SELECT {a:String}, '\U0001f600' x y", (1, 26)),
        ("SELECT 1 FROM", (1, 14)),
        ("SELECT 1 FROM ; -- x", (1, 14)),
    ],
)
def test_places_are_those_of_the_user(engine: ClickHouseEngine, sql: str, place: tuple[int, int]) -> None:
    found = failure(engine, sql, named={"a": "x"} if "{a" in sql else {})
    assert found.reason is Reason.SYNTAX_ERROR
    assert found.position == Position(*place)
