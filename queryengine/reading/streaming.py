"""What a reader of results and states is sent, and when.

A stream is a pure read. It may begin at any row, before the query runs or after it ended, and ends in Finished, in
Rotated, or by raising the query's failure. Nothing here knows gRPC. Each turn of a stream does the first of these that
applies:

| there is | it sends | and goes on |
| --- | --- | --- |
| a reader whose credential has ended; looked at before each page, too | a failure that has the next row | no further |
| a status that is due | Changed | |
| an attempt whose columns were not sent | Columns; RESULT_RESTARTED if rows of another one were | |
| a page with rows that are wanted | its items, up to 16 pages a turn | with the next turn |
| an age, a number of bytes or a drain that ends streams; looked at before each page, too | Rotated | no further |
| an ended query | Finished, or what became of it as a failure | no further |
| nothing new for the heartbeat interval | Beat | with the next turn |

A range of rows ends as the whole result does: its last row may be sent long before, but only a query that completed
ends in Finished.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from queryengine.domain.identity import Principal
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery
from queryengine.reading.cutting import Cutting
from queryengine.reading.indexes import Indexes
from queryengine.reading.items import (
    Beat,
    Changed,
    Columns,
    Finished,
    Item,
    ReadRequest,
    Rotated,
    RotateReason,
    Started,
)
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.pace import StatusPace
from queryengine.reading.paging import Paging
from queryengine.reading.place import Place, StillValid
from queryengine.reading.schemas import Schemas
from queryengine.results.index import PageIndex

PAGES_BETWEEN_STATES: Final = 16
"""Pages sent before the state is looked at again, so that a long replay does not hide a change."""


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
        self._paging = Paging(cutting, self._part_bytes)
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

    async def watch(
        self,
        live: LiveQuery,
        after_version: int,
        heartbeat_seconds: float,
        *,
        still_valid: StillValid,
        reader: Principal | None = None,
    ) -> AsyncIterator[Item]:
        """States only: Changed for versions later than one, ending after a final state or in Rotated. Raises
        TENANT_STREAM_LIMIT, and what `still_valid` raises.
        """
        pace = StatusPace(after_version)
        started = _now()
        with self._joined(live, reader):
            while True:
                still_valid()
                if pace.is_due(live):
                    pace.sent(live)
                    yield Changed()
                elif live.is_final:
                    return
                elif (reason := self.rotation(started)) is not None:
                    yield Rotated(0, live.query.attempt, reason)
                    return
                elif not await self._changed(live, pace, started, heartbeat_seconds):
                    yield Beat()

    async def read(
        self, live: LiveQuery, request: ReadRequest, *, still_valid: StillValid, reader: Principal | None = None
    ) -> AsyncIterator[Item]:
        """The whole story of a result from a row on. Raises the query's failure, RESULT_RESTARTED, ROW_PAST_END,
        TENANT_STREAM_LIMIT, what makes stored rows unreadable, and what `still_valid` raises, with the row to go on at.
        """
        place = Place(request, live.query.attempt, self._disk)
        pace = StatusPace(0)
        started = _now()
        async with AsyncExitStack() as leaving:
            leaving.callback(place.close)
            leaving.enter_context(self._joined(live, reader))
            await leaving.enter_async_context(self._indexes.reading(live))
            yield Started(place.attempt, place.row)
            while True:
                place.check(still_valid)
                if pace.is_due(live):
                    pace.sent(live)
                    yield Changed()
                index = await self._indexes.of(live)
                if place.needs_columns(index) and index is not None:
                    yield await self._columns(index)
                sent_pages = 0
                while index is not None and place.has_rows(index) and sent_pages < PAGES_BETWEEN_STATES:
                    place.check(still_valid)
                    if (reason := self.rotation(started, place.sent_bytes)) is not None:
                        yield place.rotated(reason)
                        return
                    async for item in self._paging.items(live.query.tenant, index, place, as_rows=request.as_rows):
                        place.count(item)
                        yield item
                    place.pass_page(index)
                    sent_pages += 1
                if sent_pages or pace.is_due(live):
                    continue
                if live.is_final:
                    yield self._ending(live, index, place)
                    return
                if (reason := self.rotation(started, place.sent_bytes)) is not None:
                    yield place.rotated(reason)
                    return
                if not await self._changed(live, pace, started, request.heartbeat_seconds):
                    yield Beat()

    async def _columns(self, index: PageIndex) -> Columns:
        schema = index.schema or b""
        return Columns(schema, await self._schemas.describe(schema, index.attempt), index.attempt)

    def _ending(self, live: LiveQuery, index: PageIndex | None, place: Place) -> Finished:
        """The end of a stream whose rows are all sent. Raises what ends it otherwise."""
        if live.query.state is not QueryState.COMPLETED or not self._indexes.holds_rows(live):
            raise self._indexes.unreadable(live)
        return place.finished(index)

    def _part_bytes(self) -> int:
        """How much of a page is held for a reader at a time."""
        crowded = self._readers.total() > self._limits.whole_page_streams
        return self._limits.chunk_bytes if crowded else self._limits.message_bytes_max

    @contextmanager
    def _joined(self, live: LiveQuery, reader: Principal | None) -> Iterator[None]:
        # Whoever is refused a stream has not gone away.
        live.readers.seen()
        with self._open_streams.one(live.query.tenant, reader), live.readers.present():
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

    async def _changed(self, live: LiveQuery, pace: StatusPace, started: float, heartbeat_seconds: float) -> bool:
        """Wait until there is something to send, or until the time to rotate; False when it is time for a heartbeat."""
        left = min(started + self._limits.rotate_seconds - _now(), pace.wait_seconds(live))
        changed = await live.pulse.wait(min(heartbeat_seconds, max(0.0, left)))
        return changed or left <= heartbeat_seconds


def _now() -> float:
    return asyncio.get_running_loop().time()
