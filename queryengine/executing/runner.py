"""One query from its slot to its final state. Only the runner moves a RUNNING query on.

The last word of a run is the store's: the runner proposes an event by compare-and-set and adopts whatever record comes
back, so that a cancel and a completion that race leave exactly one final state.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import ATTEMPTS_MAX, Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.executing.crashes import Crashes
from queryengine.executing.estimates import Estimates
from queryengine.executing.retry import until_stored
from queryengine.live.query import EngineCancel, LiveQuery, Stop
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.results.index import PageIndex
from queryengine.results.meter import SpoolMeter
from queryengine.results.removal import Removal
from queryengine.results.stored import StoredResults
from queryengine.results.writer import ResultLimits
from queryengine.store.store import Store
from queryengine.workers.events import Ended, Failed, Lost, PagePublished, Progressed, RunEvent, SchemaKnown
from queryengine.workers.orders import RunOrder
from queryengine.workers.seat import Run, Slot

logger = logging.getLogger(__name__)

REPEAT_CANCEL_SECONDS: Final = 0.5

LastEvent = Ended | Failed | Lost


class Runner:
    """Runs claimed queries. One instance serves all of them."""

    def __init__(
        self,
        *,
        owner: str,
        store: Store,
        results: StoredResults,
        meter: SpoolMeter,
        removal: Removal,
        registry: Registry,
        estimates: Estimates,
        clock: Clock,
        disk: Executor,
        page_limits: Callable[[Query], ResultLimits],
        tasks: Tasks,
        first_page_flush_seconds: float,
        cancel_grace_seconds: float,
    ) -> None:
        self._owner = owner
        self._store = store
        self._results = results
        self._meter = meter
        self._removal = removal
        self._registry = registry
        self._estimates = estimates
        self._clock = clock
        self._disk = disk
        self._page_limits = page_limits
        self._tasks = tasks
        self._first_page_flush_seconds = first_page_flush_seconds
        self._cancel_grace_seconds = cancel_grace_seconds
        self._crashes = Crashes()

    def claimed(self, query: Query) -> Query:
        """A new query as its first claim leaves it, to be written with its Submit."""
        return query.but(state=QueryState.RUNNING, attempt=1, **self._claim_changes())

    def _claim_changes(self) -> dict[str, Any]:
        """What a claim writes beside the state."""
        return {"owner": self._owner, "start_us": self._clock.now_us()}

    async def claim_and_run(self, live: LiveQuery, slot: Slot) -> None:
        """Take a waiting query through CLAIM and run it; leave one that is to be cancelled as it is."""
        try:
            if live.cancel_wish is not None:
                return
            parameters = await self._parameters(live.query)
            fired, query = await self.advance(live.query, Event.CLAIM, self._claim_changes())
            live.take(query)
            if not fired:
                self._registry.keep(live)
                return
            last = await self._execute(live, slot, parameters)
        except Exception as cause:
            await self._fail(live, cause)
        else:
            await self._settle(live, last)
        finally:
            slot.release()

    async def run_if_durable(self, live: LiveQuery, slot: Slot, durable: asyncio.Future[tuple[Query, bool]]) -> None:
        """Run a query whose record, RUNNING already, is still being written. When it was not written, because it could
        not be or because its id had a record, what the run left is removed and nobody hears of it.
        """
        defect: Exception | None = None
        try:
            last: LastEvent = await self._execute(live, slot, live.query.submission.parameters or b"")
        except Exception as cause:
            defect = cause
        finally:
            slot.release()
        await asyncio.wait([durable])
        if durable.exception() is not None or durable.result()[1]:
            await self._discard(live)
        elif defect is not None:
            await self._fail(live, defect)
        else:
            await self._settle(live, last)

    async def _execute(self, live: LiveQuery, slot: Slot, parameters: bytes) -> LastEvent:
        """Run a query in its slot; returns the worker's last word. What it raises leaves nothing on the engine, and the
        slot unused when it came before the statement was sent.
        """
        plan = live.query.plan
        live.expected_us = self._estimates.execution_us(plan.engine, live.query.query_hash)
        source = self._results.source(live.query.tenant, live.query.own_result_id)
        live.index = PageIndex(source, live.query.attempt)
        run = slot.run(self._order(live, source.result, parameters))
        live.forget_parameters()
        live.engine_cancel = EngineCancel.NOT_RUNNING
        timeout_ms = plan.execution_timeout_ms
        out_of_time = Stop(_timed_out(timeout_ms), QueryState.FAILED)
        timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, live.request_stop, out_of_time)
        stopping: list[asyncio.Task[None]] = []
        name = f"stop-{live.query.query_id}"
        live.on_stop(lambda: stopping.append(asyncio.create_task(self._stop(live, run), name=name)))
        try:
            return await self._follow(live, run)
        except Exception:
            # What it does now nobody follows, so the engine must not go on with it.
            run.abandon("the server does not follow the run any more")
            raise
        finally:
            timer.cancel()
            live.on_stop(None)
            for each in stopping:
                each.cancel()

    def _order(self, live: LiveQuery, result: str, parameters: bytes) -> RunOrder:
        query = live.query
        asked = query.submission
        return RunOrder(
            execution=f"{query.query_id}/{query.attempt}/{query.tenant}",
            query_id=query.query_id,
            tenant=query.tenant,
            subject=query.subject,
            sql=query.executed_sql,
            parameters=parameters,
            catalog=asked.catalog,
            schema=asked.schema,
            session_settings=dict(asked.session_settings),
            execution_timeout_seconds=query.plan.execution_timeout_ms / 1000,
            result=result,
            limits=self._page_limits(query),
            first_page_flush_seconds=self._first_page_flush_seconds,
            wide_integers=asked.wide_integers,
        )

    async def _follow(self, live: LiveQuery, run: Run) -> LastEvent:
        """Adopt what the worker tells until its last word."""
        while True:
            event: RunEvent = await run.event()
            match event:
                case SchemaKnown(schema) if live.index is not None:
                    live.index.schema = schema
                    live.pages_arrived()
                case PagePublished(page) if live.index is not None:
                    live.index.append(page)
                    self._count_stored(live, live.index)
                    facts: dict[str, Any] = {
                        "rows": live.index.rows,
                        "pages": len(live.index),
                        "bytes": live.index.bytes,
                    }
                    if live.query.first_page_us is None:
                        facts["first_page_us"] = self._clock.now_us()
                        facts["result_state"] = ResultState.PARTIAL
                    live.amend(**facts)
                case Progressed(progress):
                    live.advance_progress(progress)
                case Ended() | Failed() | Lost():
                    return event
                case _:
                    continue

    def _count_stored(self, live: LiveQuery, index: PageIndex) -> None:
        stored_bytes = index.stored_bytes
        self._meter.add(live.query.tenant, stored_bytes - live.metered_bytes)
        live.metered_bytes = stored_bytes

    async def _stop(self, live: LiveQuery, run: Run) -> None:
        """Cancel the engine, repeat, and in the end give up its process."""
        live.engine_cancel = EngineCancel.SENT
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._cancel_grace_seconds
        while loop.time() < deadline:
            run.cancel()
            await asyncio.sleep(min(REPEAT_CANCEL_SECONDS, max(0.0, deadline - loop.time())))
        live.engine_cancel = EngineCancel.KILLED
        run.abandon(f"the engine did not stop within {self._cancel_grace_seconds:g} seconds")

    async def _settle(self, live: LiveQuery, last: LastEvent) -> None:
        try:
            await self._end(live, last)
        except Exception as cause:
            await self._fail(live, cause)

    async def _end(self, live: LiveQuery, last: LastEvent) -> None:
        """Tell and write the outcome.

        A completion is told before it is written, and nobody waits for that: the END marker is on disk, so that a
        server which finds the record still RUNNING completes it. The store keeps its order, so nothing that follows
        overtakes it, unless the store fails.
        """
        event, changes = self._outcome(live, last)
        if live.engine_cancel is EngineCancel.SENT:
            live.engine_cancel = _engine_cancel(last)
        if isinstance(last, Ended) and live.index is not None:
            live.index.totals = last.totals
            self._count_stored(live, live.index)
        changes["engine_query_id"] = live.progress.engine_query_id
        changes["engine_query_url"] = live.progress.engine_query_url
        seen = live.query
        if event is Event.COMPLETE:
            self._learn(live.query, changes["end_us"])
            live.amend(state=QueryState.COMPLETED, **changes)
            self._tasks.spawn(self._record_completion(live, seen, changes), f"record-{seen.query_id}")
        else:
            await self._record(live, seen, event, changes)

    async def _record(self, live: LiveQuery, seen: Query, event: Event, changes: dict[str, Any]) -> None:
        """Write the outcome, adopt the record that results, and drop the rows nobody may read."""
        _, query = await self.advance(seen, event, changes)
        if query.state is QueryState.QUEUED:
            live.begin_again()
        if query.state is not QueryState.COMPLETED:
            await self._discard(live)
        live.take(query)
        self._registry.keep(live)

    async def _record_completion(self, live: LiveQuery, seen: Query, changes: dict[str, Any]) -> None:
        try:
            await self._record(live, seen, Event.COMPLETE, changes)
        except Exception as cause:
            # It holds for whoever was told; the next start finds the END marker of the rows.
            incident(f"query {seen.query_id}, whose completion is not written", cause)
            self._registry.keep(live)

    async def _fail(self, live: LiveQuery, cause: Exception) -> None:
        """End a query whose run met a defect of ours, as far as that is possible in the store, else in memory."""
        failure = incident(f"query {live.query.query_id}", cause)
        changes = {"end_us": self._clock.now_us(), "failure": failure, "result_state": ResultState.NONE}
        try:
            await self._record(live, live.query, Event.FAIL, changes)
        except Exception as second:
            incident(f"query {live.query.query_id}, whose failure is not written", second)
        if not live.is_final:
            live.amend(state=QueryState.FAILED, **changes)
        self._registry.keep(live)

    def _learn(self, query: Query, end_us: int) -> None:
        """Before the end is told: who hears of it may ask for the same again at once."""
        if query.start_us is not None:
            self._estimates.learn(query.plan.engine, query.query_hash, end_us - query.start_us)

    def _outcome(self, live: LiveQuery, last: LastEvent) -> tuple[Event, dict[str, Any]]:
        """The event that a run's last word amounts to, and what is written with it. Decides, does nothing."""
        now_us = self._clock.now_us()
        if isinstance(last, Ended):
            totals = last.totals
            return Event.COMPLETE, {
                "end_us": now_us,
                "expire_us": now_us + live.query.plan.ttl_ms * 1000,
                "first_page_us": live.query.first_page_us,
                "result_state": ResultState.READY,
                "rows": totals.rows,
                "pages": totals.pages,
                "bytes": totals.bytes,
                "rows_scanned": totals.rows_scanned,
                "bytes_scanned": totals.bytes_scanned,
                "truncation": totals.truncation,
            }
        facts: dict[str, Any] = {
            "result_state": ResultState.NONE,
            "first_page_us": live.query.first_page_us,
        }
        stop = live.stop
        if stop is not None and stop.ends_as is QueryState.QUEUED and live.query.first_page_us is None:
            return self._again_unless_cancelled(live, facts)
        if stop is not None:
            event = Event.CANCEL if stop.ends_as is QueryState.CANCELLED else Event.FAIL
            return event, {**facts, "end_us": now_us, "failure": stop.failure}
        if isinstance(last, Failed):
            unreached = last.failure.reason is Reason.ENGINE_UNAVAILABLE and live.query.first_page_us is None
            if unreached and live.query.attempt < ATTEMPTS_MAX:
                return self._again_unless_cancelled(live, facts)
            # The engine has the limit too, and its clock may be the first to strike.
            by_time = last.failure.reason is Reason.QUERY_TIMEOUT
            failure = _timed_out(live.query.plan.execution_timeout_ms) if by_time else last.failure
            return Event.FAIL, {**facts, "end_us": now_us, "failure": failure}
        return Event.FAIL, {**facts, "end_us": now_us, "failure": self._crashes.failure(live.query, last)}

    def _again_unless_cancelled(self, live: LiveQuery, facts: dict[str, Any]) -> tuple[Event, dict[str, Any]]:
        """A cancel that was answered holds, also when it came after what ended the run."""
        if live.cancel_wish is None:
            return Event.ORPHAN, {"start_us": None, "owner": ""}
        return Event.CANCEL, {**facts, "end_us": self._clock.now_us(), "failure": live.cancel_wish.failure}

    async def end_waiting(self, live: LiveQuery, event: Event, failure: Failure) -> None:
        """End a query that has left its queue without a slot."""
        _, query = await self.advance(live.query, event, {"end_us": self._clock.now_us(), "failure": failure})
        live.take(query)
        self._registry.keep(live)

    async def advance(self, seen: Query, event: Event, changes: dict[str, Any]) -> tuple[bool, Query]:
        """As Store.advance, repeated until the store takes it: an outcome must not be lost to a full disk."""
        may_linger = event is Event.COMPLETE

        async def make_room() -> None:
            # Its own rows may be what leaves no room to write that they are to go.
            if seen.state is QueryState.RUNNING and event is not Event.COMPLETE:
                key = (seen.tenant, seen.own_result_id)
                await asyncio.get_running_loop().run_in_executor(self._disk, self._results.shrink, *key)

        return await until_stored(
            lambda: self._store.advance(seen, event, changes=changes, may_linger=may_linger),
            f"query {seen.query_id}: {event} is not written yet",
            make_room,
        )

    async def _parameters(self, query: Query) -> bytes:
        """Those of a query that waits, from the store when they were too large to be kept."""
        if query.submission.parameters is not None:
            return query.submission.parameters
        return await until_stored(
            lambda: self._store.parameters(query.tenant, query.query_id),
            f"query {query.query_id}: its parameters cannot be read yet",
        )

    async def _discard(self, live: LiveQuery) -> None:
        """Remove the pages of a run that did not complete."""
        live.index = None
        await self._removal.discard(live.query.tenant, live.query.own_result_id, live.metered_bytes)
        live.metered_bytes = 0


def _engine_cancel(last: LastEvent) -> EngineCancel:
    """What a run's last word says about the cancel that was sent to its engine."""
    if isinstance(last, Lost):
        return EngineCancel.KILLED
    return EngineCancel.CONFIRMED if last.confirmed else EngineCancel.SENT


def _timed_out(timeout_ms: int) -> Failure:
    return Failure(
        Reason.QUERY_TIMEOUT,
        f"the query ran longer than its execution_timeout of {timeout_ms / 1000:g} s",
        {"timeout_ms": str(timeout_ms)},
    )
