"""Which functions a statement may call: every one that DuckDB has is judged, and none gets past the check."""

from collections.abc import Iterator

import duckdb
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.duckdb import functions
from queryengine.engines.duckdb.check import StatementCheck
from queryengine.engines.duckdb.functions import ALLOWED, COMPUTING, REFUSED, SYSTEM_VIEWS, why_refused

PLACES = (
    "SELECT {call}",
    "SELECT {call}::VARCHAR || 'x' AS a",
    "FROM {call}",
    "SELECT 1 FROM range(3) AS t(a) WHERE {call} IS NOT NULL",
    "SELECT 1 FROM range(3) AS t(a) ORDER BY {call}",
    "SELECT 1 FROM range(3) AS t(a) LIMIT {call}",
    "SELECT sum(a) FROM range(3) AS t(a) GROUP BY {call} HAVING {call}",
    "SELECT sum(a) FILTER (WHERE {call}) FROM range(3) AS t(a)",
    "SELECT sum(a) OVER (PARTITION BY a ORDER BY {call}) FROM range(3) AS t(a)",
    "SELECT a FROM range(3) AS t(a) QUALIFY {call}",
    "SELECT DISTINCT ON ({call}) a FROM range(3) AS t(a)",
    "SELECT * REPLACE ({call} AS a) FROM range(3) AS t(a)",
    "SELECT list_transform([1], lambda x: {call})",
    "SELECT [{call} FOR x IN [1]]",
    "SELECT CASE WHEN {call} THEN 1 END",
    "SELECT {{'a': {call}}}",
    "VALUES ({call})",
    "WITH x AS (SELECT {call}) SELECT 1 FROM x",
    "WITH RECURSIVE x AS (SELECT 1 AS a UNION ALL SELECT {call} FROM x) FROM x",
    "SELECT (SELECT {call})",
    "SELECT 1 WHERE EXISTS (SELECT {call})",
    "SELECT 1 UNION SELECT {call}",
    "FROM range(3) a JOIN range(3) b ON {call}",
    "FROM range(3) t(a), LATERAL (SELECT {call})",
    "PIVOT (SELECT 1 AS a, 2 AS b) ON a IN (1) USING sum({call})",
    "PIVOT (SELECT 1 AS a, {call} AS b) ON a USING sum(b)",
    "FROM (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)), (SELECT {call})",
    "UNPIVOT (SELECT {call} AS a, 2 AS b) ON a, b",
    "EXPLAIN SELECT {call}",
    "EXPLAIN ANALYZE SELECT {call}",
    "EXPLAIN (FORMAT json) SELECT {call}",
    "EXPLAIN (SELECT {call})",
    "EXPLAIN PIVOT (SELECT 1 AS a, {call} AS b) ON a USING sum(b)",
    "DESCRIBE SELECT {call}",
    "DESCRIBE (PIVOT (SELECT 1 AS a, {call} AS b) ON a USING sum(b))",
    "SUMMARIZE SELECT {call}",
    "FROM (SUMMARIZE SELECT {call})",
    "SELECT (1).{call}",
)
SPELLINGS = (
    "setseed(0.5)",
    "SetSeed(0.5)",
    '"setseed"(0.5)',
    "setseed (0.5)",
    "setseed/* a */(0.5)",
    "setseed--\n(0.5)",
    "setseed\u00a0(0.5)",
    "\u2003setseed\u2003(0.5)",
    "main.setseed(0.5)",
    'system."main".setseed(0.5)',
)
CALLS = (
    "query('SELECT 1')",
    "query_table('t')",
    "enable_profiling(format := 'json')",
    "enable_logging()",
    "register_external_resource_type('a')",
    "destroy_external_resource('query', 'SELECT 1')",
    "current_setting('temp_directory')",
    "getvariable('a')",
    "duckdb_logs()",
    "duckdb_secrets()",
    "nextval('a')",
    "setval('a', 1)",
    "currval('a')",
    "write_log('a')",
    "pragma_database_size()",
    "json_execute_serialized_sql('{}')",
    "json_serialize_plan('SELECT 1')",
    "read_text('/etc/passwd')",
    "read_blob('/etc/passwd')",
    "glob('/*')",
    "arrow_scan(1, 2, 3)",
    "sleep_ms(1)",
    "\"IS DISTINCT FROM\"({'x': 1}, -1)",
    '"is not distinct from"(1, 2)',
    *(f"\"{operator}\"([1, 2, 3]::INTEGER[3], 'a')" for operator in ("=", "!=", "<", "<=", ">", ">=")),
)
RUNS = (
    "SELECT extract(year FROM DATE '2020-01-01'), current_timestamp, localtime, overlay('a' PLACING 'b' FROM 1)",
    "SELECT 1 BETWEEN 0 AND 2, 'a' ILIKE 'b', 'a' NOT SIMILAR TO 'c', 'a' GLOB 'x', 1 IS DISTINCT FROM 2, NOT true",
    "SELECT 1 = 1, 1 != 2, 1 <> 2, 1 < 2, 1 <= 2, 1 > 2, 1 >= 2, 1 IS NOT DISTINCT FROM 1, 1 < ALL ([2])",
    "SELECT 1::TEXT::INT, @(-1), '{}'::JSON->>'x', '{}'::JSON->'y', coalesce(NULL, 1), if(true, 1, 2), (1, 2), row(1)",
    "SELECT {'x': 1}.x, [1, 2][1], map {1: 2}[1], 'a' || 'b', 3 // 2, 3 % 2, 2 ** 3, 2 ^ 3, 1 << 2, 1 & 2, 1 | 2, ~1",
    "SELECT 1 != 2, 1 IN (1, 2), 1 = ANY ([1]), EXISTS (SELECT 1), array(SELECT 1), trim(LEADING 'x' FROM 'xy'), 10!",
    "SELECT position('a' IN 'ba'), INTERVAL '1' DAY, TIMESTAMPTZ '2020-01-01' AT TIME ZONE 'UTC', 'a' COLLATE NOCASE",
    "SELECT first(a ORDER BY a), string_agg(DISTINCT a::TEXT, ','), any_value(a), histogram(a) FROM range(3) AS t(a)",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), mode() WITHIN GROUP (ORDER BY a) FROM range(3) AS t(a)",
    "SELECT ntile(3) OVER w, nth_value(a, 2) OVER w, lag(a) OVER w, rank() OVER w FROM t WINDOW w AS (ORDER BY a)",
    "SELECT [x + 1 FOR x IN [1, 2] IF x > 1], list_transform([1], lambda x: x + 1), list_aggregate([1], 'sum')",
    "SELECT * LIKE 'a%' FROM (SELECT 1 AS ab)",
    "SELECT columns('a') FROM (SELECT 1 AS ab)",
    "SELECT random() < 2, uuid() IS NOT NULL, now() IS NOT NULL, today() IS NOT NULL, version() IS NOT NULL",
    "SELECT grouping(a), grouping_id(a) FROM range(3) AS t(a) GROUP BY CUBE (a)",
    "FROM range(3) AS t(a) SELECT a USING SAMPLE 2",
    "FROM json_each('{\"a\": 1}')",
    "FROM generate_series(1, 3)",
    "SELECT unnest([1, 2])",
    "SHOW ALL TABLES",
    "DESCRIBE SELECT 1 AS a",
    "SUMMARIZE SELECT 1 AS a",
    "FROM information_schema.tables",
    "FROM pg_catalog.pg_class",
    "FROM sqlite_master",
    "FROM duckdb_tables()",
    "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "EXPLAIN PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "EXPLAIN ANALYZE PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "EXPLAIN (FORMAT json) PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "EXPLAIN (SELECT 1)",
    "DESCRIBE (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b))",
    "DESCRIBE PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)",
    "SUMMARIZE (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b))",
    "FROM (DESCRIBE (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)))",
    "WITH x AS (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)) FROM x",
    "(PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)) UNION ALL (SELECT 1)",
    "SELECT 1 AS setseed, 'query(''SELECT 1'')' AS \"read_text\"",
    # A string calls nothing, also where names are looked for in the text.
    "PIVOT (SELECT 'query' AS a, 2 AS b) ON a USING sum(b)",
    "PIVOT (SELECT 'it''s a query (1)' AS a, 'setseed' AS c) ON a USING count(c)",
    'PIVOT (SELECT 1 AS a, \'"query"\' AS "it\'s") ON a USING count(*)',
)


