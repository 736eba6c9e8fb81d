"""The RPCs about results and their streams: parse, call the use case, frame what it yields."""

from collections.abc import AsyncIterator

from queryengine.accepting.looking import Looking
from queryengine.edges.grpc import convert
from queryengine.edges.grpc.call import Caller, Streaming, Unary
from queryengine.edges.grpc.fitting import embedded, schema_messages
from queryengine.edges.grpc.framing import page_message, stream_message
from queryengine.edges.grpc.requests import (
    LimitsInForce,
    as_rows,
    heartbeat_seconds,
    to_cursor,
    to_list_pages,
    to_read,
)
from queryengine.edges.grpc.statuses import Statuses
from queryengine.live.query import LiveQuery
from queryengine.reading.fetching import Fetching
from queryengine.reading.items import Beat, Changed, Columns, Finished, PagePart, Rotated, Started
from queryengine.reading.page_listing import PageListing
from queryengine.reading.streaming import Streams
from queryengine.results.reader import StoredPage
from queryengine.results.slicing import CutPage
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import result_pb2


class ResultRpcs:
    """StreamResults, WatchStatus, FetchPage and ListPages."""

    def __init__(
        self,
        *,
        looking: Looking,
        streams: Streams,
        fetching: Fetching,
        listing: PageListing,
        statuses: Statuses,
        limits: LimitsInForce,
    ) -> None:
        self._looking = looking
        self._streams = streams
        self._fetching = fetching
        self._listing = listing
        self._statuses = statuses
        self._limits = limits

    def behaviours(self) -> dict[str, Unary | Streaming]:
        return {
            "StreamResults": self.stream_results,
            "WatchStatus": self.watch_status,
            "FetchPage": self.fetch_page,
            "ListPages": self.list_pages,
        }

    async def stream_results(
        self, request: pb.StreamResultsRequest, caller: Caller
    ) -> AsyncIterator[bytes | pb.StreamResultsResponse]:
        read = to_read(request, self._limits.now)
        live = await self._looking.find_rows(caller.principal, request.query_id)
        format_value = result_pb2.PAGE_FORMAT_ROWS if read.as_rows else result_pb2.PAGE_FORMAT_ARROW
        caller.leave_turn()

        def still_valid() -> None:
            caller.still_valid()
            self._looking.require_rows(caller.principal, live.query)

        async for item in self._streams.read(live, read, still_valid=still_valid, reader=caller.principal):
            if isinstance(item, StoredPage | CutPage | PagePart):
                yield stream_message(item)
            elif isinstance(item, Columns):
                for message in schema_messages(item.described, item.attempt):
                    yield message
            else:
                yield self._stream_message(live, item, format_value)

    async def watch_status(
        self, request: pb.WatchStatusRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        heartbeat = heartbeat_seconds(request, self._limits.now)
        live = await self._looking.find(caller.principal, request.query_id)
        caller.leave_turn()
        async for item in self._streams.watch(
            live, request.after_version, heartbeat, still_valid=caller.still_valid, reader=caller.principal
        ):
            if isinstance(item, Changed):
                yield pb.WatchStatusResponse(status=self._statuses.last(live))
            elif isinstance(item, Rotated):
                yield pb.WatchStatusResponse(rotate=_rotate(item))
            else:
                yield pb.WatchStatusResponse(heartbeat=self._statuses.heartbeat(live))

    async def fetch_page(self, request: pb.FetchPageRequest, caller: Caller) -> bytes:
        cursor = to_cursor(request)
        rows = as_rows(request.format, "format")
        live = await self._looking.find_rows(caller.principal, request.query_id)
        caller.leave_turn()
        fetched = await self._fetching.fetch(live, cursor, as_rows=rows)
        response = pb.FetchPageResponse(
            next_page_token=fetched.next_cursor.token() if fetched.next_cursor else "",
            prev_page_token=fetched.previous_cursor.token() if fetched.previous_cursor else "",
            total_rows=fetched.total_rows,
        )
        encoded: bytes = response.SerializeToString() + embedded(pb.FetchPageResponse, "schema", fetched.schema)
        if fetched.page is not None:
            encoded += embedded(pb.FetchPageResponse, "page", page_message(fetched.page))
        return encoded

    async def list_pages(self, request: pb.ListPagesRequest, caller: Caller) -> pb.ListPagesResponse:
        cursor, limit = to_list_pages(request)
        live = await self._looking.find_rows(caller.principal, request.query_id)
        caller.leave_turn()
        listed = await self._listing.list(live, cursor, limit)
        return pb.ListPagesResponse(
            pages=[
                result_pb2.StoredPage(
                    start_row=each.start_row, row_count=each.row_count, bytes=each.bytes, crc32c=each.crc32c
                )
                for each in listed.pages
            ],
            next_page_token=listed.next_cursor.token() if listed.next_cursor else "",
            attempt=listed.attempt,
            total_rows=listed.totals.rows if listed.totals else None,
        )

    def _stream_message(
        self,
        live: LiveQuery,
        item: Started | Changed | Rotated | Finished | Beat,
        format_value: result_pb2.PageFormat,
    ) -> pb.StreamResultsResponse:
        match item:
            case Started(attempt, next_row):
                start = result_pb2.StreamStart(
                    query_id=live.query.query_id, attempt=attempt, format=format_value, next_row=next_row
                )
                return pb.StreamResultsResponse(start=start)
            case Changed():
                return pb.StreamResultsResponse(status=self._statuses.last(live))
            case Rotated():
                return pb.StreamResultsResponse(rotate=_rotate(item))
            case Finished(totals, attempt, _):
                end = convert.result_end(self._statuses.last(live), totals, attempt)
                return pb.StreamResultsResponse(end=end)
            case Beat():
                return pb.StreamResultsResponse(heartbeat=self._statuses.heartbeat(live))


def _rotate(item: Rotated) -> result_pb2.StreamRotate:
    return result_pb2.StreamRotate(next_row=item.next_row, attempt=item.attempt, reason=convert.ROTATIONS[item.reason])
