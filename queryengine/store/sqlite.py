"""The record in one SQLite file beside the results, with the schema brought up to date and a reserve on the disk."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from queryengine.store.database import Database, Results, StoreUnusable, Unreachable, migrate, refuse_missing
from queryengine.store.folder_lock import FileLock
from queryengine.store.hop import Connection
from queryengine.store.reserve import MARGIN_BYTES, RESERVE_BYTES, Reserve

BUSY_TIMEOUT_MS: Final = 2000
"""Wait for a lock that another program (a backup, the sqlite3 shell) holds on the file."""

WAL_BYTES_KEPT: Final = 64 << 20

COMPACT_BYTES_MAX: Final = 1 << 30
"""A file of an earlier version with more in use than this stays as it is: its unused pages are used again."""

VACUUM_PAGES: Final = 500
"""Given back in one write."""
UNUSED_PAGES_KEPT: Final = 1024
"""4 MiB, for what is written next."""

T = TypeVar("T")


class SQLite(Database):
    """An open file: an engine of one writing connection, one of a few reading ones, the lock and the reserve."""

    name = "sqlite"
    keeps_connections = True

    def __init__(self, path: Path, *, read_connections: int, results: Results | None = None) -> None:
        """Use `open`. Blocks; raises StoreLocked or StoreUnusable, and then holds nothing."""
        self._lock = FileLock(path)
        self._names = (str(path), f"{path}-wal")
        self._path = path
        self.title = str(path)
        self.reserve = Reserve(path)
        try:
            _admit(path, self.reserve, results)
            _keep_private(path)
        except BaseException:
            self._let_go()
            raise
        self.writing = _engine(path, pool_size=1)
        sa.event.listen(self.writing.sync_engine, "begin", _begin_immediate)
        self.reading = _engine(path, pool_size=read_connections, skip_autocommit_rollback=True)
        sa.event.listen(self.reading.sync_engine, "connect", _read_only)
        self._identity: tuple[int, int] | None = None

    @classmethod
    async def open(cls, path: Path, *, read_connections: int, results: Results | None = None) -> "SQLite":
        """Create the file or migrate it. Raises StoreLocked or StoreUnusable, and then holds nothing.

        An empty or missing database beside results is refused, as their queries would be forgotten and they removed.
        """
        self = await asyncio.to_thread(cls, path, read_connections=read_connections, results=results)
        try:
            async with self.writing.connect() as connection:
                await self.run(connection, migrate)
                await self.run(connection, lambda each: _compact(each, path))
        except DBAPIError as cause:
            await self.close()
            raise StoreUnusable(f"{path} cannot be used: {cause.orig}") from cause
        except CommandError as cause:
            await self.close()
            raise StoreUnusable(f"{path} has the schema of another, newer version: {cause}") from cause
        except BaseException:
            await self.close()
            raise
        self._identity = _identity(path)
        return self

    async def run(self, connection: AsyncConnection, work: Callable[[sa.Connection], T]) -> T:
        assert connection.sync_connection is not None
        return await _driver_of(connection.sync_connection).run(connection.run_sync(work))

    def check(self) -> None:
        if _identity(self._path) != self._identity:
            raise Unreachable(
                "its file was removed or replaced while the server runs; put it back, or start the server again"
            )

    def refuses(self, cause: Exception) -> bool:
        # Disk full, I/O, lock: SQLite may have rolled the transaction back, so none of it counts. What else the driver
        # refuses, as a value of a type that it does not know, is no such trouble.
        return super().refuses(cause) or (isinstance(cause, DBAPIError) and not isinstance(cause, DatabaseError))

    def make_room(self, cause: Exception) -> bool:
        code = getattr(getattr(cause, "orig", None), "sqlite_errorcode", None)
        return code == sqlite3.SQLITE_FULL and self.reserve.give_up()

    def settle(self) -> None:
        self.reserve.take()

    def size_bytes(self) -> int:
        size = 0
        for name in self._names:
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(name).st_size  # noqa: PTH116 - A Path takes as long as the call.
        return size

    def give_back_pages(self, connection: sa.Connection) -> bool:
        unused: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        pages = min(VACUUM_PAGES, unused - UNUSED_PAGES_KEPT)
        for _ in range(pages):
            # One at a time: the driver steps through a statement without rows just once.
            connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        return unused - pages > UNUSED_PAGES_KEPT

    async def close(self) -> None:
        await self.reading.dispose()
        await self.writing.dispose()
        self._let_go()

    def _let_go(self) -> None:
        self.reserve.give_up()
        self._lock.release()


def _keep_private(path: Path) -> None:
    """Let nobody else read the database, whatever the umask, nor one that an earlier version left open to others. Its
    log and its index get the permissions of the database. Raises StoreUnusable.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        for name in (f"{path}-wal", f"{path}-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.chmod(name, 0o600)  # noqa: PTH101 - A name, not a Path.
    except OSError as cause:
        raise StoreUnusable(f"{path} cannot be used: {cause}") from cause


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - Asked with every commit.
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _admit(path: Path, reserve: Reserve, results: Results | None) -> None:
    """Refuse to begin where a record is missing, or where there is no room to keep one."""
    is_new = not path.exists() or not path.stat().st_size
    if is_new:
        refuse_missing(str(path), results)
    if reserve.take_first():
        return
    if results is not None:
        results.shrink_unfinished()
    if not reserve.take_first() and is_new:
        least = (RESERVE_BYTES + MARGIN_BYTES) >> 20
        raise StoreUnusable(
            f"{path} cannot be kept: its disk has less than {least} MiB free; make room and start again"
        )


def _engine(path: Path, *, pool_size: int, **options: Any) -> AsyncEngine:
    def connect(name: str, **arguments: Any) -> Awaitable[Any]:
        return Connection(lambda: sqlite3.connect(name, **arguments))

    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        poolclass=sa.AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        # Every use ends with its own rollback or commit, in the visit of the thread that it made anyway.
        pool_reset_on_return=None,
        connect_args={"async_creator_fn": connect},
        hide_parameters=True,
        **options,
    )
    sa.event.listen(engine.sync_engine, "connect", _configure)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # Transactions are begun by us alone: the driver's own BEGIN is deferred and fails at once when two meet.
    connection.isolation_level = None
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        # Before anything else is in the file: pages that are not used any more can be given back to the disk.
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: an acknowledged write survives the loss of power, at one fdatasync per commit.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")


def _read_only(connection: Any, _record: object) -> None:
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA query_only = ON")


def _driver_of(connection: sa.Connection) -> Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)
    return driver


def _begin_immediate(connection: sa.Connection) -> None:
    driver = _driver_of(connection)
    if driver.is_here:
        driver.now("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _compact(connection: sa.Connection, path: Path) -> None:
    """Make a file of an earlier version one that can give pages back, if that is little work and the disk has room."""
    cursor = connection.connection.cursor()

    def pragma(name: str) -> int:
        cursor.execute(f"PRAGMA {name}")
        (value,) = cursor.fetchall()[0]
        return int(value)

    if pragma("auto_vacuum"):
        return
    used_bytes = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
    stats = os.statvfs(path.parent)
    if used_bytes < COMPACT_BYTES_MAX and 3 * used_bytes < stats.f_bavail * stats.f_frsize:
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
        cursor.execute("VACUUM")
