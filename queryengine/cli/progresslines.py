"""Progress where there is no terminal: nothing for a quick query, else a line and one more at each change of state."""

import threading
from types import TracebackType
from typing import Self

from queryengine.cli.consoles import error_console
from queryengine.cli.statuses import line
from queryengine.client import QueryStatus

PATIENCE_SECONDS = 3.0
"""A query that takes longer says so."""


class ProgressLines:
    """Safe to use from a thread of its own timer."""

    def __init__(self, query_id: str, *, patience_seconds: float | None) -> None:
        """Says nothing before `patience_seconds`, and never with None. With 0 it says how the numbers change, too."""
        self._query_id = query_id
        self._lock = threading.Lock()
        self._is_talking = self._says_numbers = patience_seconds == 0
        self._newest: QueryStatus | None = None
        self._said: tuple[str, str] | None = None
        self._timer = threading.Timer(patience_seconds, self._run_out) if patience_seconds else None

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def show(self, status: QueryStatus) -> None:
        with self._lock:
            self._newest = status
            if self._is_talking:
                self._say_state(status)

    def say(self, text: str) -> None:
        error_console().print(text, markup=False)

    def make_way(self) -> None:
        """Lines are in nobody's way."""

    def _run_out(self) -> None:
        with self._lock:
            self._is_talking = True
            if self._newest is None:
                self.say(f"query {self._query_id}: no answer from the server yet")
            else:
                self._say_state(self._newest)

    def _say_state(self, status: QueryStatus) -> None:
        saying = (status.state, status.waiting_reason)
        if saying != self._said or self._says_numbers:
            self._said = saying
            self.say(f"query {self._query_id}: {line(status)}")
