"""Cuts stored pages into other pages: from any row, of any size, as Arrow or as typed rows.

The slow way of reading, for random access, for a resume inside a page, and for clients without Arrow. It decodes and
encodes, so it runs in a sandbox worker and never in the server.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.page import checksum, page_prefix
from queryengine.codec.rows import encode_rows
from queryengine.domain.errors import Reason, error
from queryengine.results.segment import PageEntry, segment_path, unread

ROWS_PER_TYPED_PAGE: Final = 20_000
"""Typed rows are encoded at most this many at a time, to bound what one request holds."""


@dataclass(frozen=True, slots=True)
class CutPage:
    """A page made on request: the bytes of its Page message around the payload, and the payload."""

    start_row: int
    row_count: int
    crc32c: int
    payload: bytes
    is_arrow: bool

    def message(self) -> bytes:
        """The encoded Page."""
        return self.prefix() + self.payload

    def prefix(self) -> bytes:
        """The bytes of the Page before its payload."""
        return page_prefix(
            start_row=self.start_row,
            row_count=self.row_count,
            crc32c=self.crc32c,
            payload_length=len(self.payload),
            is_arrow=self.is_arrow,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOrder:
    """Which rows to cut, and how. A single row may pass bytes_max."""

    directory: Path
    entries: tuple[PageEntry, ...]
    """The stored pages that hold the rows, in order."""
    start_row: int
    row_limit: int
    bytes_max: int
    as_rows: bool
    one_page: bool
    """Stop after the first page, even if rows are left."""

    def to_json(self) -> dict[str, Any]:
        return {
            "directory": str(self.directory),
            "entries": [entry.to_json() for entry in self.entries],
            "start_row": self.start_row,
            "row_limit": self.row_limit,
            "bytes_max": self.bytes_max,
            "as_rows": self.as_rows,
            "one_page": self.one_page,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CutOrder":
        fields = dict(data)
        fields["directory"] = Path(data["directory"])
        fields["entries"] = tuple(PageEntry(*entry) for entry in data["entries"])
        return cls(**fields)


def cut(order: CutOrder) -> Iterator[CutPage]:
    """The rows asked for as pages, in order. Raises RESULT_LOST when stored pages are missing or damaged."""
    batches = _joined(order) if order.one_page else _stored_batches(order)
    for start_row, batch in batches:
        for page in _encoded(start_row, batch, order):
            yield page
            if order.one_page:
                return


def _joined(order: CutOrder) -> Iterator[tuple[int, pa.RecordBatch]]:
    found = []
    size = 0
    for start_row, batch in _stored_batches(order):
        found.append((start_row, batch))
        size += batch.nbytes
        if size > order.bytes_max:
            break
    if found:
        yield found[0][0], pa.concat_batches([batch for _, batch in found])


def _stored_batches(order: CutOrder) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each stored page's share of the rows asked for, with the number of its first row."""
    end_row = order.start_row + order.row_limit
    for entry in order.entries:
        batch = _decode(order.directory, entry)
        first = max(order.start_row, entry.start_row)
        last = min(end_row, entry.end_row)
        if first < last:
            yield first, batch.slice(first - entry.start_row, last - first)


def _decode(directory: Path, entry: PageEntry) -> pa.RecordBatch:
    try:
        with segment_path(directory, entry.segment).open("rb") as file:
            payload = os.pread(file.fileno(), entry.payload_length, entry.payload_offset)
    except OSError as cause:
        raise unread(cause) from cause
    if len(payload) != entry.payload_length or checksum(payload) != entry.crc32c:
        raise error(Reason.RESULT_LOST, "stored rows are damaged; submit the query again")
    with pa.ipc.open_stream(payload) as stream:
        return stream.read_next_batch()


def _encoded(start_row: int, batch: pa.RecordBatch, order: CutOrder) -> Iterable[CutPage]:
    """The batch as pages of at most bytes_max: halved until the parts fit."""
    if order.as_rows and batch.num_rows > ROWS_PER_TYPED_PAGE:
        yield from _encoded(start_row, batch.slice(0, ROWS_PER_TYPED_PAGE), order)
        yield from _encoded(start_row + ROWS_PER_TYPED_PAGE, batch.slice(ROWS_PER_TYPED_PAGE), order)
        return
    payload = encode_rows(batch) if order.as_rows else _arrow_payload(batch)
    if len(payload) > order.bytes_max and batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from _encoded(start_row, batch.slice(0, half), order)
        yield from _encoded(start_row + half, batch.slice(half), order)
        return
    yield CutPage(start_row, batch.num_rows, checksum(payload), payload, not order.as_rows)


def _arrow_payload(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    payload: bytes = sink.getvalue().to_pybytes()
    return payload
