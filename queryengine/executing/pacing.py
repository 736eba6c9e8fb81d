"""Do something for whatever has changed: at once, but not more often than every so many seconds, and again after a
while without a change, as time alone changes things, too.
"""

import asyncio
from collections.abc import Callable


class Paced:
    """Calls an action with names. On the event loop."""

    def __init__(
        self,
        action: Callable[[str], None],
        *,
        is_needed: Callable[[str], bool],
        least_seconds: float,
        idle_seconds: float,
    ) -> None:
        """`is_needed` is asked after each call whether the name is to be looked at again without a change."""
        self._action = action
        self._is_needed = is_needed
        self._least_seconds = least_seconds
        self._idle_seconds = idle_seconds
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._resting: set[str] = set()
        """Acted upon less than `least_seconds` ago."""
        self._changed: set[str] = set()
        """Changed since."""
        self._closed = False

    def changed(self, name: str) -> None:
        if self._closed:
            return
        if name in self._resting:
            self._changed.add(name)
        else:
            self._act(name)

    def close(self) -> None:
        """Call nothing any more. Idempotent."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _act(self, name: str) -> None:
        self._changed.discard(name)
        self._resting.add(name)
        self._after(self._least_seconds, self._rested, name)
        self._action(name)

    def _rested(self, name: str) -> None:
        self._resting.discard(name)
        if name in self._changed:
            self._act(name)
        elif self._is_needed(name):
            self._after(self._idle_seconds, self._act, name)
        else:
            del self._timers[name]

    def _after(self, seconds: float, call: Callable[[str], None], name: str) -> None:
        timer = self._timers.get(name)
        if timer is not None:
            timer.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call, name)
