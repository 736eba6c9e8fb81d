"""Makes blocking driver calls cancellable: an interrupt is repeated until the call in flight has returned.

A driver drops an interrupt that comes before its call has begun, and no driver says when that is. So whoever cancels
sets a flag that keeps new calls from starting, and interrupts until the one that runs is over.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from queryengine.domain.errors import QueryEngineError, Reason, error

logger = logging.getLogger(__name__)

T = TypeVar("T")

REPEAT_SECONDS: Final = 0.01


def cancelled() -> QueryEngineError:
    return error(Reason.QUERY_CANCELLED, "the query was cancelled")


class Interruptible:
    """Guards the driver calls of one execution: one call at a time, none after `stop`."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        """`interrupt` makes the driver call that another thread is in return; must do no harm when there is none."""
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Make one blocking driver call. Raises QUERY_CANCELLED instead of starting it after `stop`, and in place of
        whatever comes out of it, result or exception, when `stop` came meanwhile.
        """
        with self._lock:
            if self._stopped:
                raise cancelled()
            self._idle.clear()
        try:
            result = call(*arguments)
        except Exception as cause:
            if self._stopped:
                raise cancelled() from cause
            raise
        finally:
            self._idle.set()
        if self._stopped:
            raise cancelled()
        return result

    def stop(self) -> None:
        """Let no call start any more, and return when none is in flight. Idempotent, from any thread. An interrupt that
        fails is repeated like any other, as the call is still there.
        """
        with self._lock:
            self._stopped = True
        has_failed = False
        while not self._idle.wait(REPEAT_SECONDS):
            try:
                self._interrupt()
            except Exception as cause:
                if not has_failed:
                    logger.warning("an interrupt of a running query failed; it is repeated", exc_info=cause)
                has_failed = True
