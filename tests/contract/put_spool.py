"""A spool as an object store would be one, in memory: a segment is one put, which fails where there is one."""

import itertools
import threading
from collections.abc import Iterator, Sequence

from queryengine.domain.errors import Reason, error
from queryengine.results.source import BytesReader
from queryengine.results.spool.base import SegmentReader, SegmentWriter, Spool, StoredSegment


class PutSpool(Spool):
    """Knows no folders, cannot cut, and says nothing without asking."""

    shows_appended = False

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._lock = threading.Lock()
        self._clock = itertools.count(1)

    @property
    def location(self) -> str:
        return "memory://"

    def begin(self, result: str) -> None:
        self.remove(result)

    def create(self, key: str) -> SegmentWriter:
        return _Put(self, key)

    def open(self, key: str) -> SegmentReader:
        return _Object(self, key)

    def remove(self, prefix: str) -> int:
        with self._lock:
            going = [key for key in self._objects if key == prefix or key.startswith(f"{prefix}/")]
            return sum(len(self._objects.pop(key)[0]) for key in going)

    def list(self, prefix: str = "") -> Iterator[StoredSegment]:
        for key, (content, changed_us) in list(self._objects.items()):
            if not prefix or key.startswith(f"{prefix}/"):
                yield StoredSegment(key, len(content), changed_us)

    def may_hold(self, prefix: str) -> bool:
        return True

    def cut(self, key: str, size: int) -> None:
        """Keeps the whole."""

    def tidy(self, before_us: int) -> None:
        """There is nothing but segments."""

    def free_bytes(self) -> None:
        return None

    def put(self, key: str, content: bytes) -> None:
        with self._lock:
            if key in self._objects:
                raise error(Reason.STORE_UNAVAILABLE, "the segment is there already", retry_after_seconds=1.0)
            self._objects[key] = content, next(self._clock)

    def get(self, key: str) -> bytes:
        found = self._objects.get(key)
        if found is None:
            raise error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
        return found[0]


class _Put(SegmentWriter):
    def __init__(self, spool: PutSpool, key: str) -> None:
        self._spool = spool
        self._key = key
        self._parts: list[bytes] = []

    def append(self, parts: Sequence[memoryview]) -> None:
        self._parts += [bytes(part) for part in parts]

    def finish(self, *, sync: bool) -> None:
        self._spool.put(self._key, b"".join(self._parts))

    def close(self) -> None:
        self._parts.clear()


class _Object(SegmentReader):
    """Asks at the first read, and keeps what it got."""

    def __init__(self, spool: PutSpool, key: str) -> None:
        self._spool = spool
        self._key = key
        self._content: BytesReader | None = None

    def size(self) -> int:
        return self._got().size()

    def read(self, offset: int, length: int) -> bytes:
        return self._got().read(offset, length)

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self._content.read(offset, length) if self._content is not None else None

    def close(self) -> None:
        """Nothing to release."""

    def _got(self) -> BytesReader:
        if self._content is None:
            self._content = BytesReader(self._spool.get(self._key))
        return self._content
