"""Cancel one query or some, and wait for their end if that is asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from queryengine.accepting.looking import Looking
from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.clock import Clock
from queryengine.domain.filters import QueryFilter
from queryengine.domain.identity import Principal
from queryengine.domain.lifecycle import QueryState
from queryengine.executing.scheduler import Scheduler
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.store.store import Store

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

    def __init__(self, *, looking: Looking, store: Store, scheduler: Scheduler, clock: Clock) -> None:
        self._looking = looking
        self._store = store
        self._scheduler = scheduler
        self._clock = clock

    async def cancel(
        self,
        principal: Principal,
        query_id: str,
        *,
        reason: str,
        wait_seconds: float,
        leave_turn: Callable[[], None],
        record: Record = unrecorded,
    ) -> Cancelled:
        """Ask for the end of a query, and wait for it no longer than the time given. `leave_turn` is called before it
        waits.

        Raises what Looking.find_to_change and `record` raise, and STORE_UNAVAILABLE when the wish could not be written;
        in memory it holds all the same.
        """
        live = await self._looking.find_to_change(principal, query_id)
        await record()
        await self.request(live, reason)
        if wait_seconds:
            leave_turn()
            await live.wait_until_final(wait_seconds)
        return _answer(live)

    async def cancel_matching(
        self,
        principal: Principal,
        wanted: QueryFilter,
        *,
        reason: str,
        wait_seconds: float,
        leave_turn: Callable[[], None],
        record: Record = unrecorded,
    ) -> CancelledSome:
        """Ask for the end of the queries that wait or run now, match, and are the principal's to change, the first
        submitted first, and wait for all of them no longer than the time given.

        Raises ROLE_MISSING, what `record` raises, and STORE_UNAVAILABLE when a wish could not be written; in memory all
        of them hold.
        """
        found = self._looking.active_to_change(principal, wanted)
        chosen = found[:QUERIES_MAX]
        leave_turn()
        await record()
        for done in await asyncio.gather(*(self.request(live, reason) for live in chosen), return_exceptions=True):
            if isinstance(done, BaseException):
                raise done
        deadline = asyncio.get_running_loop().time() + wait_seconds
        for live in chosen:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await live.wait_until_final(left):
                break
        return CancelledSome([_answer(live) for live in chosen], len(found) - len(chosen))

    async def request(self, live: LiveQuery, reason: str) -> None:
        """Ask for the end of a query; it has ended on return only if it was waiting. Does nothing for one that has
        ended. Raises STORE_UNAVAILABLE as `cancel` does.
        """
        if live.is_final:
            return
        failure = cancelled(reason)
        # A run that begins from here on ends at once.
        live.request_stop(Stop(failure, QueryState.CANCELLED))
        if live.query.cancel_us is None:
            facts = {"cancel_us": self._clock.now_us(), "cancel_reason": reason}
            states = (QueryState.QUEUED, QueryState.RUNNING)
            _, query = await self._store.update(live.query, changes=facts, where_state=states)
            live.take(query)
        await self._scheduler.cancel_waiting(live, failure)


def _answer(live: LiveQuery) -> Cancelled:
    match live.query.state:
        case QueryState.COMPLETED | QueryState.FAILED:
            return Cancelled(live, CancelResult.ALREADY_ENDED)
        case QueryState.CANCELLED:
            return Cancelled(live, CancelResult.CANCELLED)
        case QueryState.QUEUED | QueryState.RUNNING:
            return Cancelled(live, CancelResult.CANCELLING)
