"""Names in the log who holds the slots of an engine for long while others wait."""

import logging
from collections.abc import Mapping
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.executing.queue import EngineQueue
from queryengine.executing.shares import Shares
from queryengine.executing.slots import Slots

HOLDERS_SECONDS: Final = 60.0
"""Least time between two such lines about an engine."""

logger = logging.getLogger(__name__)


class Holders:
    """Looks when it is asked to."""

    def __init__(self, queues: Mapping[str, EngineQueue], *, slots: Slots, shares: Shares, clock: Clock) -> None:
        self._queues = queues
        self._slots = slots
        self._shares = shares
        self._clock = clock
        self._next: dict[str, float] = {}
        """When the next line about an engine may be written."""

    def log(self) -> None:
        """Name every query that holds a slot for long while others wait, at most every HOLDERS_SECONDS."""
        now = self._clock.monotonic()
        for engine, queue in self._queues.items():
            if not len(queue) or now < self._next.get(engine, now) or self._slots.why_down(engine):
                continue
            holders = self._shares.held_by(engine, self._clock.now_us())
            if holders:
                self._next[engine] = now + HOLDERS_SECONDS
                logger.warning(
                    "engine %s: %d queries wait, its slots are held by %s", engine, len(queue), ", ".join(holders)
                )
