"""The page index of a query, whether it runs, has just ended or ended long ago; and why its rows could not be read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.lifecycle import ResultState
from queryengine.domain.query import Query
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.results.index import PageIndex
from queryengine.results.spool import Spool

END_SECONDS: Final = 5.0
"""How long a reader whose rows were removed waits to be told why. They are removed before the end is told."""


class Indexes:
    """Finds the index of a query's current attempt, and keeps what it had to read from disk with the query.

    `lose` is called for a query whose stored rows turn out to be missing or damaged, `read` for one that holds an index
    from now on.
    """

    def __init__(
        self,
        spool: Spool,
        disk: Executor,
        lifetimes: Lifetimes,
        *,
        lose: Callable[[LiveQuery], Awaitable[None]],
        read: Callable[[LiveQuery], None],
    ) -> None:
        self._spool = spool
        self._lifetimes = lifetimes
        self._disk = disk
        self._lose = lose
        self._read = read

    async def of(self, live: LiveQuery) -> PageIndex | None:
        """None when no attempt has begun, or when its rows cannot be read any more."""
        if live.index is None and self.holds_rows(live):
            loop = asyncio.get_running_loop()
            attempt = live.query.attempt
            index = await loop.run_in_executor(self._disk, self._spool.index, *live.key, attempt)
            if not _is_of(live.query, index):
                index = PageIndex(index.directory, attempt)
            # Meanwhile another reader may have found it, or a client may have released the rows.
            if live.index is None and self.holds_rows(live):
                live.index = index
                self._read(live)
        if self._lifetimes.result_state(live.query) in (ResultState.RELEASED, ResultState.EXPIRED):
            return None
        return live.index

    def holds_rows(self, live: LiveQuery) -> bool:
        """Whether rows of an ended query can be read now: all of them, or what is left."""
        return self._lifetimes.holds_rows(live.query)

    def unreadable(self, live: LiveQuery) -> QueryEngineError:
        """Why rows of an ended query cannot be read now."""
        return self._lifetimes.unreadable(live.query)

    @asynccontextmanager
    async def reading(self, live: LiveQuery) -> AsyncIterator[None]:
        """Around whatever reads rows: a RESULT_LOST that leaves it says why. Rows may be gone since they were released,
        have expired, or belong to a run that failed; else they are lost, and the record says so from then on.
        """
        try:
            yield
        except QueryEngineError as cause:
            if cause.failure.reason is not Reason.RESULT_LOST:
                raise
            if live.index is None and not live.is_final:
                await live.wait_until_final(END_SECONDS)
            state = self._lifetimes.result_state(live.query)
            if state is ResultState.READY:
                await self._lose(live)
            elif live.is_final and state is not ResultState.LOST:
                raise self.unreadable(live) from cause
            raise


def _is_of(query: Query, index: PageIndex) -> bool:
    """Whether a stored result is what the record says of it. Segments of format 1 do not say whose they are."""
    totals = index.totals
    return totals is None or (totals.rows, totals.pages, totals.bytes) == (query.rows, query.pages, query.bytes)
