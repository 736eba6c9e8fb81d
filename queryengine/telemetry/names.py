"""Every metric of the service by name: its type, its labels and its meaning stand here and nowhere else.

Names and units follow Prometheus. A label takes few values, and all are words of the configuration or the contract:
a tenant, a query id or SQL would be without bound, and is nobody's business but the tenant's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a metric does over time."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as Prometheus and people see it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


_ENGINE: Final = ("engine",)

ENGINE_UP: Final = Metric("queryengine_engine_up", Kind.GAUGE, _ENGINE, "1 while the engine can be used, else 0.")
ENGINE_SLOTS: Final = Metric(
    "queryengine_engine_slots", Kind.GAUGE, _ENGINE, "Queries that the engine may run at a time, as configured."
)
ENGINE_RUNNING: Final = Metric("queryengine_engine_running", Kind.GAUGE, _ENGINE, "Slots in use.")
ENGINE_QUEUED: Final = Metric("queryengine_engine_queued", Kind.GAUGE, _ENGINE, "Queries that wait for a slot.")
ENGINE_WORKERS: Final = Metric(
    "queryengine_engine_workers", Kind.GAUGE, _ENGINE, "Worker processes that are alive and have started."
)
SPOOL_BYTES: Final = Metric("queryengine_spool_bytes", Kind.GAUGE, (), "Bytes of stored results.")
STREAMS: Final = Metric("queryengine_streams", Kind.GAUGE, (), "Open StreamResults, WatchStatus, WatchQueries calls.")

QUERIES_SUBMITTED: Final = Metric(
    "queryengine_queries_submitted_total",
    Kind.COUNTER,
    _ENGINE,
    "Queries accepted and durable; a repeated Submit counts once.",
)
QUERIES_ENDED: Final = Metric(
    "queryengine_queries_ended_total",
    Kind.COUNTER,
    ("engine", "state", "reason"),
    "Queries that reached a final state, each once; reason is empty when COMPLETED.",
)
QUEUE_SECONDS: Final = Metric(
    "queryengine_queue_seconds",
    Kind.HISTOGRAM,
    _ENGINE,
    "Time from Submit to the start of the last attempt, or to the end of a query that never started.",
)
EXECUTION_SECONDS: Final = Metric(
    "queryengine_execution_seconds",
    Kind.HISTOGRAM,
    _ENGINE,
    "Time from the start of the last attempt to the end, however it ended.",
)
RESULT_ROWS: Final = Metric("queryengine_result_rows_total", Kind.COUNTER, _ENGINE, "Rows of completed results.")
RESULT_BYTES: Final = Metric(
    "queryengine_result_bytes_total", Kind.COUNTER, _ENGINE, "Bytes of completed results, as stored."
)
WORKER_RESTARTS: Final = Metric(
    "queryengine_worker_restarts_total",
    Kind.COUNTER,
    _ENGINE,
    "Worker processes that ended, or did not start, and are started again.",
)
REQUESTS: Final = Metric(
    "queryengine_requests_total",
    Kind.COUNTER,
    ("method", "code"),
    "Calls that ended, by their gRPC status; CANCELLED is also a caller that left or whose deadline passed.",
)
RELOADS: Final = Metric(
    "queryengine_reloads_total",
    Kind.COUNTER,
    ("outcome",),
    "Times that settings were read again: applied, or refused, so that those before stay.",
)
CERTIFICATE_ENDS: Final = Metric(
    "queryengine_certificate_not_after_seconds",
    Kind.GAUGE,
    ("certificate",),
    "When the certificate that new connections are shown ends, in seconds since 1970; missing without `tls`.",
)
AUDIT_RECORDS: Final = Metric(
    "queryengine_audit_records_total",
    Kind.COUNTER,
    ("outcome",),
    "Audit records: written, or lost, so that they are nowhere.",
)
BUILD_INFO: Final = Metric("queryengine_build_info", Kind.GAUGE, ("version",), "Always 1, for its label.")

METRICS: Final = (
    ENGINE_UP,
    ENGINE_SLOTS,
    ENGINE_RUNNING,
    ENGINE_QUEUED,
    ENGINE_WORKERS,
    QUERIES_SUBMITTED,
    QUERIES_ENDED,
    QUEUE_SECONDS,
    EXECUTION_SECONDS,
    RESULT_ROWS,
    RESULT_BYTES,
    WORKER_RESTARTS,
    SPOOL_BYTES,
    STREAMS,
    REQUESTS,
    RELOADS,
    CERTIFICATE_ENDS,
    AUDIT_RECORDS,
    BUILD_INFO,
)


def to_markdown() -> str:
    """All of them as a table, for docs/metrics.md."""
    lines = ["| name | type | labels | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |" for metric in METRICS
    ]
    return "\n".join(lines) + "\n"
