"""Where the pages of one result are read from: its segments in the spool, or bytes that its record holds."""

from typing import Protocol

from queryengine.domain.errors import Reason, error
from queryengine.results.spool.base import SegmentReader, Spool
from queryengine.results.spool.keys import segment_key


class PageSource(Protocol):
    """The segments of one result, by number."""

    result: str
    """The key of the result, which its segments name as their place."""
    payload: bytes
    """The segment, where the record of the query holds it; empty for a result in the spool."""

    def open(self, segment: int) -> SegmentReader:
        """Open a segment. Raises RESULT_LOST when there is none of this number, and STORE_UNAVAILABLE."""
        ...


class SpooledPages:
    """A result in the spool."""

    payload = b""

    def __init__(self, spool: Spool, result: str) -> None:
        self._spool = spool
        self.result = result

    def open(self, segment: int) -> SegmentReader:
        return self._spool.open(segment_key(self.result, segment))


class RecordedPages:
    """A small result, whose one segment is part of the record of its query."""

    def __init__(self, result: str, payload: bytes) -> None:
        self.result = result
        self.payload = payload

    def open(self, segment: int) -> SegmentReader:
        if segment:
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        return BytesReader(self.payload)


class BytesReader(SegmentReader):
    """A segment in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def size(self) -> int:
        return len(self._content)

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def read_now(self, offset: int, length: int) -> bytes:
        return self.read(offset, length)

    def close(self) -> None:
        """Nothing to release."""
