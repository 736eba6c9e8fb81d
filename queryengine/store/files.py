"""The database file: one server process owns it, and its schema is brought up to date when it is opened."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from queryengine.store.reserve import MARGIN_BYTES, RESERVE_BYTES, Reserve

BUSY_TIMEOUT_MS: Final = 2000
"""Wait for a lock that another program (a backup, the sqlite3 shell) holds on the file."""

WAL_BYTES_KEPT: Final = 64 << 20

COMPACT_BYTES_MAX: Final = 1 << 30
"""A file of an earlier version with more in use than this stays as it is: its unused pages are used again."""


class StoreUnusable(Exception):  # noqa: N818 - Named for what it says; it ends the start.
    """The file cannot be used as the record of queries. The message names it and says why."""


class StoreLocked(StoreUnusable):
    """Another server process uses the file. The message names the file and that process."""


class FileLock:
    """An exclusive lock on `<file>.lock`, held until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take it at once. Raises StoreLocked, or OSError when the directory cannot be written."""
        lock = path.with_name(path.name + ".lock")
        self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreLocked(
                f"{path} is in use by process {holder or '(starting)'}: one server process per file"
            ) from cause
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Idempotent. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Results(Protocol):
    """What the store asks of the results that lie beside it, before it opens."""

    @property
    def root(self) -> str:
        """Where they are, for people."""
        ...

    def holds_any(self) -> bool:
        """Whether there are results, so that there must be a record of them."""
        ...

    def shrink_unfinished(self) -> None:
        """Make room on the disk by what can never be read as a whole result."""
        ...


class Files:
    """The open database: an engine of one writing connection, one of a few reading ones, the lock and the reserve."""

    def __init__(self, path: Path, *, read_connections: int, results: Results | None = None) -> None:
        """Create or migrate. Blocks; raises StoreLocked or StoreUnusable, and then holds nothing.

        An empty or missing database beside results is refused, as their queries would be forgotten and they removed.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(path)
        except OSError as cause:
            raise StoreUnusable(f"{path} cannot be used: {cause}") from cause
        self._names = (str(path), f"{path}-wal")
        self._path = path
        self.reserve = Reserve(path)
        try:
            _admit(path, self.reserve, results)
            _keep_private(path)
        except BaseException:
            self.reserve.give_up()
            self._lock.release()
            raise
        self.writing = _engine(path, pool_size=1)
        sa.event.listen(self.writing, "begin", _begin_immediate)
        self.reading = _engine(path, pool_size=read_connections)
        sa.event.listen(self.reading, "connect", _read_only)
        try:
            _migrate(self.writing)
            _compact(self.writing, path)
        except sa.exc.DBAPIError as cause:
            self.close()
            raise StoreUnusable(f"{path} cannot be used: {cause.orig}") from cause
        except CommandError as cause:
            self.close()
            raise StoreUnusable(f"{path} has the schema of another, newer version: {cause}") from cause
        except BaseException:
            self.close()
            raise
        self._identity = _identity(path)

    def is_there(self) -> bool:
        """Whether the path still names the file that is open. A write to another one would be forgotten."""
        return _identity(self._path) == self._identity

    def size_bytes(self) -> int:
        """Of the database and of its log. Raises OSError."""
        size = 0
        for name in self._names:
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(name).st_size  # noqa: PTH116 - A Path takes as long as the call.
        return size

    def close(self) -> None:
        """Idempotent."""
        self.reserve.give_up()
        self.reading.dispose()
        self.writing.dispose()
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
    if is_new and results is not None and results.holds_any():
        raise StoreUnusable(
            f"{path} is missing or empty, but {results.root} holds results. Put the database back, or a backup of it;"
            f" or remove {results.root} to begin without queries and results"
        )
    if reserve.take_first():
        return
    if results is not None:
        results.shrink_unfinished()
    if not reserve.take_first() and is_new:
        least = (RESERVE_BYTES + MARGIN_BYTES) >> 20
        raise StoreUnusable(
            f"{path} cannot be kept: its disk has less than {least} MiB free; make room and start again"
        )


def _engine(path: Path, *, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        paramstyle="qmark",
    )
    sa.event.listen(engine, "connect", _configure)
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


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _compact(engine: sa.Engine, path: Path) -> None:
    """Make a file of an earlier version one that can give pages back, if that is little work and the disk has room."""
    with engine.connect() as connection:
        cursor = connection.connection.cursor()

        def pragma(name: str) -> int:
            (value,) = cursor.execute(f"PRAGMA {name}").fetchone()
            return int(value)

        if pragma("auto_vacuum"):
            return
        used_bytes = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
        stats = os.statvfs(path.parent)
        if used_bytes < COMPACT_BYTES_MAX and 3 * used_bytes < stats.f_bavail * stats.f_frsize:
            cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
            cursor.execute("VACUUM")


def _migrate(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "queryengine.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
