"""PostgreSQL's own functions: each was looked at for whether it reaches beyond its arguments."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql_support import shared_server

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.calls import computing
from tests.executing import table, tuples

KNOWN = computing("queryengine.engines.kit.postgresql")
LOOKED_AT = frozenset(Path(__file__).with_name("postgresql_functions.txt").read_text().split())
"""Those of PostgreSQL 15 that reach files, networks, settings, the catalog or other sessions, that wait, or that serve
PostgreSQL itself."""
VARYING = frozenset(
    {"bernoulli", "clock_timestamp", "gen_random_uuid", "random", "random_normal", "system", "timeofday"}
)
"""Volatile ones that differ from call to call, and that is all."""


def test_every_function_of_the_server_was_looked_at() -> None:
    with shared_server().connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT lower(proname), provolatile = 'v' FROM pg_proc "
            "WHERE pronamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
        [[version]] = connection.execute("SELECT current_setting('server_version_num')::int / 10000").fetchall()
    names = {name for name, _ in rows}
    assert len(names) > 2000
    assert not KNOWN & LOOKED_AT
    # The list of what was looked at is that of one version; what another one adds is refused.
    assert version != 15 or sorted(names - KNOWN - LOOKED_AT) == []
    volatile = {name for name, is_volatile in rows if is_volatile}
    assert volatile & KNOWN <= VARYING


REACHING = {
    "files": ["pg_read_file('x')", "pg_read_binary_file('x')", "pg_ls_dir('.')", "pg_stat_file('x')", "lo_import('x')"],
    "large objects": ["lo_get(1)", "lo_export(1, 'x')", "lo_create(0)", "loread(1, 1)"],
    "networks": ["dblink('host=x', 'SELECT 1')", "dblink_exec('host=x', 'DROP TABLE t')"],
    "settings": ["set_config('role', 'x', false)", "pg_reload_conf()"],
    "other SQL": [
        "query_to_xml('SELECT 1', true, true, '')",
        "ts_stat('SELECT 1')",
        "table_to_xml('t', true, true, '')",
    ],
    "other sessions": [
        "pg_terminate_backend(1)",
        "pg_cancel_backend(1)",
        "pg_stat_get_activity(1)",
        "pg_advisory_lock(1)",
    ],
    "sequences": ["nextval('s')", "setval('s', 1)"],
}
PLACES = [
    "SELECT {call}",
    "SELECT * FROM {call} AS x",
    "SELECT * FROM ROWS FROM ({call}) AS x",
    "SELECT 1 FROM t, LATERAL {call} AS x",
    "SELECT 1 WHERE {call} IS NULL",
    "SELECT 1 ORDER BY {call}",
    "SELECT 1 GROUP BY 1 HAVING {call} IS NULL",
    "WITH x AS (SELECT {call}) SELECT 1 FROM x",
    "SELECT (SELECT {call})",
    "SELECT CASE WHEN true THEN {call} END",
    "SELECT coalesce(NULL, {call})",
    "SELECT 1 LIMIT (SELECT 1 WHERE {call} IS NULL)",
    "VALUES ({call})",
    "SELECT max(1) FILTER (WHERE {call} IS NULL)",
    "SELECT row_number() OVER (ORDER BY {call})",
    "SELECT ARRAY[{call}] || '{{}}'",
]


def spellings(call: str) -> list[str]:
    name, _, rest = call.partition("(")
    return [
        call,
        f"{name.upper()} ({rest}",
        f'"{name}"({rest}',
        f"{name}/* x */ -- y\n({rest}",
        f"pg_catalog.{name}({rest}",
        f'"pg_catalog" . "{name}"({rest}',
        f'U&"\\{ord(name[0]):04x}{name[1:]}"({rest}',
    ]


@pytest.fixture(scope="module")
def engine() -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("pg", shared_server().options())
    yield engine
    engine.close()


def refusal(engine: SQLAlchemyEngine, sql: str) -> str:
    with pytest.raises(QueryEngineError) as caught:
        table(engine, sql)
    assert caught.value.failure.reason is Reason.STATEMENT_NOT_ALLOWED, sql
    return caught.value.failure.message


@pytest.mark.parametrize("call", [call for calls in REACHING.values() for call in calls])
def test_what_reaches_out_is_refused_however_it_is_written(engine: SQLAlchemyEngine, call: str) -> None:
    name = call.partition("(")[0]
    for spelling in spellings(call):
        assert name in refusal(engine, f"SELECT {spelling}")
        assert SQLAlchemyEngine.analyse(f"SELECT {spelling}", shared_server().options()).unproven == {name}


@pytest.mark.parametrize("place", PLACES)
def test_what_reaches_out_is_refused_wherever_it_stands(engine: SQLAlchemyEngine, place: str) -> None:
    for call in ("pg_terminate_backend(1)", r'U&"pg\005fread_file"(\'x\')'.replace("\\'", "'")):
        refusal(engine, place.format(call=call))
        [name] = SQLAlchemyEngine.analyse(place.format(call=call), shared_server().options()).unproven or ()
        assert name in {"pg_terminate_backend", "pg_read_file"}


def test_a_function_may_be_allowed_by_name() -> None:
    engine = SQLAlchemyEngine("pg", {**shared_server().options(), "allow_functions": ["PG_Notification_Queue_Usage"]})
    try:
        assert tuples(table(engine, "SELECT pg_catalog.pg_notification_queue_usage() < 1")) == [(True,)]
        assert "nextval" in refusal(engine, "SELECT pg_notification_queue_usage(), nextval('s')")
    finally:
        engine.close()


@pytest.mark.parametrize("allowed", ["setseed", [1], [""]])
def test_a_wrong_list_of_functions_is_named(allowed: object) -> None:
    with pytest.raises(ValueError, match="option 'allow_functions' must be a list of names of functions"):
        SQLAlchemyEngine.traits({"url": "postgresql://u@h/d", "allow_functions": allowed})
