"""One task writes, and one COMMIT makes everything that has gathered durable (group commit).

A write is acknowledged after its COMMIT has returned. A write that somebody waits for is not delayed: while one batch
is being committed the next one gathers, so a lone write pays one commit and a crowd shares one. A write that nobody
waits for goes with the next that somebody does, and alone when none comes soon. All happen in the order they were asked
for. A write that breaks a rule fails alone. When the database itself fails, nothing of the batch happened and every
write in it fails with STORE_UNAVAILABLE; on a full disk only after it was tried with the reserve. When the answer to a
COMMIT is lost, the batch is answered once the database can be asked what became of it, and until then whatever else is
to be written fails.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.store.database import Database, Taken

BATCH_WRITES_MAX: Final = 256
BATCH_BYTES_MAX: Final = 4 << 20
"""A batch is complete when it holds so much; one larger write is a batch of its own."""
LINGER_SECONDS: Final = 0.02
"""How long a write that may linger is kept for another one to go with."""
CAUGHT_UP_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1.0
ASK_AGAIN_SECONDS: Final = 0.5
"""Between two attempts to learn what became of a batch."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[sa.Connection], Any]
    done: asyncio.Future[Any]
    size: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Refused(Exception):  # noqa: N818 - What happened to a write, not to the database.
    """A write broke a rule; its cause says which."""


class _Unanswered(Exception):  # noqa: N818 - What happened to a COMMIT.
    """A COMMIT may have happened: by this mark it is found, and with these outcomes if it did."""

    def __init__(self, mark: int, outcomes: list[_Outcome]) -> None:
        super().__init__("the answer to a COMMIT was lost")
        self.mark = mark
        self.outcomes = outcomes


class Writer:
    """The writing task. Starts at once, in the event loop that its methods are called from."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None
        self._queue: list[_Write] = []
        self._lingering: list[_Write] = []
        self._last_lingering: asyncio.Future[Any] | None = None
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._task = self._loop.create_task(self._run(), name="store-writer")

    def write(
        self, work: Callable[[sa.Connection], T], *, size: int = 0, may_linger: bool = False
    ) -> asyncio.Future[T]:
        """Run `work` inside the next transaction, or with `may_linger` up to LINGER_SECONDS later; the future resolves
        after COMMIT. `size` is about what it writes, in bytes.

        What `work` raises undoes what it did and leaves the other writes of the batch whole; it may be called again for
        that, or on a full disk. A cancelled future is only abandoned: the write happens or not, and the writer is not
        disturbed.
        """
        if self._stopped:
            raise error(Reason.STORE_UNAVAILABLE, "the store is closed", retry_after_seconds=RETRY_AFTER_SECONDS)
        done: asyncio.Future[T] = self._loop.create_future()
        self._lingering.append(_Write(work, done, size))
        if not may_linger:
            self._release()
            return done
        self._last_lingering = done
        if len(self._lingering) == 1:
            self._loop.call_later(LINGER_SECONDS, self._release)
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

    async def stop(self) -> None:
        """Accept nothing more, and return when what is queued has been written. Idempotent."""
        self._stopped = True
        self._release()
        self._wake_up()
        await asyncio.wait([self._task])

    def _release(self) -> None:
        if self._lingering:
            self._queue += self._lingering
            self._lingering = []
            self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        try:
            while True:
                while not self._queue and not self._stopped:
                    self._wake = self._loop.create_future()
                    await self._wake
                if not self._queue:
                    return
                _resolve(await self._commit(self._gather()))
        finally:
            await self._leave()

    def _gather(self) -> list[_Write]:
        """Take what is queued, until it reaches a limit."""
        size = 0
        for number, write in enumerate(self._queue):
            size += write.size
            if number and (size > BATCH_BYTES_MAX or number >= BATCH_WRITES_MAX):
                batch, self._queue = self._queue[:number], self._queue[number:]
                return batch
        batch, self._queue = self._queue, []
        return batch

    async def _commit(self, batch: list[_Write]) -> list[_Outcome]:
        try:
            return await self._on_connection(partial(_commit, self._database, batch))
        except _Unanswered as cause:
            return await self._learn(batch, cause)
        except Exception as cause:
            return _failed(batch, cause)

    async def _learn(self, batch: list[_Write], unanswered: _Unanswered) -> list[_Outcome]:
        """What became of a batch whose COMMIT was not answered, once the database says."""
        while True:
            try:
                if await self._on_connection(lambda each: self._database.holds(each, unanswered.mark)):
                    return unanswered.outcomes
                return _failed(batch, unanswered.__cause__ or unanswered)
            except Taken as cause:
                return _failed(batch, cause)
            except Exception as cause:
                if self._stopped:
                    return _failed(batch, cause)
                late, self._queue = self._queue, []
                _resolve(_failed(late, cause))
            self._wake = self._loop.create_future()
            await asyncio.wait([self._wake], timeout=ASK_AGAIN_SECONDS)

    async def _on_connection(self, work: Callable[[sa.Connection], T]) -> T:
        """Call `work` with the one writing connection, opened when there is none. One that failed is not used again,
        unless the database says that it may be.
        """
        connection = self._connection
        if connection is None:
            connection = self._connection = await self._database.writing.connect()
        try:
            return await self._database.run(connection, work)
        except Exception:
            if not self._database.keeps_connections:
                await self._leave()
            raise

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                if not self._database.keeps_connections:
                    await connection.invalidate()
                await connection.close()


def _commit(database: Database, batch: list[_Write], connection: sa.Connection) -> list[_Outcome]:
    """What became of each write of a batch. Raises what kept all of it from happening, or _Unanswered."""
    database.check()
    try:
        return _committed(database, batch, connection)
    except Exception as cause:
        if not database.make_room(cause):
            raise
        return _committed(database, batch, connection)
    finally:
        database.settle()


def _committed(database: Database, batch: list[_Write], connection: sa.Connection) -> list[_Outcome]:
    """A batch is tried as a whole. When a write of it breaks a rule, it is done again with a savepoint for each."""
    try:
        return _transaction(database, batch, connection, _done)
    except _Refused:
        return _transaction(database, batch, connection, _done_or_refused)


def _transaction(
    database: Database,
    batch: list[_Write],
    connection: sa.Connection,
    do: Callable[[Database, sa.Connection, _Write], _Outcome],
) -> list[_Outcome]:
    mark, outcomes = None, []
    try:
        with connection.begin():
            begun = database.begin(connection)
            outcomes = [do(database, connection, write) for write in batch]
            mark = begun
    except Exception as cause:
        # SQLAlchemy takes a transaction whose COMMIT failed for ended, SQLite does not, and would refuse every later
        # BEGIN.
        with contextlib.suppress(Exception):
            connection.connection.rollback()
        if mark is not None and database.may_have_committed(cause):
            raise _Unanswered(mark, outcomes) from cause
        raise
    return outcomes


def _done(database: Database, connection: sa.Connection, write: _Write) -> _Outcome:
    try:
        return _Outcome(write.done, result=write.work(connection))
    except Exception as cause:
        if database.refuses(cause):
            raise _Refused from cause
        raise


def _done_or_refused(database: Database, connection: sa.Connection, write: _Write) -> _Outcome:
    try:
        with connection.begin_nested():
            return _done(database, connection, write)
    except _Refused as refusal:
        return _Outcome(write.done, error=refusal.__cause__)


def _failed(batch: list[_Write], cause: BaseException) -> list[_Outcome]:
    return [_Outcome(write.done, error=unavailable(cause)) for write in batch]


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
