"""The port through which results are stored: segments, which are written once, and read, listed and removed by key.

A key is text with `/` between its parts. An implementation keeps this much, so that it may be a folder or an object
store: a segment that exists is never written again; nobody sees a part of what was appended in one call; removal is
idempotent, and leaves readers what they have open. All methods may block, those of a reader named `_now` excepted, and
all may be called from any thread. What fails raises QueryEngineError: SPOOL_FULL where there is no room, RESULT_LOST
for a segment that is not there, and STORE_UNAVAILABLE for whatever may pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment as a listing shows it."""

    key: str
    bytes: int
    changed_us: int
    """When it was last written to, in microseconds since 1970 UTC."""


class SegmentWriter(ABC):
    """A segment that is being written, by one thread at a time. Ends by `finish`, or without it by `close`."""

    @abstractmethod
    def append(self, parts: Sequence[memoryview]) -> None:
        """Append pieces of memory, in order and whole. They may be read from the return of this call on where
        `Spool.shows_appended` holds, else from the return of `finish` on. After an error the segment takes no more.
        """

    @abstractmethod
    def finish(self, *, sync: bool) -> None:
        """Complete the segment and release it; durable on return with `sync`. Raises STORE_UNAVAILABLE with `sync` for
        a segment that was removed meanwhile, too.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the segment, as far as it was written. Never raises; idempotent, also after `finish`."""


class SegmentReader(ABC):
    """A segment that is open for reading. What is open stays readable when the segment is removed."""

    @abstractmethod
    def size(self) -> int:
        """Bytes that there are now."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """A range of bytes; fewer than asked for only at the end of the segment."""

    @abstractmethod
    def read_now(self, offset: int, length: int) -> bytes | None:
        """As `read`, or None where that would wait for a disk or a network."""

    @abstractmethod
    def close(self) -> None:
        """Release it. Never raises; idempotent."""


class Spool(ABC):
    """A place for segments."""

    shows_appended: bool
    """Whether what was appended to a segment can be read before the segment is finished."""

    @property
    @abstractmethod
    def location(self) -> str:
        """What `spool_at` makes the same spool of in another process."""

    @property
    def folder(self) -> Path | None:
        """What a confined process must be let into to use this spool; None when it needs no folder."""
        return None

    @abstractmethod
    def begin(self, result: str) -> None:
        """Make ready for the segments of a result, to be called once before the first. Segments that are there were
        left by a run that was never acknowledged, so that nobody has read them; they are removed.
        """

    @abstractmethod
    def create(self, key: str) -> SegmentWriter:
        """A new segment of a result that was begun. Raises STORE_UNAVAILABLE when there is one of this key."""

    @abstractmethod
    def open(self, key: str) -> SegmentReader:
        """Open a segment. Quick enough for an event loop, so that a store elsewhere says only at the first use of the
        reader that there is none.
        """

    @abstractmethod
    def remove(self, prefix: str) -> int:
        """Remove the segment of this key, or all whose keys begin with it and `/`; returns the bytes freed, as far as
        they are known. What cannot be removed stays, to be found by `list`.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredSegment]:
        """All segments whose keys begin with a prefix and `/`, in no order; all there are without one."""

    @abstractmethod
    def may_hold(self, prefix: str) -> bool:
        """False when certainly nothing is stored under a prefix. Quick enough for an event loop: a store that would
        have to ask elsewhere says True.
        """

    @abstractmethod
    def cut(self, key: str, size: int) -> None:
        """Keep the first bytes of a segment, to make room. A store that cannot do so keeps the whole."""

    @abstractmethod
    def tidy(self, before_us: int) -> None:
        """Remove what is no segment and has been of no use since a time, such as folders that are empty."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Room that is left, in bytes; None when the store does not bound it."""
