"""The tables of the record in PostgreSQL: the migrations build those of the model, and texts have one order."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from queryengine.domain.filters import QueryFilter
from queryengine.store import Store, StoreUnusable
from queryengine.store.tables import METADATA
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared
from tests.store_values import SERVER, query

FACTS = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name
        FROM information_schema.columns WHERE table_schema = %(schema)s""",
    "rules": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = %(schema)s::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s",
    "triggers": """
        SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid = (%(schema)s || '.queries')::regclass AND NOT tgisinternal""",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace",
}


@pytest.fixture(scope="module")
def server() -> PostgreSQLServer:
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    return server


def name_of(folder: Path) -> str:
    return "of_" + hashlib.sha256(str(folder).encode()).hexdigest()[:24]


def facts(server: PostgreSQLServer, schema: str) -> dict[str, set[tuple[object, ...]]]:
    with server.connect("records") as connection:
        return {
            kind: {
                tuple(re.sub(r"\s+", " ", str(value).replace(f"{schema}.", "")) for value in row)
                for row in connection.execute(text, {"schema": schema})
                if "alembic_version" not in str(row)
            }
            for kind, text in FACTS.items()
        }


async def test_the_migrations_build_the_tables(server: PostgreSQLServer, tmp_path: Path) -> None:
    migrated, plain = name_of(tmp_path), name_of(tmp_path / "plain")
    store = await Store.open(server.record_url(migrated), owner=SERVER)
    await store.close()
    server.record_url(plain)
    url = sa.make_url(server.url()).set(database="records", username="owner")
    engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={plain}"})
    METADATA.create_all(engine)
    engine.dispose()
    built, meant = facts(server, migrated), facts(server, plain)
    for kind in FACTS:
        assert built[kind] == meant[kind]
        assert meant[kind]


@pytest.fixture
def language(server: PostgreSQLServer, tmp_path: Path) -> Iterator[str]:
    """A database whose texts are sorted as a dictionary has them."""
    name = name_of(tmp_path)
    with server.connect() as connection:
        try:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")
        except psycopg.Error as cause:
            pytest.skip(f"this PostgreSQL has no such language: {cause}")
    yield name
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_ids_are_in_the_order_of_their_bytes_in_any_language(server: PostgreSQLServer, language: str) -> None:
    url = server.record_url("public").replace("/records?search_path=public", f"/{language}")
    store = await Store.open(url, owner=SERVER)
    ids = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-000000000009", "00000000-0000-4000-80000"]
    for each in ids:
        await store.submit(query(1, query_id=each))
    assert [each.query_id for each in await store.list("tenant", limit=5)] == sorted(ids, reverse=True)
    prefixed = await store.list("tenant", QueryFilter(query_id_prefix="00000000-0000-4000-8000-"), limit=5)
    assert [each.query_id for each in prefixed] == sorted(ids[:2], reverse=True)
    await store.close()


async def test_another_encoding_is_refused(server: PostgreSQLServer, tmp_path: Path) -> None:
    name = name_of(tmp_path)
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    url = server.record_url("public").replace("/records?search_path=public", f"/{name}")
    with pytest.raises(StoreUnusable, match="its encoding is SQL_ASCII; make it with ENCODING 'UTF8'"):
        await Store.open(url, owner=SERVER)
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name}")


async def test_a_commit_waits_for_the_disk(server: PostgreSQLServer, tmp_path: Path) -> None:
    """Whatever the role or the database says."""
    store = await Store.open(server.record_url(name_of(tmp_path)) + "&synchronous_commit=off", owner=SERVER)
    for run in (store._writer.write, store._reader.read):
        assert await run(lambda each: each.exec_driver_sql("SHOW synchronous_commit").scalar_one()) == "on"
    await store.close()
