"""The page index of a query, whether it runs, has just ended or ended long ago; and why its rows could not be read."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.lifecycle import ResultState
from queryengine.domain.query import Query
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.results.index import PageIndex
from queryengine.results.stored import StoredResults
from queryengine.store.store import Store

logger = logging.getLogger(__name__)

END_SECONDS: Final = 5.0
"""How long a reader whose rows were removed waits to learn why. They are removed before the end is reported."""


class Indexes:
    """Finds the index of a query's current attempt, and keeps what it had to read with the query. Records that stored
    rows turn out to be missing or damaged.
    """

    def __init__(
        self, results: StoredResults, disk: Executor, lifetimes: Lifetimes, *, store: Store, registry: Registry
    ) -> None:
        self._results = results
        self._lifetimes = lifetimes
        self._disk = disk
        self._store = store
        self._registry = registry

    async def of(self, live: LiveQuery) -> PageIndex | None:
        """None when no attempt has begun, or when its rows cannot be read any more."""
        if live.index is None and self.holds_rows(live):
            index = await self._stored(live.query)
            # Meanwhile another reader may have found it, or a client may have released the rows.
            if live.index is None and self.holds_rows(live):
                live.index = index
                self._registry.weigh(live)
        if self._lifetimes.result_state(live.query) in (ResultState.RELEASED, ResultState.EXPIRED):
            return None
        return live.index

    async def _stored(self, query: Query) -> PageIndex:
        """The index of a result that is not in memory: from the record, where it is small, else from the spool."""
        name, attempt = query.result_id or query.own_result_id, query.attempt
        payload = await self._store.result_payload(query.tenant, name)
        if payload is not None:
            index = self._results.recorded(query.tenant, name, attempt, payload)
        else:
            loop = asyncio.get_running_loop()
            index = await loop.run_in_executor(self._disk, self._results.index, query.tenant, name, attempt)
        return index if _is_of(query, index) else PageIndex(index.source, attempt)

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

    async def _lose(self, live: LiveQuery) -> None:
        """Record that rows are lost. What is left of them can be read until it expires."""
        try:
            fired, query = await self._store.update(
                live.query, changes={"result_state": ResultState.LOST}, where_result_state=(ResultState.READY,)
            )
        except QueryEngineError as cause:
            # The next reader meets the damage, too.
            logger.warning("query %s: that rows are lost is not written: %s", live.query.query_id, cause)
            return
        live.take(query)
        if fired:
            logger.error("query %s: stored rows are missing or damaged", live.query.query_id)


def _is_of(query: Query, index: PageIndex) -> bool:
    """Whether a stored result is what the record says of it. Segments of format 1 do not say whose they are."""
    totals = index.totals
    return totals is None or (totals.rows, totals.pages, totals.bytes) == (query.rows, query.pages, query.bytes)
