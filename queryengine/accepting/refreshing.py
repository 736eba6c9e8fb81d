"""Has the workers of an engine look at its files again, one look at a time, shared by all who ask meanwhile.

So that asking often costs an engine no more than a share of its time, whoever asks.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.refreshed import Refreshed, merged
from queryengine.live.tasks import Tasks
from queryengine.policy.rights import Right, require
from queryengine.policy.routing.engines import KnownEngines
from queryengine.workers.pool import WorkerPool

PAUSE_SECONDS: Final = 1.0
"""Between two looks, at least."""
PAUSE_TIMES: Final = 4
"""A pause lasts so many times as long as the look before it."""


@dataclass(frozen=True, slots=True)
class EngineRefreshed:
    """What the workers of an engine found."""

    engine: str
    workers: int
    """That have looked."""
    workers_waiting: int
    """That are up and have not: they look before their next query, or start again before it."""
    found: Refreshed


class Refreshes:
    """Shares looks between callers."""

    def __init__(self, choice: KnownEngines, pool: WorkerPool, tasks: Tasks) -> None:
        self._choice = choice
        self._pool = pool
        self._tasks = tasks
        self._next: dict[str, asyncio.Future[EngineRefreshed]] = {}
        """Looks that have not begun, by engine."""
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def refresh(
        self, principal: Principal, name: str, *, leave_turn: Callable[[], None], record: Record = unrecorded
    ) -> EngineRefreshed:
        """The outcome of a look that begins after this call, of all workers of an engine that are up; the default
        engine's without a name. `leave_turn` is called before it waits.

        Raises what `record` raises, ROLE_MISSING, UNKNOWN_ENGINE, UNSUPPORTED for an engine that reads no folder, and
        ENGINE_UNAVAILABLE when no worker could look.
        """
        require(principal, Right.REFRESH_ENGINE)
        engine = self._choice.named(name)
        leave_turn()
        await record()
        coming = self._next.get(engine)
        if coming is None:
            coming = self._next[engine] = asyncio.get_running_loop().create_future()
            self._tasks.spawn(self._look(engine, coming), f"refresh-{engine}")
        return await asyncio.shield(coming)

    async def _look(self, engine: str, outcome: asyncio.Future[EngineRefreshed]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._locks[engine]:
                del self._next[engine]
                began = loop.time()
                answers = await self._pool.refresh(engine)
                _settle(outcome, engine, answers)
                # Whoever asks meanwhile waits for the next look.
                await asyncio.sleep(max(PAUSE_SECONDS, PAUSE_TIMES * (loop.time() - began)))
        except Exception as cause:
            if not outcome.done():
                outcome.set_exception(cause)
            raise
        finally:
            outcome.cancel()


def _settle(outcome: asyncio.Future[EngineRefreshed], engine: str, answers: list[Refreshed | Failure]) -> None:
    found = [answer for answer in answers if isinstance(answer, Refreshed)]
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    if found:
        outcome.set_result(EngineRefreshed(engine, len(found), len(failures), merged(found)))
    elif failures:
        outcome.set_exception(QueryEngineError(failures[0]))
    else:
        outcome.set_exception(error(Reason.ENGINE_UNAVAILABLE, f"no worker of engine {engine!r} is up", engine=engine))
    # Nobody may be left who asked.
    outcome.exception()
