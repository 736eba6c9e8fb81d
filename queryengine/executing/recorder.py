"""Writes what becomes of queries, by the retry policy: an outcome must not be lost to a full disk."""

import asyncio
from concurrent.futures import Executor
from typing import Any

from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.executing.retry import until_stored
from queryengine.live.query import LiveQuery
from queryengine.results.stored import StoredResults
from queryengine.store.store import Store


class Recorder:
    """Calls of the store that are repeated until it takes them."""

    def __init__(self, store: Store, results: StoredResults, disk: Executor) -> None:
        self._store = store
        self._results = results
        self._disk = disk

    async def end(
        self, live: LiveQuery, seen: Query, event: Event, changes: dict[str, Any], payload: bytes | None
    ) -> Query | None:
        """Write how a run ended, with the record of its query where that is held still. Returns the query as it is
        then; None when it was not accepted, so that nobody is to hear of the run.
        """
        first = live.first_write
        if first is not None and first.is_held:
            return await first.write_with_end(event, changes, payload)
        _, query = await self.advance(seen, event, changes, payload)
        return query

    async def advance(
        self, seen: Query, event: Event, changes: dict[str, Any], payload: bytes | None = None
    ) -> tuple[bool, Query]:
        """As Store.advance. A completion may go with the next commit when its rows, in the spool, prove it."""
        may_linger = event is Event.COMPLETE and payload is None

        async def make_room() -> None:
            # Its own rows may be what leaves no room to write that they are to go.
            if seen.state is QueryState.RUNNING and event is not Event.COMPLETE:
                key = (seen.tenant, seen.own_result_id)
                await asyncio.get_running_loop().run_in_executor(self._disk, self._results.shrink, *key)

        return await until_stored(
            lambda: self._store.advance(seen, event, changes=changes, payload=payload, may_linger=may_linger),
            f"query {seen.query_id}: {event} is not written yet",
            make_room,
        )

    async def parameters(self, query: Query) -> bytes:
        """Those of a query that waits, from the store when they were too large to be kept in memory."""
        if query.submission.parameters is not None:
            return query.submission.parameters
        return await until_stored(
            lambda: self._store.parameters(query.tenant, query.query_id),
            f"query {query.query_id}: its parameters cannot be read yet",
        )
