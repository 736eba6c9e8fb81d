"""Removes, again and again, what nobody may read any more, and sooner while room is scarce.

Removal marks the record first and deletes the bytes after; a crash between the two leaves bytes without a readable
record, which the next sweep finds and deletes.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.lifecycle import QueryState
from queryengine.executing.quota import SpoolQuota
from queryengine.live.query import LiveQuery, Stop
from queryengine.live.registry import Registry

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 60.0
URGENT_SECONDS: Final = 2.0
"""Between sweeps while the spool is nearly full."""
LOOK_SECONDS: Final = 0.5
"""Between two looks at how full the spool is."""


class Sweep(Protocol):
    """One kind of removal."""

    async def sweep(self) -> None:
        """Remove all of its kind that may go now."""
        ...


class Sweeper:
    """Runs the sweeps one after the other, and fails the largest running query when the spool is about to be full."""

    def __init__(
        self,
        sweeps: Sequence[Sweep],
        *,
        quota: SpoolQuota,
        registry: Registry,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._sweeps = sweeps
        self._quota = quota
        self._registry = registry
        self._sweep_seconds = sweep_seconds

    async def run(self) -> None:
        """Sweep for ever, whatever fails: without a sweeper nothing would expire."""
        while True:
            try:
                await self.sweep()
                await self._pause()
            except (QueryEngineError, OSError) as cause:
                logger.warning("sweep put off: %s", cause)
                await asyncio.sleep(URGENT_SECONDS)

    async def sweep(self) -> None:
        """One round."""
        for each in self._sweeps:
            await each.sweep()

    async def _pause(self) -> None:
        """Return when it is time for the next sweep, which is sooner while room is scarce. A spool that fills up does
        not wait for a sweep: the largest running query fails at once.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        end = began + self._sweep_seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(LOOK_SECONDS, left))
            if self._quota.must_collect():
                end = min(end, began + URGENT_SECONDS)
            if self._quota.must_fail():
                self.fail_largest()

    def fail_largest(self) -> None:
        """Stop the running query that has stored most, as SPOOL_FULL."""
        running = [live for live in self._registry.active() if live.index is not None and not live.is_final]
        if running:
            largest = max(running, key=_stored_bytes)
            largest.request_stop(Stop(self._quota.full_error().failure, QueryState.FAILED))


def _stored_bytes(live: LiveQuery) -> int:
    return live.index.bytes if live.index is not None else 0
