"""One query from its slot to its final state. Only the runner moves a RUNNING query on.

    step       slot       record                    ends by
    claim      held       QUEUED, then RUNNING      the claim is written; a query that is to be cancelled stays as it is
    follow     held       RUNNING                   the worker's last word, or a defect of ours
    (free)     given back RUNNING                   at once: the caller gives back slot and share together
    settle     none       COMPLETED, FAILED,        the record is written; a completion is reported before
                          CANCELLED or QUEUED

A query that starts at its Submit is claimed there. While the first write of its record is held, nothing is written
before `settle`, which then writes all at once; a write that is under way is waited for there (docs/adr/0005).

A defect in any step becomes FAILED with INTERNAL_ERROR in `settle`, logged once; `run`, which is claim and follow,
raises nothing but a cancel of its task, so no path keeps the slot.
"""

from dataclasses import dataclass
from typing import Any

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure
from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.executing.following import Following
from queryengine.executing.outcomes import LastWord
from queryengine.executing.recorder import Recorder
from queryengine.executing.settling import Settling, throttled
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
        """A new query as its first claim leaves it, to be written so."""
        return query.but(state=QueryState.RUNNING, attempt=1, **self._claim_changes())

    async def run(self, live: LiveQuery, slot: Slot) -> Ran | None:
        """Claim a query, unless its Submit did, and run it in a slot. None for one that is not to run: it is to be
        cancelled, and stays as it is, it had ended already, or it was not accepted.
        """
        try:
            parameters = await self._recorder.parameters(live.query)
            if live.query.state is QueryState.QUEUED and not await self._claim(live):
                return None
            return self._ran(await self._following.follow(live, slot, parameters))
        except Exception as cause:
            return self._ran(cause)

    async def settle(self, live: LiveQuery, ran: Ran) -> None:
        """Bring a query whose run is over to its end, or back to waiting. When it was not accepted, what the run left
        is removed and nobody hears of it. Never raises.
        """
        first = live.first_write
        if first is not None and not first.is_held and not await first.is_accepted():
            if isinstance(ran.last, Exception):
                incident(f"query {live.query.query_id}, which was not accepted", ran.last)
            await self._settling.discard(live)
        elif isinstance(ran.last, Exception):
            await self._settling.fail(live, ran.last)
        else:
            await self._settling.settle(live, ran.last, ran.ended_us)

    async def end_waiting(self, live: LiveQuery, event: Event, failure: Failure) -> None:
        """End a query that has left its queue without a slot. Never raises."""
        await self._settling.end_waiting(live, event, failure)

    async def _claim(self, live: LiveQuery) -> bool:
        """Whether a query that has waited is to run."""
        if live.cancel_wish is not None:
            return False
        first = live.first_write
        if first is not None:
            claimed = self.claimed(live.query).but(**throttled(live))
            if first.claim(claimed):
                live.replace(claimed)
                return True
            if not await first.is_accepted():
                return False
        changes = {**self._claim_changes(), **throttled(live)}
        fired, query = await self._recorder.advance(live.query, Event.CLAIM, changes)
        live.take(query)
        if not fired:
            self._registry.keep(live)
        return fired

    def _ran(self, last: LastWord | Exception) -> Ran:
        return Ran(last, self._clock.now_us())

    def _claim_changes(self) -> dict[str, Any]:
        """What a claim writes beside the state."""
        return {"owner": self._owner, "start_us": self._clock.now_us()}
