"""Opening the database file: whose it is, that it can be used, and that its schema is ours."""

import contextlib
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from queryengine.store import statements
from queryengine.store.files import Files, StoreLocked, StoreUnusable
from queryengine.store.store import Store
from queryengine.store.tables import METADATA

SCHEMA_4 = Path(__file__).parents[1] / "data" / "state-of-schema-4.tar.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "queries.db"


@pytest.fixture
def files(path: Path) -> Iterator[Files]:
    files = Files(path, read_connections=2)
    yield files
    files.close()


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def schema(connection: sa.Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    )
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_migrations_build_the_tables(files: Files) -> None:
    with sa.create_engine("sqlite://").connect() as plain, files.reading.connect() as migrated:
        METADATA.create_all(plain)
        assert schema(migrated) == schema(plain)
        assert "queries" in schema(migrated)
    plain.engine.dispose()


def test_results_are_named_by_the_attempt_that_wrote_them(tmp_path: Path) -> None:
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
    files = Files(path, read_connections=1)
    with files.reading.connect() as connection:
        rows = connection.exec_driver_sql("SELECT tenant, result_id, bytes, created_us, payload FROM results")
        assert {tuple(row) for row in rows} == expected
        named = connection.exec_driver_sql("SELECT tenant, result_id FROM queries WHERE result_id IS NOT NULL")
        assert {tuple(row) for row in named} == {(tenant, result_id) for tenant, result_id, *_ in expected}
    files.close()
    assert any(result_id.endswith(".3") for _, result_id, *_ in expected)


def test_a_second_opener_is_refused_at_once_with_file_and_process(path: Path, files: Files) -> None:
    with pytest.raises(StoreLocked) as refusal:
        Files(path, read_connections=1)
    assert str(path) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)
    files.close()
    files.close()
    Files(path, read_connections=1).close()


def test_a_commit_reaches_the_disk_and_readers_do_not_write(files: Files) -> None:
    for engine in (files.writing, files.reading):
        with engine.connect() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("synchronous", "journal_mode", "query_only")
            }
        assert pragmas == {"synchronous": 2, "journal_mode": "wal", "query_only": engine is files.reading}


def test_a_transaction_takes_the_write_lock_when_it_begins(path: Path, files: Files) -> None:
    with (
        contextlib.closing(sqlite3.connect(path, timeout=0)) as other,
        files.writing.begin(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"minutes of the meeting\n" * 1000)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"queries\.db cannot be used: file is not a database"):
            Files(path, read_connections=1)
    assert path.read_bytes() == b"minutes of the meeting\n" * 1000


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    files = Files(path, read_connections=1)
    with files.writing.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    files.close()
    with pytest.raises(StoreUnusable, match="schema of another, newer version"):
        Files(path, read_connections=1)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreUnusable, match=r"state/queries\.db cannot be used"):
        Files(tmp_path / "state" / "queries.db", read_connections=1)


@pytest.mark.parametrize("name", ["with space?.db", "per%20cent#.db", "ünï.db"])
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        store = await Store.open(tmp_path / name, owner="server-1")
        await store.close()
    assert names(tmp_path) == {name, f"{name}.lock"}


async def test_a_failed_open_holds_nothing(path: Path, files: Files) -> None:
    with pytest.raises(StoreLocked):
        await Store.open(path, owner="server-1")
    files.close()
    store = await Store.open(path, owner="server-1")
    await store.close()


def test_every_search_uses_an_index(files: Files) -> None:
    searches = [statements.RECOVER, statements.EXPIRING, statements.EXECUTION_TIMES, statements.DELETE_ENDED]
    with files.writing.connect() as connection:
        for search in [*searches, statements.GET]:
            values = tuple(search._defaults[name] or 0 for name in search._names)
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {search._sql}", values)
            steps = [row[3] for row in plan]
            assert any("INDEX" in step for step in steps), (search._sql, steps)
            assert not any(step.startswith("SCAN queries") and "INDEX" not in step for step in steps), steps
