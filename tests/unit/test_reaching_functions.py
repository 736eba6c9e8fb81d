"""What sleeps, or reaches files, networks, settings, other SQL or other sessions, is seen wherever and however it is
written: the engine refuses it, or the analysis names it, so that rules on functions refuse it.
"""

import pytest
from test_text_analysis import ALL, analysed

from queryengine.domain.errors import QueryEngineError, Reason

CALLS: dict[str, list[str]] = {
    "duckdb": [
        "read_csv('http://x/y')", "read_text('/etc/passwd')", "glob('*')", "parquet_scan('s3://b/x')",
        "query('SELECT 1')", "query_table('t')", "current_setting('threads')", "getvariable('x')", "duckdb_secrets()",
        "duckdb_settings()", "sleep_ms(1)", "nextval('s')", "my_macro(1)", "duckdb_tables()", "sniff_csv('x')",
        "which_secret('a', 's3')",
    ],
    "sqlite": [
        "load_extension('x')", "readfile('x')", "writefile('x', 'y')", "edit('x')", "fts3_tokenizer('x')",
        "dbstat('x')", "sqlite_compileoption_get(1)", "pragma_function_list('x')", "sqlite_log(1, 'x')",
        "highlight('t', 0, '', '')",
    ],
    "postgresql": [
        "pg_sleep(1)", "pg_read_file('x')", "lo_import('x')", "dblink('x', 'y')", "set_config('a', 'b', true)",
        "current_setting('a')", "query_to_xml('SELECT 1', true, true, '')", "pg_terminate_backend(1)", "nextval('s')",
        "pg_ls_dir('.')", "pg_stat_get_activity(1)", "currtid2('t', '(0,0)')", "has_table_privilege('t', 'SELECT')",
    ],
    "clickhouse": [
        "sleep(1)", "sleepEachRow(1)", "file('x')", "url('http://x', 'CSV', 'a Int8')", "s3('x')",
        "remote('h', 'd', 't')", "mysql('h', 'd', 't', 'u', 'p')", "executable('x', 'TSV', 'a String')",
        "getSetting('x')", "dictGet('d', 'a', 1)", "joinGet('t', 'a', 1)", "merge('d', 't')",
        "cluster('c', 'd', 't')", "hostName()", "getMacro('x')", "eval('SELECT 1')", "dictionary('d')",
        "jdbc('x', 'y')", "hdfs('x')", "viewExplain('x', 'y', 'z')", "in(1, 'x')",
    ],
    "trino": [
        "current_groups()", "my_udf(1)", "query('x')", "raw_query('x')", "kill_query('x', 'y')",
    ],
    "spark": [
        "reflect('a', 'b')", "java_method('a', 'b')", "read_files('x')", "input_file_name()", "ai_query('x', 'y')",
        "from_protobuf('a', 'b')", "my_udf(1)", "identifier('t')", "http_request('x')",
    ],
}  # fmt: skip
PLACES = [
    "SELECT {call}",
    "SELECT a FROM {call}",
    "SELECT a FROM t JOIN {call} ON (1 = 1)",
    "SELECT a FROM t WHERE {call} = 1",
    "SELECT a FROM t WHERE a IN (1, {call})",
    "SELECT a FROM t GROUP BY a HAVING max({call}) = 1",
    "SELECT a FROM t ORDER BY {call}",
    "SELECT CASE WHEN a = 1 THEN {call} END FROM t",
    "SELECT max(coalesce(a, {call})) FROM t",
    "WITH x AS (SELECT {call}) SELECT 1 FROM x",
    "WITH x(a) AS (SELECT 1) SELECT a, {call} FROM x",
    "SELECT (SELECT {call})",
    "SELECT 1 UNION ALL SELECT {call}",
    "SELECT CAST({call} AS varchar) FROM t",
    "SELECT -{call} || 'x'",
    "SELECT row_number() OVER (PARTITION BY {call}) FROM t",
    "SELECT DISTINCT {call} AS sum FROM t",
]
QUOTES = {"spark": "`", "clickhouse": "`"}


def spellings(engine: str, call: str) -> list[str]:
    name, _, rest = call.partition("(")
    quote = QUOTES.get(engine, '"')
    folded = [] if engine == "clickhouse" else [f"{name.upper()}({rest}"]
    # `in` in quotes is a name like any other, and without them a word that only ClickHouse calls.
    return [call, *folded, f"{quote}{name}{quote}({rest}", f"{name} /* x */ -- y\n ({rest}"]


def is_seen(engine: str, sql: str, name: str) -> bool:
    try:
        found = analysed(ALL[engine], sql)
    except QueryEngineError as cause:
        return cause.failure.reason in (Reason.STATEMENT_NOT_ALLOWED, Reason.SYNTAX_ERROR)
    return found.unproven is None or name.lower() in found.unproven


@pytest.mark.parametrize("engine", CALLS)
@pytest.mark.parametrize("place", PLACES)
def test_what_reaches_out_is_seen_wherever_it_stands(engine: str, place: str) -> None:
    for call in CALLS[engine]:
        assert is_seen(engine, place.format(call=call), call.partition("(")[0]), place.format(call=call)


@pytest.mark.parametrize("engine", CALLS)
def test_what_reaches_out_is_seen_however_it_is_written(engine: str) -> None:
    for call in CALLS[engine]:
        for spelling in spellings(engine, call):
            assert is_seen(engine, f"SELECT a, {spelling} FROM t", call.partition("(")[0]), spelling


@pytest.mark.parametrize("engine", CALLS)
def test_a_schema_before_the_name_hides_nothing(engine: str) -> None:
    for call in CALLS[engine]:
        assert is_seen(engine, f"SELECT a FROM t WHERE s . {call} = 1", call.partition("(")[0]), call


@pytest.mark.parametrize("engine", CALLS)
def test_what_only_looks_like_a_call_is_none(engine: str) -> None:
    for call in CALLS[engine]:
        name = call.partition("(")[0]
        sql = f"SELECT 'x {name}(1)' AS a /* {name}(1) */ FROM t -- {name}(1)\n"
        assert analysed(ALL[engine], sql).unproven == frozenset()
