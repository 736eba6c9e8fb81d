"""One run from its order to its worker's last word: sends the statement, adopts what is reported, stops it in time."""

from typing import Any

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.query import Query
from queryengine.executing.estimates import Estimates
from queryengine.executing.orders import Orders
from queryengine.executing.outcomes import LastWord, said_by
from queryengine.executing.stopping import stoppable
from queryengine.executing.throttle import Throttle
from queryengine.live.query import EngineCancel, LiveQuery, Stop
from queryengine.results.index import PageIndex
from queryengine.results.meter import SpoolMeter
from queryengine.results.stored import StoredResults
from queryengine.workers.events import Ended, Failed, Lost, PagePublished, Progressed, RunEvent, SchemaKnown
from queryengine.workers.supervisor import RemoteExecution, Slot


class Following:
    """Follows any number of runs."""

    def __init__(
        self,
        *,
        orders: Orders,
        results: StoredResults,
        meter: SpoolMeter,
        estimates: Estimates,
        throttle: Throttle,
        clock: Clock,
        cancel_grace_seconds: float,
    ) -> None:
        self._orders = orders
        self._results = results
        self._meter = meter
        self._estimates = estimates
        self._throttle = throttle
        self._clock = clock
        self._cancel_grace_seconds = cancel_grace_seconds

    async def follow(self, live: LiveQuery, slot: Slot, parameters: bytes) -> LastWord:
        """Run a query in a slot, which stays the caller's: whatever this raises, to release the slot gives up what runs
        in it.
        """
        query = live.query
        live.expected_us = self._estimates.execution_us(query.plan.engine, self._estimates.past_of(query))
        source = self._results.source(query.tenant, query.own_result_id)
        live.index = PageIndex(source, query.attempt)
        run = slot.run(self._orders.order(query, parameters, source.result))
        live.forget_parameters()
        live.engine_cancel = EngineCancel.NOT_RUNNING
        with stoppable(live, run, grace_seconds=self._cancel_grace_seconds):
            last = await self._last_word(live, run)
        if live.engine_cancel is EngineCancel.SENT:
            live.engine_cancel = _engine_cancel(last)
        return last

    async def _last_word(self, live: LiveQuery, run: RemoteExecution) -> LastWord:
        """Adopt what the worker reports until its last word."""
        while True:
            event: RunEvent = await run.event()
            match event:
                case SchemaKnown(schema) if live.index is not None:
                    live.index.schema = schema
                    live.pages_arrived()
                case PagePublished(page) if live.index is not None:
                    live.index.append(page)
                    self._adopt_page(live, live.index)
                case Progressed(progress):
                    live.advance_progress(progress)
                    self._count_scanned(live, progress.bytes_scanned)
                    _stop_scan(live)
                case Ended(totals):
                    self._count_scanned(live, totals.bytes_scanned)
                    return event
                case Failed() | Lost():
                    return event
                case _:
                    continue

    def _count_scanned(self, live: LiveQuery, scanned_bytes: int | None) -> None:
        if scanned_bytes is not None:
            self._throttle.scanned(live.key, scanned_bytes)

    def _adopt_page(self, live: LiveQuery, index: PageIndex) -> None:
        count_stored(self._meter, live, index)
        facts: dict[str, Any] = {"rows": index.rows, "pages": len(index), "bytes": index.bytes}
        if live.query.first_page_us is None:
            facts["first_page_us"] = self._clock.now_us()
            facts["result_state"] = ResultState.PARTIAL
        live.amend(**facts)


def _stop_scan(live: LiveQuery) -> None:
    """Stop a run that has read more than its query may."""
    plan, progress = live.query.plan, live.progress
    for name, unit, limit, scanned in (
        ("scan_byte_limit", "bytes", plan.scan_byte_limit, progress.bytes_scanned),
        ("scan_row_limit", "rows", plan.scan_row_limit, progress.rows_scanned),
    ):
        if limit and scanned is not None and scanned > limit:
            live.request_stop(Stop(scanned_out(live.query, name, unit, limit), QueryState.FAILED))


def scanned_out(query: Query, name: str, unit: str, limit: int) -> Failure:
    """The failure of a query whose engine read too much for it."""
    source = query.limit_source(name)
    return Failure(
        Reason.SCAN_LIMIT,
        f"the query read more than the {limit} {unit} that {name} allows, which {said_by(source)}; read fewer {unit}, "
        "as by a condition on the columns that the tables are ordered or partitioned by, or raise the limit",
        {"limit": name, "value": str(limit), "source": source},
    )


def count_stored(meter: SpoolMeter, live: LiveQuery, index: PageIndex) -> None:
    """Have the meter count what the current attempt has stored by now."""
    stored_bytes = index.stored_bytes
    meter.add(live.query.tenant, stored_bytes - live.metered_bytes)
    live.metered_bytes = stored_bytes


def _engine_cancel(last: LastWord) -> EngineCancel:
    """What a run's last word says about the cancel that was sent to its engine."""
    if isinstance(last, Lost):
        return EngineCancel.KILLED
    return EngineCancel.CONFIRMED if last.confirmed else EngineCancel.SENT
