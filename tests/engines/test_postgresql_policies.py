"""Row and column policies on a PostgreSQL server: what it says of the tables that they name, and its own row security,
which is given who asks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgresql_support import shared_server

from queryengine.domain.analysis import Name
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.databases import SQLAlchemyEngine
from tests.executing import table
from tests.servers.postgresql import PostgreSQLServer
from tests.support import COMPLETED, WAIT, Api, Received, refused, served

TABLES = """
CREATE SCHEMA "Live";
CREATE COLLATION "Live".any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN "Live".label AS text;
CREATE TABLE "Live"."Or\\ders" (id int, tenant text, short varchar(10), padded char(10), label "Live".label,
    anyhow text COLLATE "Live".any_case, number uuid, gone int);
ALTER TABLE "Live"."Or\\ders" DROP COLUMN gone;
CREATE VIEW "Live".seen AS SELECT id, tenant FROM "Live"."Or\\ders";
CREATE TABLE "Live".parted (tenant text); ALTER TABLE "Live".parted ENABLE ROW LEVEL SECURITY;
CREATE TABLE "Live".own (id int, tenant text, subject text);
INSERT INTO "Live".own VALUES (1, 'acme', 'ann'), (2, 'acme', 'bob'), (3, 'globex', 'ann');
ALTER TABLE "Live".own ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON "Live".own USING (tenant = current_setting('queryengine.tenant', true)
    AND subject = current_setting('queryengine.subject', true));
CREATE VIEW "Live".as_owner AS SELECT * FROM "Live".own;
GRANT USAGE ON SCHEMA "Live" TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA "Live" TO PUBLIC
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    server = shared_server()
    with server.connect() as connection:
        connection.execute(TABLES)
        yield server
        connection.execute('DROP SCHEMA "Live" CASCADE')


@pytest.fixture(scope="module")
def engine(server: PostgreSQLServer) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("pg", server.options())
    yield engine
    engine.close()


def test_the_catalog_says_what_tables_have(engine: SQLAlchemyEngine) -> None:
    columns = ("id", "tenant", "short", "padded", "label", "anyhow", "number", "gone", "TENANT", "ctid")
    names = ("Or\\ders", "seen", "parted", "orders", "or\\ders")
    found = engine.live_tables([AskedTable(("Live", name), columns) for name in names])
    orders, seen, parted, *others = found
    types = {
        "id": "integer",
        "tenant": "text",
        "short": "character varying(10)",
        "padded": "character(10)",
        "label": '"Live".label',
        "anyhow": "text",
        "number": "uuid",
    }
    assert orders == LiveTable(types, frozenset({"id", "padded", "anyhow", "number"}))
    assert seen == LiveTable({"id": "integer", "tenant": "text"}, frozenset({"id"}))
    assert parted == LiveTable({"tenant": "text"}, frozenset(), is_filtered=True)
    assert others == [None, None]
    assert engine.live_tables([AskedTable(("live", "seen"), columns)]) == [None]


OWN: tuple[Name, ...] = (("Live", "own"),)
TEXT = 'SELECT id FROM "Live".own'
HOSTILE = {
    "SELECT set_config('queryengine.tenant', 'globex', true), * FROM {own}": "set_config",
    "SELECT pg_catalog . \"set_config\"('queryengine.tenant', 'globex', true), * FROM {own}": "set_config",
    r"""SELECT U&"set\005fconfig"('queryengine.tenant', 'globex', true), * FROM {own}""": "set_config",
    "WITH x AS (SELECT set_config('queryengine.tenant', 'globex', false)) SELECT * FROM {own}, x": "set_config",
    "SELECT query_to_xml('SELECT set_config(''queryengine.tenant'', ''x'', true)', true, true, '')": "query_to_xml",
    "SET queryengine.tenant = 'globex'": "SET",
    "RESET queryengine.tenant": "RESET",
    "SELECT 1; SET LOCAL queryengine.tenant = 'globex'; SELECT * FROM {own}": "one statement",
    "WITH x AS (UPDATE pg_settings SET setting = 'x' WHERE name = 'queryengine.tenant' RETURNING 1) TABLE x": "UPDATE",
    "DO $$ BEGIN PERFORM set_config('queryengine.tenant', 'globex', true); END $$": "DO",
}


def rows(engine: SQLAlchemyEngine, sql: str = TEXT, **who: Any) -> list[int]:
    found = table(engine, sql, **{"tenant": "acme", "subject": "ann", "enforced": OWN, **who})
    return sorted(found.column(0).to_pylist())


def failure(engine: SQLAlchemyEngine, sql: str = TEXT, **who: Any) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        rows(engine, sql, **who)
    return caught.value.failure


@pytest.mark.parametrize(
    ("tenant", "subject", "seen"),
    [("acme", "ann", [1]), ("acme", "bob", [2]), ("globex", "ann", [3]), ("globex", "", []), ("a'; --", "ann", [])],
)
def test_the_server_shows_each_caller_its_own_rows(
    engine: SQLAlchemyEngine, tenant: str, subject: str, seen: list[int]
) -> None:
    assert rows(engine, tenant=tenant, subject=subject) == seen
    # Where no relation has to be filtered, a view may still ask who reads it.
    assert rows(engine, tenant=tenant, subject=subject, enforced=()) == seen
    assert rows(engine, enforced=None) == []


