"""Progress on a terminal: a bar with the part that is done, rows, bytes, rate and the time left."""

import datetime as dt
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from queryengine.cli.statuses import byte_text, count_text, line
from queryengine.client import QueryStatus
from queryengine.domain.clock import Clock, SystemClock
from queryengine.domain.lifecycle import QueryState

REFRESHES_PER_SECOND = 8


class ProgressBar:
    """Live on standard error until left. Updates cost nothing but a note: it draws at a pace of its own."""

    def __init__(self, *, console: Console | None = None, clock: Clock | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock or SystemClock()
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=REFRESHES_PER_SECOND,
        )
        self._task = self._bar.add_task("submitting", total=None)
        self._is_live = False

    def __enter__(self) -> Self:
        self._bar.start()
        self._is_live = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.make_way()

    def show(self, status: QueryStatus) -> None:
        total = None if status.fraction is None else 1.0
        text = measure(status, dt.datetime.fromtimestamp(self._clock.now_us() / 1e6, dt.UTC))
        self._bar.update(self._task, description=text, total=total, completed=status.fraction or 0.0)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def make_way(self) -> None:
        is_live, self._is_live = self._is_live, False
        if is_live:
            self._bar.stop()


def measure(status: QueryStatus, now: dt.datetime) -> str:
    """What stands beside the bar."""
    if status.state is not QueryState.RUNNING:
        return line(status)
    parts: list[str] = [status.state]
    if status.fraction is not None:
        parts.append(f"{status.fraction:.0%}")
    if status.rows:
        parts += [count_text(status.rows, "row"), byte_text(status.bytes)]
        if status.execution_seconds:
            per_second = status.rows / status.execution_seconds
            parts.append(f"{per_second:,.0f} rows/s, {byte_text(status.bytes / status.execution_seconds)}/s")
    parts.append(f"{status.execution_seconds:.0f} s")
    left = seconds_left(status, now)
    if left is not None:
        parts.append(f"about {left:.0f} s left")
    return ", ".join(parts)


def seconds_left(status: QueryStatus, now: dt.datetime) -> float | None:
    """The server's estimate, else what the part that is done lets expect; None without either."""
    if status.estimated_completion_time is not None:
        return max(0.0, (status.estimated_completion_time - now).total_seconds())
    if status.fraction and status.execution_seconds:
        return status.execution_seconds * (1 - status.fraction) / status.fraction
    return None
