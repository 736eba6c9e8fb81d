"""Reading a result from streams that may break: the rules, without any I/O.

A driver opens a stream for `request()`, hands each raw message to `receive`, and passes to `closed` how the
stream ended; the answer is how long to wait before the next one. Rows are delivered once, in order and
without gaps, all of one attempt, and the end is believed only when the server said so and its totals agree: a
short result never looks like a whole one.
"""

from collections.abc import Iterator
from typing import TypeAlias

import pyarrow as pa
from google.protobuf.message import DecodeError

from queryengine.client.backoff import Backoff
from queryengine.client.errors import (
    QueryEngineClientError,
    QueryFailed,
    ResultCorrupt,
    ResultUnavailable,
    RpcFailure,
)
from queryengine.client.model import QueryStatus, ResultEnd, query_status, result_end
from queryengine.codec.page import PageView, checksum, parse_event
from queryengine.codec.types import from_result_schema
from queryengine.domain.errors import Reason
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2

Event: TypeAlias = query_pb2.QueryStatus | pa.Schema | pa.RecordBatch
"""A status stays as it came: most are looked at by nobody, and to make a value of one takes longer than a short row."""


class ResultReader:
    """The reading position of one result, and everything learnt about it so far."""

    def __init__(self, query_id: str, *, backoff: Backoff, start_row: int = 0, end_row: int | None = None) -> None:
        self.query_id = query_id
        self.next_row = start_row
        """Number of the first row not delivered yet."""
        self.attempt = 0
        """The attempt of the rows delivered; 0 before it is known."""
        self.schema: pa.Schema | None = None
        self.end: ResultEnd | None = None
        """Set once all of the result that was asked for was delivered."""
        self._start_row = start_row
        self._end_row = end_row
        self._backoff = backoff
        self._newest: query_pb2.QueryStatus | None = None
        self._chunks: list[PageView] = []
        self._schema_chunks: list[bytes] = []
        self._is_planned = False
        self._error: QueryEngineClientError | None = None

    @property
    def status(self) -> QueryStatus | None:
        """The newest status that has arrived. Raises as `value`."""
        return None if self._newest is None else self.value(self._newest)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come: all that was asked for was delivered, or an error ended it."""
        return self.end is not None or self._error is not None

    def value(self, message: query_pb2.QueryStatus) -> QueryStatus:
        """A status that came as an event. Raises ResultCorrupt for one that makes no sense."""
        try:
            return query_status(message)
        except ValueError as error:
            raise self._corrupt(f"a status cannot be read: {error}") from error

    def _failure(self, message: query_pb2.QueryStatus) -> QueryFailed | None:
        return self.value(message).failure() if message.HasField("error") else None

    def request(self) -> query_service_pb2.StreamResultsRequest:
        """The stream to open next. Raises again what ended the reading before."""
        if self._error is not None:
            raise self._error
        # Rows of another attempt do not fit those delivered; before the first row any attempt will do.
        attempt = self.attempt if self.next_row > self._start_row else 0
        return query_service_pb2.StreamResultsRequest(
            query_id=self.query_id,
            start_row=self.next_row,
            end_row=self._end_row,
            attempt=attempt,
            format=result_pb2.PAGE_FORMAT_ARROW,
        )

    def receive(self, message: bytes) -> Event | None:
        """What an encoded StreamResultsResponse brings: a new status, the schema, rows, or nothing to pass
        on.

        A batch shares memory with the message. Raises ResultCorrupt when the message contradicts what came
        before.
        """
        try:
            view = parse_event(message)
            if view is not None:
                return self._page(view)
            return self._other(query_service_pb2.StreamResultsResponse.FromString(message))
        except (ValueError, DecodeError, pa.ArrowException, OSError) as error:
            raise self._corrupt(f"a message cannot be read: {error}") from error

    def receive_reply(self, reply: query_service_pb2.SubmitResponse) -> Iterator[Event]:
        """What a SubmitResponse brings, as `receive` would. Read it to its end before opening a stream."""
        status = self._status(reply.status)
        if status is not None:
            yield status
            self._error = self._failure(status)
            if self._error is not None:
                return
        if reply.HasField("schema"):
            yield self._schema(reply.schema)
        for page in reply.pages:
            view = PageView(
                page.start_row,
                page.row_count,
                page.crc32c,
                page.chunk_index,
                page.chunk_count,
                page.WhichOneof("payload") == "arrow",
                pa.py_buffer(page.arrow),
            )
            batch = self._page(view)
            if batch is not None:
                yield batch
        if reply.HasField("end"):
            status = self._end(reply.end)
            if status is not None:
                yield status

    def closed(self, failure: RpcFailure | None, now: float) -> float:
        """The stream ended, with OK when there is no failure. Returns seconds to wait before the next one.

        Raises the error of the query, or why its result cannot be read, or ServiceUnavailable when trying
        again has not helped for long enough.
        """
        self._chunks.clear()
        self._schema_chunks.clear()
        is_planned, self._is_planned = self._is_planned, False
        if failure is not None:
            known = self._known_error(failure)
            # A reason that passes for a call is final where the query itself has failed by it.
            if known is not None or not (failure.is_passing or self._may_restart(failure)):
                raise self._fail(known or failure.to_error(self.query_id))
        try:
            return self._backoff.delay(now, is_planned=is_planned, failure=failure)
        except QueryEngineClientError as error:
            raise self._fail(error) from None

    def _may_restart(self, failure: RpcFailure) -> bool:
        return failure.reason == Reason.RESULT_RESTARTED and self.next_row == self._start_row

    def _known_error(self, failure: RpcFailure) -> QueryEngineClientError | None:
        """The error of the query, when it is what ended the stream: it says more than the end itself, such as the
        position.
        """
        known = self._failure(self._newest) if self._newest is not None else None
        return known if known is not None and known.reason == failure.reason else None

    def _other(self, message: query_service_pb2.StreamResultsResponse) -> Event | None:
        match message.WhichOneof("event"):
            case "start":
                self._start(message.start)
            case "status":
                return self._status(message.status)
            case "schema":
                return self._schema_part(message.schema)
            case "heartbeat":
                self._backoff.progressed()
            case "rotate":
                self._is_planned = message.rotate.reason != result_pb2.ROTATE_REASON_DRAIN
            case "end":
                return self._end(message.end)
            case _:
                # An event of a newer contract; rows are checked all the same.
                pass
        return None

    def _start(self, start: result_pb2.StreamStart) -> None:
        if start.next_row != self.next_row:
            raise self._corrupt(f"the stream begins at row {start.next_row}, row {self.next_row} was asked for")
        if start.format == result_pb2.PAGE_FORMAT_ROWS:
            raise self._corrupt("the stream is not in Arrow format")
        self._belongs_to(start.attempt)

    def _status(self, message: query_pb2.QueryStatus) -> query_pb2.QueryStatus | None:
        if self._newest is not None and message.version <= self._newest.version:
            return None
        self._newest = message
        self._backoff.progressed()
        return message

    def _schema_part(self, message: result_pb2.ResultSchema) -> pa.Schema | None:
        if not message.chunk_count:
            return self._schema(message)
        if message.chunk_index != len(self._schema_chunks):
            raise self._corrupt(f"chunk {len(self._schema_chunks)} of the columns is missing")
        self._belongs_to(message.attempt)
        self._schema_chunks.append(message.chunk)
        self._backoff.progressed()
        if len(self._schema_chunks) < message.chunk_count:
            return None
        encoded = b"".join(self._schema_chunks)
        self._schema_chunks.clear()
        return self._schema(result_pb2.ResultSchema.FromString(encoded))

    def _schema(self, message: result_pb2.ResultSchema) -> pa.Schema:
        self._belongs_to(message.attempt)
        schema = from_result_schema(message)
        if self.next_row > self._start_row and self.schema is not None and not schema.equals(self.schema):
            raise self._corrupt("the columns differ from those of the rows before")
        self.schema = schema
        return schema

    def _belongs_to(self, attempt: int) -> None:
        if attempt and attempt != self.attempt:
            if self.attempt and self.next_row > self._start_row:
                error = ResultUnavailable(
                    f"the rows read belong to attempt {self.attempt}, attempt {attempt} is current",
                    reason=Reason.RESULT_RESTARTED,
                    retryable=True,
                    query_id=self.query_id,
                )
                raise self._fail(error)
            self.attempt = attempt

    def _page(self, view: PageView) -> pa.RecordBatch | None:
        if not view.is_arrow:
            raise self._corrupt("a page is not in Arrow format")
        if self.schema is None:
            raise self._corrupt("rows came before their columns")
        if view.start_row != self.next_row:
            raise self._corrupt(f"row {self.next_row} is missing; a page begins at {view.start_row}")
        if view.is_whole:
            if self._chunks:
                raise self._corrupt("a page came before the last chunk of another")
            return self._batch(view, view.payload)
        return self._chunk(view)

    def _chunk(self, view: PageView) -> pa.RecordBatch | None:
        first = self._chunks[0] if self._chunks else view
        same = (view.row_count, view.crc32c, view.chunk_count) == (
            first.row_count,
            first.crc32c,
            first.chunk_count,
        )
        if not same or view.chunk_index != len(self._chunks):
            raise self._corrupt(f"chunk {len(self._chunks)} of the page at row {view.start_row} is missing")
        self._chunks.append(view)
        self._backoff.progressed()
        if len(self._chunks) < view.chunk_count:
            return None
        payload = pa.py_buffer(b"".join(chunk.payload for chunk in self._chunks))
        self._chunks.clear()
        return self._batch(view, payload)

    def _batch(self, view: PageView, payload: pa.Buffer) -> pa.RecordBatch:
        if checksum(payload) != view.crc32c:
            raise self._corrupt(f"the page at row {view.start_row} is damaged: its checksum does not match")
        batch = pa.ipc.open_stream(pa.BufferReader(payload)).read_next_batch()
        if batch.num_rows != view.row_count:
            raise self._corrupt(f"the page at row {view.start_row} has {batch.num_rows} rows, not {view.row_count}")
        if self._end_row is not None and view.start_row + view.row_count > self._end_row:
            raise self._corrupt(f"the page at row {view.start_row} goes beyond the end asked for, {self._end_row}")
        if not batch.schema.equals(self.schema):
            raise self._corrupt(f"the page at row {view.start_row} has other columns than the result")
        self.next_row += view.row_count
        self._backoff.progressed()
        return batch

    def _end(self, message: result_pb2.ResultEnd) -> query_pb2.QueryStatus | None:
        self._belongs_to(message.attempt)
        if self._chunks:
            raise self._corrupt("the result ended before the last chunk of a page")
        asked = message.total_rows if self._end_row is None else min(self._end_row, message.total_rows)
        if asked != self.next_row:
            of_range = "" if self._end_row is None else f" and was to be read up to row {self._end_row}"
            raise self._corrupt(f"the result has {message.total_rows} rows{of_range}, {self.next_row} have arrived")
        if self.schema is None:
            raise self._corrupt("the result ended without its columns")
        self.end = result_end(message)
        return self._status(message.status) if message.HasField("status") else None

    def _corrupt(self, message: str) -> QueryEngineClientError:
        return self._fail(ResultCorrupt(message, retryable=True, query_id=self.query_id))

    def _fail(self, error: QueryEngineClientError) -> QueryEngineClientError:
        """Remember what ends the reading: it does not get better by asking again."""
        self._error = error
        return error


class WatchReader:
    """The states of one query, each once, from streams that may break."""

    def __init__(self, query_id: str, *, backoff: Backoff, after_version: int = 0) -> None:
        self.query_id = query_id
        self.version = after_version
        self.is_done = False
        """Set once the final state was seen, or the server said that there is none to come."""
        self._backoff = backoff
        self._is_rotated = False
        self._is_planned = False
        self._is_running = after_version == 0

    def request(self) -> query_service_pb2.WatchStatusRequest:
        return query_service_pb2.WatchStatusRequest(query_id=self.query_id, after_version=self.version)

    def receive(self, message: query_service_pb2.WatchStatusResponse) -> QueryStatus | None:
        """A state newer than the last, or None."""
        match message.WhichOneof("event"):
            case "status" if message.status.version > self.version:
                status = query_status(message.status)
                self.version = status.version
                self.is_done = status.is_final
                self._is_running = not status.is_final
                self._backoff.progressed()
                return status
            case "heartbeat":
                self._backoff.progressed()
            case "rotate":
                self._is_rotated = True
                self._is_planned = message.rotate.reason != result_pb2.ROTATE_REASON_DRAIN
            case _:
                pass
        return None

    def closed(self, failure: RpcFailure | None, now: float) -> float:
        """As ResultReader.closed."""
        is_rotated, self._is_rotated = self._is_rotated, False
        is_planned, self._is_planned = self._is_planned, False
        if failure is None and not is_rotated and not self._is_running:
            # Nothing is newer than a final state that was known before.
            self.is_done = True
            return 0.0
        if failure is not None and not failure.is_passing:
            raise failure.to_error(self.query_id)
        return self._backoff.delay(now, is_planned=is_planned, failure=failure)
