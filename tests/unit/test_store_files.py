"""Opening the database file: whose it is, that it can be used, and that its schema is ours."""

import contextlib
import os
import sqlite3
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from queryengine.store import Store, StoreLocked, StoreUnusable, keys, statements
from queryengine.store.sqlite import SQLite
from queryengine.store.tables import METADATA

SCHEMA_4 = Path(__file__).parents[1] / "data" / "state-of-schema-4.tar.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "queries.db"


async def opened(path: Path) -> SQLite:
    return await SQLite.open(path, read_connections=2)


@pytest.fixture
async def files(path: Path) -> AsyncIterator[SQLite]:
    files = await opened(path)
    yield files
    await files.close()


def plainly(path: Path) -> "contextlib.closing[sqlite3.Connection]":
    """The file as another program opens it."""
    return contextlib.closing(sqlite3.connect(path, timeout=0))


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def schema(path: Path) -> dict[str, str]:
    with plainly(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        )
        return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_migrations_build_the_tables(files: SQLite, path: Path, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    METADATA.create_all(engine)
    engine.dispose()
    assert schema(path) == schema(tmp_path / "plain.db")
    assert "queries" in schema(path)


async def test_results_are_named_by_the_attempt_that_wrote_them(tmp_path: Path) -> None:
    with tarfile.open(SCHEMA_4) as archive:
        archive.extractall(tmp_path, filter="data")
    path = tmp_path / "queries.db"
    with contextlib.closing(sqlite3.connect(path)) as before, before:
        before.execute("UPDATE queries SET attempt = 3 WHERE query_id LIKE '%02'")
        expected = {
            (tenant, f"{query_id}.{attempt}", size, end_us, None)
            for tenant, query_id, attempt, size, end_us, state in before.execute(
                "SELECT tenant, query_id, attempt, bytes, end_us, result_state FROM queries"
            )
            if state in ("READY", "LOST")
        }
    await (await opened(path)).close()
    with plainly(path) as after:
        assert set(after.execute("SELECT tenant, result_id, bytes, created_us, payload FROM results")) == expected
        named = set(after.execute("SELECT tenant, result_id FROM queries WHERE result_id IS NOT NULL"))
        assert named == {(tenant, result_id) for tenant, result_id, *_ in expected}
    assert any(result_id.endswith(".3") for _, result_id, *_ in expected)


async def test_a_second_opener_is_refused_at_once_with_file_and_process(path: Path, files: SQLite) -> None:
    with pytest.raises(StoreLocked) as refusal:
        await opened(path)
    assert str(path) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)
    await files.close()
    await files.close()
    await (await opened(path)).close()


async def test_a_commit_reaches_the_disk_and_readers_do_not_write(files: SQLite) -> None:
    for engine in (files.writing, files.reading):
        async with engine.connect() as connection:
            pragmas = {
                name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("synchronous", "journal_mode", "query_only")
            }
            await connection.rollback()
        assert pragmas == {"synchronous": 2, "journal_mode": "wal", "query_only": engine is files.reading}


async def test_a_transaction_takes_the_write_lock_when_it_begins(path: Path, files: SQLite) -> None:
    async with files.writing.begin():
        with plainly(path) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


async def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    Path.mkdir(path.parent)
    Path.write_bytes(path, b"minutes of the meeting\n" * 1000)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"queries\.db cannot be used: file is not a database"):
            await opened(path)
    assert Path.read_bytes(path) == b"minutes of the meeting\n" * 1000


async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    await (await opened(path)).close()
    with plainly(path) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnusable, match="schema of another, newer version"):
        await opened(path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnusable, match=r"state/queries\.db cannot be used"):
        await opened(tmp_path / "state" / "queries.db")


@pytest.mark.parametrize("name", ["with space?.db", "per%20cent#.db", "ünï.db"])
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        store = await Store.open(tmp_path / name, owner="server-1")
        await store.close()
    assert names(tmp_path) == {name, f"{name}.lock"}


async def test_a_failed_open_holds_nothing(path: Path, files: SQLite) -> None:
    with pytest.raises(StoreLocked):
        await Store.open(path, owner="server-1")
    await files.close()
    store = await Store.open(path, owner="server-1")
    await store.close()


def test_every_search_uses_an_index(files: SQLite, path: Path) -> None:
    searches = [statements.RECOVER, statements.EXPIRING, statements.EXECUTION_TIMES, statements.DELETE_ENDED]
    with plainly(path) as connection:
        searches += [
            keys.GET,
            keys.COUNTS_OF,
            keys.DELETE_OLDEST_OF,
            keys.END,
            keys.NOTE_USE,
            keys.CHANGED,
            keys.DELETE_ENDED,
        ]
        for search in [*searches, statements.DELETE_OLDEST_OF, statements.DROP_RESULT, statements.GET]:
            form = search.form("sqlite")
            values = tuple(form.defaults[name] or 0 for name in form.names)
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {form.sql}", values)]
            assert any("INDEX" in step for step in steps), (form.sql, steps)
            unaided = [step for step in steps if step.startswith(("SCAN queries", "SCAN api_keys"))]
            assert not any("INDEX" not in step for step in unaided if step != "SCAN api_key_changes"), steps
