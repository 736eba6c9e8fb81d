"""What a client may do with queries: submit, look, cancel, release, list. Tenant first, everywhere."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from queryengine.accepting.checks import Checks
from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.plan import is_same_submission
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher, WaitingPlace
from queryengine.executing.quota import RecordQuota, SpoolQuota
from queryengine.executing.scheduler import Scheduler
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import Key, LiveQuery, Stop, cancelled
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.results.removal import Removal
from queryengine.store.store import Store
from queryengine.store.writer import RETRY_AFTER_SECONDS
from queryengine.telemetry.metrics import Metrics
from queryengine.workers.seat import Slot

logger = logging.getLogger(__name__)

PARAMETERS_KEPT_BYTES: Final = 16 << 10
"""Of a query that waits, in memory; larger ones are read from the store when it runs."""
EXTEND_MAX_US: Final = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """What a cancel found and did."""

    live: LiveQuery
    ended_before: bool
    """The query had completed or failed; its state and result stand."""


class Queries:
    """The use cases. Every method that names a query raises QUERY_NOT_FOUND for one the tenant does not have."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        dispatcher: Dispatcher,
        scheduler: Scheduler,
        checks: Checks,
        quota: SpoolQuota,
        records: RecordQuota,
        clock: Clock,
        lifetimes: Lifetimes,
        metrics: Metrics,
        tasks: Tasks,
        removal: Removal,
        has_rows: Callable[[str, str], bool],
    ) -> None:
        self._store = store
        self._registry = registry
        self._dispatcher = dispatcher
        self._scheduler = scheduler
        self._checks = checks
        self._quota = quota
        self._records = records
        self._clock = clock
        self._lifetimes = lifetimes
        self._metrics = metrics
        self._tasks = tasks
        self._removal = removal
        self._has_rows = has_rows
        """Whether anything is stored for a tenant's query id."""
        self._submitting: dict[Key, asyncio.Future[tuple[LiveQuery, bool]]] = {}
        self._draining = False

    async def submit(self, asked: SubmitCall) -> tuple[LiveQuery, bool]:
        """The query, durable, and whether it was there before. Safe to repeat and to leave at any moment: one whose
        caller leaves before its record is begun leaves nothing.

        Raises QUERY_ID_REUSED, SPOOL_FULL, RECORDS_FULL, TENANT_QUEUE_FULL, SERVER_DRAINING, what Engine.check raises,
        and STORE_UNAVAILABLE when nothing could be written.
        """
        asked.query_id = asked.query_id or str(uuid.uuid4())
        key = (asked.submission.tenant, asked.query_id)
        while key in self._submitting:
            await asyncio.wait([self._submitting[key]])
        found = self._registry.in_memory(*key)
        if found is not None:
            found.readers.seen()
            return _same(found, asked), True
        # No second Submit of the id gets past the mark meanwhile.
        accepting = asyncio.ensure_future(self._accept(asked))
        self._submitting[key] = accepting
        accepting.add_done_callback(lambda _: self._accepted(key))
        try:
            return await asyncio.shield(accepting)
        except asyncio.CancelledError:
            if not asked.is_recorded:
                accepting.cancel()
            raise
        finally:
            # Or its exception would hold itself by this frame, and the request with it, until Python collects cycles.
            del accepting

    async def cancel(self, live: LiveQuery, reason: str) -> CancelOutcome:
        """Ask for the end of a query; it has ended on return only if it was waiting. Idempotent.

        Raises STORE_UNAVAILABLE when the wish could not be written; in memory it holds all the same.
        """
        if live.is_final:
            return CancelOutcome(live, ended_before=live.query.state is not QueryState.CANCELLED)
        failure = cancelled(reason)
        # A run that begins from here on ends at once.
        live.request_stop(Stop(failure, QueryState.CANCELLED))
        if live.query.cancel_us is None:
            facts = {"cancel_us": self._clock.now_us(), "cancel_reason": reason}
            states = (QueryState.QUEUED, QueryState.RUNNING)
            _, query = await self._store.update(live.query, changes=facts, where_state=states)
            live.take(query)
        await self._scheduler.cancel_waiting(live, failure)
        return CancelOutcome(live, ended_before=False)

    async def release(self, live: LiveQuery) -> LiveQuery:
        """Free the rows of an ended query. Raises RESULT_NOT_READY while it runs. Idempotent."""
        if not live.is_final:
            raise error(Reason.RESULT_NOT_READY, "the query has not ended; cancel it instead")
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

    async def extend(self, live: LiveQuery, until_us: int) -> LiveQuery:
        """Keep the rows until a time. Raises INVALID_FIELD for a time out of range, and what reading them would
        raise.
        """
        now_us = self._clock.now_us()
        if not now_us < until_us <= now_us + EXTEND_MAX_US:
            message = "extend_to must be later than now and at most 7 days away"
            raise error(Reason.INVALID_FIELD, message, field="extend_to")
        if self._lifetimes.result_state(live.query) is not ResultState.READY:
            raise self._lifetimes.unreadable(live.query)
        fired, query = await self._store.update(
            live.query, changes={"expire_us": until_us}, where_result_state=(ResultState.READY,)
        )
        live.take(query)
        if not fired:
            raise self._lifetimes.unreadable(query) if query.is_final else _not_recorded()
        return live

    async def list(
        self,
        tenant: str,
        wanted: QueryFilter,
        *,
        before: tuple[int, str] | None,
        limit: int,
    ) -> list[LiveQuery]:
        """Queries newest first, from `before` (submit time and id of the last one seen) on."""
        found = await self._store.list(
            tenant,
            wanted,
            before=before,
            ended_since_us=self._lifetimes.forgotten_before_us(),
            now_us=self._lifetimes.now_us(),
            limit=limit,
        )
        listed = []
        for query in found:
            live = self._registry.in_memory(tenant, query.query_id)
            listed.append(live or LiveQuery(query))
        return listed

    def adopt(self, query: Query) -> LiveQuery:
        """Let a query of an earlier server process wait again."""
        live = self._registry.add(query)
        self._scheduler.enqueue_again(live)
        self._expect_readers(live)
        return live

    def drain(self) -> None:
        """Accept nothing more and start nothing more."""
        self._draining = True
        self._scheduler.close()

    async def submits_over(self, timeout_seconds: float) -> None:
        """Return when every Submit that has begun is decided, or when the time has passed."""
        if self._submitting:
            await asyncio.wait(list(self._submitting.values()), timeout=timeout_seconds)

    def _accepted(self, key: Key) -> None:
        accepting = self._submitting.pop(key)
        if not accepting.cancelled():
            # Looked at here, as the caller who would have got it may be gone.
            accepting.exception()

    async def _accept(self, asked: SubmitCall) -> tuple[LiveQuery, bool]:
        """The query of an id that is not in memory: an old one from the store, or a new one.

        The store tells whether an id is old when it is asked to write it, so most ids are not looked up before. One
        that has rows is, as a new run would begin by removing them; and one that would be refused as new.
        """
        tenant, query_id = asked.submission.tenant, asked.query_id
        if self._has_rows(tenant, query_id):
            stored = await self._store.get(tenant, query_id)
            if stored is not None:
                return _same(self._registry.add(stored), asked), True
        try:
            with self._records.reserved(tenant, asked.submission.record_bytes()):
                return await self._accept_new(asked)
        except QueryEngineError as refusal:
            if refusal.failure.reason in (Reason.QUERY_ID_REUSED, Reason.STORE_UNAVAILABLE):
                raise
            stored = await self._store.get(tenant, query_id)
            if stored is None:
                raise
            return _same(self._registry.add(stored), asked), True

    async def _accept_new(self, asked: SubmitCall) -> tuple[LiveQuery, bool]:
        """Check the statement, make the query durable and set it going; when the store has its id, the stored one."""
        if self._draining:
            message = "the server is shutting down; send this to another one, or again in a moment"
            raise error(Reason.SERVER_DRAINING, message, retry_after_seconds=1.0)
        submission, plan = asked.submission, asked.plan
        tenant, sql = submission.tenant, submission.sql
        self._quota.admit(tenant)
        self._dispatcher.admit(plan.engine, tenant)
        if not self._checks.has_passed(plan.engine, sql):
            asked.leave_turn()
            await self._checks.check(tenant, plan.engine, sql, size_bytes=submission.record_bytes())
        asked.is_recorded = True
        asked.leave_turn()
        query = Query(
            query_id=asked.query_id,
            submission=submission,
            plan=plan,
            fingerprint=submission.fingerprint(),
            query_hash=submission.query_hash(),
            submit_us=self._clock.now_us(),
            record_bytes=submission.record_bytes(),
        )
        place = self._dispatcher.reserve(query)
        if isinstance(place, Slot):
            live, is_old = await self._accept_running(query, place)
        else:
            live, is_old = await self._accept_waiting(query, place)
        if not is_old:
            self._metrics.submitted(plan.engine)
            self._expect_readers(live)
        return live, is_old

    async def _accept_running(self, query: Query, slot: Slot) -> tuple[LiveQuery, bool]:
        """Claim at once: one commit for SUBMIT and CLAIM, and the engine begins while the disk writes. Nobody sees the
        run before it is durable. When it does not become so, or its id has a record, it is stopped and leaves nothing,
        and only then may the id be submitted again; statements only read.
        """
        try:
            query = self._scheduler.claimed(query)
            live = self._registry.new(query)
            durable = asyncio.ensure_future(self._store.submit(query))
            run = self._scheduler.run_reserved(live, slot, durable)
        except BaseException:
            self._scheduler.free(query, slot)
            raise
        try:
            with self._registry.undecided(live.key):
                stored, is_old = await durable
                found = self._registry.add(stored) if is_old else live
                self._registry.keep(found)
        except QueryEngineError as cause:
            live.request_stop(Stop(cause.failure, QueryState.CANCELLED))
            await asyncio.wait([run])
            raise
        if is_old:
            live.request_stop(Stop(cancelled("the query id was known"), QueryState.CANCELLED))
            await asyncio.wait([run])
        return found, is_old

    async def _accept_waiting(self, query: Query, place: WaitingPlace) -> tuple[LiveQuery, bool]:
        try:
            stored, is_old = await self._store.submit(query)
        except BaseException:
            self._dispatcher.give_back(query.tenant, place)
            raise
        live = self._registry.add(stored)
        live.forget_parameters(larger_than=PARAMETERS_KEPT_BYTES)
        if is_old:
            self._dispatcher.give_back(query.tenant, place)
        else:
            self._scheduler.enqueue(live, place)
        return live, is_old

    def _expect_readers(self, live: LiveQuery) -> None:
        """Cancel the query, if its submitter asked for that, once nobody has read or watched it for its grace."""
        submission = live.query.submission
        if submission.cancel_on_disconnect and not live.is_final:
            name = f"disconnect-{live.query.query_id}"
            grace_seconds = submission.disconnect_grace_ms / 1000
            live.readers.expect(grace_seconds, lambda: self._tasks.spawn(self._cancel_unread(live), name))

    async def _cancel_unread(self, live: LiveQuery) -> None:
        grace_seconds = live.query.submission.disconnect_grace_ms / 1000
        try:
            await self.cancel(
                live, f"nobody has read or watched it for its disconnect_grace of {grace_seconds:g} seconds"
            )
        except QueryEngineError as cause:
            # The wish holds in memory, so the query ends all the same unless the server does first.
            logger.warning("query %s: its cancel is not recorded: %s", live.query.query_id, cause)


def _same(live: LiveQuery, asked: SubmitCall) -> LiveQuery:
    if not is_same_submission(live.query.fingerprint, asked.submission, asked.plan):
        message = "this query_id was used for another request; choose a new one"
        raise error(Reason.QUERY_ID_REUSED, message, query_id=live.query.query_id)
    return live


def _not_recorded() -> QueryEngineError:
    message = "the end of the query is not written yet, as the store fails; try again"
    return error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_AFTER_SECONDS)
