"""One method per RPC: parse, call the use case, convert. No decisions."""

import base64
import binascii
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from queryengine.accepting.engines import Engines
from queryengine.accepting.queries import Queries
from queryengine.accepting.refreshing import Refreshes
from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.clock import Clock
from queryengine.domain.errors import Reason, error
from queryengine.domain.lifecycle import QueryState
from queryengine.edges.grpc import convert
from queryengine.edges.grpc.fitting import embedded, fitting, schema_messages
from queryengine.edges.grpc.requests import (
    EngineChoice,
    RequestLimits,
    as_rows,
    cancel_reason,
    heartbeat_seconds,
    invalid,
    microseconds,
    submitted_id,
    to_cursor,
    to_filter,
    to_list_size,
    to_plan,
    to_read,
    to_submission,
    wait_seconds,
)
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry, not_found
from queryengine.reading.fetching import Fetching, InlineRows
from queryengine.reading.streaming import (
    Beat,
    Changed,
    Columns,
    Finished,
    Item,
    PageMessage,
    Rotated,
    Started,
    Streams,
)
from queryengine.v1 import query_pb2, result_pb2
from queryengine.v1 import query_service_pb2 as pb

STREAM_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    tenant: str
    subject: str
    leave_turn: Callable[[], None]
    """To be called before the call waits, so that the next one is let in. Idempotent."""


