"""What both clients know of a result while they read it."""

import weakref
from collections import deque
from collections.abc import Callable, Sequence

import pyarrow as pa

from queryengine.client.channel import Connection
from queryengine.client.errors import QueryEngineClientError
from queryengine.client.html import html_table
from queryengine.client.model import QueryStatus, ResultEnd
from queryengine.client.presence import Presence
from queryengine.client.stream import Event, ResultReader
from queryengine.v1.query_pb2 import QueryStatus as StatusMessage
from queryengine.v1.query_service_pb2 import SubmitResponse

OnStatus = Callable[[QueryStatus], None]


class ResultBase:
    """Rows that arrived and were not asked for yet, and everything else known of a result."""

    def __init__(
        self,
        query_id: str,
        connection: Connection,
        *,
        reply: SubmitResponse | None,
        start_row: int,
        end_row: int | None,
        on_status: OnStatus | None,
    ) -> None:
        self._reader = ResultReader(query_id, backoff=connection.backoff(), start_row=start_row, end_row=end_row)
        self._on_status = on_status
        self._ready: deque[pa.RecordBatch] = deque()
        self._is_closed = False
        self._presence: Presence | None = None
        """Of a query that ends with its reader, unless it has ended already."""
        self._is_abandoned = False
        self._is_read = False
        """Whether every row has been handed out."""
        # The rows in a reply are the first ones.
        if reply is not None and start_row == 0 and end_row is None:
            for event in self._reader.receive_reply(reply):
                self._take(event)

    @property
    def query_id(self) -> str:
        return self._reader.query_id

    @property
    def status(self) -> QueryStatus | None:
        """The newest status that has arrived."""
        return self._reader.status

    @property
    def end(self) -> ResultEnd | None:
        """The totals; None until the last batch has been read."""
        return self._reader.end

    @property
    def next_row(self) -> int:
        """Number of the row after those that have arrived: where another reader would go on."""
        return self._reader.next_row

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.query_id}: {self._summary()}>"

    def _repr_html_(self) -> str:
        """For notebooks: state, columns and the first rows of those that have arrived. Reads and waits for nothing."""
        summary = f"query {self.query_id}: {self._summary()}"
        return html_table(summary, self._reader.schema, list(self._ready))

    def _summary(self) -> str:
        newest = self._reader.status
        parts = [str(newest.state) if newest is not None else "not read yet"]
        if self._reader.schema is not None:
            arrived = sum(batch.num_rows for batch in self._ready)
            parts.append(f"{len(self._reader.schema)} columns")
            parts.append(f"{self.next_row - arrived:,} rows read")
            parts.append(f"{arrived:,} more here")
        if self._is_abandoned or self._is_closed:
            parts.append("closed")
        return ", ".join(parts)

    def _put_back(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Give rows that were handed to nobody to the next who reads, so that none is missing there."""
        self._ready.extendleft(reversed(batches))
        self._is_read = False

    def _stay(self, presence: Presence) -> None:
        """Be present until this result is left, or forgotten by everybody."""
        self._presence = presence
        weakref.finalize(self, presence.end).atexit = False

    def _take(self, event: Event | None) -> None:
        if isinstance(event, pa.RecordBatch):
            self._ready.append(event)
        elif isinstance(event, StatusMessage) and self._on_status is not None:
            self._on_status(self._reader.value(event))

    def _check_unread(self) -> None:
        """Raises when every row has been handed out: nothing is left, which would look like an empty result."""
        if self._is_read:
            message = "the rows of this result have been read; to read them again: result.handle.result()"
            raise QueryEngineClientError(message, query_id=self.query_id)

    def _check_open(self) -> None:
        if self._is_abandoned:
            message = (
                "its reader left this result before the end, so the query was cancelled; "
                "query(…, detach=True) and submit() let a query run on"
            )
            raise QueryEngineClientError(message, query_id=self.query_id)
        if self._is_closed:
            raise QueryEngineClientError("the result was closed", query_id=self.query_id)

    def _is_left_early(self) -> bool:
        """Whether the query is to be cancelled now that nobody reads on; true once."""
        if self._presence is None or self._reader.is_over or self._is_abandoned:
            return False
        self._is_abandoned = True
        self._presence.end()
        return True
