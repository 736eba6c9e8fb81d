"""One thread writes, and one COMMIT makes everything that has gathered durable (group commit).

A write is acknowledged after its COMMIT has returned. A write that somebody waits for is not delayed: while one batch
is being committed the next one gathers, so a lone write pays one commit and a crowd shares one. A write that nobody
waits for goes with the next that somebody does, and alone when none comes soon. All happen in the order they were asked
for. A write that breaks a rule fails alone. When the database itself fails, nothing of the batch happened and every
write in it fails with STORE_UNAVAILABLE; on a full disk only after it was tried with the reserve.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.store.reserve import Reserve

BATCH_WRITES_MAX: Final = 256
LINGER_SECONDS: Final = 0.02
"""How long a write that may linger is kept for another one to go with."""
CAUGHT_UP_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1.0
REMOVED: Final = "its file was removed or replaced while the server runs; put it back, or start the server again"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[sa.Connection], Any]
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class _Outcome:
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Refused(Exception):  # noqa: N818 - What happened to a write, not to the database.
    """A write broke a rule; its cause says which."""


class Writer:
    """The writing thread. Starts at once; its methods, but for `join`, are called from the event loop."""

    def __init__(self, database: sa.Engine, reserve: Reserve, is_there: Callable[[], bool] = lambda: True) -> None:
        """`is_there` says whether what is written would be found again; asked before each transaction."""
        self._is_there = is_there
        self._connection = database.connect()
        self._reserve = reserve
        self._queue: queue.SimpleQueue[list[_Write] | None] = queue.SimpleQueue()
        self._lingering: list[_Write] = []
        self._last_lingering: asyncio.Future[Any] | None = None
        self._stopped = False
        # A daemon, so that a process that dies without stop() is not kept alive: what it acknowledged is on disk.
        self._thread = threading.Thread(target=self._run, name="queryengine-store-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[sa.Connection], T], *, may_linger: bool = False) -> asyncio.Future[T]:
        """Run `work` inside the next transaction, or with `may_linger` up to LINGER_SECONDS later; the future resolves
        after COMMIT.

        What `work` raises undoes what it did and leaves the other writes of the batch whole; it may be called again for
        that, or on a full disk. A cancelled future is only abandoned: the write happens or not, and the writer is not
        disturbed.
        """
        if self._stopped:
            raise error(Reason.STORE_UNAVAILABLE, "the store is closed", retry_after_seconds=RETRY_AFTER_SECONDS)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._lingering.append(_Write(work, done, loop))
        if not may_linger:
            self._release()
            return done
        self._last_lingering = done
        if len(self._lingering) == 1:
            loop.call_later(LINGER_SECONDS, self._release)
        return done

    async def caught_up(self) -> None:
        """Return when every write that might linger has been written, or has failed. Raises STORE_UNAVAILABLE when that
        takes longer than CAUGHT_UP_SECONDS.
        """
        self._release()
        last = self._last_lingering
        if last is not None and not last.done():
            await asyncio.wait([last], timeout=CAUGHT_UP_SECONDS)
            if not last.done():
                raise unavailable(TimeoutError(f"a write takes longer than {CAUGHT_UP_SECONDS:g} seconds"))

    def stop(self) -> None:
        """Accept nothing more; the thread ends when what is queued has been written. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._release()
            self._queue.put(None)

    def join(self) -> None:
        """Block until the thread has ended."""
        self._thread.join()

    def _release(self) -> None:
        if self._lingering:
            self._queue.put(self._lingering)
            self._lingering = []

    def _run(self) -> None:
        with self._connection as connection:
            while batch := self._gather():
                outcomes = self._commit(connection, batch)
                # One wake-up of the loop for the whole batch. A loop that is gone has nobody who waits.
                with contextlib.suppress(RuntimeError):
                    batch[0].loop.call_soon_threadsafe(_resolve, outcomes)
                self._reserve.take()

    def _commit(self, connection: sa.Connection, batch: list[_Write]) -> list[_Outcome]:
        if not self._is_there():
            return _failed(batch, FileNotFoundError(REMOVED))
        try:
            return _committed(connection, batch)
        except Exception as cause:
            if not _is_full(cause) or not self._reserve.give_up():
                return _failed(batch, cause)
        try:
            return _committed(connection, batch)
        except Exception as cause:
            return _failed(batch, cause)

    def _gather(self) -> list[_Write]:
        """Wait for a write, then take all that are queued, until they reach the limit; empty when stopped."""
        batch: list[_Write] = []
        writes = self._queue.get()
        while writes is not None:
            batch += writes
            if len(batch) >= BATCH_WRITES_MAX:
                return batch
            try:
                writes = self._queue.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            # Nothing can follow the stop mark: see it again after this last batch.
            self._queue.put(None)
        return batch


def _committed(connection: sa.Connection, batch: list[_Write]) -> list[_Outcome]:
    """What became of each write of a transaction. Raises what kept all of it from happening.

    A batch is tried as a whole. When a write of it breaks a rule, it is done again with a savepoint for each.
    """
    try:
        return _transaction(connection, batch, _done)
    except _Refused:
        return _transaction(connection, batch, _done_or_refused)


def _transaction(
    connection: sa.Connection, batch: list[_Write], do: Callable[[sa.Connection, _Write], _Outcome]
) -> list[_Outcome]:
    try:
        with connection.begin():
            return [do(connection, write) for write in batch]
    except Exception:
        # Whatever it was, there was no COMMIT, and the thread lives on: it is the only one that writes. SQLAlchemy
        # takes a transaction whose COMMIT failed for ended, SQLite does not, and would refuse every later BEGIN.
        with contextlib.suppress(Exception):
            connection.connection.rollback()
        raise


def _failed(batch: list[_Write], cause: Exception) -> list[_Outcome]:
    return [_Outcome(write.done, error=unavailable(cause)) for write in batch]


def _is_full(cause: Exception) -> bool:
    code = getattr(getattr(cause, "orig", None), "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_FULL


def _done(connection: sa.Connection, write: _Write) -> _Outcome:
    try:
        return _Outcome(write.done, result=write.work(connection))
    except (IntegrityError, DataError, ProgrammingError) as cause:
        raise _Refused from cause
    except (DatabaseError, MemoryError):
        # Disk full, I/O, lock, memory: SQLite may have rolled the transaction back, so none of it counts.
        raise
    except Exception as cause:
        raise _Refused from cause


def _done_or_refused(connection: sa.Connection, write: _Write) -> _Outcome:
    try:
        with connection.begin_nested():
            return _done(connection, write)
    except _Refused as refusal:
        return _Outcome(write.done, error=refusal.__cause__)


def _resolve(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.done.done():
            continue  # Whoever waited was cancelled.
        if outcome.error is None:
            outcome.done.set_result(outcome.result)
        else:
            outcome.done.set_exception(outcome.error)


def unavailable(cause: BaseException) -> QueryEngineError:
    """STORE_UNAVAILABLE for a failure of the database, with its cause."""
    reason = getattr(cause, "orig", None) or cause
    refusal = error(
        Reason.STORE_UNAVAILABLE,
        f"the record of queries cannot be used now: {reason}",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
    refusal.__cause__ = cause
    return refusal
