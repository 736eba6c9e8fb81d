"""Connections to SQLite that wait for a writer's lock themselves. SQLite's own wait hears neither an interrupt nor a
deadline, and each statement begins it anew.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from queryengine.domain.errors import Reason, error

T = TypeVar("T")

LOCK_SECONDS: Final = 5.0
"""How long a connection waits for locks in all, unless its arguments name a `timeout`."""
STEP_SECONDS: Final = 0.01


class PatientConnection(sqlite3.Connection):
    """For one execution. Only `interrupt` may be called from another thread."""

    deadline: float = float("inf")
    """On the monotonic clock, of the execution."""

    def __init__(self, database: str, *, timeout: float = LOCK_SECONDS, **more: Any) -> None:
        """`timeout` in seconds bounds all waits of the connection together."""
        super().__init__(database, timeout=0, **more)
        self._lock_seconds = timeout
        self._locked_until: float | None = None
        self._interrupted = threading.Event()

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or PatientCursor)

    def interrupt(self) -> None:
        self._interrupted.set()
        super().interrupt()

    def patiently(self, call: Callable[[], T]) -> T:
        """Calls again while a writer has the lock. Raises QUERY_TIMEOUT at the deadline, and what SQLite raises when
        the connection has waited long enough or is interrupted.
        """
        while True:
            try:
                return call()
            except sqlite3.OperationalError as cause:
                if cause.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() >= self.deadline:
                    message = "a writer has kept the database locked until the query's time was over"
                    raise error(Reason.QUERY_TIMEOUT, message) from cause
                if not self._wait():
                    raise

    def _wait(self) -> bool:
        """False when there is no time to wait any more."""
        now = time.monotonic()
        if self._locked_until is None:
            self._locked_until = now + self._lock_seconds
        left = min(self._locked_until, self.deadline) - now
        return left > 0 and not self._interrupted.wait(min(left, STEP_SECONDS))


class PatientCursor(sqlite3.Cursor):
    connection: PatientConnection

    def execute(self, sql: str, parameters: Any = ()) -> "PatientCursor":
        run = super().execute
        return self.connection.patiently(lambda: run(sql, parameters))
