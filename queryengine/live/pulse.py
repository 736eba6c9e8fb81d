"""Wakes whoever waits for a change."""

import asyncio


class Pulse:
    """Wakes everyone who waits, each time it beats. Check the condition, then wait, without an await between."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[bool]] = set()

    @property
    def is_awaited(self) -> bool:
        return bool(self._waiting)

    def beat(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            _answer(each, True)

    async def wait(self, timeout_seconds: float | None) -> bool:
        """True when it beat, False when the time passed."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.add(answer)
        timer = None if timeout_seconds is None else loop.call_later(timeout_seconds, _answer, answer, False)
        try:
            return await answer
        finally:
            self._waiting.discard(answer)
            if timer is not None:
                timer.cancel()


def _answer(waiting: asyncio.Future[bool], beat: bool) -> None:
    if not waiting.done():
        waiting.set_result(beat)
