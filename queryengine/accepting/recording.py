"""Makes a planned query durable and sets it going: in a slot at once when one is free, else in the queue.

A slot or a place that is reserved for a query is used or given back, whatever fails.
"""

import asyncio
from typing import Final

from queryengine.accepting.unread import Unread
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher, WaitingPlace
from queryengine.executing.held_record import HeldRecord
from queryengine.executing.scheduler import Scheduler
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.live.registry import Registry
from queryengine.store.store import Store
from queryengine.telemetry.metrics import Metrics
from queryengine.workers.supervisor import Slot

PARAMETERS_KEPT_BYTES: Final = 16 << 10
"""Of a query that waits, in memory; larger ones are read from the store when it runs."""


class Recording:
    """Every query enters the server here, once."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        dispatcher: Dispatcher,
        scheduler: Scheduler,
        unread: Unread,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._registry = registry
        self._dispatcher = dispatcher
        self._scheduler = scheduler
        self._unread = unread
        self._metrics = metrics

    def adopt(self, query: Query) -> LiveQuery:
        """Let a query of an earlier server process wait again."""
        live = self._registry.add(query)
        self._scheduler.enqueue_again(live)
        self._unread.expect_readers(live)
        return live

    async def record(self, query: Query, *, may_hold: bool = False) -> tuple[LiveQuery, bool]:
        """The query, durable and going, or the stored one of its id; and whether it was there before. With `may_hold`,
        as the caller waits for its end anyway, it may have ended when it becomes durable.

        Raises TENANT_QUEUE_FULL, and what Store.submit raises.
        """
        place = self._dispatcher.reserve(query)
        if isinstance(place, WaitingPlace):
            live, is_old = await self._wait(query, place)
        else:
            live, is_old = await self._run_at_once(query, place, may_hold=may_hold)
        if not is_old:
            self._metrics.submitted(query.plan.engine)
            self._unread.expect_readers(live)
        return live, is_old

    async def _run_at_once(self, query: Query, slot: Slot, *, may_hold: bool) -> tuple[LiveQuery, bool]:
        """Claim at once: one commit for SUBMIT and CLAIM, and for the end, too, when it comes within a moment and the
        record may be held. The engine begins before the disk writes. Nobody sees the run before it is durable. When it
        does not become so, or its id has a record, it is stopped and leaves nothing, and only then may the id be
        submitted again; statements only read.
        """
        durable: asyncio.Future[tuple[Query, bool]] | None = None
        try:
            query = self._scheduler.claimed(query)
            live = self._registry.new(query)
            if may_hold:
                record = HeldRecord(self._store, query)
                durable = record.decided
                run = self._scheduler.run_held(live, slot, record)
            else:
                durable = asyncio.ensure_future(self._store.submit(query))
                run = self._scheduler.run_reserved(live, slot, durable)
        except BaseException:
            if durable is not None:
                # It has not begun: nothing awaits between here and where it was made.
                durable.cancel()
            self._scheduler.free(query, slot)
            raise
        try:
            with self._registry.undecided(live):
                stored, is_old = await durable
                found = self._registry.add(stored) if is_old else live
                self._registry.keep(found)
        except Exception:
            await _undone(live, run, "it could not be recorded")
            raise
        if is_old:
            await _undone(live, run, "the query id was known")
        return found, is_old

    async def _wait(self, query: Query, place: WaitingPlace) -> tuple[LiveQuery, bool]:
        try:
            stored, is_old = await self._store.submit(query)
            live = self._registry.add(stored)
            live.forget_parameters(larger_than=PARAMETERS_KEPT_BYTES)
        except BaseException:
            self._dispatcher.give_back(query.tenant, place)
            raise
        if is_old:
            self._dispatcher.give_back(query.tenant, place)
            return live, is_old
        try:
            self._scheduler.enqueue(live, place)
        except BaseException:
            if not self._dispatcher.remove(live):
                self._dispatcher.give_back(query.tenant, place)
            raise
        return live, is_old


async def _undone(live: LiveQuery, run: asyncio.Task[None], why: str) -> None:
    """Return once nothing is left of a run that nobody is to see."""
    live.request_stop(Stop(cancelled(why), QueryState.CANCELLED))
    await asyncio.wait([run])
