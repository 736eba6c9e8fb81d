"""Batches in, stored pages out: cuts, encodes once and appends. Lives in a worker process.

A result begins in memory. One that ends there, small and before anybody had to see rows of it, never touches the spool:
it is handed over as the bytes that its segment would have, for the record of its query. As soon as it grows beyond
`record_bytes`, or rows must be shown, what there is goes to the spool, and the rest after it.

A page is written from the memory its columns are in, with its headers in one call, because fresh memory and copies cost
more than the encoding itself. Pages aim at a size in bytes; small batches are gathered until that size or until a
reader has waited long enough, which the caller decides by calling `show`.
"""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import google_crc32c
import pyarrow as pa

from queryengine.codec.page import event_prefix, page_prefix
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.query import Truncation
from queryengine.domain.submission import Compression, LimitAction
from queryengine.results.segment import (
    PageEntry,
    RecordKind,
    ResultTotals,
    end_body,
    place_record,
    record_header,
)
from queryengine.results.spool.base import SegmentWriter, Spool
from queryengine.results.spool.keys import segment_key

ROW_BYTES_MAX: Final = 256 << 20
"""Largest row, before compression and after; a larger one fails the query. Whoever reads it holds it uncompressed."""

FIRST_PAGE_BYTES: Final = 64 << 10
"""Target of the very first page, so that a reader sees rows early."""

FIRST_SCHEMA_SHARE: Final = 2
SCHEMA_SHARE: Final = 6
"""A page holds its schema, too, and some headers of each column. Of many columns that is megabytes, to be encoded, sent
and decoded with every page, so the rows of the first page, and of those after it, are at least so many times as large.
"""

OVER_TARGET: Final = 1.1
"""How far a page may be over its target rather than leave a small rest."""

COLUMNS_IN_PLACE: Final = 256
"""Of more columns the pieces are many and small, and to copy them costs less than to handle each."""

COMPRESSED_BYTES: Final = 1 << 10
"""Of a column in a page. To compress less takes ten times as long as to copy it, here and again in the client, and
saves little.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLimits:
    """Bounds on one result and the sizes of its parts."""

    page_bytes: int
    page_bytes_max: int
    segment_bytes: int
    compression: Compression
    row_limit: int
    byte_limit: int
    on_limit: LimitAction
    bytes_max: int
    """The service's own bound; reaching it always fails the query."""
    record_bytes: int
    """A result of at most so many bytes, with all its headers, may stay out of the spool; 0 keeps none out."""
    sync_segments: bool
    """Whether every segment is on disk before the END marker, or the last one alone, with the marker."""


