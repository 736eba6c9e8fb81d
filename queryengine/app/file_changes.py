"""Whether files have changed, by what the file system says of them, so that nothing has to be subscribed to.

Links are followed: a file that is reached through a link that now leads elsewhere, as Kubernetes replaces mounted
files, is another one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

Look: TypeAlias = Mapping[Path, tuple[int, ...]]
"""What identifies the content of each file; empty for one that is not there or cannot be looked at."""


def look_at(files: Iterable[Path]) -> Look:
    """Blocks as long as the file system does."""
    return {path: _identity(path) for path in files}


def _identity(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Changes:
    """Compares looks with the one before the files were last read."""

    def __init__(self, read: Look) -> None:
        self._read = self._last = read

    def were_read(self, look: Look) -> None:
        """The files are read again; the look is one from before."""
        self._read = self._last = look

    def settled(self, look: Look) -> bool:
        """Whether the files are others than those that were read and nobody is writing them, as far as two looks with
        the same outcome show.
        """
        is_same, self._last = look == self._last, look
        return is_same and look != self._read
