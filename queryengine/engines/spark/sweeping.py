"""Folders of results that were given up, removed until nothing makes them again.

Spark says that an operation has ended when it has asked its tasks to stop. Each goes on to the end of its row, and one
that then opens its file makes the folder again. When the last of them is over cannot be asked through Spark Connect.
"""

import threading
import time
from typing import Final

from queryengine.engines.spark.staging import Staging

_FIRST_WAIT_SECONDS: Final = 0.05
_WAIT_SECONDS_MAX: Final = 5.0
_WATCH_SECONDS: Final = 120.0


class Sweeper:
    """Removes folders at once, then again and again for two minutes, less and less often. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._since: dict[Staging, float] = {}
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def sweep(self, staging: Staging) -> None:
        staging.remove()
        with self._lock:
            self._since[staging] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spark-sweeper", daemon=True)
                self._thread.start()
            self._lock.notify()

    def close(self) -> None:
        """Remove everything a last time, and end."""
        with self._lock:
            self._is_closed = True
            self._lock.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._is_closed:
                    self._lock.wait(self._pause())
                folders, is_last = tuple(self._since), self._is_closed
                oldest = time.monotonic() - _WATCH_SECONDS
                self._since = {folder: since for folder, since in self._since.items() if since > oldest}
            for folder in folders:
                folder.remove()
            if is_last:
                return

    def _pause(self) -> float | None:
        """Seconds to the next round: as long as the youngest folder is old. None when there is none."""
        if not self._since:
            return None
        age = time.monotonic() - max(self._since.values())
        return min(_WAIT_SECONDS_MAX, max(_FIRST_WAIT_SECONDS, age))
