"""What a reader of results and states is sent, and when: a plain sequence of items, told apart by their class.

A stream is a pure read. It may begin at any row, before the query runs or after it ended, and ends in End, in Rotate,
or by raising the query's failure. Nothing here knows gRPC.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from queryengine.codec.page import event_prefix, page_prefix
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery
from queryengine.reading.cutting import Cutting
from queryengine.reading.indexes import Indexes
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.schemas import Schemas
from queryengine.results.index import PageIndex
from queryengine.results.reader import PageReader
from queryengine.results.segment import PageEntry, ResultTotals
from queryengine.results.slicing import CutOrder, CutPage

PAGES_BETWEEN_STATES: Final = 16
"""Pages sent before the state is looked at again, so that a long replay does not hide a change."""
STATUS_SECONDS: Final = 0.1
"""Least time between two statuses of one state: each page is a new version, and a status costs as much as a page."""


class RotateReason(StrEnum):
    """Why a stream ends on purpose."""

    AGE = "age"
    BYTES = "bytes"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Started:
    attempt: int
    next_row: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The query's state or progress changed; read it from the LiveQuery."""


@dataclass(frozen=True, slots=True)
class Columns:
    described: bytes
    """An encoded ResultSchema, of any size."""
    attempt: int


@dataclass(frozen=True, slots=True)
class PageMessage:
    """An encoded StreamResultsResponse, to be sent as it is."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class Rotated:
    next_row: int
    attempt: int
    reason: RotateReason


@dataclass(frozen=True, slots=True)
class Finished:
    totals: ResultTotals
    attempt: int


Item = Started | Changed | Columns | PageMessage | Beat | Rotated | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """When a stream ends on purpose, and how large its messages are."""

    rotate_seconds: float
    rotate_bytes: int
    message_bytes_max: int
    whole_page_streams: int
    """Up to this many streams at once get whole pages; a stalled reader then costs the server two pages."""
    chunk_bytes: int
    """Size of messages beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """What a reader asked for."""

    start_row: int
    attempt: int
    as_rows: bool
    heartbeat_seconds: float


