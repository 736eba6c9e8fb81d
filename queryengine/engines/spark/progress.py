"""How far an operation is, from what Spark reports beside the rows."""

from dataclasses import replace
from typing import Final

from queryengine.engines.base import Progress
from queryengine.engines.spark.client import Proto

_SOURCES: Final = ("Scan ", "BatchScan", "Range", "LocalTableScan", "InMemoryTableScan", "TableCacheScan")
"""Beginnings of the names of plan nodes that read rows."""
_BEFORE_END: Final = 0.99
"""New stages may still come while all that are known have ended."""


class ProgressTracker:
    """Fed by the thread that reads responses; `snapshot` from any."""

    def __init__(self) -> None:
        self._progress = Progress()

    def begin(self, operation_id: str, url: str) -> None:
        self._progress = Progress(engine_query_id=operation_id, engine_query_url=url, engine_state="RUNNING")

    def take(self, response: Proto) -> None:
        if response.HasField("execution_progress"):
            self._stages(response.execution_progress)
        if response.HasField("metrics"):
            self._metrics(response.metrics)

    def end(self) -> None:
        done = self._progress.splits_total
        self._progress = replace(self._progress, fraction=1.0, splits_done=done, engine_state="SUCCEEDED")

    def snapshot(self) -> Progress:
        return self._progress

    def _stages(self, report: Proto) -> None:
        total = sum(stage.num_tasks for stage in report.stages)
        if not total:
            return
        done = sum(stage.num_completed_tasks for stage in report.stages)
        read_bytes = sum(stage.input_bytes_read for stage in report.stages)
        now = self._progress
        self._progress = replace(
            now,
            fraction=max(now.fraction or 0.0, min(done / total, _BEFORE_END)),
            splits_done=done,
            splits_total=total,
            bytes_scanned=max(read_bytes, now.bytes_scanned or 0),
        )

    def _metrics(self, report: Proto) -> None:
        rows = [
            metric.value
            for node in report.metrics
            if node.name.startswith(_SOURCES)
            for key, metric in node.execution_metrics.items()
            if key == "numOutputRows"
        ]
        if rows:
            self._progress = replace(self._progress, rows_scanned=sum(rows))
