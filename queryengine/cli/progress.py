"""How far a query is, on standard error: a live line on a terminal; elsewhere one line per change when asked for, and
otherwise one when the query keeps its caller waiting.
"""

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from queryengine.cli.visible import visible
from queryengine.client import QueryStatus
from queryengine.domain.lifecycle import QueryState

PATIENCE_SECONDS = 3.0
"""Without rows for this long, a caller who sees no progress is given a line."""


class Progress:
    """Shows each status it is given. A context manager: leaving it clears the live line."""

    def __init__(self, *, is_shown: bool | None, query_id: str) -> None:
        """None shows progress exactly when standard error is a terminal, and elsewhere that the query waits."""
        self._is_live = sys.stderr.isatty()
        self._is_shown = self._is_live if is_shown is None else is_shown
        self._query_id = query_id
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        shows_nothing = is_shown is None and not self._is_live
        self._patience = threading.Timer(PATIENCE_SECONDS, self._run_out) if shows_nothing else None
        self._has_run_out = False
        self._newest: QueryStatus | None = None
        self._said: QueryState | None = None

    def __enter__(self) -> Self:
        if self._is_shown and self._is_live:
            self._status = self._console.status("submitting")
            self._status.start()
        if self._patience is not None:
            self._patience.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, status: QueryStatus) -> None:
        self._newest = status
        if self._has_run_out and not status.is_final:
            self._say_state()
        if self._status is not None:
            self._status.update(line(status))
        elif self._is_shown and not self._is_live:
            self._console.print(line(status), markup=False)

    def say(self, text: str) -> None:
        """A line of its own, above the live one, and also when no progress is shown."""
        self._console.print(text, markup=False)

    def rows_come(self) -> None:
        """Rows arrive: nobody is kept waiting. May be called for each batch."""
        self._has_run_out = False
        patience, self._patience = self._patience, None
        if patience is not None:
            patience.cancel()
            patience.join()

    def _run_out(self) -> None:
        self._has_run_out = True
        self._say_state()

    def _say_state(self) -> None:
        """A line for a state that was not said yet."""
        status = self._newest
        if status is None:
            self.say(f"waiting: no answer to query {self._query_id} yet")
        elif status.state is not self._said:
            self._said = status.state
            self.say(f"waiting: query {self._query_id} is {line(status)}")

    def clear(self) -> None:
        """Stop for good, so that other text may follow. Idempotent."""
        self.rows_come()
        status, self._status = self._status, None
        if status is not None:
            status.stop()


def line(status: QueryStatus) -> str:
    """One line: state, place in the queue or part done, rows and bytes so far."""
    parts: list[str] = [status.state]
    if status.state is QueryState.QUEUED and status.queue_position is not None:
        parts.append(f"{status.queue_position} before it")
        if status.queue_depth is not None:
            parts.append(f"{status.queue_depth} waiting for {status.engine}")
        if status.waiting_reason:
            parts[-1] += f": {visible(status.waiting_reason)}"
    if status.fraction is not None:
        parts.append(f"{status.fraction:.0%}")
    if status.rows:
        parts.append(count_text(status.rows, "row"))
        parts.append(byte_text(status.bytes))
    if status.execution_seconds:
        parts.append(f"{status.execution_seconds:.1f} s")
    return ", ".join(parts)


def count_text(count: int, noun: str) -> str:
    """So many of something, for people."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def byte_text(count: int) -> str:
    """A size for people, in powers of 1024."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
