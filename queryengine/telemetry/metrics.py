"""What the service counts, in a registry of its own: two services in one process do not mix.

Counting is for the event loop and costs microseconds: the child of each label is made once and kept. A scrape reads
the counters from a thread of its own, which they are made for.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric as Family

from queryengine.domain.errors import Reason
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.query import Query
from queryengine.telemetry import names

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper bounds of both histograms: from a SELECT 1 to the longest run by default."""

USUAL_FAILURES: Final = (
    Reason.ENGINE_ERROR,
    Reason.ENGINE_UNAVAILABLE,
    Reason.OUT_OF_MEMORY,
    Reason.QUERY_TIMEOUT,
    Reason.QUEUE_TIMEOUT,
    Reason.RESULT_LIMIT,
    Reason.SERVER_LOST,
    Reason.SPOOL_FULL,
    Reason.WORKER_LOST,
)
"""Told as zero from the start, so that the first of them is an increase; any other appears when it happens."""

OK: Final = "OK"

M = TypeVar("M", bound=MetricWrapperBase)


class _Registry(CollectorRegistry):
    """Tells no `_created` series: they double what is stored, and a restart shows in process_start_time_seconds."""

    def collect(self) -> Iterable[Family]:
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _EngineCounts:
    """The counters of one engine, made at zero."""

    def __init__(self, metrics: "Metrics", engine: str) -> None:
        self.submitted = metrics.all_submitted.labels(engine)
        self.queue_seconds = metrics.all_queue_seconds.labels(engine)
        self.execution_seconds = metrics.all_execution_seconds.labels(engine)
        self.rows = metrics.all_rows.labels(engine)
        self.bytes = metrics.all_bytes.labels(engine)
        self.restarts = metrics.all_restarts.labels(engine)
        self._all_ended = metrics.all_ended
        self._engine = engine
        self._ended: dict[tuple[QueryState, str], Counter] = {}
        self.ended(QueryState.COMPLETED, "")
        self.ended(QueryState.CANCELLED, Reason.QUERY_CANCELLED)
        for reason in USUAL_FAILURES:
            self.ended(QueryState.FAILED, reason)

    def ended(self, state: QueryState, reason: str) -> Counter:
        key = (state, reason)
        if key not in self._ended:
            self._ended[key] = self._all_ended.labels(self._engine, state.value, str(reason))
        return self._ended[key]


class Metrics:
    """Takes note of what happens. Every engine named has its series from the start on."""

    def __init__(self, engines: Iterable[str], version: str) -> None:
        self.registry: CollectorRegistry = _Registry()
        ProcessCollector(registry=self.registry)
        self._make(Gauge, names.BUILD_INFO).labels(version).set(1)
        self.all_submitted = self._make(Counter, names.QUERIES_SUBMITTED)
        self.all_ended = self._make(Counter, names.QUERIES_ENDED)
        self.all_queue_seconds = self._make_histogram(names.QUEUE_SECONDS)
        self.all_execution_seconds = self._make_histogram(names.EXECUTION_SECONDS)
        self.all_rows = self._make(Counter, names.RESULT_ROWS)
        self.all_bytes = self._make(Counter, names.RESULT_BYTES)
        self.all_restarts = self._make(Counter, names.WORKER_RESTARTS)
        self._requests = self._make(Counter, names.REQUESTS)
        reloads = self._make(Counter, names.RELOADS)
        self._reloads = {outcome: reloads.labels(outcome) for outcome in ("applied", "refused")}
        self._certificate_ends = self._make(Gauge, names.CERTIFICATE_ENDS)
        audited = self._make(Counter, names.AUDIT_RECORDS)
        self._audited = {outcome: audited.labels(outcome) for outcome in ("written", "lost")}
        self._engines: dict[str, _EngineCounts] = {}
        for engine in engines:
            self._of(engine)

    def submitted(self, engine: str) -> None:
        """A query is durable that was not there before."""
        self._of(engine).submitted.inc()

    def ended(self, query: Query) -> None:
        """A query has reached its final state. To be called once for each."""
        counts = self._count_end(query)
        end_us = query.end_us or query.submit_us
        start_us = query.start_us or end_us
        # The clock may have been set back meanwhile; a sum must not shrink.
        counts.queue_seconds.observe(max(0, start_us - query.submit_us) / 1e6)
        if query.start_us is not None:
            counts.execution_seconds.observe(max(0, end_us - start_us) / 1e6)

    def recovered(self, query: Query) -> None:
        """A query of a former server process was given its final state. It counts as any other, but for its times:
        those would measure how long no server was there.
        """
        self._count_end(query)

    def worker_restarted(self, engine: str) -> None:
        """A worker process ended and its successor comes."""
        self._of(engine).restarts.inc()

    def reloaded(self, outcome: Literal["applied", "refused"]) -> None:
        """Settings were read again."""
        self._reloads[outcome].inc()

    def certificate_ends(self, seconds: float) -> None:
        """When the certificate in force ends, in seconds since 1970."""
        self._certificate_ends.labels("server").set(seconds)

    def audited(self, outcome: Literal["written", "lost"], count: int) -> None:
        """So many audit records were written or lost."""
        self._audited[outcome].inc(count)

    def requests_of(self, method: str) -> Callable[[str], None]:
        """What counts a call of the method, given the name of the status that it ended with."""
        by_code = {OK: self._requests.labels(method, OK)}

        def count(code: str) -> None:
            if code not in by_code:
                by_code[code] = self._requests.labels(method, code)
            by_code[code].inc()

        return count

    def _count_end(self, query: Query) -> _EngineCounts:
        counts = self._of(query.plan.engine)
        completed = query.state is QueryState.COMPLETED
        reason = "" if completed or query.failure is None else query.failure.reason
        counts.ended(query.state, reason).inc()
        if completed:
            counts.rows.inc(query.rows)
            counts.bytes.inc(query.bytes)
        return counts

    def _of(self, engine: str) -> _EngineCounts:
        """Also of an engine that is no longer configured: a query of a former process may name it."""
        counts = self._engines.get(engine)
        if counts is None:
            counts = self._engines[engine] = _EngineCounts(self, engine)
        return counts

    def _make(self, kind: type[M], metric: names.Metric) -> M:
        return kind(metric.name, metric.meaning, metric.labels, registry=self.registry)

    def _make_histogram(self, metric: names.Metric) -> Histogram:
        return Histogram(metric.name, metric.meaning, metric.labels, registry=self.registry, buckets=SECONDS)
