"""The page index of one attempt in the server: which page holds a row. Grows while the query runs."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from queryengine.results.segment import HEADER_BYTES, PageEntry, ResultTotals, StoredResult, end_body
from queryengine.results.source import PageSource
from queryengine.results.spool.keys import segment_key

PAGE_HELD_BYTES: Final = 400
"""What a page takes in an index: its entry with seven numbers, and its start row."""


class PageIndex:
    """The published pages of one attempt, in row order and without gaps."""

    def __init__(self, source: PageSource, attempt: int) -> None:
        self.source = source
        self.attempt = attempt
        self.schema: bytes | None = None
        """Arrow IPC schema message; None until the engine has reported it."""
        self.totals: ResultTotals | None = None
        """Set when the END marker is durable."""
        self.bytes = 0
        self._pages: list[PageEntry] = []
        self._starts: list[int] = []
        self.verified: set[int] = set()
        """Pages whose checksum was compared once, so that one which is sent in parts need not be read twice again."""
        self._place_bytes = HEADER_BYTES + len(segment_key(source.result, 0).encode())

    @classmethod
    def of_stored(cls, source: PageSource, attempt: int, stored: StoredResult) -> "PageIndex":
        """The index of a result that is stored already."""
        index = cls(source, attempt)
        index.schema = stored.schema
        index.extend(stored.pages)
        index.totals = stored.totals
        return index

    def fill(self, small: "PageIndex") -> None:
        """Show, as the index of a run that nobody has seen a row of, its result, which is whole and was stored
        elsewhere. Whoever reads here goes on reading.
        """
        self.source = small.source
        self.schema = small.schema
        self.extend(small[number] for number in range(len(small)))
        self.totals = small.totals

    @property
    def rows(self) -> int:
        return self._pages[-1].end_row if self._pages else 0

    @property
    def stored_bytes(self) -> int:
        """What the result takes in the spool or in the record, as far as it is known here."""
        if self.source.payload:
            return len(self.source.payload)
        records = len(self._pages) + (self.schema is not None) + (self.totals is not None)
        segments = self._pages[-1].segment + 1 if self._pages else 1
        end = len(end_body(self.totals)) if self.totals is not None else 0
        places = segments * self._place_bytes
        return self.bytes + len(self.schema or b"") + end + records * HEADER_BYTES + places

    @property
    def held_bytes(self) -> int:
        """About what the index takes in memory, with the pages where the record of the query holds them."""
        return len(self.schema or b"") + PAGE_HELD_BYTES * len(self._pages) + len(self.source.payload)

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, number: int) -> PageEntry:
        return self._pages[number]

    def append(self, entry: PageEntry) -> None:
        self._pages.append(entry)
        self._starts.append(entry.start_row)
        self.bytes += entry.length

    def extend(self, entries: Iterable[PageEntry]) -> None:
        for entry in entries:
            self.append(entry)

    def find(self, row: int) -> int:
        """Number of the page that holds a row; the number of pages when the row is not published yet."""
        if row >= self.rows:
            return len(self._pages)
        return bisect_right(self._starts, row) - 1
