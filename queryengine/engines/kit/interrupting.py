"""Makes blocking driver calls cancellable: an interrupt is repeated until the call in flight has returned.

A driver drops an interrupt that comes before its call has begun, and no driver tells when that is. So
whoever cancels sets a flag that keeps new calls from starting, and interrupts until the one that runs is
over.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error

REPEAT_SECONDS: Final = 0.01


def cancelled() -> QueryEngineError:
    return error(Reason.QUERY_CANCELLED, "the query was cancelled")


class Interruptible:
    """Guards the driver calls of one execution: one call at a time, none after `stop`."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """`interrupt` stops the driver call that another thread is in; must do no harm when there is none."""
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wraps one blocking driver call. Raises QUERY_CANCELLED instead of starting it after `stop`, and
        in place of whatever comes out of it, result or exception, when `stop` came meanwhile.
        """
        with self._lock:
            if self._stopped:
                raise cancelled()
            self._idle.clear()
        try:
            yield
        except Exception as cause:
            if self._stopped:
                raise cancelled() from cause
            raise
        finally:
            self._idle.set()
        if self._stopped:
            raise cancelled()

    def stop(self) -> None:
        """Let no call start any more, and return when none is in flight. Idempotent, from any thread."""
        with self._lock:
            self._stopped = True
        while not self._idle.wait(REPEAT_SECONDS):
            self._interrupt()
