"""A SQLite connection of aiosqlite that runs many statements in one visit of its thread.

aiosqlite visits the thread of a connection for each call of the driver, four times for a statement, which makes a
transaction of one short write three times as expensive. Here a coroutine over the connection may be run in that thread
as a whole. There every call of the driver is made at once, so the coroutine never waits.
"""

import inspect
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """As aiosqlite's, with `run`."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.name = "queryengine-store"
        # A process that dies without closing is not kept alive: what was acknowledged is on disk.
        self._thread.daemon = True

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that waits for nothing but this connection. Must not be cancelled: the coroutine would go on
        beside whoever uses the connection next.
        """
        try:
            return await super()._execute(_run_through, work)  # type: ignore[no-any-return, no-untyped-call]
        finally:
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                # The connection is closed.
                work.close()

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the thread of the connection, and may call `now`."""
        return threading.get_ident() == self._thread.ident

    def now(self, sql: str, values: Sequence[Any] = ()) -> tuple[list[Any], int]:
        """Run a statement from inside `run`: its rows, and how many rows it changed. Raises DBAPIError, as SQLAlchemy,
        whose way to the driver takes three times as long as a short statement.
        """
        assert self.is_here
        try:
            cursor = self._conn.execute(sql, values)
            return cursor.fetchall(), cursor.rowcount
        except sqlite3.Error as cause:
            raise DBAPIError.instance(sql, None, cause, sqlite3.Error, hide_parameters=True) from cause

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.is_here:
            return fn(*args, **kwargs)
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


def _run_through(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("waited for something else than its connection")
