"""Keeps queries alive whose consumers are slow: one thread for all queries of an engine."""

import threading
from typing import Final

from queryengine.engines.trino_query import TrinoQuery

LOOKS: Final = 4
"""How often it looks within the time that a query may be idle."""


class Heart:
    """Thread-safe. Its thread runs from the first query on until `stop`."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._queries: set[TrinoQuery] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, query: TrinoQuery) -> None:
        with self._lock:
            self._queries.add(query)
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="trino-heart", daemon=True)
                self._thread.start()

    def forget(self, query: TrinoQuery) -> None:
        with self._lock:
            self._queries.discard(query)

    def stop(self) -> None:
        """Idempotent. Returns when the thread has ended."""
        self._stopped.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._idle_seconds / LOOKS):
            for query in tuple(self._queries):
                query.beat(self._idle_seconds)
