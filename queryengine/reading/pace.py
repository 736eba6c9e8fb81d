"""When a reader is sent another status: of another state at once, of progress now and then, of the last one always."""

import asyncio
import math
from typing import Final

from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import LiveQuery

STATUS_SECONDS: Final = 0.1
"""Least time between two statuses of one state: each page is a new version, and a status costs as much as a page."""


class StatusPace:
    """What one reader knows of one query."""

    def __init__(self, version: int) -> None:
        """Of the status that the reader has already; 0 for none."""
        self._version = version
        self._state: QueryState | None = None
        self._due = 0.0

    def is_due(self, live: LiveQuery) -> bool:
        """Whether to send a status now. `sent` must follow."""
        return self._is_behind(live) and (live.query.state is not self._state or _now() >= self._due)

    def sent(self, live: LiveQuery) -> None:
        self._version, self._state, self._due = live.version, live.query.state, _now() + STATUS_SECONDS

    def wait_seconds(self, live: LiveQuery) -> float:
        """How long until a version that is there already may be sent."""
        return max(0.0, self._due - _now()) if self._is_behind(live) else math.inf

    def _is_behind(self, live: LiveQuery) -> bool:
        live.refresh_place()
        return live.version > self._version


def _now() -> float:
    return asyncio.get_running_loop().time()