@pytest.fixture(scope="module")
def check() -> Iterator[StatementCheck]:
    check = StatementCheck()
    yield check
    check.close()


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        yield connection


def refusal(check: StatementCheck, sql: str) -> str:
    with pytest.raises(QueryEngineError) as caught:
        check.check(sql)
    assert caught.value.failure.reason is Reason.STATEMENT_NOT_ALLOWED
    return caught.value.failure.metadata.get("name", "")


def test_every_function_that_duckdb_has_is_judged(connection: duckdb.DuckDBPyConnection) -> None:
    live = connection.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    judged = frozenset().union(*REFUSED.values())
    prefixes = tuple(name[:-1] for name in judged if name.endswith("*"))
    unjudged = {name for (name,) in live if name not in ALLOWED | judged and not name.startswith(prefixes)}
    assert not unjudged, "judge them in queryengine/engines/duckdb/functions.py"
    assert not ALLOWED & judged
    assert not ALLOWED - {name for (name,) in live}
    assert COMPUTING < ALLOWED
    assert not [name for name in COMPUTING if name.startswith(("duckdb_", "pragma_", "has_", "pg_get_", "inet_"))]


def test_every_system_view_that_duckdb_has_is_judged(connection: duckdb.DuckDBPyConnection) -> None:
    live = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()}
    assert live - SYSTEM_VIEWS == {"duckdb_logs", "pg_prepared_statements", "pg_settings"}


def test_a_function_of_a_newer_duckdb_is_refused(check: StatementCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "ALLOWED", ALLOWED - {"sqrt"})
    assert why_refused("sqrt") == "it is not among the functions that are known to be safe"
    assert refusal(check, "SELECT sqrt(4)") == "sqrt"


