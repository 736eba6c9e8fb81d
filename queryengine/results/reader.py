"""Reads stored pages back as bytes, without blocking the event loop on a slow disk.

What a segment can be read from without a wait is read at once; the rest in a thread. One reader holds one open segment.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import google_crc32c
import pyarrow as pa

from queryengine.codec.page import checksum
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.results.index import PageIndex
from queryengine.results.segment import PageEntry
from queryengine.results.spool.base import SegmentReader

VERIFY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page as it is stored, compared with its checksum."""

    entry: PageEntry
    stored: bytes
    """The body of its record: `entry.prefix_length` bytes that the gRPC edge needs around the payload, then that."""

    @property
    def payload(self) -> memoryview:
        """A self-contained Arrow IPC stream; shares memory with `stored`."""
        return memoryview(self.stored)[self.entry.prefix_length :]


class PageReader:
    """Reads pages of one index, and compares each with its checksum: whatever happened to the file since it was
    written, a page that was changed does not arrive whole. Close it; a read after `close` opens again.
    """

    def __init__(self, index: PageIndex, executor: Executor) -> None:
        self._index = index
        self._executor = executor
        self._number = -1
        self._segment: SegmentReader | None = None

    async def page(self, number: int) -> StoredPage:
        """A page, whole. Raises RESULT_LOST when it is missing or damaged."""
        entry = self._index[number]
        stored = await self._read(entry.segment, entry.offset, entry.length)
        payload = pa.py_buffer(stored).slice(entry.prefix_length)
        if stored[: entry.prefix_length] != entry.prefix() or checksum(payload) != entry.crc32c:
            raise _damaged(number)
        return StoredPage(entry, stored)

    async def parts(self, number: int, part_bytes: int) -> AsyncIterator[bytes]:
        """The payload of a page that is too large for one message, in parts of so many bytes. Raises RESULT_LOST when
        any of it is missing or damaged: before the first part, or, if it is damaged while it is read, in place of the
        last one.
        """
        entry = self._index[number]
        if number not in self._index.verified:
            await self._verify(number, entry)
        crc = 0
        for start in range(0, entry.payload_length, part_bytes):
            length = min(part_bytes, entry.payload_length - start)
            part = await self._read(entry.segment, entry.payload_offset + start, length)
            crc = google_crc32c.extend(crc, part)
            if start + length == entry.payload_length and crc != entry.crc32c:
                raise _damaged(number)
            yield part

    async def _verify(self, number: int, entry: PageEntry) -> None:
        """Compare a page that is too large to be held at once with its checksum."""
        prefix = await self._read(entry.segment, entry.offset, entry.prefix_length)
        crc = 0
        for start in range(0, entry.payload_length, VERIFY_BYTES):
            length = min(VERIFY_BYTES, entry.payload_length - start)
            crc = google_crc32c.extend(crc, await self._read(entry.segment, entry.payload_offset + start, length))
        if prefix != entry.prefix() or crc != entry.crc32c:
            raise _damaged(number)
        self._index.verified.add(number)

    def close(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    async def _read(self, number: int, offset: int, length: int) -> bytes:
        segment = self._segment
        if segment is None or number != self._number:
            self.close()
            segment = self._segment = self._index.source.open(number)
            self._number = number
        data = segment.read_now(offset, length)
        if data is None:
            loop = asyncio.get_running_loop()
            data = await loop.run_in_executor(self._executor, segment.read, offset, length)
        if len(data) != length:
            raise error(Reason.RESULT_LOST, "stored rows are cut short; submit the query again")
        return data


def _damaged(number: int) -> QueryEngineError:
    return error(Reason.RESULT_LOST, f"stored page {number} is damaged; submit the query again")
