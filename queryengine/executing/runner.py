"""One query from its slot to its final state. Only the runner moves a RUNNING query on.

    step       slot       record                    ends by
    claim      held       QUEUED, then RUNNING      the claim is written; a query that is to be cancelled stays as it is
    follow     held       RUNNING                   the worker's last word, or a defect of ours
    (free)     given back RUNNING                   at once: the caller gives back slot and share together
    settle     none       COMPLETED, FAILED,        the record is written; a completion is reported before
                          CANCELLED or QUEUED

A query that starts at its Submit skips the claim, which is written with its Submit, and waits after `follow` for that
record to be durable (docs/adr/0005). A defect in any step becomes FAILED with INTERNAL_ERROR in `settle`, logged once;
`claim` and `follow` raise nothing but a cancel of their task, so no path keeps the slot.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure
from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.executing.following import Following
from queryengine.executing.held_record import HeldRecord
from queryengine.executing.outcomes import LastWord
from queryengine.executing.recorder import Recorder
from queryengine.executing.settling import Settling
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.workers.supervisor import Slot


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run came to its end."""

    last: LastWord | Exception
    """An exception is a defect of ours."""
    ended_us: int
    """When, which is before its slot is given to another."""


class Runner:
    """Runs claimed queries. One instance serves all of them."""

    def __init__(
        self,
        *,
        owner: str,
        recorder: Recorder,
        registry: Registry,
        following: Following,
        settling: Settling,
        clock: Clock,
    ) -> None:
        self._owner = owner
        self._recorder = recorder
        self._registry = registry
        self._following = following
        self._settling = settling
        self._clock = clock

    def claimed(self, query: Query) -> Query:
        """A new query as its first claim leaves it, to be written with its Submit."""
        return query.but(state=QueryState.RUNNING, attempt=1, **self._claim_changes())

    async def claim_and_follow(self, live: LiveQuery, slot: Slot) -> Ran | None:
        """Take a waiting query through CLAIM and run it in a slot. None for one that is not to run: it is to be
        cancelled, and stays as it is, or it had ended already.
        """
        if live.cancel_wish is not None:
            return None
        try:
            parameters = await self._recorder.parameters(live.query)
            fired, query = await self._recorder.advance(live.query, Event.CLAIM, self._claim_changes())
            live.take(query)
            if not fired:
                self._registry.keep(live)
                return None
            return self._ran(await self._following.follow(live, slot, parameters))
        except Exception as cause:
            return self._ran(cause)

    async def follow(self, live: LiveQuery, slot: Slot) -> Ran:
        """Run a query that is claimed already in a slot."""
        try:
            return self._ran(await self._following.follow(live, slot, live.query.submission.parameters or b""))
        except Exception as cause:
            return self._ran(cause)

    async def settle(self, live: LiveQuery, ran: Ran) -> None:
        """Bring a query whose run is over to its end, or back to waiting. Never raises."""
        if isinstance(ran.last, Exception):
            await self._settling.fail(live, ran.last)
        else:
            await self._settling.settle(live, ran.last, ran.ended_us)

    async def settle_if_durable(self, live: LiveQuery, ran: Ran, durable: asyncio.Future[tuple[Query, bool]]) -> None:
        """As `settle`, once the record is written. When it was not written, because it could not be or because its id
        had a record, what the run left is removed and nobody hears of it.
        """
        if not durable.done():
            await asyncio.wait([durable])
        if durable.exception() is None and not durable.result()[1]:
            await self.settle(live, ran)
            return
        if isinstance(ran.last, Exception):
            incident(f"query {live.query.query_id}, which was not accepted", ran.last)
        await self._settling.discard(live)

    async def settle_with_record(self, live: LiveQuery, ran: Ran, record: HeldRecord) -> None:
        """As `settle_if_durable`, of a query whose record may still be held: then it is written with the end."""
        if record.is_held and not isinstance(ran.last, Exception):
            try:
                if not await self._settling.settle_unrecorded(live, ran.last, ran.ended_us, record):
                    await self._settling.discard(live)
                return
            except Exception as cause:
                ran = self._ran(cause)
        record.write()
        await self.settle_if_durable(live, ran, record.decided)

    async def end_waiting(self, live: LiveQuery, event: Event, failure: Failure) -> None:
        """End a query that has left its queue without a slot. Never raises."""
        await self._settling.end_waiting(live, event, failure)

    def _ran(self, last: LastWord | Exception) -> Ran:
        return Ran(last, self._clock.now_us())

    def _claim_changes(self) -> dict[str, Any]:
        """What a claim writes beside the state."""
        return {"owner": self._owner, "start_us": self._clock.now_us()}