@pytest.mark.parametrize("place", PLACES)
def test_a_function_is_found_wherever_it_stands(check: StatementCheck, place: str) -> None:
    assert refusal(check, place.format(call="setseed(0.5)")) == "setseed"
    check.check(place.format(call="range(3)"))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", ["SELECT {call}", "PIVOT (SELECT 1 AS a, {call} AS b) ON a USING sum(b)"])
def test_a_function_is_found_however_it_is_written(check: StatementCheck, place: str, spelling: str) -> None:
    assert refusal(check, place.format(call=spelling)) == "setseed"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "place", ["SELECT {call}", "FROM {call}", "PIVOT (SELECT 1 AS a, {call} AS b) ON a USING sum(b)"]
)
def test_what_a_refused_function_is_called_is_in_the_failure(check: StatementCheck, place: str, call: str) -> None:
    assert refusal(check, place.format(call=call)) == call.partition("(")[0].strip('"').lower()


def test_every_refused_function_is_refused(check: StatementCheck) -> None:
    """Pragmas apart: no query can call one."""
    for why, names in REFUSED.items():
        for name in names:
            if "*" not in name and why != "it is a pragma":
                assert refusal(check, f'SELECT "{name}"(1)') == name
                assert refusal(check, f'PIVOT (SELECT 1 AS a, "{name}"(1) AS b) ON a USING sum(b)') == name


def test_views_that_show_other_queries_are_refused(check: StatementCheck) -> None:
    for name in ("duckdb_logs", "DuckDB_Logs", "main.duckdb_logs", "system.main.duckdb_logs", "pg_settings"):
        refused = refusal(check, f"SELECT * FROM {name}")
        assert refused == name.lower().rpartition(".")[2]
        assert refusal(check, f"PIVOT {name} ON a USING count(*)") == refused


@pytest.mark.parametrize(
    "spelling",
    [
        "'x', query('SELECT 1')",
        "'it''s', query('SELECT 1')",
        "\"it's\", query('SELECT 1')",
        "\"'\", query('SELECT 1'), \"'\"",
        "'\"', query('SELECT 1'), '\"'",
        "E'\\'', query('SELECT 1'), E'\\''",
        "$$'$$, query('SELECT 1'), $$'$$",
        "1 /* ' */, query('SELECT 1'), 1 /* ' */",
        "1 -- '\n, query('SELECT 1') -- '\n",
        "'', \"query\"('SELECT 1')",
    ],
)
def test_quotes_hide_no_call_in_a_pivot_without_an_in_list(check: StatementCheck, spelling: str) -> None:
    assert refusal(check, f"PIVOT (SELECT 1 AS a, {spelling} AS b) ON a USING sum(b)") == "query"


def test_a_view_may_be_named_by_a_string(check: StatementCheck) -> None:
    assert refusal(check, "PIVOT 'duckdb_logs' ON a USING count(*)") == "duckdb_logs"


def test_a_table_function_may_be_refused_that_is_fine_as_an_aggregate(check: StatementCheck) -> None:
    assert refusal(check, "FROM histogram('duckdb_logs', message)") == "histogram"
    check.check("SELECT histogram(range) FROM range(3)")


@pytest.mark.parametrize("sql", RUNS)
def test_what_only_reads_and_computes_runs(
    check: StatementCheck, connection: duckdb.DuckDBPyConnection, sql: str
) -> None:
    check.check(sql)
    assert connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql", ["SELECT no_such_function(1)", "FROM no_such_function(1)", "SELECT 1 FROM no_such_table"]
)
def test_names_that_duckdb_does_not_have_are_left_to_it(check: StatementCheck, sql: str) -> None:
    check.check(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS PIVOT t ON a USING sum(b)",
        "EXPLAIN INSERT INTO t VALUES (1)",
        "EXPLAIN CREATE TABLE x AS PIVOT t ON a USING sum(b)",
        "WITH x AS (DELETE FROM t RETURNING *) FROM x",
        "CALL enable_profiling()",
        "PRAGMA enable_profiling",
        "SET VARIABLE a = 1",
        "PREPARE p AS SELECT 1",
        "COPY (PIVOT t ON a USING sum(b)) TO '/tmp/x'",
    ],
)
def test_what_is_no_query_is_refused(check: StatementCheck, sql: str) -> None:
    refusal(check, sql)


def test_a_text_may_be_allowed_more(check: StatementCheck) -> None:
    allowed = {"read_text", "duckdb_logs"}
    check.check("FROM read_text('/x')", allowed)
    check.check("PIVOT (SELECT 1 AS a, Read_Text('/x') AS b) ON a USING sum(b)", allowed)
    with pytest.raises(QueryEngineError, match="'read_blob'"):
        check.check("FROM read_blob('/x')", allowed)
    # What one text may call, the next one may not.
    assert refusal(check, "FROM read_text('/x')") == "read_text"


def test_macros_of_the_engine_may_be_called(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE MACRO twice(a) AS a * 2")
    check = StatementCheck(catalog=connection)
    check.check("SELECT twice(1)")
    check.close()
