"""Notices that a reader takes nothing of a message, at no cost for those who read: one timer for a whole stream."""

import asyncio

from queryengine.domain.errors import Failure, Reason

RETRY_SECONDS = 1.0


class Stall:
    """Cancels the task that made it when one write takes longer than so many seconds, and up to twice that."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._writes = 0
        self._is_writing = False
        self._seen = 0
        self.happened = False
        self._timer = self._loop.call_later(seconds, self._look)

    def begin(self) -> None:
        """A write begins."""
        self._writes += 1
        self._is_writing = True

    def end(self) -> None:
        """The write is over."""
        self._is_writing = False

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._is_writing and self._writes == self._seen:
            self.happened = True
            if self._task is not None:
                self._task.cancel()
            return
        self._seen = self._writes if self._is_writing else 0
        self._timer = self._loop.call_later(self._seconds, self._look)


def stalled_failure(seconds: float) -> Failure:
    message = (
        f"the reader took nothing for {seconds:g} seconds; open the stream again at the row after the last one read"
    )
    return Failure(Reason.READER_STALLED, message, retry_after_seconds=RETRY_SECONDS)
