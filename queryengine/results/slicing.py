"""Cuts stored pages into other pages: from any row, of any size, as Arrow or as typed rows.

The slow way of reading, for random access, for a resume inside a page, and for clients without Arrow. It decodes and
encodes, so it runs in a sandbox worker and never in the server. What it hands over fits in a message; a row that does
not is refused, or written to a file, from which the server sends it in parts.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.page import checksum
from queryengine.codec.rows import encode_rows
from queryengine.domain.errors import Reason, error
from queryengine.results.segment import PageEntry
from queryengine.results.source import PageSource, RecordedPages, SpooledPages
from queryengine.results.spool.base import Spool

ROWS_PER_TYPED_PAGE: Final = 20_000
"""Typed rows are encoded at most this many at a time, to bound what one request holds."""
FILE_ROOM_BYTES: Final = 64 << 20
"""Left free on the disk beside a row that is written to a file."""
TYPED_GROWTH: Final = 4
"""Typed rows take up to about so many times the bytes of their Arrow page."""


@dataclass(frozen=True, slots=True)
class CutPage:
    """A page made on request."""

    start_row: int
    row_count: int
    crc32c: int
    payload: bytes
    is_arrow: bool
    in_file_bytes: int = 0
    """Size of a payload that is in the file of the order; `payload` is empty then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOrder:
    """Which rows to cut, and how."""

    source: PageSource
    entries: tuple[PageEntry, ...]
    """The stored pages that hold the rows, in order."""
    start_row: int
    row_limit: int
    bytes_max: int
    as_rows: bool
    file: Path | None = None
    """Where the payload goes when a single row passes bytes_max; an empty file that is there. None refuses the row."""

    @property
    def held_bytes(self) -> int:
        """About what the page takes in memory."""
        rows = max(1, sum(entry.row_count for entry in self.entries))
        stored = sum(entry.payload_length for entry in self.entries) * min(1.0, self.row_limit / rows)
        return min(self.bytes_max, int(TYPED_GROWTH * stored))

    @property
    def blob(self) -> bytes:
        """What goes with `to_json`: pages that are in no spool."""
        return self.source.payload

    def to_json(self) -> dict[str, Any]:
        return {
            "result": self.source.result,
            "entries": [entry.to_json() for entry in self.entries],
            "start_row": self.start_row,
            "row_limit": self.row_limit,
            "bytes_max": self.bytes_max,
            "as_rows": self.as_rows,
            "file": str(self.file) if self.file is not None else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], blob: bytes, spool: Spool) -> "CutOrder":
        fields = dict(data)
        result = fields.pop("result")
        fields["source"] = RecordedPages(result, blob) if blob else SpooledPages(spool, result)
        fields["entries"] = tuple(PageEntry(*entry) for entry in data["entries"])
        fields["file"] = Path(data["file"]) if data["file"] is not None else None
        return cls(**fields)


def cut(order: CutOrder) -> CutPage:
    """As many of the rows asked for as fit in one page, from the first on. Raises RESULT_LOST when stored pages are
    missing or damaged, ROW_TOO_LARGE for a first row that does not fit, and STORE_UNAVAILABLE when the disk has no room
    for it.
    """
    start_row, batch = _joined(order)
    rows = min(batch.num_rows, ROWS_PER_TYPED_PAGE) if order.as_rows else batch.num_rows
    while True:
        part = batch.slice(0, rows)
        payload = encode_rows(part) if order.as_rows else _arrow_payload(part)
        if len(payload) <= order.bytes_max:
            return CutPage(start_row, rows, checksum(payload), payload, not order.as_rows)
        if rows == 1:
            break
        rows = max(1, min(rows // 2, rows * order.bytes_max // len(payload)))
    if order.file is None:
        message = "this row does not fit in one message; read it with StreamResults"
        raise error(Reason.ROW_TOO_LARGE, message, limit=order.bytes_max)
    _write(order.file, payload)
    return CutPage(start_row, 1, checksum(payload), b"", not order.as_rows, len(payload))


def _write(path: Path, payload: bytes) -> None:
    try:
        # Without O_CREAT: when the reader has left, the file is gone, and nothing stays behind.
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            stats = os.fstatvfs(descriptor)
            if stats.f_bavail * stats.f_frsize < len(payload) + FILE_ROOM_BYTES:
                raise error(Reason.STORE_UNAVAILABLE, "no room on the disk to decode this row; read it as Arrow")
            left = memoryview(payload)
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except OSError as cause:
        message = f"this row cannot be decoded now: {cause.strerror}; try again, or read it as Arrow"
        raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=1.0) from cause


def _joined(order: CutOrder) -> tuple[int, pa.RecordBatch]:
    found = []
    size = 0
    for start_row, batch in _stored_batches(order):
        found.append((start_row, batch))
        size += batch.nbytes
        if size > order.bytes_max:
            break
    return found[0][0], pa.concat_batches([batch for _, batch in found])


def _stored_batches(order: CutOrder) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each stored page's share of the rows asked for, with the number of its first row."""
    end_row = order.start_row + order.row_limit
    for entry in order.entries:
        batch = _decode(order.source, entry)
        first = max(order.start_row, entry.start_row)
        last = min(end_row, entry.end_row)
        if first < last:
            yield first, batch.slice(first - entry.start_row, last - first)


def _decode(source: PageSource, entry: PageEntry) -> pa.RecordBatch:
    segment = source.open(entry.segment)
    try:
        payload = segment.read(entry.payload_offset, entry.payload_length)
    finally:
        segment.close()
    if len(payload) != entry.payload_length or checksum(payload) != entry.crc32c:
        raise error(Reason.RESULT_LOST, "stored rows are damaged; submit the query again")
    with pa.ipc.open_stream(payload) as stream:
        return stream.read_next_batch()


def _arrow_payload(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    payload: bytes = sink.getvalue().to_pybytes()
    return payload
