"""Tenants of PostgreSQL neither see nor end each other's statements, with one role for all and with one for each."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa
import pytest
from postgresql_support import ENDLESS_ROWS, shared_server

from queryengine.domain.errors import Failure, Position, QueryEngineError, Reason
from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.kit.postgresql.guard import Guard
from queryengine.engines.kit.postgresql.harmless import HARMLESS_FUNCTIONS, HARMLESS_TABLES
from tests.executing import table
from tests.servers.postgresql import PostgreSQLServer

ROLES = {"acme": "reader_acme", "globex": "reader_globex"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    server = shared_server()
    with server.connect() as connection:
        for role in ROLES.values():
            connection.execute(f"CREATE ROLE {role}; GRANT {role} TO reader")
        connection.execute(
            "CREATE TABLE secrets (tenant text, n int); INSERT INTO secrets VALUES ('reader_acme', 1), "
            "('reader_globex', 2); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; "
            "CREATE POLICY own ON secrets USING (tenant = current_user); GRANT SELECT ON secrets TO PUBLIC; "
            "CREATE SCHEMA lists; GRANT USAGE ON SCHEMA lists TO PUBLIC; CREATE VIEW lists.pg_locks AS SELECT 1 AS a; "
            "GRANT SELECT ON lists.pg_locks TO PUBLIC"
        )
        yield server
        connection.execute("DROP TABLE secrets; DROP SCHEMA lists CASCADE; DROP ROLE reader_acme, reader_globex")


@pytest.fixture(scope="module")
def engine(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    """One role for all tenants."""
    engine = SQLAlchemyEngine("pg", server.options())
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def other(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    """The same by a driver that has no adapter."""
    engine = SQLAlchemyEngine("pg", server.other_options())
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def parted(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    """A role for each tenant."""
    engine = SQLAlchemyEngine("pg", {**server.options(), "roles": ROLES})
    yield engine
    engine.close()


def run(engine: SQLAlchemyEngine, sql: str, tenant: str = "globex") -> pa.Table:
    return table(engine, sql, tenant=tenant)


def failure(engine: SQLAlchemyEngine, sql: str, tenant: str = "globex") -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, tenant)
    return caught.value.failure


@contextmanager
def running(engine: SQLAlchemyEngine, tenant: str = "acme") -> Iterator[int]:
    """The process of a statement of a tenant; it can be read on afterwards."""
    with engine.open(Statement(sql=f"{ENDLESS_ROWS} WHERE 'acme' <> ''", query_id="q", tenant=tenant)) as execution:
        execution.start()
        batches = execution.batches()
        next(batches)
        yield int(execution.progress().engine_query_id)
        next(batches)


REFUSED = {
    "SELECT query FROM pg_stat_activity": "pg_stat_activity",
    "SELECT query FROM pg_catalog.pg_stat_activity": "pg_stat_activity",
    "SELECT query FROM postgres.pg_catalog . /* x */ PG_STAT_ACTIVITY": "pg_stat_activity",
    'SELECT * FROM "pg_stat_activity"': "pg_stat_activity",
    r'SELECT * FROM U&"pg_stat\005factivity"': "pg_stat_activity",
    r'SELECT * FROM U&"pg_stat\+00005factivity"': "pg_stat_activity",
    r'SELECT * FROM U&"pg_stat!005factivity" UESCAPE ' + "'!'": "UESCAPE",
    "TABLE pg_stat_activity": "pg_stat_activity",
    "SELECT (pg_stat_get_activity(NULL)).query": "pg_stat_get_activity",
    "SELECT pg_stat_get_backend_activity(1)": "pg_stat_get_backend_activity",
    "SELECT * FROM pg_locks": "pg_locks",
    "SELECT * FROM pg_stat_replication, pg_stat_ssl": "pg_stat_replication",
    "SELECT * FROM pg_prepared_xacts": "pg_prepared_xacts",
    "SELECT * FROM pg_stat_statements": "pg_stat_statements",
    "SELECT * FROM public.pg_stat_statements": "pg_stat_statements",
    "SELECT pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT pg_cancel_backend({pid})": "pg_cancel_backend",
    "SELECT pg_catalog.pg_terminate_backend ({pid})": "pg_terminate_backend",
    'SELECT "pg_terminate_backend"/**/({pid})': "pg_terminate_backend",
    r'SELECT U&"\0070g_terminate_backend"({pid})': "pg_terminate_backend",
    "SELECT * FROM ROWS FROM (pg_terminate_backend({pid})) x": "pg_terminate_backend",
    "SELECT query_to_xml('SELECT pg_terminate_backend({pid})', true, true, '')": "query_to_xml",
    "SELECT table_to_xml('pg_catalog.pg_stat_activity', true, true, '')": "table_to_xml",
    "SELECT ts_stat('SELECT to_tsvector(query) FROM pg_stat_activity')": "ts_stat",
    "SELECT * FROM crosstab('SELECT 1') AS x (a int)": "crosstab",
    "SELECT public.dblink('dbname=x', 'SELECT 1')": "dblink",
    "SELECT set_config('role', 'none', false)": "set_config",
    "SELECT set_config('statement_timeout', '0', false)": "set_config",
    "SELECT pg_advisory_lock(1)": "pg_advisory_lock",
    "SELECT pg_try_advisory_xact_lock(1)": "pg_try_advisory_xact_lock",
    "SELECT pg_notify('x', 'y')": "pg_notify",
    "SELECT nextval('x')": "nextval",
    "SELECT pg_read_file('postgresql.conf')": "pg_read_file",
    "SELECT * FROM pg_ls_dir('.') x": "pg_ls_dir",
    "SELECT lo_export(1, '/tmp/x')": "lo_export",
    "SELECT pg_reload_conf()": "pg_reload_conf",
    "SELECT pg_export_snapshot()": "pg_export_snapshot",
    "SELECT pg_logical_emit_message(false, 'a', 'b')": "pg_logical_emit_message",
    "SELECT pg_switch_wal()": "pg_switch_wal",
    "SELECT pg_stat_reset()": "pg_stat_reset",
    "SELECT * FROM pg_hba_file_rules": "pg_hba_file_rules",
    "SELECT rolpassword FROM pg_authid": "pg_authid",
    # What stands behind AS is a new name; what stands behind that is not.
    "SELECT 1 AS as FROM pg_locks": "pg_locks",
    "SELECT 1 AS a, pg_terminate_backend({pid})": "pg_terminate_backend",
    "WITH x AS (TABLE pg_locks) TABLE x": "pg_locks",
    "WITH x AS MATERIALIZED (SELECT * FROM pg_locks) TABLE x": "pg_locks",
    "SELECT * FROM (SELECT 1) AS a, pg_locks": "pg_locks",
    "SELECT * FROM (SELECT 1) AS a CROSS JOIN pg_locks": "pg_locks",
    "SELECT * FROM pg_locks AS a": "pg_locks",
    "SELECT pg_locks FROM pg_catalog.pg_locks AS pg_locks": "pg_locks",
    "SELECT 1 AS AS, pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT 1 AS /* /* */ x */ a, pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT 1 AS a -- AS \r, pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT $$ AS $$, pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT $a$ $$ AS $a$, pg_terminate_backend({pid})": "pg_terminate_backend",
    r"SELECT E'\' AS ', pg_terminate_backend({pid})": "pg_terminate_backend",
    r"SELECT 'a\' AS x, pg_terminate_backend({pid}) --'": "pg_terminate_backend",
    "SELECT 1 AS\u3000x, pg_terminate_backend({pid})": "pg_terminate_backend",
    "SELECT CAST(pg_terminate_backend({pid}) AS text)": "pg_terminate_backend",
    "SELECT CAST(1 AS numeric(pg_terminate_backend({pid})))": "pg_terminate_backend",
    "SELECT CAST(NULL AS pg_catalog.pg_authid)": "pg_authid",
    "SELECT * FROM ROWS FROM (json_to_record('{{}}') AS (a pg_locks))": "pg_locks",
    "SELECT XMLFOREST(1 AS a, pg_terminate_backend({pid}) AS b)": "pg_terminate_backend",
    "SELECT 1 FROM (SELECT 1) a WINDOW w AS (ORDER BY pg_terminate_backend({pid}))": "pg_terminate_backend",
    # A part of WITH hides a table of the catalog only where its name means it.
    "WITH pg_shadow AS (TABLE pg_shadow) TABLE pg_shadow": "pg_shadow",
    "WITH x AS (TABLE pg_locks), pg_locks AS (SELECT 1) TABLE x": "pg_locks",
    "WITH pg_locks AS (SELECT 1) TABLE pg_catalog.pg_locks": "pg_locks",
    "SELECT * FROM (WITH pg_locks AS (SELECT 1) TABLE pg_locks) a, pg_locks": "pg_locks",
    "SELECT (WITH pg_locks AS (SELECT 1 AS a) SELECT max(a) FROM pg_locks) FROM pg_locks": "pg_locks",
    "((WITH pg_locks AS (SELECT 1 AS a) TABLE pg_locks) UNION (SELECT pid FROM pg_locks))": "pg_locks",
    'WITH "PG_LOCKS" AS (SELECT 1) TABLE pg_locks': "pg_locks",
    "WITH pg_locks(a) AS (SELECT 1) SELECT a, pg_terminate_backend({pid}) FROM pg_locks": "pg_terminate_backend",
    "WITH pg_notify AS (SELECT 1) SELECT pg_notify('a', 'b') FROM pg_notify": "pg_notify",
    "SELECT 1 FROM unnest(ARRAY[1]) WITH ORDINALITY pg_locks (a, b), pg_locks": "pg_locks",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_one_role_shows_no_tenant_the_others(engine: SQLAlchemyEngine, sql: str) -> None:
    with running(engine) as pid:
        found = failure(engine, sql.format(pid=pid))
        assert found.reason is Reason.STATEMENT_NOT_ALLOWED
        assert REFUSED[sql] in found.message
        if REFUSED[sql] != "UESCAPE":
            assert found.position is not None


@pytest.mark.parametrize("sql", REFUSED)
def test_another_driver_has_the_same_guard(other: SQLAlchemyEngine, sql: str) -> None:
    found = failure(other, sql.format(pid=1))
    # What the gateway's parser does not know is refused before.
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED or "the gateway's own parser" in found.message
    if found.reason is Reason.STATEMENT_NOT_ALLOWED:
        assert REFUSED[sql] in found.message


def test_another_driver_refuses_a_role_that_reaches_out(server: PostgreSQLServer) -> None:
    with server.connect() as connection:
        connection.execute("GRANT pg_read_server_files TO reader")
        try:
            with pytest.raises(QueryEngineError) as caught:
                SQLAlchemyEngine("pg", server.other_options())
        finally:
            connection.execute("REVOKE pg_read_server_files FROM reader")
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "an url that begins with postgresql://" in caught.value.failure.message


def test_the_place_is_that_of_the_name(engine: SQLAlchemyEngine) -> None:
    assert failure(engine, "SELECT 1,\n '\U0001f600', pg_notify('a', 'b')").position == Position(2, 7)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM lists.pg_locks",
        'SELECT lists.pg_locks.a FROM lists . "pg_locks"',
        "SELECT 'pg_stat_activity' = $$pg_terminate_backend(1)$$ AS a -- set_config()",
        "SELECT 1 AS pg_locks",
        'SELECT 1 AS "pg_stat_activity", 2 AS pg_terminate_backend /* pg_locks */',
        "SELECT a FROM (SELECT 1) AS pg_locks (a)",
        "SELECT x.pg_locks, x.set_config FROM (SELECT 1 AS pg_locks, 2 AS set_config) x",
        "SELECT * FROM generate_series(1, 1) AS pg_terminate_backend(a)",
        "SELECT a AS pg_locks FROM lists.pg_locks AS set_config GROUP BY 1 ORDER BY 1",
        "WITH x AS (SELECT 1 AS pg_shadow) SELECT x.pg_shadow FROM x",
        "WITH pg_shadow AS (SELECT 1) TABLE pg_shadow",
        "WITH pg_locks (a) AS NOT MATERIALIZED (SELECT 1) SELECT pg_locks.a FROM PG_Locks",
        "WITH x AS (SELECT 1), pg_locks AS MATERIALIZED (TABLE x), y AS (TABLE pg_locks) SELECT * FROM y, pg_locks",
        "WITH RECURSIVE pg_locks(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM pg_locks WHERE a < 0) TABLE pg_locks",
        "WITH RECURSIVE x AS (TABLE pg_locks), pg_locks AS (SELECT 1) TABLE x",
        "SELECT * FROM (WITH pg_locks AS (SELECT 1 AS a) SELECT (SELECT a FROM pg_locks) FROM pg_locks) x",
        r'WITH U&"pg\005flocks" AS (SELECT 1) TABLE pg_locks',
        "WITH pg_terminate_backend (a) AS (SELECT 1) TABLE pg_terminate_backend",
        "WITH pg_stat_statements AS (SELECT 1) TABLE pg_stat_statements",
    ],
)
def test_names_of_others_are_not_meant(engine: SQLAlchemyEngine, sql: str) -> None:
    assert run(engine, sql).num_rows == 1


def test_what_is_called_harmless_exists_somewhere(server: PostgreSQLServer) -> None:
    """A name that is misspelt would be refused; newer servers have more than this one."""
    newer_functions = {
        "pg_basetype", "pg_column_toast_chunk_id", "pg_input_error_info", "pg_input_is_valid", "pg_stat_get_lastscan",
        "pg_stat_get_tuples_newpage_updated", "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs_zone",
        "random_normal", "uuidv4", "uuidv7",
    }  # fmt: skip
    with server.connect() as connection:
        functions = {name for (name,) in connection.execute("SELECT proname FROM pg_proc").fetchall()}
        tables = {name for (name,) in connection.execute("SELECT relname FROM pg_class").fetchall()}
    assert HARMLESS_FUNCTIONS - functions <= newer_functions
    assert tables >= HARMLESS_TABLES


# ---- a role for each


def test_a_tenant_has_its_role_and_its_rows(parted: SQLAlchemyEngine) -> None:
    for tenant, role in ROLES.items():
        (row,) = run(parted, "SELECT current_user AS who, session_user AS by, n FROM secrets", tenant).to_pylist()
        assert row == {"who": role, "by": "reader", "n": 1 if tenant == "acme" else 2}


def test_a_tenant_without_a_role_is_refused(parted: SQLAlchemyEngine) -> None:
    found = failure(parted, "SELECT 1", "initech")
    assert found.reason is Reason.STATEMENT_NOT_ALLOWED
    assert "'initech' has no role" in found.message


def test_with_roles_the_server_itself_keeps_tenants_apart(
    parted: SQLAlchemyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "check", lambda *_: None)
    with running(parted) as pid:
        seen = run(parted, f"SELECT query FROM pg_stat_activity WHERE pid = {pid}").to_pylist()
        assert seen == [{"query": "<insufficient privilege>"}]
        for function in ("pg_terminate_backend", "pg_cancel_backend"):
            assert failure(parted, f"SELECT {function}({pid})").sql_state == "42501"


def test_a_statement_in_a_role_can_be_cancelled(server: PostgreSQLServer, parted: SQLAlchemyEngine) -> None:
    with parted.open(Statement(sql=ENDLESS_ROWS, query_id="q", tenant="acme")) as execution:
        execution.start()
        pid = int(execution.progress().engine_query_id)
        execution.cancel()
        with server.connect() as connection:
            assert connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("", "was not granted"),
        ("GRANT odd TO reader; GRANT reader TO odd", "role"),
        ("GRANT odd TO reader; GRANT pg_signal_backend TO odd", "pg_signal_backend"),
        ("GRANT odd TO reader; GRANT pg_monitor TO odd", "pg_read_all_stats"),
        ("GRANT odd TO reader; GRANT pg_read_server_files TO odd", "pg_read_server_files"),
        ("GRANT odd TO reader; ALTER ROLE odd SUPERUSER", "odd"),
    ],
)
def test_a_role_that_parts_nobody_is_refused_at_start(server: PostgreSQLServer, grant: str, words: str) -> None:
    with server.connect() as connection:
        connection.execute("CREATE ROLE odd")
        try:
            try:
                connection.execute(grant or "SELECT 1")
            except psycopg.errors.InvalidGrantOperation:
                # Two roles cannot be members of each other.
                return
            with pytest.raises(QueryEngineError) as caught:
                SQLAlchemyEngine("pg", {**server.options(), "roles": {"acme": "odd"}})
        finally:
            connection.execute("DROP ROLE odd")
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE
    assert words in caught.value.failure.message


@pytest.mark.parametrize("roles", ["reader", ["a"], {"acme": ""}, {"acme": 1}])
def test_a_wrong_option_is_named(server: PostgreSQLServer, roles: object) -> None:
    with pytest.raises(ValueError, match="'roles'"):
        SQLAlchemyEngine.traits({**server.options(), "roles": roles})
