"""The segment: an append-only log of records, each complete in itself and checked.

A record is a fixed header and a body. A result is the segments `00000.seg`, `00001.seg`, … of one attempt. Each opens
with a PLACE record, which names the tenant, query, attempt and segment it was written for, so that a file which lies in
another one's place is not read. Then follow one SCHEMA record, PAGE records in row order, and one END record. The body
of a PAGE record is a StreamResultsResponse as it goes out on the wire, so a page is served by reading bytes. The
headers are the page index: a reader that comes after a restart walks them. A torn tail has no valid header or too few
bytes, and ends the walk.

Format 1 had no PLACE record. Results written in it stay readable; a result is of one format.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import google_crc32c

from queryengine.codec.page import event_prefix, page_prefix
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.query import Truncation
from queryengine.results.source import PageSource
from queryengine.results.spool.base import SegmentReader
from queryengine.results.spool.keys import segment_key

MAGIC: Final = b"QES2"
MAGIC_1: Final = b"QES1"
"""Of the format before segments named their place."""
_HEADER: Final = struct.Struct("<4sBxHIQIII")
HEADER_BYTES: Final = _HEADER.size
END_BYTES_MAX: Final = 1024
"""More than an END record takes."""


class RecordKind(IntEnum):
    """What a record holds."""

    SCHEMA = 1
    """An Arrow IPC schema message."""
    PAGE = 2
    END = 3
    """ResultTotals as JSON."""
    PLACE = 4
    """Where the segment belongs: its path from the tenant's folder on, as text."""


@dataclass(frozen=True, slots=True)
class PageEntry:
    """Where one page lies: file, position and size of its message, and of the payload within it."""

    segment: int
    offset: int
    length: int
    prefix_length: int
    """Bytes of the message before the payload."""
    start_row: int
    row_count: int
    crc32c: int

    @property
    def end_row(self) -> int:
        return self.start_row + self.row_count

    @property
    def payload_offset(self) -> int:
        return self.offset + self.prefix_length

    @property
    def payload_length(self) -> int:
        return self.length - self.prefix_length

    def prefix(self) -> bytes:
        """What the bytes of the message before the payload have to be."""
        inner = page_prefix(
            start_row=self.start_row,
            row_count=self.row_count,
            crc32c=self.crc32c,
            payload_length=self.payload_length,
        )
        return event_prefix(inner, self.payload_length)

    def to_json(self) -> list[int]:
        return [
            self.segment,
            self.offset,
            self.length,
            self.prefix_length,
            self.start_row,
            self.row_count,
            self.crc32c,
        ]


@dataclass(frozen=True, slots=True)
class ResultTotals:
    """The END marker: what a whole result adds up to."""

    rows: int
    pages: int
    bytes: int
    truncation: Truncation | None = None
    rows_scanned: int | None = None
    bytes_scanned: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "pages": self.pages,
            "bytes": self.bytes,
            "truncation": self.truncation,
            "rows_scanned": self.rows_scanned,
            "bytes_scanned": self.bytes_scanned,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ResultTotals":
        truncation = data["truncation"]
        return cls(
            rows=data["rows"],
            pages=data["pages"],
            bytes=data["bytes"],
            truncation=Truncation(truncation) if truncation else None,
            rows_scanned=data["rows_scanned"],
            bytes_scanned=data["bytes_scanned"],
        )


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What the segments of one attempt hold; `totals` is None when there is no END marker."""

    schema: bytes | None
    pages: tuple[PageEntry, ...]
    totals: ResultTotals | None


def record_header(
    kind: RecordKind,
    length: int,
    *,
    prefix_length: int = 0,
    start_row: int = 0,
    row_count: int = 0,
    crc32c: int = 0,
) -> bytes:
    """The header of a record whose body has this many bytes; `crc32c` is that of a page's payload or of a whole
    body.
    """
    packed = _HEADER.pack(MAGIC, kind, prefix_length, row_count, start_row, length, crc32c, 0)[:-4]
    return packed + struct.pack("<I", google_crc32c.value(packed))


def end_body(totals: ResultTotals) -> bytes:
    """The body of an END record."""
    return json.dumps(totals.to_json()).encode()


def place_record(key: str) -> bytes:
    """The first record of the segment of this key."""
    body = key.encode()
    return record_header(RecordKind.PLACE, len(body), crc32c=google_crc32c.value(body)) + body


def load(source: PageSource) -> StoredResult:
    """Walk the headers of a result's segments. Reads no page. Segments that are missing, or were written for another
    place, end the walk: without any, the result is empty. Raises STORE_UNAVAILABLE.
    """
    schema: bytes | None = None
    totals: ResultTotals | None = None
    pages: list[PageEntry] = []
    next_row = 0
    for kind, entry, body in _records(source):
        if kind is RecordKind.SCHEMA:
            schema = body
        elif kind is RecordKind.END:
            totals = ResultTotals.from_json(json.loads(body))
        elif entry.start_row == next_row:
            pages.append(entry)
            next_row = entry.end_row
        else:
            break
    if schema is None or (totals is not None and (totals.rows != next_row or totals.pages != len(pages))):
        totals = None
    return StoredResult(schema, tuple(pages), totals)


def ends(segment: SegmentReader) -> bool:
    """Whether the last bytes of a segment hold an END record, whatever came before."""
    tail = segment.read(max(0, segment.size() - END_BYTES_MAX), END_BYTES_MAX)
    return any(magic + bytes([RecordKind.END]) in tail for magic in (MAGIC, MAGIC_1))


def _records(source: PageSource) -> Iterator[tuple[RecordKind, PageEntry, bytes]]:
    """Every record up to the END, but those of the places, which are compared."""
    number = 0
    magic = b""
    while (segment := _opened(source, number)) is not None:
        try:
            size = segment.size()
            magic = magic or segment.read(0, len(MAGIC))
            offset = 0
            if magic == MAGIC:
                place = place_record(segment_key(source.result, number))
                if segment.read(0, len(place)) != place:
                    return
                offset = len(place)
            elif magic != MAGIC_1:
                return
            while offset + HEADER_BYTES <= size:
                header = segment.read(offset, HEADER_BYTES)
                found, kind, prefix_length, row_count, start_row, length, crc32c, check = _HEADER.unpack(header)
                body_offset = offset + HEADER_BYTES
                if found != magic or google_crc32c.value(header[:-4]) != check or body_offset + length > size:
                    return
                entry = PageEntry(number, body_offset, length, prefix_length, start_row, row_count, crc32c)
                body = b"" if kind == RecordKind.PAGE else segment.read(body_offset, length)
                if body and google_crc32c.value(body) != crc32c:
                    return
                yield RecordKind(kind), entry, body
                if kind == RecordKind.END:
                    return
                offset = body_offset + length
        finally:
            segment.close()
        number += 1


def _opened(source: PageSource, number: int) -> SegmentReader | None:
    """A segment that is there; None behind the last one."""
    segment = None
    try:
        segment = source.open(number)
        segment.size()
    except QueryEngineError as cause:
        if segment is not None:
            segment.close()
        if cause.failure.reason is Reason.RESULT_LOST:
            return None
        raise
    return segment
