"""The end of a running server: no new work, streams rotate, running queries get their time and a state that holds."""

import asyncio
import logging
from typing import Final

from queryengine.app.wiring import Parts
from queryengine.domain.lifecycle import QueryState
from queryengine.live.query import Stop, server_lost
from queryengine.live.registry import Registry

NOTICE_SECONDS: Final = 0.2
"""Time for streams to say where to resume before calls are cut."""
STOP_GRACE_SECONDS: Final = 2.0
"""For calls that are open when all queries have ended."""
PUT_BACK_SECONDS: Final = 5.0
"""For the record of queries that are put back, once their runs have ended."""

logger = logging.getLogger(__name__)


async def drain(parts: Parts, *, limit_seconds: float, cancel_grace_seconds: float) -> None:
    """Bring a server to the point at which it may be closed; running queries get the limit at most."""
    parts.cases.admitting.drain()
    parts.execution.scheduler.close()
    await parts.edges.health.drain()
    parts.reading.streams.drain()
    parts.shared.registry.changes.wake()
    await asyncio.sleep(min(NOTICE_SECONDS, limit_seconds))
    await parts.cases.submitting.all_decided(limit_seconds)
    await _finish_running(parts.shared.registry, limit_seconds, cancel_grace_seconds)
    await parts.edges.server.stop(min(STOP_GRACE_SECONDS, limit_seconds))


async def _finish_running(registry: Registry, limit_seconds: float, cancel_grace_seconds: float) -> None:
    """Let running queries end; those that do not in time are put back, or fail as retryable where rows were shown."""
    running = [live for live in registry.active() if live.query.state is QueryState.RUNNING]
    if running:
        logger.info("draining: %d queries run, they get %g seconds", len(running), limit_seconds)
    await asyncio.gather(*(live.wait_until_final(limit_seconds) for live in running))
    left = [live for live in running if live.query.state is QueryState.RUNNING]
    for live in left:
        live.request_stop(Stop(server_lost(live.query.attempt), QueryState.QUEUED))
    try:
        async with asyncio.timeout(cancel_grace_seconds + PUT_BACK_SECONDS):
            for live in left:
                while live.query.state is QueryState.RUNNING:
                    await live.pulse.wait(None)
    except TimeoutError:
        logger.warning("some queries could not be put back; the next start decides what becomes of them")
