"""Free the rows of a query early, or keep them for longer."""

from typing import Final

from queryengine.accepting.looking import Looking
from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.lifecycle import ResultState
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.results.removal import Removal
from queryengine.store.store import Store
from queryengine.store.writer import RETRY_AFTER_SECONDS

EXTEND_MAX_US: Final = 7 * 24 * 3600 * 1_000_000


class Releasing:
    """Every method raises what Looking.find_to_change and `record` raise, and is safe to repeat."""

    def __init__(self, *, looking: Looking, store: Store, lifetimes: Lifetimes, removal: Removal, clock: Clock) -> None:
        self._looking = looking
        self._store = store
        self._lifetimes = lifetimes
        self._removal = removal
        self._clock = clock

    async def release(self, principal: Principal, query_id: str, *, record: Record = unrecorded) -> LiveQuery:
        """Free the rows of an ended query. Raises RESULT_NOT_READY while it runs."""
        live = await self._looking.find_to_change(principal, query_id)
        if not live.is_final:
            raise error(Reason.RESULT_NOT_READY, "the query has not ended; wait for its end, or cancel it")
        await record()
        if self._lifetimes.holds_rows(live.query):
            dropped = await self._store.drop_result(
                live.query, ResultState.RELEASED, changes={"expire_us": self._clock.now_us()}
            )
            query = dropped.query
            live.take(query)
            if dropped.fired:
                live.index = None
                if dropped.was_last and query.result_id is not None:
                    await self._removal.remove(query.tenant, query.result_id, recorded_bytes=dropped.payload_bytes)
            elif not query.is_final:
                raise _not_recorded()
        return live

    async def extend(
        self, principal: Principal, query_id: str, until_us: int, *, record: Record = unrecorded
    ) -> LiveQuery:
        """Keep the rows until a time. Raises INVALID_FIELD for a time out of range, and what reading them would
        raise.
        """
        live = await self._looking.find_to_change(principal, query_id)
        now_us = self._clock.now_us()
        if not now_us < until_us <= now_us + EXTEND_MAX_US:
            message = "extend_to must be later than now and at most 7 days away"
            raise error(Reason.INVALID_FIELD, message, field="extend_to")
        if self._lifetimes.result_state(live.query) is not ResultState.READY:
            raise self._lifetimes.unreadable(live.query)
        await record()
        fired, query = await self._store.update(
            live.query, changes={"expire_us": until_us}, where_result_state=(ResultState.READY,)
        )
        live.take(query)
        if not fired:
            raise self._lifetimes.unreadable(query) if query.is_final else _not_recorded()
        return live


def _not_recorded() -> QueryEngineError:
    message = "the end of the query is not written yet, as the store fails; try again"
    return error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_AFTER_SECONDS)
