"""A SQLite connection of aiosqlite that runs many statements in one visit of its thread.

aiosqlite visits the thread of a connection for each call of the driver, four times for a statement, which makes a
transaction of one short write three times as expensive. Here a coroutine over the connection may be run in that thread
as a whole. There every call of the driver is made at once, so the coroutine never waits.
"""

import inspect
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import aiosqlite

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

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == self._thread.ident:
            return fn(*args, **kwargs)
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


def _run_through(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("waited for something else than its connection")
