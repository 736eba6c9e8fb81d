"""How far a query is, on standard error: a bar on a terminal, lines elsewhere."""

import sys
from types import TracebackType
from typing import Protocol, Self

from queryengine.client import QueryStatus


class Progress(Protocol):
    """Shows each status it is given. A context manager: leaving it clears what is live."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, status: QueryStatus) -> None: ...

    def say(self, text: str) -> None:
        """A line of its own, also when no progress is shown."""

    def make_way(self) -> None:
        """Rows are going to be written where the progress is shown: clear it for good. Idempotent."""


def progress_of(query_id: str, *, is_shown: bool | None) -> Progress:
    """None shows a bar on a terminal, and elsewhere lines once a query takes long; True shows lines from the start."""
    if sys.stderr.isatty() and is_shown is not False:
        from queryengine.cli.progressbar import ProgressBar

        return ProgressBar()
    from queryengine.cli.progresslines import PATIENCE_SECONDS, ProgressLines

    patience = {None: PATIENCE_SECONDS, True: 0.0, False: None}[is_shown]
    return ProgressLines(query_id, patience_seconds=patience)
