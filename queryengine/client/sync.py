"""The client for code that blocks. Threads may share it; one result is read by one thread at a time."""

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from queryengine.client import calls
from queryengine.client.arguments import Seconds, text
from queryengine.client.base import ClientBase, HandleBase
from queryengine.client.calls import Call, Parameters
from queryengine.client.channel import STREAM_SECONDS, path
from queryengine.client.errors import QueryEngineClientError, rpc_failure
from queryengine.client.model import CancelOutcome, EngineInfo, QueryList, QueryStatus, ResultPage
from queryengine.client.options import QueryOptions, SubmitOptions, takes
from queryengine.client.refresh import EngineRefresh
from queryengine.client.result import OnStatus
from queryengine.client.stream import WatchReader
from queryengine.client.sync_result import QueryResult
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_service_pb2

T = TypeVar("T")


class Client(ClientBase):
    """A connection to one server, as one tenant and user. A context manager: leaving it closes it."""

    def _open(self) -> None:
        self._channel = self._connection.open()
        # A channel never closes again when Ctrl-C comes just while a stream begins, so streams begin where signals
        # do not reach.
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="queryengine-client")
        # Its thread starts here: interrupted by Ctrl-C at its start, with a query running, it would outlive the client.
        self._opener.submit(bool)

    @takes(SubmitOptions)
    def submit(self, sql: str, parameters: Parameters = None, **options: Unpack[SubmitOptions]) -> "QueryHandle":
        """Hand in a statement; when this returns, the query is durable and runs whether or not anybody reads
        it.

        Parameters are a mapping for named placeholders, a sequence for positional ones; see
        queryengine.codec.values for the types. Raises QueryFailed when the SQL is refused at once, LimitReached,
        ServiceUnavailable, or QueryEngineClientError for a request that makes no sense; ValueError or TypeError for
        options and values that cannot be sent.
        """
        call = calls.submit(sql, parameters, options)
        return QueryHandle(self, call.query_id, self.call(call))

    @takes(QueryOptions)
    def query(
        self,
        sql: str,
        parameters: Parameters = None,
        *,
        on_status: OnStatus | None = None,
        **options: Unpack[QueryOptions],
    ) -> QueryResult:
        """Submit and read: `for batch in client.query(sql)`.

        The query lives no longer than its reader. It is cancelled at once by Ctrl-C or any other exception here or
        while reading, by leaving the loop or the `with` block of the result early, and by closing it; and after
        `disconnect_grace`, 10 seconds, when the process died or nothing refers to the result any more. `detach=True`
        lets it run on, as submit does. A query whose result is kept and read later runs on meanwhile.

        on_status is called with each new QueryStatus while the rows are read. Raises as submit does; errors of the
        query itself are raised by reading.
        """
        call = calls.query(sql, parameters, options)
        try:
            handle = QueryHandle(self, call.query_id, self.call(call))
            return QueryResult(handle, self, start_row=0, on_status=on_status, ends_query=not options.get("detach"))
        except QueryEngineClientError:
            raise
        except BaseException:
            if not options.get("detach"):
                self.abandon(call.query_id)
            raise

    def attach(self, query_id: str) -> "QueryHandle":
        """The handle of a query submitted before, by anybody of the tenant. No call is made."""
        return QueryHandle(self, text("query_id", query_id), None)

    def list_queries(
        self,
        *,
        states: Iterable[QueryState | str] = (),
        labels: Mapping[str, str] | None = None,
        engine: str = "",
        subject: str = "",
        query_id_prefix: str = "",
        submitted_after: dt.datetime | None = None,
        submitted_before: dt.datetime | None = None,
        page_size: int = 50,
        page_token: str = "",
    ) -> QueryList:
        """Queries of the tenant, newest first, that match every filter; `next_page_token` continues.

        subject: the user who submitted them. submitted_after is included in the range, submitted_before is not; both
        have a time zone.
        """
        return self.call(
            calls.list_queries(
                states=states,
                labels=labels,
                engine=engine,
                subject=subject,
                query_id_prefix=query_id_prefix,
                submitted_after=submitted_after,
                submitted_before=submitted_before,
                page_size=page_size,
                page_token=page_token,
            )
        )

    def engines(self) -> tuple[EngineInfo, ...]:
        """The configured engines, what each can do and how busy it is."""
        return self.call(calls.list_engines())

    def refresh_engine(self, name: str = "") -> EngineRefresh:
        """Have the workers of an engine look at its folder now; what has changed since anybody's last refresh. Queries
        see changes without it, within about a second. Without a name it is the default engine.
        """
        return self.call(calls.refresh_engine(name))

    def close(self) -> None:
        """Idempotent. Streams still open break off, and later calls are refused. A query of `query` that was not read
        to its end is cancelled once its grace has passed; others run on.
        """
        self._is_closed = True
        self._opener.shutdown()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, call: Call[T]) -> T:
        """Run one unary call."""
        method = self._method(call)
        timeout = self._connection.call_seconds + call.wait_seconds
        try:
            reply = method(call.request, timeout=timeout, metadata=self._connection.identity)
        except grpc.RpcError as error:
            raise rpc_failure(error, self._connection.target).to_error(call.query_id) from error
        return call.convert(reply)

    def start(self, call: Call[T]) -> Any:
        """Begin a unary call; returns its grpc.Future, whose result is the message."""
        timeout = self._connection.call_seconds + call.wait_seconds
        return self._method(call).future(call.request, timeout=timeout, metadata=self._connection.identity)

    def abandon(self, query_id: str) -> None:
        """Cancel a query whose reader goes away. Takes 2 seconds at most, and raises nothing."""
        call = calls.abandon(query_id)
        # ValueError: the channel was closed meanwhile.
        with suppress(grpc.RpcError, QueryEngineClientError, ValueError):
            method = self._method(call)
            method.future(call.request, timeout=calls.ABANDON_SECONDS, metadata=self._connection.identity).result()

    def _method(self, call: Call[Any]) -> Any:
        self._check_open()
        return self._channel.unary_unary(
            path(call.method),
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.reply_type.FromString,
        )

    def open_stream(self, method: str, request: Any, deserializer: Any) -> Any:
        """Open a server stream; without a deserializer it yields messages as bytes."""
        self._check_open()
        stream = self._channel.unary_stream(
            path(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=deserializer,
        )
        opening = self._opener.submit(stream, request, timeout=STREAM_SECONDS, metadata=self._connection.identity)
        try:
            return opening.result()
        except BaseException:
            opening.add_done_callback(_cancel_opened)
            raise


def _cancel_opened(opening: "Future[Any]") -> None:
    if opening.exception() is None:
        opening.result().cancel()


class QueryHandle(HandleBase):
    """One query of the tenant. Every call may raise NotFound and ServiceUnavailable."""

    def __init__(self, client: Client, query_id: str, reply: query_service_pb2.SubmitResponse | None) -> None:
        super().__init__(query_id, reply)
        self._client = client

    def status(self, *, after_version: int = 0, wait_for_change: Seconds = 0.0) -> QueryStatus:
        """The newest status; with `wait_for_change` as soon as its version is above `after_version`, or
        unchanged after so many seconds, 60 at most. A failed query is a normal answer.
        """
        return self._client.call(
            calls.get_status(self.query_id, after_version=after_version, wait_timeout=wait_for_change)
        )

    def watch(self, *, after_version: int = 0) -> Iterator[QueryStatus]:
        """Every new status until the final one, pushed; survives lost connections."""
        backoff = self._client.connection.backoff()
        reader = WatchReader(self.query_id, backoff=backoff, after_version=after_version)
        while not reader.is_done:
            deserializer = query_service_pb2.WatchStatusResponse.FromString
            call = self._client.open_stream("WatchStatus", reader.request(), deserializer)
            failure = None
            try:
                for message in call:
                    status = reader.receive(message)
                    if status is not None:
                        yield status
            except grpc.RpcError as error:
                failure = rpc_failure(error, self._client.connection.target)
            finally:
                call.cancel()
            if not reader.is_done:
                time.sleep(reader.closed(failure, time.monotonic()))

    def result(self, *, start_row: int = 0, on_status: OnStatus | None = None) -> QueryResult:
        """Read the rows, also while the query waits or runs, from any row on, and any number of times."""
        return QueryResult(self, self._client, start_row=start_row, on_status=on_status)

    def fetch_page(
        self,
        *,
        page: int | None = None,
        offset: int | None = None,
        page_token: str = "",
        page_size: int = 1000,
    ) -> ResultPage:
        """Some stored rows: by page number, by row number, or by the token of another page; the first by
        default.

        Raises ResultUnavailable when they are not stored yet, or not any more.
        """
        return self._client.call(
            calls.fetch_page(self.query_id, page=page, offset=offset, page_token=page_token, page_size=page_size)
        )

    def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        """Stop the query, also on its engine; with `wait` until that is confirmed, 60 seconds at most.
        Idempotent.
        """
        return self._client.call(calls.cancel(self.query_id, reason=reason, wait_timeout=wait))

    def release(self) -> QueryStatus:
        """Free the stored rows of an ended query. Idempotent."""
        return self._client.call(calls.release(self.query_id))

    def extend(self, until: dt.datetime) -> QueryStatus:
        """Keep the stored rows until then, at most 7 days from now. ValueError for a time without a zone."""
        return self._client.call(calls.release(self.query_id, extend_to=until))
