"""Cancels queries that nobody reads any more, where their submitter asked for that."""

import logging

from queryengine.accepting.cancelling import Cancelling
from queryengine.domain.errors import QueryEngineError
from queryengine.live.query import LiveQuery
from queryengine.live.tasks import Tasks

logger = logging.getLogger(__name__)


class Unread:
    """Sees that a query is cancelled once nobody has read or watched it for its grace."""

    def __init__(self, cancelling: Cancelling, tasks: Tasks) -> None:
        self._cancelling = cancelling
        self._tasks = tasks

    def expect_readers(self, live: LiveQuery) -> None:
        """To be called once for a query that begins to run or wait; does nothing unless its submitter asked for it."""
        submission = live.query.submission
        if submission.cancel_on_disconnect and not live.is_final:
            name = f"disconnect-{live.query.query_id}"
            grace_seconds = submission.disconnect_grace_ms / 1000
            live.readers.expect(grace_seconds, lambda: self._tasks.spawn(self._cancel(live, grace_seconds), name))

    async def _cancel(self, live: LiveQuery, grace_seconds: float) -> None:
        reason = f"nobody has read or watched it for its disconnect_grace of {grace_seconds:g} seconds"
        try:
            await self._cancelling.request(live, reason)
        except QueryEngineError as cause:
            # The wish holds in memory, so the query ends all the same unless the server does first.
            logger.warning("query %s: its cancel is not recorded: %s", live.query.query_id, cause)
