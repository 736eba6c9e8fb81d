"""Makes a planned query durable and sets it going: in a slot at once when one is free, else in the queue.

The engine begins before the disk writes. Until a query is durable nobody sees it; when it does not become so, or its id
has a record, it is withdrawn and leaves nothing, and only then may the id be submitted again. Statements only read. A
slot or a place that is reserved for a query is used or given back, whatever fails.
"""

from typing import Final

from queryengine.accepting.unread import Unread
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.executing.dispatcher import Dispatcher, WaitingPlace
from queryengine.executing.scheduler import Scheduler
from queryengine.live.first_write import FirstWrite
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.store.store import Store
from queryengine.telemetry.metrics import Metrics

HELD_BYTES_MAX: Final = 64 << 10
"""Larger records are written at once, so that they do not wait in memory."""
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

    async def record(self, query: Query, *, hold_seconds: float = 0.0) -> tuple[LiveQuery, bool]:
        """The query, durable and going, or the stored one of its id; and whether it was there before. Its record may be
        held for so long, as the caller waits for its end anyway: then it may have ended when it becomes durable.

        Raises TENANT_QUEUE_FULL, USAGE_LIMIT, and what Store.submit raises.
        """
        live, first = self._begin(query, hold_seconds if query.record_bytes <= HELD_BYTES_MAX else 0.0)
        try:
            with self._registry.undecided(live):
                stored, is_old = await first.decided
                found = self._registry.add(stored) if is_old else live
                self._registry.keep(found)
        except Exception:
            await self._scheduler.withdraw(live, "it could not be recorded")
            raise
        if is_old:
            await self._scheduler.withdraw(live, "the query id was known")
            return found, True
        live.first_write = None
        if live.query.state is QueryState.QUEUED:
            live.forget_parameters(larger_than=PARAMETERS_KEPT_BYTES)
        self._metrics.submitted(query.plan.engine)
        self._unread.expect_readers(live)
        return live, False

    def _begin(self, query: Query, hold_seconds: float) -> tuple[LiveQuery, FirstWrite]:
        """Let it run or wait, and write its record at once or within a moment."""
        place = self._dispatcher.reserve(query)
        first: FirstWrite | None = None
        live: LiveQuery | None = None
        try:
            live = self._registry.new(query if isinstance(place, WaitingPlace) else self._scheduler.claimed(query))
            first = live.first_write = FirstWrite(self._store, live.query)
            if hold_seconds:
                first.hold(hold_seconds)
            else:
                first.write()
            if isinstance(place, WaitingPlace):
                self._scheduler.enqueue(live, place)
            else:
                self._scheduler.start(live, place)
        except BaseException:
            if first is not None:
                first.abandon()
            if not isinstance(place, WaitingPlace):
                self._scheduler.free(query, place)
            elif live is None or not self._dispatcher.remove(live):
                self._dispatcher.give_back(query, place)
            raise
        return live, first
