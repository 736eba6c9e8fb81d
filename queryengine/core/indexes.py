"""The page index of a query, whether it runs, has just ended or ended long ago."""

import asyncio
from concurrent.futures import Executor

from queryengine.core.live import LiveQuery
from queryengine.domain.lifecycle import ResultState
from queryengine.results.index import PageIndex
from queryengine.results.spool import Spool


class Indexes:
    """Finds the index of a query's current attempt, and keeps what it had to read from disk with the query."""

    def __init__(self, spool: Spool, disk: Executor) -> None:
        self._spool = spool
        self._disk = disk

    async def of(self, live: LiveQuery) -> PageIndex | None:
        """None when no attempt has begun, or when its rows cannot be read any more."""
        if live.index is None and live.query.result_state is ResultState.READY:
            loop = asyncio.get_running_loop()
            attempt = live.query.attempt
            index = await loop.run_in_executor(self._disk, self._spool.index, *live.key, attempt)
            # Meanwhile another reader may have found it, or a client may have released the rows.
            if live.index is None and live.query.result_state is ResultState.READY:
                live.index = index
        if live.query.result_state in (ResultState.RELEASED, ResultState.EXPIRED):
            return None
        return live.index