class ResultWriter:
    """Appends the pages of one result to its segments.

    `published` is called with each page as soon as it can be read, which is never for a result that ends in memory.
    Everything raises QueryEngineError: SPOOL_FULL when the disk is full, STORE_UNAVAILABLE when it does not take
    writes, RESULT_LIMIT and ROW_TOO_LARGE by the limits. After an error the writer is only good for closing.
    """

    def __init__(
        self,
        spool: Spool,
        result: str,
        schema: pa.Schema,
        limits: ResultLimits,
        published: Callable[[PageEntry], None],
    ) -> None:
        """`result` is the key of the result, and new to the spool or left there by a run that nobody heard of."""
        self._spool = spool
        self._result = result
        self._schema = schema
        self._limits = limits
        self._published = published
        codec = None if limits.compression is Compression.NONE else limits.compression.value
        self._options = pa.ipc.IpcWriteOptions(compression=codec)
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._rows = 0
        self._pages = 0
        self._bytes = 0
        self.truncation: Truncation | None = None
        self._number = 0
        self._segment: SegmentWriter | None = None
        self._held: list[memoryview] | None = []
        """The only segment while the result is in memory."""
        self._unpublished: list[PageEntry] = []
        self._offset = 0
        self._opening = place_record(segment_key(result, 0))
        """What a segment begins with, until its first record is written."""
        # With sync_segments, finished ones are synced beside the encoding, so that the END marker does not wait for all
        # of them at once.
        self._syncer: ThreadPoolExecutor | None = None
        self._syncs: list[tuple[Future[None], SegmentWriter]] = []
        self.encoded_schema = body = schema.serialize().to_pybytes()
        """An Arrow IPC schema message."""
        try:
            self._append(record_header(RecordKind.SCHEMA, len(body), crc32c=google_crc32c.value(body)), [body])
        except QueryEngineError:
            self.close()
            raise

    @property
    def is_full(self) -> bool:
        """True once a limit cut the result: no more rows are wanted."""
        return self.truncation is not None

    @property
    def has_unseen(self) -> bool:
        """Whether there are rows that nobody can read yet."""
        return self._pending_rows > 0 or bool(self._unpublished)

    @property
    def has_shown(self) -> bool:
        """Whether there are rows that can be read."""
        return self._pages > len(self._unpublished)

    @property
    def payload(self) -> bytes | None:
        """After `finish`, the whole result as the bytes of a segment, when it is not in the spool."""
        return b"".join(self._held) if self._held is not None else None

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows. They are stored when they fill a page, or by `show` or `finish`."""
        batch = self._within_row_limit(batch)
        batch_bytes = left_bytes = batch.nbytes
        while batch.num_rows and not self.is_full:
            most = OVER_TARGET * self._target_bytes()
            # Even shares: a small rest would have to be copied together with the rows that come next.
            shares = math.ceil((self._pending_bytes + left_bytes) / most)
            share_bytes = (self._pending_bytes + left_bytes) / max(1, shares)
            room = math.ceil((share_bytes - self._pending_bytes) * batch.num_rows / max(1, left_bytes))
            piece = batch if shares <= 1 else batch.slice(0, max(1, room))
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            piece_bytes = left_bytes * piece.num_rows // batch.num_rows
            self._pending_bytes += piece_bytes
            batch = batch.slice(piece.num_rows)
            # The rest is measured anew, as rows differ in size. Of many columns that takes longer than to encode them.
            is_wide = batch.num_columns > COLUMNS_IN_PLACE
            left_bytes = left_bytes - piece_bytes if is_wide else batch.nbytes
            if batch.num_rows or self._pending_bytes + batch_bytes > most:
                self._flush()

    def show(self) -> None:
        """Store the rows gathered so far as a page, and let all there are be read; nothing to do without any."""
        self._flush()
        if self._unpublished:
            self._spill()

    def _flush(self) -> None:
        if not self._pending:
            return
        pending = self._pending[0] if len(self._pending) == 1 else pa.concat_batches(self._pending)
        pending_bytes = self._pending_bytes
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        self._store(pending, pending_bytes)

    def finish(self, *, rows_scanned: int | None, bytes_scanned: int | None) -> ResultTotals:
        """Store what is left and the END marker, on disk when it returns unless there is a `payload`. The result is
        immutable from then on.

        Earlier segments are on disk too with `sync_segments`. Without it the system writes them when it sees fit, and
        one that a power failure takes shows as a gap before the marker, or by a checksum.
        """
        self._flush()
        totals = ResultTotals(self._rows, self._pages, self._bytes, self.truncation, rows_scanned, bytes_scanned)
        body = end_body(totals)
        for sync, _ in self._syncs:
            sync.result()
        self._append(record_header(RecordKind.END, len(body), crc32c=google_crc32c.value(body)), [body])
        if self._held is None:
            self._open_segment().finish(sync=True)
        return totals

    def close(self) -> None:
        """Release files and threads; without `finish` before it there is no END marker. Idempotent."""
        left = [segment for sync, segment in self._syncs if sync.cancel()]
        if self._syncer is not None:
            self._syncer.shutdown(wait=True)
        if self._segment is not None:
            left.append(self._segment)
        self._syncs, self._segment = [], None
        for segment in left:
            segment.close()

    def _within_row_limit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        limit = self._limits.row_limit
        if not limit or self._rows + self._pending_rows + batch.num_rows <= limit:
            return batch
        if self._limits.on_limit is LimitAction.FAIL:
            message = f"the result has more than the {limit} rows that row_limit allows"
            raise error(Reason.RESULT_LIMIT, message, limit="row_limit", value=limit)
        batch = batch.slice(0, limit - self._rows - self._pending_rows)
        if batch.num_rows:
            self._pending.append(batch)
            self._pending_rows += batch.num_rows
            self._pending_bytes += batch.nbytes
        self._flush()
        self.truncation = self.truncation or Truncation.ROW_LIMIT
        return batch.slice(0, 0)

    def _target_bytes(self) -> int:
        """How large the rows of the next page should be."""
        if self._pages:
            return max(self._limits.page_bytes, SCHEMA_SHARE * len(self.encoded_schema))
        return max(FIRST_PAGE_BYTES, FIRST_SCHEMA_SHARE * len(self.encoded_schema))

    def _store(self, batch: pa.RecordBatch, guessed_bytes: int) -> None:
        """Store a batch of about this size before compression, as one page or as several."""
        if self._passed_bytes():
            return
        if batch.num_rows == 1 and batch.nbytes > ROW_BYTES_MAX:
            raise _row_too_large(self._rows)
        payload = self._encode(batch, guessed_bytes)
        # To cut helps against large rows only; a page that its schema makes large is sent in chunks.
        most = max(self._limits.page_bytes_max, 2 * SCHEMA_SHARE * len(self.encoded_schema))
        if payload.length > most and batch.num_rows > 1:
            half = batch.num_rows // 2
            self._store(batch.slice(0, half), guessed_bytes // 2)
            if not self.is_full:
                self._store(batch.slice(half), guessed_bytes // 2)
            return
        if payload.length > ROW_BYTES_MAX:
            raise _row_too_large(self._rows)
        crc = payload.checksum()
        inner = page_prefix(start_row=self._rows, row_count=batch.num_rows, crc32c=crc, payload_length=payload.length)
        prefix = event_prefix(inner, payload.length)
        length = len(prefix) + payload.length
        if not self._opening and self._offset + length > self._limits.segment_bytes:
            self._next_segment()
        header = record_header(
            RecordKind.PAGE,
            length,
            prefix_length=len(prefix),
            start_row=self._rows,
            row_count=batch.num_rows,
            crc32c=crc,
        )
        offset = self._append(header, [prefix, *payload.parts])
        entry = PageEntry(self._number, offset, length, len(prefix), self._rows, batch.num_rows, crc)
        self._rows += batch.num_rows
        self._pages += 1
        self._bytes += length
        if self._held is None:
            self._published(entry)
        else:
            self._unpublished.append(entry)

    def _passed_bytes(self) -> bool:
        """Whether rows come that a limit on bytes leaves no room for; asked before a page, so that a result which just
        fits is whole.
        """
        limits = self._limits
        if self._bytes >= limits.bytes_max:
            message = f"the result passed the {limits.bytes_max} bytes that one query may store"
            raise error(Reason.RESULT_LIMIT, message, limit="query_bytes_max", value=limits.bytes_max)
        if limits.byte_limit and self._bytes >= limits.byte_limit:
            if limits.on_limit is LimitAction.FAIL:
                message = f"the result passed the {limits.byte_limit} bytes that byte_limit allows"
                raise error(Reason.RESULT_LIMIT, message, limit="byte_limit", value=limits.byte_limit)
            self.truncation = Truncation.BYTE_LIMIT
        return self.is_full

    def _encode(self, batch: pa.RecordBatch, guessed_bytes: int) -> "_Parts":
        """The batch as an IPC stream."""
        parts = _Parts()
        if batch.num_columns > COLUMNS_IN_PLACE:
            is_small = guessed_bytes < COMPRESSED_BYTES * batch.num_columns
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, self._schema, options=None if is_small else self._options) as stream:
                stream.write_batch(batch)
            parts.write(sink.getvalue())
            return parts
        with pa.ipc.new_stream(pa.PythonFile(parts, "w"), self._schema, options=self._options) as stream:
            stream.write_batch(batch)
        return parts

    def _spill(self) -> None:
        """Move what is in memory to the spool, where all that follows goes."""
        held, self._held = self._held, None
        if held is None:
            return
        self._spool.begin(self._result)
        self._segment = self._spool.create(segment_key(self._result, 0))
        self._segment.append(held)
        unpublished, self._unpublished = self._unpublished, []
        for entry in unpublished:
            self._published(entry)

    def _next_segment(self) -> None:
        self._spill()
        finished, self._segment = self._open_segment(), None
        if self._limits.sync_segments:
            self._syncer = self._syncer or ThreadPoolExecutor(1, thread_name_prefix="segment-sync")
            self._syncs.append((self._syncer.submit(finished.finish, sync=True), finished))
        else:
            finished.finish(sync=False)
        self._number += 1
        key = segment_key(self._result, self._number)
        self._segment = self._spool.create(key)
        self._opening = place_record(key)
        self._offset = 0

    def _open_segment(self) -> SegmentWriter:
        if self._segment is None:
            raise ValueError("the writer is closed, or met an error")
        return self._segment

    def _append(self, header: bytes, body: list[bytes | pa.Buffer]) -> int:
        """Write one record whole; returns the offset of its body."""
        parts = [memoryview(part) for part in (self._opening + header, *body)]
        body_offset = self._offset + len(parts[0])
        self._opening = b""
        self._offset += sum(part.nbytes for part in parts)
        if self._held is None:
            self._open_segment().append(parts)
        else:
            self._held += parts
            if self._offset > self._limits.record_bytes:
                self._spill()
        return body_offset


class _Parts:
    """A file for Arrow to write to, which keeps the pieces: small ones of metadata, and columns where they are."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[bytes | pa.Buffer] = []
        self.length = 0

    def write(self, part: bytes | pa.Buffer) -> int:
        self.parts.append(part)
        self.length += len(part)
        return len(part)

    def tell(self) -> int:
        return self.length

    def close(self) -> None:
        self.closed = True

    def checksum(self) -> int:
        """CRC-32C of all of it."""
        crc = 0
        for part in self.parts:
            crc = google_crc32c.extend(crc, part)
        return crc


def _row_too_large(row: int) -> QueryEngineError:
    return error(Reason.ROW_TOO_LARGE, f"row {row} takes more than {ROW_BYTES_MAX} bytes", limit=ROW_BYTES_MAX)
