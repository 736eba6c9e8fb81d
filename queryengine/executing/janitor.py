"""Puts right what a dead server left, and removes what nobody may read any more.

Removal marks the record first and deletes the bytes after; a crash between the two leaves bytes without a readable
record, which the next sweep finds and deletes.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from typing import Final, TypeVar

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.lifecycle import ATTEMPTS_MAX, HOLDS_ROWS, Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.executing.quota import RecordQuota, SpoolMeter
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery, Stop, cancelled
from queryengine.live.registry import Registry
from queryengine.results.spool import Spool, SpooledQuery, tenant_hash
from queryengine.store.store import Store
from queryengine.telemetry.metrics import Metrics

T = TypeVar("T")

logger = logging.getLogger(__name__)

BATCH: Final = 500
URGENT_SECONDS: Final = 2.0
"""Between sweeps while the spool is nearly full."""
LOOK_SECONDS: Final = 0.5
"""Between two looks at how full the spool is."""
STRAY_US: Final = 3600 * 1_000_000
"""Age at which a folder that no record names is removed; younger ones may belong to a Submit under way."""

REMEMBERED_US: Final = 3600 * 1_000_000
"""For so long the id of an ended query is not forgotten, however little room there is: its Submit may be repeated."""


class Janitor:
    """Recovery once at start, then sweeps."""

    def __init__(
        self,
        *,
        store: Store,
        spool: Spool,
        meter: SpoolMeter,
        records: RecordQuota,
        registry: Registry,
        clock: Clock,
        metrics: Metrics,
        engines: Collection[str],
        disk: Executor,
        sweep_seconds: float,
        lifetimes: Lifetimes,
    ) -> None:
        self._store = store
        self._spool = spool
        self._meter = meter
        self._records = records
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._engines = engines
        self._disk = disk
        self._sweep_seconds = sweep_seconds
        self._lifetimes = lifetimes

    async def recover(self) -> list[Query]:
        """Give every query that a former process left unfinished a state that will end; those that wait again, oldest
        first, are for the caller to queue.
        """
        waiting = []
        await self._on_disk(self._meter.measure)
        for found in await self._store.recover():
            query = found
            if query.state is QueryState.RUNNING:
                event, changes = await self._verdict(query)
                _, query = await self._store.advance(query, event, changes=changes)
                if query.state is not QueryState.COMPLETED:
                    await self.remove_result(query)
                logger.info("query %s was running when the server ended: now %s", query.query_id, query.state)
            if query.state is QueryState.QUEUED and query.cancel_us is not None:
                query = await self._end(query, Event.CANCEL, cancelled(query.cancel_reason))
            elif query.state is QueryState.QUEUED and query.plan.engine not in self._engines:
                query = await self._end(query, Event.FAIL, _engine_gone(query.plan.engine))
            if query.state is QueryState.QUEUED:
                waiting.append(query)
            else:
                self._metrics.recovered(query)
        return waiting

    async def _end(self, query: Query, event: Event, failure: Failure) -> Query:
        changes = {"end_us": self._clock.now_us(), "failure": failure}
        _, ended = await self._store.advance(query, event, changes=changes)
        return ended

    async def keep_sweeping(self) -> None:
        """Sweep for ever, whatever fails: without a janitor nothing would expire."""
        while True:
            try:
                await self.sweep()
                await self._pause()
            except (QueryEngineError, OSError) as cause:
                logger.warning("sweep put off: %s", cause)
                await asyncio.sleep(URGENT_SECONDS)

    async def _pause(self) -> None:
        """Return when it is time for the next sweep, which is sooner while room is scarce. A spool that fills up does
        not wait for a sweep: the largest running query fails at once.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + self._sweep_seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(LOOK_SECONDS, left))
            if self._meter.must_collect():
                end = min(end, began + URGENT_SECONDS)
            if self._meter.must_fail():
                self._fail_largest()

    async def sweep(self) -> None:
        """One round: expired results, stray folders and old records."""
        now_us = self._clock.now_us()
        while expired := await self._store.expiring(now_us, BATCH):
            for query in expired:
                await self._expire(query)
        await self._remove_strays(now_us - STRAY_US)
        await self._on_disk(lambda: self._spool.remove_empty(now_us - STRAY_US))
        while await self._store.delete_ended_before(self._lifetimes.forgotten_before_us(), BATCH) == BATCH:
            continue
        await self._forget_early(now_us - REMEMBERED_US)
        while await self._store.give_back_pages():
            continue

    async def _forget_early(self, ended_before_us: int) -> None:
        """Forget the oldest ended queries of those who keep too many records."""
        for tenant in self._records.tenants_to_shorten():
            while self._records.must_shorten(tenant):
                if not await self._store.delete_oldest_of(tenant, ended_before_us, BATCH):
                    break
        while self._records.must_shorten() and await self._store.delete_ended_before(ended_before_us, BATCH):
            continue

    async def remove_result(self, query: Query) -> None:
        """Delete the stored pages of a query."""
        freed = await self._on_disk(lambda: self._spool.remove(query.tenant, query.query_id))
        self._meter.remove(query.tenant, freed)

    async def _verdict(self, query: Query) -> tuple[Event, dict[str, object]]:
        """What becomes of a RUNNING query whose server is gone, by what its attempt left in the spool."""
        now_us = self._clock.now_us()
        stored = await self._on_disk(lambda: self._spool.load(query.tenant, query.query_id, query.attempt))
        if stored.totals is not None:
            return Event.COMPLETE, {
                "end_us": now_us,
                "expire_us": now_us + query.plan.ttl_ms * 1000,
                "first_page_us": now_us if stored.pages else None,
                "result_state": ResultState.READY,
                "rows": stored.totals.rows,
                "pages": stored.totals.pages,
                "bytes": stored.totals.bytes,
                "rows_scanned": stored.totals.rows_scanned,
                "bytes_scanned": stored.totals.bytes_scanned,
                "truncation": stored.totals.truncation,
            }
        if query.cancel_us is not None:
            return Event.CANCEL, {"end_us": now_us, "failure": cancelled(query.cancel_reason)}
        if not stored.pages and query.attempt < ATTEMPTS_MAX:
            return Event.ORPHAN, {"start_us": None, "owner": ""}
        failure = Failure(
            Reason.SERVER_LOST,
            "the server ended while the query ran; submit the query again",
            {"attempt": str(query.attempt)},
        )
        return Event.FAIL, {"end_us": now_us, "failure": failure}

    async def _expire(self, query: Query) -> None:
        live = self._registry.in_memory(query.tenant, query.query_id)
        if live is not None and self._lifetimes.holds_rows(live.query):
            # Extended since the store was asked.
            return
        fired, expired = await self._store.update(
            query,
            changes={"result_state": ResultState.EXPIRED},
            where_result_state=HOLDS_ROWS,
        )
        if live is not None:
            live.take(expired)
            live.index = None
        if fired:
            await self.remove_result(expired)

    async def _remove_strays(self, before_us: int) -> None:
        """Remove folders whose rows nobody can read and nobody writes."""
        found = await self._on_disk(lambda: list(self._spool.walk()))
        old = [folder for folder in found if folder.changed_us < before_us]
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            holders = await self._store.holding_rows([folder.query_id for folder in batch])
            held = {(tenant_hash(tenant), query_id) for tenant, query_id in holders}
            for folder in batch:
                if (folder.tenant_hash, folder.query_id) not in held:
                    await self._remove_stray(folder)

    async def _remove_stray(self, folder: SpooledQuery) -> None:
        freed = await self._on_disk(lambda: self._spool.remove_folder(folder.tenant_hash, folder.query_id))
        self._meter.remove_folder(folder.tenant_hash, freed)

    def _fail_largest(self) -> None:
        running = [live for live in self._registry.active() if live.index is not None and not live.is_final]
        if running:
            largest = max(running, key=_stored_bytes)
            largest.request_stop(Stop(self._meter.full_error().failure, QueryState.FAILED))

    async def _on_disk(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, call)


def _engine_gone(engine: str) -> Failure:
    message = f"engine {engine!r} is configured no more; submit the query again, to another engine"
    return Failure(Reason.UNKNOWN_ENGINE, message, {"engine": engine})


def _stored_bytes(live: LiveQuery) -> int:
    return live.index.bytes if live.index is not None else 0
