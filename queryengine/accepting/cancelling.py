"""Cancel a query, and wait for its end if that is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from queryengine.accepting.looking import Looking
from queryengine.accepting.queries import Queries
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery


class CancelResult(StrEnum):
    """What the service did about a cancel, as far as is known when it answers."""

    CANCELLED = "cancelled"
    CANCELLING = "cancelling"
    """It is on its way; nothing keeps the query from running to another end meanwhile."""
    ALREADY_ENDED = "already_ended"
    """The query has completed or failed; its state and result stand."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel."""

    live: LiveQuery
    result: CancelResult


class Cancelling:
    """Cancels queries. Safe to repeat, in any state."""

    def __init__(self, looking: Looking, queries: Queries) -> None:
        self._looking = looking
        self._queries = queries

    async def cancel(
        self, tenant: str, query_id: str, *, reason: str, wait_seconds: float, leave_turn: Callable[[], None]
    ) -> Cancelled:
        """Ask for the end of a query, and wait for it no longer than the time given. `leave_turn` is called before it
        waits.

        Raises QUERY_NOT_FOUND, and STORE_UNAVAILABLE when the wish could not be written; in memory it holds all the
        same.
        """
        live = await self._looking.find(tenant, query_id)
        outcome = await self._queries.cancel(live, reason)
        if wait_seconds:
            leave_turn()
            await live.wait_until_final(wait_seconds)
        return Cancelled(live, _result(live.query.state, ended_before=outcome.ended_before))


def _result(state: QueryState, *, ended_before: bool) -> CancelResult:
    if ended_before or state in (QueryState.COMPLETED, QueryState.FAILED):
        return CancelResult.ALREADY_ENDED
    return CancelResult.CANCELLED if state is QueryState.CANCELLED else CancelResult.CANCELLING
