"""The spool as a folder: a key is a path below it. What was appended can be read at once.

A segment is written from the memory that its pieces are in, by one call for many of them.
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.results.spool.base import SegmentReader, SegmentWriter, Spool, StoredSegment

T = TypeVar("T")

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""When a client may ask again after the disk did not take a write."""
AWAY_SECONDS: Final = 30.0
"""When a client may ask again while the disk cannot even be looked at."""
PARTS_MAX: Final = os.sysconf("SC_IOV_MAX")
"""How many pieces of memory one call writes."""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAKE_TRIES: Final = 3
"""A folder may lose a parent that was empty while it is made."""
SEGMENT_SUFFIX: Final = ".seg"


class LocalSpool(Spool):
    """Segments in a folder, which must exist: `made` makes it."""

    shows_appended = True

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def made(cls, root: Path) -> "LocalSpool":
        """A spool in a folder, made where it is missing. Raises OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(root)

    @property
    def location(self) -> str:
        return str(self._root)

    @property
    def folder(self) -> Path:
        return self._root

    def begin(self, result: str) -> None:
        _written(partial(_make_empty, self._root / result))

    def create(self, key: str) -> "LocalWriter":
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        path = f"{self._root}/{key}"
        return LocalWriter(path, _written(lambda: os.open(path, flags, 0o600)))

    def open(self, key: str) -> "LocalReader":
        try:
            return LocalReader(os.open(f"{self._root}/{key}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as cause:
            raise _unread(cause) from cause

    def remove(self, prefix: str) -> int:
        path = self._root / prefix
        if path.suffix == SEGMENT_SUFFIX:
            try:
                freed = path.stat().st_size
                path.unlink()
            except OSError:
                return 0
            return freed
        freed = sum(found.bytes for found in self.list(prefix))
        shutil.rmtree(path, ignore_errors=True)
        if path.parent.parent != self._root:
            # The folder of a query goes with its last attempt; that of a tenant stays for the next query.
            with suppress(OSError):
                path.parent.rmdir()
        return freed

    def list(self, prefix: str = "") -> Iterator[StoredSegment]:
        root = self._root / prefix if prefix else self._root
        for folder, _, names in os.walk(root, onerror=_unlisted):
            for name in names:
                if not name.endswith(SEGMENT_SUFFIX):
                    continue
                path = Path(folder) / name
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                key = path.relative_to(self._root).as_posix()
                yield StoredSegment(key, found.st_size, found.st_mtime_ns // 1000)

    def may_hold(self, prefix: str) -> bool:
        try:
            os.stat(f"{self._root}/{prefix}")  # noqa: PTH116 - A Path takes as long as the call.
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def cut(self, key: str, size: int) -> None:
        with suppress(OSError):
            os.truncate(self._root / key, size)

    def tidy(self, before_us: int) -> None:
        for folder, _, _ in os.walk(self._root, topdown=False):
            # One that is not empty stays.
            with suppress(OSError):
                if Path(folder) != self._root and Path(folder).stat().st_mtime_ns // 1000 < before_us:
                    Path(folder).rmdir()

    def free_bytes(self) -> int:
        """What the file system has left for this user. Raises STORE_UNAVAILABLE."""
        try:
            stats = os.statvfs(self._root)
        except OSError as cause:
            message = f"the spool cannot be used now: {cause.strerror}"
            raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=AWAY_SECONDS) from cause
        return stats.f_bavail * stats.f_frsize


class LocalWriter(SegmentWriter):
    """A file that is written to."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def append(self, parts: Sequence[memoryview]) -> None:
        left = list(parts)
        first = 0
        while first < len(left):
            written = _written(partial(os.writev, self._descriptor, left[first : first + PARTS_MAX]))
            while first < len(left) and written >= left[first].nbytes:
                written -= left[first].nbytes
                first += 1
            if written:
                left[first] = left[first][written:]

    def finish(self, *, sync: bool) -> None:
        try:
            if sync:
                _written(self._sync)
        except QueryEngineError:
            self.close()
            raise
        descriptor, self._descriptor = self._descriptor, -1
        _written(lambda: os.close(descriptor))

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            # What a disk may still report belongs to a result that has no END marker.
            with suppress(OSError):
                os.close(descriptor)

    def _sync(self) -> None:
        """Put the file on the disk. One that was removed meanwhile takes writes, and nobody finds them."""
        os.fdatasync(self._descriptor)
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "its file was removed", self._path)


class LocalReader(SegmentReader):
    """A file that is read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as cause:
            raise _unread(cause) from cause

    def read_now(self, offset: int, length: int) -> bytes | None:
        return self.read(offset, length) if self._is_cached(offset, length) else None

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _is_cached(self, offset: int, length: int) -> bool:
        """Whether a range is in the page cache, judged by its ends: RWF_NOWAIT refuses to wait for the disk."""
        probe = bytearray(1)
        try:
            os.preadv(self._descriptor, [probe], offset, os.RWF_NOWAIT)
            os.preadv(self._descriptor, [probe], offset + length - 1, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            # A file system without RWF_NOWAIT, such as an old overlay: a thread may always wait.
            return False
        return True


def _unlisted(cause: OSError) -> None:
    """What was removed meanwhile is not listed; what cannot be looked at is no reason to say that nothing is there."""
    if not isinstance(cause, FileNotFoundError | NotADirectoryError):
        message = f"stored results cannot be listed: {cause.filename}: {cause.strerror}"
        raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=AWAY_SECONDS) from cause


def _make_empty(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    for tries_left in reversed(range(MAKE_TRIES)):
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileNotFoundError:
            # A folder above it, which was empty, was removed meanwhile.
            if not tries_left:
                raise
        else:
            return


def _written(call: Callable[[], T]) -> T:
    """What a call that writes returns. Raises SPOOL_FULL without room, else STORE_UNAVAILABLE."""
    try:
        return call()
    except OSError as cause:
        if cause.errno in NO_ROOM:
            raise error(Reason.SPOOL_FULL, "no space left to store the result") from cause
        logger.warning("the spool cannot be written: %s", cause)
        message = (
            f"the result cannot be stored: {cause.strerror}; submit the query again when the service's disk is back"
        )
        raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause


def _unread(cause: OSError) -> QueryEngineError:
    """Why a segment could not be read. Only one that is not there is lost; others may be read later, as when too many
    files are open now.
    """
    if isinstance(cause, FileNotFoundError):
        return error(Reason.RESULT_LOST, "stored rows are missing; submit the query again")
    message = f"stored rows cannot be read now: {cause.strerror}; try again"
    return error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=1.0)
