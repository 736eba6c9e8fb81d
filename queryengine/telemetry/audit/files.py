"""Where audit records go: a file that is only appended to, or standard error. Synchronous, for one thread.

A file is written as a whole or not at all: what fails half-way is cut off again.
"""

import errno
import fcntl
import os
import re
import stat
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from queryengine.domain.clock import Clock

_ROTATED: Final = re.compile(r"\.\d{8}T\d{6}\.\d{6}Z")


class Sink(Protocol):
    """Takes records."""

    def append(self, data: bytes) -> None:
        """Whole lines. Raises OSError, and then none of them counts as written."""

    def reopen(self) -> None:
        """Let go of a file that was moved away. Raises OSError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a file is put aside, under its name and the time, and how many of those stay."""

    bytes_max: int = 0
    """0: never by size."""
    seconds: float = 0
    """Multiples of it since 1970, in UTC, at which a new file begins; 0: never by time."""
    keep_files: int = 0
    """Files put aside beyond which the oldest are removed; 0: none is."""


class AuditFile:
    """A file that one server writes, readable by its user alone."""

    def __init__(self, path: Path, rotation: Rotation, *, clock: Clock, fsync: bool = False) -> None:
        """Opens it. Raises OSError; BlockingIOError when another server writes it."""
        self.path = path
        self.rotation = rotation
        self.fsync = fsync
        """Whether `append` returns only once the records would survive a power failure."""
        self._clock = clock
        self._descriptor = -1
        self._is_torn = False
        """The end may be a part of a line, which could not be cut off."""
        self._began = 0.0
        """A time in the period that the file belongs to."""
        self.reopen()

    def append(self, data: bytes) -> None:
        if self._is_elsewhere():
            self.reopen()
        size = os.fstat(self._descriptor).st_size
        if size and self._is_due(size + len(data)):
            self._rotate()
            size = 0
        if not size:
            self._began = self._seconds()
        try:
            _write(self._descriptor, b"\n" + data if self._is_torn else data)
            if self.fsync:
                os.fdatasync(self._descriptor)
        except OSError:
            self._cut(size)
            raise
        self._is_torn = False

    def reopen(self) -> None:
        self.close()
        self._descriptor = _opened(self.path)
        found = os.fstat(self._descriptor)
        self._began = found.st_mtime if found.st_size else self._seconds()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _seconds(self) -> float:
        return self._clock.now_us() / 1e6

    def _is_elsewhere(self) -> bool:
        """Whether the file was moved or removed, as by logrotate, or could not be opened again."""
        if self._descriptor < 0:
            return True
        ours = os.fstat(self._descriptor)
        try:
            named = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        return (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino)

    def _is_due(self, size: int) -> bool:
        rotation = self.rotation
        if rotation.bytes_max and size > rotation.bytes_max:
            return True
        return rotation.seconds > 0 and self._seconds() // rotation.seconds != self._began // rotation.seconds

    def _rotate(self) -> None:
        now = datetime.fromtimestamp(self._seconds(), UTC)
        aside = self.path.with_name(f"{self.path.name}.{now:%Y%m%dT%H%M%S.%f}Z")
        while aside.exists():
            now = now.replace(microsecond=now.microsecond + 1)
            aside = self.path.with_name(f"{self.path.name}.{now:%Y%m%dT%H%M%S.%f}Z")
        self.path.rename(aside)
        self.reopen()
        if self.rotation.keep_files:
            for old in self._put_aside()[: -self.rotation.keep_files]:
                old.unlink(missing_ok=True)

    def _put_aside(self) -> list[Path]:
        """The oldest first."""
        name = self.path.name
        found = [each for each in self.path.parent.iterdir() if each.name.startswith(name)]
        return sorted(each for each in found if _ROTATED.fullmatch(each.name[len(name) :]))

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError:
            self._is_torn = os.fstat(self._descriptor).st_size > size


class StandardError:
    """Among the lines of the log, for whoever collects those."""

    def append(self, data: bytes) -> None:
        _write(sys.stderr.fileno(), data)

    def reopen(self) -> None:
        """It has no name under which there could be another one."""

    def close(self) -> None:
        """It is not ours."""


def _opened(path: Path) -> int:
    # Not as a pipe, for whose reader it would wait.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        # Two servers would rotate each other's records away.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    if not is_file:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