class _Told:
    """What a reader has been told of a query's status, and when it is to be told more: of another state at once."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._state: QueryState | None = None
        self._due = 0.0

    def is_behind(self, live: LiveQuery) -> bool:
        live.refresh_place()
        return live.version > self._version

    def is_due(self, live: LiveQuery) -> bool:
        return self.is_behind(live) and (live.query.state is not self._state or _now() >= self._due)

    def tell(self, live: LiveQuery) -> Changed:
        self._version, self._state, self._due = live.version, live.query.state, _now() + STATUS_SECONDS
        return Changed()

    def wait_seconds(self, live: LiveQuery) -> float:
        """How long until a version that is there already may be told."""
        return max(0.0, self._due - _now()) if self.is_behind(live) else math.inf


class Streams:
    """Serves all streams of a server, and knows how many there are."""

    def __init__(
        self,
        *,
        cutting: Cutting,
        indexes: Indexes,
        schemas: Schemas,
        disk: Executor,
        limits: StreamLimits,
        open_streams: OpenStreams,
    ) -> None:
        self._cutting = cutting
        self._indexes = indexes
        self._schemas = schemas
        self._disk = disk
        self._limits = limits
        self._open_streams = open_streams
        self._readers: Counter[LiveQuery] = Counter()
        self._draining = False

    @property
    def open(self) -> int:
        return self._readers.total()

    def adopt(self, limits: StreamLimits) -> None:
        """Hold to other limits from now on, also on streams that are open."""
        self._limits = limits

    def drain(self) -> None:
        """Let every stream end in Rotated, at its next page."""
        self._draining = True
        for live in self._readers:
            live.pulse.beat()

    async def watch(self, live: LiveQuery, after_version: int, heartbeat_seconds: float) -> AsyncIterator[Item]:
        """States only: Changed for versions later than one, ending after a final state or in Rotated. Raises
        TENANT_STREAM_LIMIT.
        """
        told = _Told(after_version)
        started = _now()
        with self._joined(live):
            while True:
                if told.is_due(live):
                    yield told.tell(live)
                elif live.is_final:
                    return
                elif (reason := self.rotation(started)) is not None:
                    yield Rotated(0, live.query.attempt, reason)
                    return
                elif not await self._changed(live, told, started, heartbeat_seconds):
                    yield Beat()

    async def read(self, live: LiveQuery, request: ReadRequest) -> AsyncIterator[Item]:
        """The whole story of a result from a row on. Raises the query's failure, RESULT_RESTARTED, ROW_PAST_END,
        TENANT_STREAM_LIMIT, and what makes stored rows unreadable.
        """
        attempt = live.query.attempt
        if request.attempt and attempt and request.attempt != attempt:
            raise restarted(attempt)
        told = _Told(0)
        sent_bytes = 0
        sent_columns = False
        row = request.start_row
        started = _now()
        reader: PageReader | None = None
        async with AsyncExitStack() as leaving:
            leaving.enter_context(self._joined(live))
            await leaving.enter_async_context(self._indexes.reading(live))
            yield Started(attempt, row)
            while True:
                if told.is_due(live):
                    yield told.tell(live)
                index = await self._indexes.of(live)
                if index is not None and index.schema is not None and not sent_columns:
                    if request.attempt and request.attempt != index.attempt:
                        raise restarted(index.attempt)
                    attempt, sent_columns = index.attempt, True
                    yield Columns(await self._schemas.describe(index.schema, attempt), attempt)
                    reader = PageReader(index, self._disk)
                    leaving.callback(reader.close)
                sent_pages = 0
                while reader is not None and index is not None and row < index.rows:
                    if (reason := self.rotation(started, sent_bytes)) is not None:
                        yield Rotated(row, attempt, reason)
                        return
                    number = index.find(row)
                    async for message in self._messages(live, index, reader, number, row, as_rows=request.as_rows):
                        sent_bytes += len(message)
                        yield PageMessage(message)
                    row = index[number].end_row
                    sent_pages += 1
                    if sent_pages >= PAGES_BETWEEN_STATES:
                        break
                if sent_pages or told.is_due(live):
                    continue
                if live.is_final:
                    yield self._ending(live, index, row)
                    return
                if (reason := self.rotation(started, sent_bytes)) is not None:
                    yield Rotated(row, attempt, reason)
                    return
                if not await self._changed(live, told, started, request.heartbeat_seconds):
                    yield Beat()

    def _ending(self, live: LiveQuery, index: PageIndex | None, row: int) -> Finished:
        """The end of a stream whose rows are all sent. Raises what ends it otherwise."""
        if live.query.state is not QueryState.COMPLETED or not self._indexes.holds_rows(live):
            raise self._indexes.unreadable(live)
        if index is None or index.totals is None:
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        if row > index.totals.rows:
            raise past_end(index.totals.rows)
        return Finished(index.totals, index.attempt)

    async def _messages(
        self, live: LiveQuery, index: PageIndex, reader: PageReader, number: int, row: int, *, as_rows: bool
    ) -> AsyncIterator[bytes]:
        """One stored page, from a row on, as messages that fit."""
        entry = index[number]
        while row < entry.end_row and (as_rows or row > entry.start_row):
            # What is cut waits here for the reader, so in a crowd it is as little as a chunk, of large rows, too.
            part_bytes = self._part_bytes()
            row_limit = max(1, entry.row_count * part_bytes // max(1, entry.payload_length))
            order = CutOrder(
                source=index.source,
                entries=(entry,),
                start_row=row,
                row_limit=min(row_limit, entry.end_row - row),
                bytes_max=part_bytes,
                as_rows=as_rows,
            )
            async with self._cutting.page_or_row(live.query.tenant, order) as found:
                if isinstance(found, CutPage):
                    row = found.start_row + found.row_count
                    yield event_prefix(found.prefix(), len(found.payload)) + found.payload
                    continue
                row = found.page.start_row + 1
                chunk, count = 0, found.part_count(part_bytes)
                async for part in found.parts(part_bytes):
                    yield _chunk_message(found.page, part, chunk, count, is_arrow=found.page.is_arrow)
                    chunk += 1
        if row >= entry.end_row:
            return
        part_bytes = self._part_bytes()
        if entry.length <= part_bytes:
            yield await reader.message(number)
            return
        count = -(-entry.payload_length // part_bytes)
        chunk = 0
        async for part in reader.parts(number, part_bytes):
            yield _chunk_message(entry, part, chunk, count)
            chunk += 1

    def _part_bytes(self) -> int:
        """How much of a page is held for a reader at a time."""
        crowded = self._readers.total() > self._limits.whole_page_streams
        return self._limits.chunk_bytes if crowded else self._limits.message_bytes_max

    @contextmanager
    def _joined(self, live: LiveQuery) -> Iterator[None]:
        # Whoever is refused a stream has not gone away.
        live.readers.seen()
        with self._open_streams.one(live.query.tenant), live.readers.present():
            self._readers[live] += 1
            try:
                yield
            finally:
                self._readers[live] -= 1
                if not self._readers[live]:
                    del self._readers[live]

    @property
    def rotate_seconds(self) -> float:
        """How long a stream lasts."""
        return self._limits.rotate_seconds

    def rotation(self, started: float, sent_bytes: int = 0) -> RotateReason | None:
        """Why a stream that began at this time of the loop and has sent so much is to end now; None when it is not."""
        if self._draining:
            return RotateReason.DRAIN
        if sent_bytes >= self._limits.rotate_bytes:
            return RotateReason.BYTES
        if _now() - started >= self._limits.rotate_seconds:
            return RotateReason.AGE
        return None

    async def _changed(self, live: LiveQuery, told: _Told, started: float, heartbeat_seconds: float) -> bool:
        """Wait until there is something to tell, or until the time to rotate; False when it is time for a heartbeat."""
        left = min(started + self._limits.rotate_seconds - _now(), told.wait_seconds(live))
        changed = await live.pulse.wait(min(heartbeat_seconds, max(0.0, left)))
        return changed or left <= heartbeat_seconds


def _chunk_message(page: PageEntry | CutPage, part: bytes, chunk: int, count: int, *, is_arrow: bool = True) -> bytes:
    """One numbered part of a page's payload; the checksum is that of the whole."""
    prefix = page_prefix(
        start_row=page.start_row,
        row_count=page.row_count,
        crc32c=page.crc32c,
        payload_length=len(part),
        is_arrow=is_arrow,
        chunk_index=chunk,
        chunk_count=count,
    )
    return event_prefix(prefix, len(part)) + part


def restarted(attempt: int) -> QueryEngineError:
    message = "the rows read so far belong to an attempt that is gone; read again from row 0"
    return error(Reason.RESULT_RESTARTED, message, attempt=attempt)


def past_end(total_rows: int) -> QueryEngineError:
    message = f"the result has {total_rows} rows; the row asked for is past its end"
    return error(Reason.ROW_PAST_END, message, total_rows=total_rows)


def _now() -> float:
    return asyncio.get_running_loop().time()