def test_who_asks_is_forgotten_with_the_query(engine: SQLAlchemyEngine) -> None:
    assert rows(engine) == [1]
    sql = "SELECT coalesce(current_setting('queryengine.tenant', true), '') = '' AS none"
    assert table(engine, sql).column(0).to_pylist() == [True]


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_can_say_who_asks(engine: SQLAlchemyEngine, sql: str) -> None:
    own = '"Live".own'
    found = failure(engine, sql.format(own=own), allowed_functions=frozenset({"set_config"}))
    assert found.reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.NOT_ONE_STATEMENT, Reason.STATEMENT_REJECTED}
    assert HOSTILE[sql].lower() in found.message.lower()
    assert rows(engine) == [1]


@pytest.mark.parametrize("name", ["queryengine.tenant", "QueryEngine.Tenant", "role", "row_security"])
def test_no_session_setting_can_say_who_asks(engine: SQLAlchemyEngine, name: str) -> None:
    assert failure(engine, session_settings={name: "globex"}).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("path", [("Live", "seen"), ("Live", "as_owner"), ("Live", "nowhere"), ("public", "own")])
def test_nothing_is_read_where_row_security_is_not_in_force(engine: SQLAlchemyEngine, path: Name) -> None:
    found = failure(engine, "SELECT 1 AS one", enforced=(*OWN, path))
    assert (found.reason, found.metadata) == (Reason.RELATION_NOT_ALLOWED, {"relation": ".".join(path)})


def test_a_role_that_bypasses_row_security_reads_nothing(server: PostgreSQLServer) -> None:
    with server.connect() as connection:
        connection.execute("CREATE ROLE passes BYPASSRLS; GRANT passes TO reader")
        connection.execute("CREATE ROLE plain; GRANT plain TO reader")
    options = {**server.options(), "roles": {"acme": "passes", "globex": "plain"}}
    engine = SQLAlchemyEngine("pg", options)
    try:
        assert rows(engine, tenant="globex") == [3]
        assert failure(engine).reason is Reason.RELATION_NOT_ALLOWED
        # Which role a tenant has is known in its transaction.
        (found,) = engine.live_tables([AskedTable(("Live", "own"), ("id",))])
        assert found is not None
        assert found.is_filtered
    finally:
        engine.close()
        with server.connect() as connection:
            connection.execute("DROP ROLE passes; DROP ROLE plain")


def test_set_config_and_enforcement_exclude_each_other(server: PostgreSQLServer) -> None:
    relation = RelationPolicy(path=OWN[0], columns=("id",), rule="own", masks={}, enforced=True)
    policy = RowPolicy(schema="public", relations=(relation,))
    assert SQLAlchemyEngine.judged(policy, server.options()).problems == []
    allowing = {**server.options(), "allow_functions": ["SET_CONFIG"]}
    ((number, problem),) = SQLAlchemyEngine.judged(policy, allowing).problems
    assert number == 0
    assert "set_config is allowed" in problem


def policies(enforce: str, **more: str) -> dict[str, Any]:
    columns = ["id", "tenant", "subject"]
    relations = {
        "Live.own": {"columns": columns, "rules": {"own": {"hidden": ["tenant"], **more}}},
        "Live.seen": {"columns": ["id"], "open": True},
        # Without row security of its own.
        'Live."Or\\ders"': {"columns": ["id", "tenant"], "rules": {"own": {}}},
    }
    return {"engines": {"pg": {"default_schema": "Live", "enforce": enforce, "relations": relations}}}


async def seen(api: Api, sql: str) -> list[tuple[Any, ...]]:
    status = (await api.submit(sql, wait_timeout=WAIT)).status
    assert status.state == COMPLETED, status.error
    found = Received(await api.stream(status.query_id).all()).table()
    return sorted(tuple(row.values()) for row in found.to_pylist())


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("enforce", "rows", "bob"), [("engine", "", [(2, "bob")]), ("both", "id <> 2", []), ("both", "", [(2, "bob")])]
)
async def test_a_server_has_the_database_filter(
    tmp_path: Path, server: PostgreSQLServer, enforce: str, rows: str, bob: list[tuple[Any, ...]]
) -> None:
    engines = {"pg": {"type": "sqlalchemy", "workers": 1, "options": server.options()}}
    more = {"rows": rows} if rows else {}
    groups = {"engines": engines, "default_engine": "pg", "policies": policies(enforce, **more)}
    async with served(tmp_path, **groups) as (_, api):
        callers = [Api(api.channel, tenant, user=user) for tenant, user in (("acme", "ann"), ("acme", "bob"))]
        assert [await seen(each, "SELECT * FROM own") for each in callers] == [[(1, "ann")], bob]
        sql = "SELECT count(*) AS n FROM own a LEFT JOIN own b ON a.id < 100 AND b.id < 100"
        assert [await seen(each, sql) for each in callers] == [[(1,)], [(len(bob),)]]
        assert await seen(callers[0], "SELECT count(*) AS n FROM seen") == [(0,)]
        text = "SELECT set_config('queryengine.tenant', 'globex', true), id FROM own"
        assert (await refused(callers[0].submit(text))).reason == "STATEMENT_NOT_ALLOWED"
        refusal = await refused(callers[0].submit('SELECT id FROM "Or\\ders"'))
        assert refusal.reason == "RELATION_NOT_ALLOWED"
        assert "no row policies of its own in force" in refusal.message
