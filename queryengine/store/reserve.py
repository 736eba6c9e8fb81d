"""Room on the disk that is kept for the record of queries, so that what makes room can be written down.

The end of a query, a release, an expiry: each is written before rows are removed. On a disk that rows have filled to
its last block none of it could be, and nothing would ever be removed. So a file beside the database holds some room. It
is given up when a write finds the disk full, and taken again when there is plenty.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 4 << 20
"""Some hundred changes of a record."""
PLENTY_BYTES: Final = 4 * RESERVE_BYTES
"""Must be free before the reserve is taken again."""
MARGIN_BYTES: Final = 1 << 20
"""Must be free beside it when a server starts, for what it writes then."""
BLOCK_BYTES: Final = 512
"""What st_blocks counts in, on every file system."""


class Reserve:
    """The file `<database>.reserve`. Methods block on the disk; the thread of the writing connection calls them."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".reserve")
        self._is_held = False

    def take(self) -> None:
        """Hold the room, unless it is held or the disk has not plenty of it."""
        self._take(PLENTY_BYTES)

    def _take(self, free_bytes: int) -> bool:
        """Whether the room is held, which it is not made to be where less than this is free."""
        if self._is_held:
            return True
        with contextlib.suppress(FileNotFoundError):
            # Left by a server that was killed; the disk may be full by now.
            self._is_held = self._path.stat().st_blocks * BLOCK_BYTES >= RESERVE_BYTES
        if self._is_held:
            return True
        with contextlib.suppress(OSError):
            stats = os.statvfs(self._path.parent)
            if stats.f_bavail * stats.f_frsize < free_bytes:
                return False
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
                self._is_held = True
            finally:
                os.close(descriptor)
        return self._is_held

    def take_first(self) -> bool:
        """Hold the room before anything else is written, also where there is not much more of it; False when the disk
        has less.
        """
        return self._take(RESERVE_BYTES + MARGIN_BYTES)

    def give_up(self) -> bool:
        """Free the room; False when it was not held, so that there is no more of it."""
        if not self._is_held:
            return False
        self._is_held = False
        with contextlib.suppress(OSError):
            self._path.unlink()
        return True
