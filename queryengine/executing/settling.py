"""How a query leaves a run, or the queue: the outcome is proposed by compare-and-set, and whatever record comes back is
adopted, so that a cancel and a completion that race leave exactly one final state.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure
from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.executing.crashes import Crashes
from queryengine.executing.estimates import Estimates
from queryengine.executing.following import count_stored
from queryengine.executing.outcomes import LastWord, outcome
from queryengine.executing.recorder import Recorder
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.results.index import PageIndex
from queryengine.results.meter import SpoolMeter
from queryengine.results.removal import Removal
from queryengine.results.stored import StoredResults
from queryengine.workers.events import Ended, Failed

Explain = Callable[[Query, Failure], Awaitable[Failure]]
"""What is to be said of a query under row and column policies in place of what its engine says."""


@dataclass(frozen=True, slots=True)
class _End:
    """What is to be written of a run that is over."""

    event: Event
    changes: dict[str, Any]
    small: PageIndex | None = None
    """The result, when it goes with the completion."""

    @property
    def payload(self) -> bytes | None:
        return self.small.source.payload if self.small is not None else None


class Settling:
    """No method raises, but when it is cancelled: a defect ends the query it meets as INTERNAL_ERROR."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        results: StoredResults,
        registry: Registry,
        meter: SpoolMeter,
        removal: Removal,
        estimates: Estimates,
        tasks: Tasks,
        clock: Clock,
        explain: Explain,
    ) -> None:
        self._explain = explain
        self._recorder = recorder
        self._results = results
        self._registry = registry
        self._meter = meter
        self._removal = removal
        self._estimates = estimates
        self._tasks = tasks
        self._clock = clock
        self._crashes = Crashes()

    async def settle(self, live: LiveQuery, last: LastWord, ended_us: int) -> None:
        """Report and write the outcome of a run that ended at a time; the query has ended then, or is to wait again.

        A result in the spool is reported before its completion is written, and nobody waits for that: the END marker is
        on disk, so that a server which finds the record still RUNNING completes it. The store keeps its order, so
        nothing that follows overtakes it, unless the store fails. A small result is nowhere but in the completion, so
        it is reported once that is written; a server that ends before runs the query again, of which nobody saw a row.
        What ends while its record is held is reported once that is written with it. When its id had a record, or the
        store failed, what the run left is removed and nobody hears of it.
        """
        try:
            if isinstance(last, Failed) and live.query.plan.policy_version:
                last = replace(last, failure=await self._explain(live.query, last.failure))
            await self._settle(live, last, ended_us)
        except Exception as cause:
            await self.fail(live, cause)

    async def end_waiting(self, live: LiveQuery, event: Event, failure: Failure) -> None:
        """End a query that has left its queue without a slot."""
        first = live.first_write
        if first is not None:
            first.write()
            if not await first.is_accepted():
                return
        changes = {"end_us": self._clock.now_us(), "failure": failure, **throttled(live)}
        try:
            _, query = await self._recorder.advance(live.query, event, changes)
        except Exception as cause:
            await self.fail(live, cause)
            return
        live.take(query)
        self._registry.keep(live)

    async def fail(self, live: LiveQuery, cause: Exception) -> None:
        """End a query that met a defect of ours, as far as that is possible in the store, else in memory."""
        failure = incident(f"query {live.query.query_id}", cause)
        changes = {"end_us": self._clock.now_us(), "failure": failure, "result_state": ResultState.NONE}
        try:
            if not await self._record(live, live.query, _End(Event.FAIL, changes)):
                return
        except Exception as second:
            incident(f"query {live.query.query_id}, whose failure is not written", second)
        if not live.is_final:
            live.amend(state=QueryState.FAILED, **changes)
        self._registry.keep(live)

    async def discard(self, live: LiveQuery) -> None:
        """Remove the pages of a run that did not complete."""
        live.index = None
        await self._removal.discard(live.query.tenant, live.query.own_result_id, live.metered_bytes)
        live.metered_bytes = 0

    async def _settle(self, live: LiveQuery, last: LastWord, ended_us: int) -> None:
        seen = live.query
        end = self._conclude(live, last, ended_us)
        is_held = live.first_write is not None and live.first_write.is_held
        if end.event is Event.COMPLETE and end.small is None and not is_held:
            live.amend(state=QueryState.COMPLETED, **end.changes)
            self._tasks.spawn(self._record_completion(live, seen, end), f"record-{seen.query_id}")
        else:
            await self._record(live, seen, end)

    def _conclude(self, live: LiveQuery, last: LastWord, ended_us: int) -> "_End":
        """What the last word of a run amounts to. Counts what the run has stored."""
        seen = live.query
        found = outcome(
            seen,
            last,
            stop=live.stop,
            cancel_wish=live.cancel_wish,
            crashes=self._crashes,
            now_us=ended_us,
        )
        small = self._small_result(seen, last)
        if small is not None:
            count_stored(self._meter, live, small)
        elif isinstance(last, Ended) and live.index is not None:
            live.index.totals = last.totals
            count_stored(self._meter, live, live.index)
        progress = live.progress
        facts: dict[str, Any] = {
            "engine_query_id": progress.engine_query_id,
            "engine_query_url": progress.engine_query_url,
        }
        if found.event in (Event.FAIL, Event.CANCEL):
            # It was read all the same.
            facts |= {"rows_scanned": progress.rows_scanned, "bytes_scanned": progress.bytes_scanned}
        # First: a client that sees the end may ask for the same again at once.
        if found.event is Event.COMPLETE and seen.start_us is not None:
            self._learn(seen, ended_us - seen.start_us, last)
        return _End(found.event, {**found.changes, **facts}, small)

    def _learn(self, seen: Query, microseconds: int, last: LastWord) -> None:
        rows = scanned_bytes = None
        if isinstance(last, Ended):
            # A result that was cut says nothing of the next one.
            rows = last.totals.rows if last.totals.truncation is None else None
            # What was read counts rows that policies hide.
            scanned_bytes = last.totals.bytes_scanned if not seen.plan.policy_version else None
        past = self._estimates.past_of(seen)
        self._estimates.learn(seen.plan.engine, past, microseconds, rows, scanned_bytes)

    def _small_result(self, query: Query, last: LastWord) -> PageIndex | None:
        """The index of a result that is to be written with its completion; None for one that is not."""
        if not isinstance(last, Ended) or not last.payload:
            return None
        index = self._results.recorded(query.tenant, query.own_result_id, query.attempt, last.payload)
        if index.totals != last.totals:
            raise ValueError(f"a result of {last.totals} came as {index.totals}")
        return index

    async def _record(self, live: LiveQuery, seen: Query, end: "_End") -> bool:
        """Write the end, adopt the record that results, and drop the rows nobody may read. False when the query was not
        accepted.
        """
        query = await self._recorder.end(live, seen, end.event, end.changes, end.payload)
        if query is None:
            await self.discard(live)
            return False
        if query.state is QueryState.QUEUED:
            live.begin_again()
        if query.state is not QueryState.COMPLETED:
            await self.discard(live)
        elif end.small is not None and live.index is not None:
            live.index.fill(end.small)
        live.take(query)
        self._registry.keep(live)
        return True

    async def _record_completion(self, live: LiveQuery, seen: Query, end: "_End") -> None:
        try:
            await self._record(live, seen, end)
        except Exception as cause:
            # It holds for whoever has seen it; the next start finds the END marker of the rows.
            incident(f"query {seen.query_id}, whose completion is not written", cause)
            self._registry.keep(live)


def throttled(live: LiveQuery) -> dict[str, Any]:
    """What is written of the waiting of a query that waits no more; most wait for no limit."""
    us = live.throttled_us()
    return {"throttled_us": us} if us else {}
