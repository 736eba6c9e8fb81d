"""Row and column policies on a PostgreSQL server: what it says of the tables that they name."""

from collections.abc import Iterator

import pytest
from postgresql_support import shared_server

from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.engines.databases import SQLAlchemyEngine
from tests.servers.postgresql import PostgreSQLServer

TABLES = """
CREATE SCHEMA "Live";
CREATE COLLATION "Live".any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN "Live".label AS text;
CREATE TABLE "Live"."Or\\ders" (id int, tenant text, short varchar(10), padded char(10), label "Live".label,
    anyhow text COLLATE "Live".any_case, number uuid, gone int);
ALTER TABLE "Live"."Or\\ders" DROP COLUMN gone;
CREATE VIEW "Live".seen AS SELECT id, tenant FROM "Live"."Or\\ders";
CREATE TABLE "Live".parted (tenant text); ALTER TABLE "Live".parted ENABLE ROW LEVEL SECURITY;
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
