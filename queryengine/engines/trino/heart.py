"""Keeps queries alive whose consumers are slow: one thread for all queries of an engine."""

import threading
from typing import Final

from queryengine.engines.trino.query import TrinoQuery

LOOKS: Final = 4
"""How often it looks within the time that a query may be idle."""


class Heart:
    """Thread-safe. Its thread lives as long as there is a query to watch."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._queries: set[TrinoQuery] = set()
        self._still = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, query: TrinoQuery) -> None:
        with self._lock:
            self._queries.add(query)
            if self._thread is None:
                self._still = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(self._still,), name="trino-heart", daemon=True)
                self._thread.start()

    def forget(self, query: TrinoQuery) -> None:
        """Idempotent. With the last query the thread has ended too."""
        with self._lock:
            self._queries.discard(query)
            if self._queries or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._still.set()
        thread.join()

    def _run(self, still: threading.Event) -> None:
        while not still.wait(self._idle_seconds / LOOKS):
            for query in tuple(self._queries):
                query.beat(self._idle_seconds)
