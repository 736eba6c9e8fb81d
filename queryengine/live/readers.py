"""Who reads or watches a query now, and what happens once nobody has for a while."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Readers:
    """Counts the open calls of one query. Costs nothing but the count until `expect` is called."""

    def __init__(self) -> None:
        self.count = 0
        self._grace_seconds = 0.0
        self._when_left: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, grace_seconds: float, when_left: Callable[[], object]) -> None:
        """Call `when_left`, once, when nobody has been here for the grace, which begins now and again each time the
        last reader leaves.
        """
        self._grace_seconds, self._when_left = grace_seconds, when_left
        self.seen()

    def dismiss(self) -> None:
        """Expect nobody any more. Idempotent."""
        self._when_left = None
        self._stop_timer()

    @contextmanager
    def present(self) -> Iterator[None]:
        """One reader, for as long as the block takes."""
        self.count += 1
        self._stop_timer()
        try:
            yield
        finally:
            self.count -= 1
            self.seen()

    def seen(self) -> None:
        """Somebody called who does not stay: the grace begins again."""
        self._stop_timer()
        if self._when_left is not None and not self.count:
            self._timer = asyncio.get_running_loop().call_later(self._grace_seconds, self._left)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _left(self) -> None:
        when_left, self._timer, self._when_left = self._when_left, None, None
        if when_left is not None:
            when_left()
