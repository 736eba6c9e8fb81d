"""The engine worker processes: which of them gives a slot, and how busy an engine's workers are."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import Template
from queryengine.workers.refreshing import Answer
from queryengine.workers.supervisor import EngineConfig, Slot, Supervisor


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

    async def refresh(self, engine: str) -> list[Answer]:
        """Have all workers of an engine that are up look at its files again, beside what they run."""
        answers = await asyncio.gather(*(supervisor.refresh() for supervisor in self._supervisors[engine]))
        return [answer for answer in answers if answer is not None]

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
