"""Ends a run that is to stop: the engine is asked, asked again, and in the end its worker process is given up."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.domain.incidents import incident
from queryengine.domain.lifecycle import QueryState
from queryengine.executing.outcomes import timed_out
from queryengine.live.query import EngineCancel, LiveQuery, Stop
from queryengine.workers.supervisor import RemoteExecution

REPEAT_CANCEL_SECONDS: Final = 0.5


@contextmanager
def stoppable(live: LiveQuery, run: RemoteExecution, *, grace_seconds: float) -> Iterator[None]:
    """While it is open, the run ends when its query is asked to stop, and after its execution timeout."""
    timeout_ms = live.query.plan.execution_timeout_ms
    timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, _out_of_time, live)
    stopping: list[asyncio.Task[None]] = []

    def begin(_: asyncio.Future[Stop]) -> None:
        name = f"stop-{live.query.query_id}"
        stopping.append(asyncio.create_task(_stop(live, run, grace_seconds), name=name))

    asked = live.stop_asked()
    asked.add_done_callback(begin)
    try:
        yield
    finally:
        timer.cancel()
        asked.remove_done_callback(begin)
        for each in stopping:
            each.cancel()


def _out_of_time(live: LiveQuery) -> None:
    live.request_stop(Stop(timed_out(live.query), QueryState.FAILED))


async def _stop(live: LiveQuery, run: RemoteExecution, grace_seconds: float) -> None:
    live.engine_cancel = EngineCancel.SENT
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace_seconds
    try:
        while loop.time() < deadline:
            run.cancel()
            await asyncio.sleep(min(REPEAT_CANCEL_SECONDS, max(0.0, deadline - loop.time())))
    except Exception as cause:
        # A run that cannot be asked to stop is given up at once.
        incident(f"query {live.query.query_id}, whose engine is to stop", cause)
    live.engine_cancel = EngineCancel.KILLED
    run.abandon(f"the engine did not stop within {grace_seconds:g} seconds")