class Servicer:
    """The RPCs. Each takes a parsed request and its caller; errors are QueryEngineError."""

    def __init__(
        self,
        *,
        queries: Queries,
        registry: Registry,
        streams: Streams,
        fetching: Fetching,
        engines: Engines,
        refreshes: Refreshes,
        clock: Clock,
        limits: RequestLimits,
        tenant_streams: int,
    ) -> None:
        self._queries = queries
        self._registry = registry
        self._streams = streams
        self._fetching = fetching
        self._engines = engines
        self._refreshes = refreshes
        self._clock = clock
        self._limits = limits
        self._tenant_streams = tenant_streams
        self._open_streams: Counter[str] = Counter()

    def adopt(self, limits: RequestLimits, *, tenant_streams: int) -> None:
        """Hold further requests to other limits."""
        self._limits = limits
        self._tenant_streams = tenant_streams

    async def Submit(self, request: pb.SubmitRequest, caller: Caller) -> bytes:
        wait = wait_seconds(request, self._limits)
        inline_as_rows = as_rows(request.result.inline_format, "inline_format")
        choice = self._engines.choose(request.engine)
        submission = to_submission(request, caller.tenant, caller.subject, self._limits)
        self._engines.require(choice[0], submission)
        asked = SubmitCall(
            query_id=submitted_id(request.query_id),
            submission=submission,
            plan=to_plan(submission, EngineChoice(*choice), self._limits),
            leave_turn=caller.leave_turn,
        )
        live, existing = await self._queries.submit(asked)
        inline: InlineRows | None = None
        if wait:
            caller.leave_turn()
            with live.readers.present():
                await live.wait_until_final(wait)
            if live.query.state is QueryState.COMPLETED:
                inline = await self._fetching.inline(live, as_rows=inline_as_rows)
        return self._submit_response(live, existing, inline)

    async def GetStatus(self, request: pb.GetStatusRequest, caller: Caller) -> pb.GetStatusResponse:
        wait = wait_seconds(request, self._limits)
        live = await self._find(caller, request.query_id)
        if wait and not live.is_final:
            caller.leave_turn()
            with live.readers.present():
                await live.wait_for_version(request.after_version, wait)
        return pb.GetStatusResponse(status=self._status(live))

    async def StreamResults(
        self, request: pb.StreamResultsRequest, caller: Caller
    ) -> AsyncIterator[bytes | pb.StreamResultsResponse]:
        read = to_read(request, self._limits)
        live = await self._find(caller, request.query_id)
        format_value = result_pb2.PAGE_FORMAT_ROWS if read.as_rows else result_pb2.PAGE_FORMAT_ARROW
        caller.leave_turn()
        with self._one_stream(caller, live):
            async for item in self._streams.read(live, read):
                if isinstance(item, PageMessage):
                    yield item.message
                elif isinstance(item, Columns):
                    for message in schema_messages(item.described, item.attempt):
                        yield message
                else:
                    yield self._stream_message(live, item, format_value)

    async def Cancel(self, request: pb.CancelRequest, caller: Caller) -> pb.CancelResponse:
        wait = wait_seconds(request, self._limits)
        reason = cancel_reason(request)
        live = await self._find(caller, request.query_id)
        outcome = await self._queries.cancel(live, reason)
        if wait:
            caller.leave_turn()
            await live.wait_until_final(wait)
        if outcome.ended_before or live.query.state in (QueryState.COMPLETED, QueryState.FAILED):
            result = pb.CANCEL_RESULT_ALREADY_ENDED
        elif live.query.state is QueryState.CANCELLED:
            result = pb.CANCEL_RESULT_CANCELLED
        else:
            result = pb.CANCEL_RESULT_CANCELLING
        return pb.CancelResponse(
            result=result,
            engine_cancel=convert.ENGINE_CANCELS[live.engine_cancel],
            status=self._status(live),
        )

    async def WatchStatus(
        self, request: pb.WatchStatusRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        heartbeat = heartbeat_seconds(request, self._limits)
        live = await self._find(caller, request.query_id)
        caller.leave_turn()
        with self._one_stream(caller, live):
            async for item in self._streams.watch(live, request.after_version, heartbeat):
                if isinstance(item, Changed):
                    yield pb.WatchStatusResponse(status=convert.status(live, self._clock.now_us()))
                elif isinstance(item, Rotated):
                    yield pb.WatchStatusResponse(rotate=_rotate(item))
                else:
                    yield pb.WatchStatusResponse(heartbeat=self._heartbeat(live))

    async def FetchPage(self, request: pb.FetchPageRequest, caller: Caller) -> bytes:
        cursor = to_cursor(request)
        rows = as_rows(request.format, "format")
        live = await self._find(caller, request.query_id)
        caller.leave_turn()
        fetched = await self._fetching.fetch(live, cursor, as_rows=rows)
        response = pb.FetchPageResponse(
            next_page_token=fetched.next_cursor.token() if fetched.next_cursor else "",
            prev_page_token=fetched.previous_cursor.token() if fetched.previous_cursor else "",
            total_rows=fetched.total_rows,
        )
        encoded: bytes = response.SerializeToString() + embedded(pb.FetchPageResponse, "schema", fetched.schema)
        if fetched.page is not None:
            encoded += embedded(pb.FetchPageResponse, "page", fetched.page.message())
        return encoded

    async def ListQueries(self, request: pb.ListQueriesRequest, caller: Caller) -> pb.ListQueriesResponse:
        size = to_list_size(request)
        found = await self._queries.list(
            caller.tenant,
            to_filter(request),
            before=_before(request.page_token),
            limit=size + 1,
        )
        reply = pb.ListQueriesResponse(queries=fitting(self._status(live) for live in found[:size]))
        if len(reply.queries) < len(found):
            reply.next_page_token = _list_token(found[len(reply.queries) - 1])
        return reply

    async def ReleaseResults(self, request: pb.ReleaseResultsRequest, caller: Caller) -> pb.ReleaseResultsResponse:
        live = await self._find(caller, request.query_id)
        if request.HasField("extend_to"):
            await self._queries.extend(live, microseconds(request.extend_to))
        else:
            await self._queries.release(live)
        return pb.ReleaseResultsResponse(status=self._status(live))

    async def ListEngines(self, _: pb.ListEnginesRequest, caller: Caller) -> pb.ListEnginesResponse:  # noqa: ARG002
        return pb.ListEnginesResponse(engines=[convert.engine(view) for view in self._engines.views()])

    async def RefreshEngine(self, request: pb.RefreshEngineRequest, caller: Caller) -> pb.RefreshEngineResponse:
        engine, _, _ = self._engines.choose(request.engine)
        caller.leave_turn()
        return convert.refreshed(await self._refreshes.refresh(engine))

    async def _find(self, caller: Caller, query_id: str) -> LiveQuery:
        if len(query_id) > 64:
            raise not_found()
        return await self._registry.find(caller.tenant, query_id.lower())

    @contextmanager
    def _one_stream(self, caller: Caller, live: LiveQuery) -> Iterator[None]:
        """Count a stream of the tenant while it is open. Raises TENANT_STREAM_LIMIT."""
        if self._open_streams[caller.tenant] >= self._tenant_streams:
            # Whoever is refused a stream has not gone away.
            live.readers.seen()
            message = f"{self._tenant_streams} streams of this tenant are open already"
            raise error(
                Reason.TENANT_STREAM_LIMIT,
                message,
                retry_after_seconds=STREAM_RETRY_SECONDS,
                limit=self._tenant_streams,
            )
        self._open_streams[caller.tenant] += 1
        try:
            yield
        finally:
            self._open_streams[caller.tenant] -= 1
            if not self._open_streams[caller.tenant]:
                del self._open_streams[caller.tenant]

    def _submit_response(self, live: LiveQuery, existing: bool, inline: InlineRows | None) -> bytes:
        response = pb.SubmitResponse(status=self._status(live), existing=existing)
        if inline is None:
            return response.SerializeToString()
        response.next_row = inline.next_row
        if inline.is_all:
            response.end.CopyFrom(convert.result_end(response.status, inline.totals, inline.attempt))
        parts = [response.SerializeToString(), embedded(pb.SubmitResponse, "schema", inline.schema)]
        return b"".join([*parts, *(embedded(pb.SubmitResponse, "pages", page) for page in inline.pages)])

    def _stream_message(
        self, live: LiveQuery, item: Item, format_value: result_pb2.PageFormat
    ) -> pb.StreamResultsResponse:
        now_us = self._clock.now_us()
        match item:
            case Started(attempt, next_row):
                start = result_pb2.StreamStart(
                    query_id=live.query.query_id, attempt=attempt, format=format_value, next_row=next_row
                )
                return pb.StreamResultsResponse(start=start)
            case Changed():
                return pb.StreamResultsResponse(status=convert.status(live, now_us))
            case Rotated():
                return pb.StreamResultsResponse(rotate=_rotate(item))
            case Finished(totals, attempt):
                return pb.StreamResultsResponse(end=convert.result_end(convert.status(live, now_us), totals, attempt))
            case Beat() | PageMessage() | Columns():
                return pb.StreamResultsResponse(heartbeat=self._heartbeat(live))

    def _status(self, live: LiveQuery) -> query_pb2.QueryStatus:
        """As of now, place in the queue included."""
        live.refresh_place()
        return convert.status(live, self._clock.now_us())

    def _heartbeat(self, live: LiveQuery) -> result_pb2.Heartbeat:
        return result_pb2.Heartbeat(server_time=convert.timestamp(self._clock.now_us()), version=live.version)


def _rotate(item: Rotated) -> result_pb2.StreamRotate:
    return result_pb2.StreamRotate(next_row=item.next_row, attempt=item.attempt, reason=convert.ROTATIONS[item.reason])


def _list_token(live: LiveQuery) -> str:
    text = f"{live.query.submit_us}:{live.query.query_id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _before(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        submit_us, _, query_id = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        found = int(submit_us)
        # SQLite has no larger numbers.
        found.to_bytes(8, signed=True)
        return found, query_id
    except (ValueError, OverflowError, binascii.Error, UnicodeError) as cause:
        raise invalid("page_token", "is not a token of an earlier answer") from cause
