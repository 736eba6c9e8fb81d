"""Lists the stored pages of a result, so that a client can plan reads of its own, such as several at once.

A range of rows that begins and ends where pages do is read as it is stored, without a sandbox worker.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.live.query import LiveQuery
from queryengine.reading.indexes import Indexes
from queryengine.reading.place import restarted
from queryengine.results.segment import ResultTotals

PAGES_MAX: Final = 10_000
"""Pages in one answer."""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """One stored page."""

    start_row: int
    row_count: int
    bytes: int
    """Of the payload, as it is stored."""
    crc32c: int


@dataclass(frozen=True, slots=True)
class ListCursor:
    """Where a listing goes on; travels as an opaque token that authorises nothing."""

    attempt: int
    number: int
    """Of the first page to list."""

    def token(self) -> str:
        return base64.urlsafe_b64encode(f"{self.attempt}:{self.number}".encode()).decode()

    @classmethod
    def of_token(cls, token: str) -> "ListCursor":
        """The beginning, for an empty token. Raises INVALID_FIELD for a token that no answer held."""
        if not token:
            return cls(0, 0)
        try:
            attempt, number = base64.urlsafe_b64decode(token.encode()).decode().split(":")
            cursor = cls(int(attempt), int(number))
        except (ValueError, binascii.Error, UnicodeError) as cause:
            message = "page_token is not a token of an earlier answer"
            raise error(Reason.INVALID_FIELD, message, field="page_token") from cause
        if cursor.attempt < 1 or cursor.number < 0:
            raise _out_of_range()
        return cursor


@dataclass(frozen=True, slots=True)
class Listed:
    """Some stored pages, in the order of their rows and without gaps."""

    attempt: int
    pages: list[ListedPage]
    next_cursor: ListCursor | None
    """None at the end of a complete result. While the query runs, it lists what is stored later."""
    totals: ResultTotals | None
    """None while the query runs."""


class PageListing:
    """Lists pages from the index; reads none."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes

    async def list(self, live: LiveQuery, cursor: ListCursor, limit: int) -> Listed:
        """Up to `limit` pages, at most PAGES_MAX, from the cursor on. Raises RESULT_NOT_READY before the run has
        columns, RESULT_RESTARTED for a cursor of another attempt, INVALID_FIELD for one behind the last page, and what
        makes rows unreadable.
        """
        async with self._indexes.reading(live):
            index = await self._indexes.of(live)
            if index is None:
                raise self._indexes.unreadable(live)
            if live.is_final and index.totals is None:
                raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
            if index.schema is None:
                raise _not_ready()
        if cursor.attempt and cursor.attempt != index.attempt:
            raise restarted(index.attempt)
        count = len(index)
        may_grow = index.totals is None
        if cursor.number > count:
            raise _out_of_range()
        end = min(count, cursor.number + max(1, min(limit, PAGES_MAX)))
        entries = [index[number] for number in range(cursor.number, end)]
        return Listed(
            attempt=index.attempt,
            pages=[ListedPage(each.start_row, each.row_count, each.payload_length, each.crc32c) for each in entries],
            next_cursor=ListCursor(index.attempt, end) if end < count or may_grow else None,
            totals=index.totals,
        )


def _out_of_range() -> QueryEngineError:
    return error(Reason.INVALID_FIELD, "page_token is out of range", field="page_token")


def _not_ready() -> QueryEngineError:
    return error(Reason.RESULT_NOT_READY, "no page is stored yet; list again", retry_after_seconds=1.0)
