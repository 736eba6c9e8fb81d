"""Puts right, once at start, what a server that is gone left unfinished: every such query ends, or waits again."""

import asyncio
import logging
from collections.abc import Collection
from concurrent.futures import Executor
from typing import Any, Protocol

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import ATTEMPTS_MAX, Event, QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.live.query import cancelled
from queryengine.results.removal import Removal
from queryengine.results.segment import StoredResult
from queryengine.results.stored import StoredResults
from queryengine.store.store import Store

logger = logging.getLogger(__name__)

Verdict = tuple[Event, dict[str, Any]]
"""What happens to a query, and what is written with it."""


def verdict_on_running(query: Query, stored: StoredResult, now_us: int) -> Verdict:
    """What becomes of a RUNNING query whose server is gone, by what its attempt left in the spool. Decides, does
    nothing.
    """
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


def verdict_on_waiting(query: Query, engines: Collection[str], now_us: int) -> Verdict | None:
    """What ends a QUEUED query; None for one that waits again. Decides, does nothing."""
    if query.cancel_us is not None:
        return Event.CANCEL, {"end_us": now_us, "failure": cancelled(query.cancel_reason)}
    engine = query.plan.engine
    if engine not in engines:
        message = f"engine {engine!r} is no longer configured; submit the query again, to another engine"
        failure = Failure(Reason.UNKNOWN_ENGINE, message, {"engine": engine})
        return Event.FAIL, {"end_us": now_us, "failure": failure}
    return None


class Recoveries(Protocol):
    """Takes note of queries that are given their final state here, as Metrics does."""

    def recovered(self, query: Query) -> None:
        """Called once for each."""


class Recovery:
    """Used once, before the first Submit is answered."""

    def __init__(
        self,
        *,
        store: Store,
        results: StoredResults,
        removal: Removal,
        disk: Executor,
        clock: Clock,
        metrics: Recoveries,
    ) -> None:
        self._store = store
        self._results = results
        self._removal = removal
        self._disk = disk
        self._clock = clock
        self._metrics = metrics

    async def recover(self, engines: Collection[str]) -> list[Query]:
        """Give every unfinished query a state that will end; returns those that wait again, oldest first."""
        waiting = []
        for found in await self._store.recover():
            query = found
            if query.state is QueryState.RUNNING:
                query = await self._end_run(query)
            if query.state is QueryState.QUEUED:
                verdict = verdict_on_waiting(query, engines, self._clock.now_us())
                if verdict is None:
                    waiting.append(query)
                    continue
                query = await self._apply(query, verdict)
            self._metrics.recovered(query)
        return waiting

    async def _end_run(self, query: Query) -> Query:
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._disk, self._results.load, query.tenant, query.own_result_id)
        query = await self._apply(query, verdict_on_running(query, stored, self._clock.now_us()))
        if query.state is not QueryState.COMPLETED:
            await self._removal.remove(query.tenant, query.own_result_id)
        logger.info("query %s was running when the server ended: now %s", query.query_id, query.state)
        return query

    async def _apply(self, query: Query, verdict: Verdict) -> Query:
        event, changes = verdict
        _, changed = await self._store.advance(query, event, changes=changes)
        return changed
