"""Reads the record on connections of its own. A read holds every write that returned before, and those that linger."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from queryengine.domain.errors import Reason, error
from queryengine.store.database import Database
from queryengine.store.writer import Writer, unavailable

T = TypeVar("T")


class Reader:
    """Called from the event loop of the writer."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._reads: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns; it may be called twice. Raises STORE_UNAVAILABLE when the database cannot be read."""
        await self._writer.caught_up()
        if self._stopped:
            raise error(Reason.STORE_UNAVAILABLE, "the store is closed")
        # On its own, as a caller may be cancelled while the connection is in use.
        task = asyncio.create_task(self._read(work))
        self._reads.add(task)
        task.add_done_callback(self._reads.discard)
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Accept nothing more, and return when what is under way has ended. Idempotent."""
        self._stopped = True
        if self._reads:
            await asyncio.wait(self._reads)

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            try:
                return await self._read_once(work)
            except DBAPIError as cause:
                if not cause.connection_invalidated:
                    raise
                # It was lost while nobody used it, which says nothing of the database.
                return await self._read_once(work)
        except Exception as cause:
            if self._database.refuses(cause):
                raise
            raise unavailable(cause) from cause

    async def _read_once(self, work: Callable[[sa.Connection], T]) -> T:
        async with self._database.reading.connect() as connection:
            return await self._database.run(connection, partial(_ended, work))


def _ended(work: Callable[[sa.Connection], T], connection: sa.Connection) -> T:
    try:
        return work(connection)
    finally:
        connection.rollback()
