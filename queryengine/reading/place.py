"""Where one reader is in a result: the next row, and the index and columns that its rows belong to."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.reading.items import Finished, PageItem, ReadRequest, Rotated, RotateReason
from queryengine.results.index import PageIndex
from queryengine.results.reader import PageReader, StoredPage

StillValid = Callable[[], None]
"""Raises what ends a stream whose reader may no longer read."""


class Place:
    """Belongs to one stream. Close it."""

    def __init__(self, request: ReadRequest, attempt: int, disk: Executor) -> None:
        """`attempt` is that of the query now; 0 before it began. Raises RESULT_RESTARTED when another one was asked
        for.
        """
        if request.attempt and attempt and request.attempt != attempt:
            raise restarted(attempt)
        self._request = request
        self._disk = disk
        self.row = request.start_row
        self.attempt = attempt
        self.sent_bytes = 0
        self._with_columns: int | None = None
        """The attempt whose columns were sent."""
        self._index: PageIndex | None = None
        self._reader: PageReader | None = None

    def needs_columns(self, index: PageIndex | None) -> bool:
        """Take over the index that there is now; whether its columns are to be sent. Raises RESULT_RESTARTED when rows
        of another attempt were sent or asked for.
        """
        if index is None or index is self._index or index.schema is None:
            return False
        if self._request.attempt and self._request.attempt != index.attempt:
            raise restarted(index.attempt)
        is_new = self._with_columns != index.attempt
        if is_new and self.row > self._request.start_row:
            raise restarted(index.attempt)
        self.close()
        self._index = index
        self._with_columns = self.attempt = index.attempt
        return is_new

    def has_rows(self, index: PageIndex | None) -> bool:
        """Whether rows that are wanted can be read."""
        return index is not None and index is self._index and self.row < self.end_row(index)

    def reader(self, index: PageIndex) -> PageReader:
        """Reads the pages of the index that was taken over."""
        if self._reader is None:
            self._reader = PageReader(index, self._disk)
        return self._reader

    def end_row(self, index: PageIndex) -> int:
        """The row before which to stop for now."""
        wanted = self._request.end_row
        return index.rows if wanted is None else min(wanted, index.rows)

    def count(self, item: PageItem) -> None:
        """Count what is sent. The row moves on by `pass_page`, when all of a page was."""
        self.sent_bytes += len(item.stored) if isinstance(item, StoredPage) else len(item.payload)

    def pass_page(self, index: PageIndex) -> None:
        """Go on behind the page that the row is in."""
        self.row = min(index[index.find(self.row)].end_row, self.end_row(index))

    def check(self, still_valid: StillValid) -> None:
        """Raise what `still_valid` raises, with the row to go on at and its attempt among the metadata."""
        try:
            still_valid()
        except QueryEngineError as cause:
            metadata = {**cause.failure.metadata, "next_row": str(self.row), "attempt": str(self.attempt)}
            raise QueryEngineError(replace(cause.failure, metadata=metadata)) from cause

    def rotated(self, reason: RotateReason) -> Rotated:
        return Rotated(self.row, self.attempt, reason)

    def finished(self, index: PageIndex | None) -> Finished:
        """The end of a completed query whose rows were all sent, of those asked for. Raises ROW_PAST_END, and
        RESULT_LOST when stored rows are missing.
        """
        if index is None or index.totals is None:
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        if self.row > index.totals.rows:
            raise past_end(index.totals.rows)
        return Finished(index.totals, index.attempt, self.row)

    def close(self) -> None:
        """Release what is open. Idempotent."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def restarted(attempt: int) -> QueryEngineError:
    message = "the rows read so far belong to an attempt that is gone; read again from row 0"
    return error(Reason.RESULT_RESTARTED, message, attempt=attempt)


def past_end(total_rows: int) -> QueryEngineError:
    message = f"the result has {total_rows} rows; the row asked for is past its end"
    return error(Reason.ROW_PAST_END, message, total_rows=total_rows)
