"""Random access to stored rows: by row, by page number, by cursor; and the first rows in the reply to a Submit."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.live.query import LiveQuery
from queryengine.reading.cursor import Cursor
from queryengine.reading.cutting import Cutting
from queryengine.reading.indexes import Indexes
from queryengine.reading.place import past_end, restarted
from queryengine.reading.schemas import Schemas
from queryengine.results.index import PageIndex
from queryengine.results.reader import PageReader, StoredPage
from queryengine.results.segment import ResultTotals
from queryengine.results.slicing import CutOrder, CutPage

FRAME_BYTES: Final = 64
"""More than an edge adds to the payload of a page."""
STATUSES_BYTES: Final = 128 << 10
"""Room in the reply to a Submit for its two statuses."""


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """Some rows; `page` is None when there are none."""

    page: CutPage | None
    schema: bytes
    """An encoded ResultSchema."""
    next_cursor: Cursor | None
    previous_cursor: Cursor | None
    total_rows: int | None


@dataclass(frozen=True, slots=True)
class InlineRows:
    """The first rows of a completed result."""

    schema: bytes
    """An encoded ResultSchema."""
    attempt: int
    pages: list[StoredPage | CutPage]
    next_row: int
    totals: ResultTotals

    @property
    def is_all(self) -> bool:
        return self.next_row >= self.totals.rows


class Fetching:
    """Reads stored rows outside streams."""

    def __init__(
        self,
        *,
        cutting: Cutting,
        indexes: Indexes,
        schemas: Schemas,
        disk: Executor,
        message_bytes_max: int,
        inline_rows: int,
        inline_bytes: int,
    ) -> None:
        self._cutting = cutting
        self._disk = disk
        self._message_bytes_max = message_bytes_max
        self._inline_rows = inline_rows
        self._inline_bytes = inline_bytes
        self._indexes = indexes
        self._schemas = schemas

    async def fetch(self, live: LiveQuery, cursor: Cursor, *, as_rows: bool) -> FetchedPage:
        """Rows from the cursor on: as many as asked for, stored so far, and fitting one message with their columns.

        Raises RESULT_NOT_READY, ROW_PAST_END, RESULT_RESTARTED, ROW_TOO_LARGE, REPLY_TOO_LARGE when the columns leave
        no room for rows, and what makes rows unreadable.
        """
        async with self._indexes.reading(live):
            return await self._fetch(live, cursor, as_rows=as_rows)

    async def _fetch(self, live: LiveQuery, cursor: Cursor, *, as_rows: bool) -> FetchedPage:
        index = await self._readable_index(live)
        if cursor.attempt and cursor.attempt != index.attempt:
            raise restarted(index.attempt)
        total_rows = index.totals.rows if index.totals is not None else None
        if live.is_final and (index.schema is None or (total_rows is None and cursor.offset >= index.rows)):
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        if index.schema is None:
            raise _not_ready(0)
        tenant = live.query.tenant
        schema = await self._schemas.describe(index.schema, index.attempt)
        room = self._message_bytes_max - len(schema)
        if room <= 0:
            raise _too_wide(len(schema), self._message_bytes_max)
        start, size = cursor.offset, cursor.size
        page: CutPage | None = None
        if start < index.rows:
            until = min(cursor.end, index.rows)
            limit = min(size, until - start) if until else size
            page = await self._one_page(tenant, index, start, limit, room, as_rows=as_rows)
            while start + page.row_count < until:
                # So many fit in a message: the last ones are asked for.
                start, limit = until - page.row_count, page.row_count
                page = await self._one_page(tenant, index, start, limit, room, as_rows=as_rows)
        elif total_rows is None:
            raise _not_ready(index.rows)
        elif start > 0:
            raise past_end(total_rows)
        end = start + (page.row_count if page is not None else 0)
        more = total_rows is None or end < total_rows
        return FetchedPage(
            page=page,
            schema=schema,
            next_cursor=Cursor(index.attempt, end, size) if more else None,
            previous_cursor=Cursor.before(index.attempt, start, size) if start > 0 else None,
            total_rows=total_rows,
        )

    async def inline(self, live: LiveQuery, *, as_rows: bool) -> InlineRows | None:
        """The first rows of a completed query; None when they cannot be read, or when no message holds its columns."""
        try:
            async with self._indexes.reading(live):
                return await self._inline(live, as_rows=as_rows)
        except QueryEngineError:
            return None

    async def _inline(self, live: LiveQuery, *, as_rows: bool) -> InlineRows | None:
        index = await self._readable_index(live)
        if index.schema is None or index.totals is None:
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        pages: list[StoredPage | CutPage] = []
        row = 0
        schema = await self._schemas.describe(index.schema, index.attempt)
        room = self._message_bytes_max - len(schema) - STATUSES_BYTES
        if room < 0:
            return None
        left = min(self._inline_bytes, room)
        reader = PageReader(index, self._disk)
        try:
            while row < min(index.rows, self._inline_rows):
                entry = index[index.find(row)]
                whole = not as_rows and row == entry.start_row and entry.end_row <= self._inline_rows
                if whole and entry.length <= left:
                    pages.append(await reader.page(index.find(row)))
                    row = entry.end_row
                    left -= entry.length
                    continue
                if whole and pages:
                    break
                limit = min(entry.end_row, self._inline_rows) - row
                try:
                    page = await self._one_page(
                        live.query.tenant, index, row, limit, max(left - FRAME_BYTES, 1), as_rows=as_rows
                    )
                except QueryEngineError as cause:
                    if cause.failure.reason is Reason.ROW_TOO_LARGE:
                        break
                    raise
                if len(page.payload) + FRAME_BYTES > left:
                    break
                pages.append(page)
                row += page.row_count
                left -= len(page.payload) + FRAME_BYTES
        finally:
            reader.close()
        return InlineRows(schema, index.attempt, pages, row, index.totals)

    async def _readable_index(self, live: LiveQuery) -> PageIndex:
        index = await self._indexes.of(live)
        if index is None:
            raise self._indexes.unreadable(live)
        return index

    async def _one_page(
        self, tenant: str, index: PageIndex, row: int, row_limit: int, bytes_max: int, *, as_rows: bool
    ) -> CutPage:
        first = index.find(row)
        last = index.find(min(row + row_limit, index.rows) - 1)
        order = CutOrder(
            source=index.source,
            entries=tuple(index[number] for number in range(first, last + 1)),
            start_row=row,
            row_limit=row_limit,
            bytes_max=bytes_max,
            as_rows=as_rows,
        )
        async with self._cutting.page(tenant, order) as page:
            return page


def _too_wide(schema_bytes: int, limit: int) -> QueryEngineError:
    message = "the columns of this result leave no room for rows in one message; read it with StreamResults"
    return error(Reason.REPLY_TOO_LARGE, message, bytes=schema_bytes, limit=limit)


def _not_ready(rows: int) -> QueryEngineError:
    message = f"{rows} rows are stored so far; wait for more with WatchStatus or StreamResults, or ask again"
    return error(Reason.RESULT_NOT_READY, message, retry_after_seconds=1.0)
