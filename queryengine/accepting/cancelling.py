"""Cancel one query or some, and wait for their end if that is asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from queryengine.accepting.looking import Looking
from queryengine.accepting.queries import CancelOutcome, Queries
from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery

QUERIES_MAX: Final = 1_000
"""That one call cancels."""


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


@dataclass(frozen=True, slots=True)
class CancelledSome:
    """The answer to a cancel of all queries that match."""

    queries: list[Cancelled]
    """In the order of their submission."""
    left: int
    """Queries that match beyond those that one call cancels."""


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

    async def cancel_matching(
        self, tenant: str, wanted: QueryFilter, *, reason: str, wait_seconds: float, leave_turn: Callable[[], None]
    ) -> CancelledSome:
        """Ask for the end of the queries that wait or run now and match, the first submitted first, and wait for all of
        them no longer than the time given.

        Raises STORE_UNAVAILABLE when a wish could not be written; in memory all of them hold.
        """
        found = self._looking.active(tenant, wanted)
        chosen = found[:QUERIES_MAX]
        leave_turn()
        done = await asyncio.gather(*(self._queries.cancel(live, reason) for live in chosen), return_exceptions=True)
        outcomes = [_unless_failed(each) for each in done]
        deadline = asyncio.get_running_loop().time() + wait_seconds
        for live in chosen:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await live.wait_until_final(left):
                break
        queries = [
            Cancelled(outcome.live, _result(outcome.live.query.state, ended_before=outcome.ended_before))
            for outcome in outcomes
        ]
        return CancelledSome(queries, len(found) - len(chosen))


def _unless_failed(done: CancelOutcome | BaseException) -> CancelOutcome:
    if isinstance(done, BaseException):
        raise done
    return done


def _result(state: QueryState, *, ended_before: bool) -> CancelResult:
    if ended_before or state in (QueryState.COMPLETED, QueryState.FAILED):
        return CancelResult.ALREADY_ENDED
    return CancelResult.CANCELLED if state is QueryState.CANCELLED else CancelResult.CANCELLING
