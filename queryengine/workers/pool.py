"""The engine worker processes: which of them gives a slot, and how busy an engine's workers are."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.refreshed import Refreshed
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import Template
from queryengine.workers.supervisor import EngineConfig, Slot, Supervisor

REFRESH_SECONDS: Final = 60.0
"""How long a worker may look at its files. What it finds later, its queries see all the same."""
LIVE_TABLES_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy an engine's workers are."""

    slots: int
    running: int
    available: bool
    detail: str
    """The engine's version, or why it is not available."""
    is_starting: bool
    """No worker is up yet, and none has failed."""
    worker_pids: tuple[int, ...]
    confinement: tuple[str, ...]
    """What its workers have given up and what of it could not be applied, for people; empty where they are not
    confined.
    """


class WorkerPool:
    """All engine workers. `changed` is set whenever a slot may have come free, or an engine become usable or not;
    `restarted` is called with an engine's name whenever a worker of it ended and is to be started again.
    """

    def __init__(
        self,
        configs: list[EngineConfig],
        changed: asyncio.Event,
        restarted: Callable[[str], None],
        log: LogStyle,
        template: Template,
    ) -> None:
        self._configs = {config.name: config for config in configs}
        self._supervisors = {
            config.name: [
                Supervisor(config, changed, restarted, log, template, is_first=number == 0)
                for number in range(config.workers)
            ]
            for config in configs
        }
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to start the workers; returns at once."""
        for name, supervisors in self._supervisors.items():
            for number, supervisor in enumerate(supervisors):
                self._keepers.append(asyncio.create_task(supervisor.keep(), name=f"worker-{name}-{number}"))

    async def close(self) -> None:
        """Kill every worker and wait until it is gone. Idempotent."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper.cancel()
        for keeper in keepers:
            with suppress(asyncio.CancelledError):
                await keeper

    def log_as(self, style: LogStyle) -> None:
        """Have all workers log so from now on."""
        for supervisors in self._supervisors.values():
            for supervisor in supervisors:
                supervisor.log_as(style)

    def take(self, engine: str) -> Slot | None:
        """A free slot of an engine, or None. The supervisor with the fewest executions gives it."""
        best = max(self._supervisors[engine], key=lambda supervisor: supervisor.free)
        return best.take()

    def has_free(self, engine: str) -> bool:
        """Whether `take` has a slot to give."""
        return any(supervisor.free > 0 for supervisor in self._supervisors[engine])

    async def refresh(self, engine: str) -> list[Refreshed | Failure]:
        """Have all workers of an engine that are up look at its files again, beside what they run."""
        asked = (each.ask("refresh", seconds=REFRESH_SECONDS) for each in self._supervisors[engine])
        answers = [answer for answer in await asyncio.gather(*asked) if answer is not None]
        return [
            answer if isinstance(answer, Failure) else Refreshed.from_json(answer["refreshed"]) for answer in answers
        ]

    async def live_tables(self, engine: str, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None] | Failure:
        """What an engine has now of these tables, as a worker that is up finds it, beside what it runs."""
        up = next((each for each in self._supervisors[engine] if each.is_up), None)
        asked = [each.to_json() for each in tables]
        answer = await up.ask("live_tables", seconds=LIVE_TABLES_SECONDS, tables=asked) if up is not None else None
        if answer is None:
            return Failure(Reason.ENGINE_UNAVAILABLE, f"no worker of engine {engine!r} is up")
        if isinstance(answer, Failure):
            return answer
        return [None if each is None else LiveTable.from_json(each) for each in answer["tables"]]

    def slots(self, engine: str) -> int:
        """Slots of an engine, as configured."""
        config = self._configs[engine]
        return config.workers * config.slots_per_worker

    def why_down(self, engine: str) -> str:
        """Why nothing can run on an engine now, for people; empty when it can."""
        load = self.load(engine)
        return "" if load.available else load.detail

    def load(self, engine: str) -> EngineLoad:
        supervisors = self._supervisors[engine]
        up = [each for each in supervisors if each.is_up]
        unusable = next((each.failure.message for each in supervisors if each.failure is not None), "")
        return EngineLoad(
            slots=self.slots(engine),
            running=sum(each.running for each in supervisors),
            available=bool(up),
            detail=up[0].version if up else unusable or "starting",
            is_starting=not up and not unusable,
            worker_pids=tuple(each.pid for each in supervisors if each.pid is not None),
            confinement=tuple(up[0].confinement) if up else (),
        )
