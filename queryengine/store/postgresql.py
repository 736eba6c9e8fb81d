"""The record in a PostgreSQL database, which belongs to one server at a time.

An advisory lock, held on a connection of its own, keeps a second server out. A lock is lost with its connection, and
may be taken by another server before this one notices; so every transaction of the writer first counts in the row of
the server that has the database, and fails when that is not this one. By the same count a transaction is found again
whose COMMIT was never answered.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

import asyncpg
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from queryengine.store import statements
from queryengine.store.database import (
    Database,
    Results,
    StoreLocked,
    StoreUnusable,
    Taken,
    Unreachable,
    migrate,
    refuse_missing,
)

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 10.0
"""What does not answer for so long is taken for gone."""
LOCK_SECONDS: Final = 2.0
"""How long a start waits for the lock: PostgreSQL may not have noticed yet that a server was killed."""
RETRY_SECONDS: Final = 0.5
LOCK: Final = 0x7175657279656E67
"""The advisory lock of the record; locks are those of one database."""

_SESSION: Final = {
    "synchronous_commit": "on",
    # PostgreSQL ends the session of a server that it cannot reach any more, and with it lock and transaction.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
_RULE_STATES: Final = ("22", "23", "42")
"""Classes of SQLSTATE: data, integrity, syntax."""
_HOLDER: Final = """
SELECT application_name, host(client_addr), pid FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = $2
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

T = TypeVar("T")


class PostgreSQL(Database):
    """A database that is ours while the lock is held. Connections are opened anew after they were lost."""

    name = "postgresql"
    keeps_connections = False

    def __init__(self, url: str, *, application: str, read_connections: int) -> None:
        """Use `open`."""
        self._url = url
        self._application = application
        self.title = _shown(url)
        self._owner = ""
        self._lock: asyncpg.Connection[Any] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.writing = self._engine(pool_size=1)
        self.reading = self._engine(pool_size=read_connections, isolation_level="AUTOCOMMIT")

    @classmethod
    async def open(
        cls, url: str, *, application: str, read_connections: int, results: Results | None = None
    ) -> "PostgreSQL":
        """Create the tables or migrate them. Raises StoreLocked or StoreUnusable, and then holds nothing."""
        self = cls(url, application=application, read_connections=read_connections)
        try:
            await self._take_lock_at_start()
            async with self.writing.connect() as connection:
                await self.run(connection, lambda each: _admit(each, self.title, results))
                await self.run(connection, migrate)
        except CommandError as cause:
            await self.close()
            raise StoreUnusable(f"{self.title} has the schema of another, newer version: {cause}") from cause
        except (DBAPIError, OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as cause:
            await self.close()
            raise StoreUnusable(f"{self.title} cannot be used: {_reason(cause)}") from cause
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep_lock(), name="state-lock")
        return self

    async def run(self, connection: AsyncConnection, work: Callable[[sa.Connection], T]) -> T:
        return await connection.run_sync(work)

    def check(self) -> None:
        if self._lock is None or self._lock.is_closed():
            raise Unreachable(f"the connection that keeps other servers from {self.title} is lost; it is opened again")

    def move_in(self, owner: str) -> None:
        self._owner = owner

    def begin(self, connection: sa.Connection) -> int:
        if not self._owner:
            return 0
        counted = statements.COUNT_TRANSACTION.run(connection, {"owner": self._owner}).one_or_none()
        if counted is None:
            raise self._taken()
        return int(counted[0])

    def may_have_committed(self, cause: Exception) -> bool:
        del cause
        return bool(self._owner)

    def holds(self, connection: sa.Connection, mark: int) -> bool:
        with connection.begin():
            # The row is locked by the transaction itself while it is under way.
            ((owner, count),) = statements.COUNTED.run(connection, {})
            if owner != self._owner:
                raise self._taken()
            return bool(count >= mark)

    def refuses(self, cause: Exception) -> bool:
        if isinstance(cause, DBAPIError) and not cause.connection_invalidated:
            state = getattr(cause.orig, "sqlstate", None)
            return state is None or state[:2] in _RULE_STATES
        return super().refuses(cause) and not isinstance(
            cause, DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError
        )

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.reading.dispose()
        await self.writing.dispose()
        lock, self._lock = self._lock, None
        if lock is not None:
            await _close(lock)

    def _taken(self) -> Taken:
        return Taken(f"another server has used {self.title} since; restart this one")

    async def _take_lock_at_start(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_SECONDS
        while True:
            try:
                await self._take_lock()
                return
            except StoreLocked:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _take_lock(self) -> None:
        """Raises StoreLocked when another server holds it."""
        lock = await self._connect()
        try:
            if await lock.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                self._lock = lock
                return
            holder = await lock.fetchrow(_HOLDER, LOCK >> 32, LOCK & 0xFFFFFFFF)
        finally:
            if self._lock is not lock:
                await _close(lock)
        whose = "another server" if holder is None else "{} at {} (backend {})".format(*holder)
        raise StoreLocked(f"{self.title} is in use by {whose}: one server per database")

    async def _keep_lock(self) -> None:
        """Take the lock again whenever it was lost. Whether the database was another server's meanwhile is found by the
        next transaction.
        """
        while True:
            assert self._lock is not None
            lost = asyncio.Event()
            self._lock.add_termination_listener(lambda _, lost=lost: lost.set())
            if not self._lock.is_closed():
                await lost.wait()
            logger.error("%s: the connection that keeps other servers out is lost", self.title)
            known = ""
            while self._lock.is_closed():
                await asyncio.sleep(RETRY_SECONDS)
                try:
                    await self._take_lock()
                except Exception as cause:
                    if (reason := _reason(cause)) != known:
                        logger.warning("%s: not locked again yet: %s", self.title, reason)
                    known = reason
            logger.info("%s: locked again", self.title)

    def _engine(self, **options: Any) -> AsyncEngine:
        def connect(**arguments: Any) -> Any:
            del arguments
            return self._connect()

        return create_async_engine(
            sa.URL.create("postgresql+asyncpg"),
            poolclass=sa.AsyncAdaptedQueuePool,
            max_overflow=0,
            pool_reset_on_return=None,
            connect_args={"async_creator_fn": connect},
            hide_parameters=True,
            **options,
        )

    async def _connect(self) -> "asyncpg.Connection[Any]":
        # The whole URL, as libpq takes it: with PGPASSWORD, password files and SSL.
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={**_SESSION, "application_name": self._application},
        )


async def _close(connection: "asyncpg.Connection[Any]") -> None:
    with contextlib.suppress(Exception):
        await connection.close(timeout=CONNECT_SECONDS)


def _admit(connection: sa.Connection, shown: str, results: Results | None) -> None:
    with connection.begin():
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        is_new = connection.exec_driver_sql("SELECT to_regclass('queries') IS NULL").scalar_one()
    if encoding != "UTF8":
        raise StoreUnusable(f"{shown} cannot be used: its encoding is {encoding}; make it with ENCODING 'UTF8'")
    if is_new:
        refuse_missing(shown, results)


def _shown(url: str) -> str:
    """The URL without a password and without options, which may hold one."""
    made = sa.make_url(url)
    return sa.URL.create(
        made.drivername, made.username, host=made.host, port=made.port, database=made.database
    ).render_as_string()


def _reason(cause: Exception) -> str:
    return str(getattr(cause, "orig", None) or cause) or type(cause).__name__
