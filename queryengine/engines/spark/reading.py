"""Where the rows of an operation come from: the stream of its responses, or the files that it has written."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from queryengine.domain.errors import Reason, error
from queryengine.engines.spark.client import Operation
from queryengine.engines.spark.progress import ProgressTracker
from queryengine.engines.spark.staging import Staging


class Limits:
    """Counts a result, and raises RESULT_LIMIT when it passes what was configured. 0 is no limit."""

    def __init__(self, rows_max: int, bytes_max: int) -> None:
        self._maximum = {"result_rows_max": rows_max, "result_bytes_max": bytes_max}
        self._count = dict.fromkeys(self._maximum, 0)

    def count(self, batch: pa.RecordBatch) -> None:
        self._count["result_rows_max"] += batch.num_rows
        self._count["result_bytes_max"] += batch.nbytes
        for name, maximum in self._maximum.items():
            if maximum and self._count[name] > maximum:
                unit = name.split("_")[1]
                message = f"the result has more than {maximum} {unit}, which is the most that this engine reads"
                raise error(Reason.RESULT_LIMIT, message, limit=name, value=maximum)


class Source(ABC):
    """Used by one thread. Raises what a client and a storage raise."""

    def __init__(self, operation: Operation, tracker: ProgressTracker) -> None:
        self._tracker = tracker
        self._responses = operation.responses()

    @abstractmethod
    def begin(self) -> None:
        """Return when Spark has begun to work."""

    @abstractmethod
    def next_columns(self) -> Sequence[Any] | None:
        """The columns of the next batch; None when the result is complete."""


class Direct(Source):
    """Batches from the stream. Spark sends them partition by partition, in order."""

    def __init__(self, operation: Operation, tracker: ProgressTracker) -> None:
        super().__init__(operation, tracker)
        self._batches = self._read()
        self._rows = 0

    def begin(self) -> None:
        for response in self._responses:
            self._tracker.take(response)
            if response.HasField("schema"):
                return

    def next_columns(self) -> Sequence[Any] | None:
        return next(self._batches, None)

    def _read(self) -> Iterator[Sequence[Any]]:
        pieces: list[bytes] = []
        for response in self._responses:
            self._tracker.take(response)
            if not response.HasField("arrow_batch"):
                continue
            piece = response.arrow_batch
            self._check_follows(piece, len(pieces))
            pieces.append(piece.data)
            if len(pieces) < piece.num_chunks_in_batch:
                continue
            with pa.ipc.open_stream(pa.py_buffer(b"".join(pieces) if len(pieces) > 1 else pieces[0])) as reader:
                for batch in reader:
                    self._rows += batch.num_rows
                    yield batch.columns
            pieces.clear()

    def _check_follows(self, piece: Any, pieces: int) -> None:
        if piece.chunk_index != pieces or (not pieces and piece.start_offset != self._rows):
            message = f"rows are missing from what Spark sent: expected row {self._rows}, got {piece.start_offset}"
            raise error(Reason.ENGINE_ERROR, message)


class Staged(Source):
    """Batches from files, once all of them are written."""

    def __init__(self, operation: Operation, tracker: ProgressTracker, staging: Staging) -> None:
        super().__init__(operation, tracker)
        self._columns = staging.columns()
        self._is_written = False

    def begin(self) -> None:
        first = next(self._responses, None)
        if first is not None:
            self._tracker.take(first)

    def next_columns(self) -> Sequence[Any] | None:
        if not self._is_written:
            for response in self._responses:
                self._tracker.take(response)
            self._is_written = True
        return next(self._columns, None)
