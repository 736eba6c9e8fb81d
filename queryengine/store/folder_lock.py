"""One server process for one folder of state, whatever database holds its record."""

import fcntl
import os
from pathlib import Path

from queryengine.store.database import StoreLocked, StoreUnusable


class FileLock:
    """An exclusive lock on `<file>.lock`, held until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take it at once, making the folder. Raises StoreLocked, or StoreUnusable where the folder is of no use."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = path.with_name(path.name + ".lock")
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise StoreUnusable(f"{path} cannot be used: {cause}") from cause
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreLocked(
                f"{path} is in use by process {holder or '(starting)'}: one server process per file"
            ) from cause
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Idempotent. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
