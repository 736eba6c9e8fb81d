"""A worker process kept alive, its slots, and what runs in them: restart with backoff, and the kill that ends what does
not listen.

A slot is given out once, and comes back when its execution reported its end or its process is gone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.incidents import incident
from queryengine.engines.base import Progress
from queryengine.engines.kit.reach import reach
from queryengine.results.segment import PageEntry, ResultTotals
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.events import Ended, Failed, Lost, PagePublished, Progressed, RunEvent, SchemaKnown
from queryengine.workers.forking import Template
from queryengine.workers.health import Health
from queryengine.workers.orders import RunOrder
from queryengine.workers.process import WorkerProcess
from queryengine.workers.protocol import Frame, encode
from queryengine.workers.questions import Answer, Questions

logger = logging.getLogger(__name__)

BACKOFF_SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_SECONDS: Final = 10.0
"""A worker that lived this long, or was given work, did not die of its start: its successor starts at once."""
READY_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """A configured engine and how many workers it gets."""

    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    workers: int
    slots_per_worker: int
    memory_limit_mib: int
    probe_seconds: float
    spool: str
    """Where its workers store results."""
    confine: bool = True
    withheld: frozenset[str] = frozenset()
    """Variables of the environment that its workers are not given."""

    @property
    def is_confined(self) -> bool:
        """Whether its workers give up what their engine does not need."""
        return self.confine and reach(self.type, self.options) is not None

    def role(self) -> dict[str, Any]:
        return {
            "type": "engine",
            "name": self.name,
            "engine_type": self.type,
            "options": dict(self.options),
            "memory_limit_mib": self.memory_limit_mib,
            "spool": self.spool,
            "confine": self.is_confined,
        }


class RemoteExecution:
    """An execution in a worker, as the server sees it. `event` yields what happens, at last Ended, Failed or Lost."""

    def __init__(self, supervisor: "Supervisor", process: WorkerProcess, order: RunOrder) -> None:
        self._supervisor = supervisor
        self._process = process
        self.execution = order.execution
        self.has_reported = False
        """Whether its worker is known to have read the order."""
        self._events: asyncio.Queue[RunEvent] = asyncio.Queue()

    async def event(self) -> RunEvent:
        """The next event; nothing comes after the last one."""
        return await self._events.get()

    def cancel(self) -> None:
        """Ask the engine to stop. The last event shows when it has."""
        self._process.send(encode({"type": "cancel", "execution": self.execution}))

    def abandon(self, description: str) -> None:
        """Give the execution up: Lost follows at once, and its process is killed as soon as no other execution is on
        it, or about to be.
        """
        self._supervisor.abandon(self, description)

    def deliver(self, event: RunEvent) -> None:
        self.has_reported = True
        self._events.put_nowait(event)


class Slot:
    """A place to run one execution in, held until `release`, whatever becomes of the execution and of its process."""

    def __init__(self, supervisor: "Supervisor", process: WorkerProcess) -> None:
        self._supervisor = supervisor
        self._process = process
        self.execution: RemoteExecution | None = None
        """What was begun in it."""

    def run(self, order: RunOrder) -> RemoteExecution:
        """Start an execution, once. When the process has ended meanwhile, its one event is Failed with
        ENGINE_UNAVAILABLE.
        """
        frame = order.encode()
        run = self.execution = RemoteExecution(self._supervisor, self._process, order)
        self._supervisor.begin(run, self)
        self._process.send(frame)
        return run

    async def ask(self, kind: str, *, seconds: float, **details: Any) -> Answer | None:
        """What the process of the slot answers to a question; None when it has ended."""
        return await self._supervisor.ask(kind, seconds=seconds, **details)

    def release(self) -> None:
        """Give the slot back. An execution in it that has not ended is given up, as nobody follows it. Idempotent."""
        self._supervisor.release(self)


class Supervisor:
    """Keeps one worker process alive and knows what runs on it."""

    def __init__(
        self,
        config: EngineConfig,
        changed: asyncio.Event,
        restarted: Callable[[str], None],
        log: LogStyle,
        template: Template,
        *,
        is_first: bool,
    ) -> None:
        self._config = config
        self._is_first = is_first
        self._log = log
        self._template = template
        self._changed = changed
        self._restarted = restarted
        self._process: WorkerProcess | None = None
        self._health: Health | None = None
        """Of an engine that is elsewhere; one inside the worker process lives as long as that does."""
        self._questions: Questions | None = None
        self._runs: dict[str, RemoteExecution] = {}
        self._slots: set[Slot] = set()
        """Slots of the process that are given out."""
        self._retiring = False
        self._was_used = False
        """Whether the last process was given an execution."""
        self._unusable: Failure | None = None
        """Why the last process did not get as far as to take executions."""
        self.version = ""
        self.confinement: list[str] = []
        """What the last process has given up, for people."""

    @property
    def free(self) -> int:
        if self._process is None or self._retiring or self.failure is not None:
            return 0
        return self._config.slots_per_worker - len(self._slots)

    @property
    def running(self) -> int:
        return len(self._slots)

    @property
    def is_up(self) -> bool:
        return self._process is not None and self.failure is None

    @property
    def failure(self) -> Failure | None:
        """Why the engine cannot be used now; None when it can, and while its first process starts."""
        return self._unusable or (self._health.failure if self._health is not None else None)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def keep(self) -> None:
        """Start the process, serve it to its end, start it again; for ever, with backoff."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            started = loop.time()
            try:
                description = await self._one_life()
            except Exception as cause:
                description = self._give_up(cause)
            self._changed.set()
            steady = self._was_used or loop.time() - started >= STEADY_SECONDS
            failures = 0 if steady else failures + 1
            logger.warning("worker of engine %s ended: %s", self._config.name, description)
            try:
                self._restarted(self._config.name)
            except Exception as cause:
                # What others make of it must not cost the engine its worker.
                incident(f"a restart of a worker of engine {self._config.name}", cause)

    def log_as(self, style: LogStyle) -> None:
        """Have this worker and its successors log so."""
        self._log = style
        if self._process is not None:
            self._process.send(encode({"type": "log", "log": asdict(style)}))

    def take(self) -> Slot | None:
        if self.free <= 0 or self._process is None:
            return None
        slot = Slot(self, self._process)
        self._slots.add(slot)
        return slot

    def begin(self, run: RemoteExecution, slot: Slot) -> None:
        if slot in self._slots:
            self._was_used = True
            self._runs[run.execution] = run
        else:
            run.deliver(_not_begun())

    def release(self, slot: Slot) -> None:
        """Whoever released it knows that there is a free slot."""
        if slot in self._slots:
            self._slots.remove(slot)
            if slot.execution is not None:
                self.abandon(slot.execution, "nothing follows the run any more")
            self._kill_if_idle()

    async def ask(self, kind: str, *, seconds: float, **details: Any) -> Answer | None:
        """What the process answers to a question; None when there is no process."""
        return await self._questions.ask(kind, seconds=seconds, **details) if self._questions is not None else None

    def abandon(self, run: RemoteExecution, description: str) -> None:
        if self._runs.pop(run.execution, None) is None:
            return
        run.deliver(Lost(description))
        self._retiring = True
        self._kill_if_idle()

    def _give_up(self, cause: Exception) -> str:
        """Fail what runs here, by a defect of ours; returns what to say of the process, which is replaced."""
        failure = incident(f"a worker of engine {self._config.name}", cause)
        self._unusable = Failure(Reason.ENGINE_UNAVAILABLE, failure.message)
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.deliver(Failed(failure, confirmed=False))
        return failure.message

    async def _one_life(self) -> str:
        self._was_used = False
        process = await WorkerProcess.start(
            {**self._config.role(), "is_first": self._is_first},
            self._log,
            self._template,
            withheld=self._config.withheld,
        )
        try:
            try:
                async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                    first = await process.receive()
            except TimeoutError:
                description = f"not ready after {READY_TIMEOUT_SECONDS:g} seconds"
                message = f"a worker process of engine {self._config.name!r} was {description}"
                self._unusable = Failure(Reason.ENGINE_UNAVAILABLE, message)
                return description
            if first is None:
                self._unusable = Failure(
                    Reason.ENGINE_UNAVAILABLE,
                    f"a worker process of engine {self._config.name!r} ended at its start, see the server's log",
                )
                return "at its start"
            if first.type == "unusable":
                self._unusable = Failure.from_json(first.header["failure"])
                return self._unusable.message
            self.version = first.header["version"]
            self._say_confinement(first.header["confinement"])
            self._unusable = None
            self._process, self._questions = process, Questions(process.send)
            self._changed.set()
            async with self._watched(process, embedded=first.header["embedded"]):
                await process.listen(self._on_frame)
            return f"exit code {await process.wait()}"
        except Exception as cause:
            return self._give_up(cause)
        finally:
            self._lose_all(process)
            await asyncio.shield(process.close())

    @asynccontextmanager
    async def _watched(self, process: WorkerProcess, *, embedded: bool) -> AsyncIterator[None]:
        """Probe an engine that is elsewhere for as long as its process lives."""
        if embedded:
            yield
            return
        self._health = Health(
            interval_seconds=self._config.probe_seconds, send=process.send, changed=self._on_health_changed
        )
        watch = asyncio.create_task(self._health.watch(), name=f"probe-{self._config.name}")
        try:
            yield
        finally:
            self._health = None
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    def _say_confinement(self, holds: list[str]) -> None:
        """Once, unless it changes. The first worker speaks for all of its engine, as one kernel runs them."""
        if holds and holds != self.confinement and self._is_first:
            logger.info("workers of engine %s are confined: %s", self._config.name, "; ".join(holds))
        self.confinement = holds

    def _on_health_changed(self) -> None:
        failure = self.failure
        if failure is None:
            logger.info("engine %s answers again", self._config.name)
        else:
            logger.warning("engine %s cannot be used: %s", self._config.name, failure.message)
        self._changed.set()

    def _on_frame(self, frame: Frame) -> None:
        header = frame.header
        if frame.type == "health":
            if self._health is not None:
                failure = header["failure"]
                self._health.answered(Failure.from_json(failure) if failure else None)
            return
        if frame.type == "answer":
            if self._questions is not None:
                self._questions.answered(header)
            self._retiring = self._retiring or header["retires"]
            self._kill_if_idle()
            return
        run = self._runs.get(header["execution"])
        if run is None:
            return
        if "progress" in header:
            run.deliver(Progressed(Progress(**header["progress"])))
        match frame.type:
            case "schema":
                run.deliver(SchemaKnown(frame.blob))
            case "page":
                run.deliver(PagePublished(PageEntry(*header["page"])))
            case "progress":
                pass
            case "end":
                self._finish(run, Ended(ResultTotals.from_json(header["totals"]), header["confirmed"], frame.blob))
            case "failed":
                failure = Failure.from_json(header["failure"])
                # What ran out of memory may not get it back: the allocator keeps what it has, in pieces.
                out_of_memory = failure.reason is Reason.OUT_OF_MEMORY
                self._retiring = self._retiring or out_of_memory or header.get("retires", False)
                if failure.reason is Reason.ENGINE_UNAVAILABLE and self._health is not None:
                    self._health.doubt(failure)
                self._finish(run, Failed(failure, header["confirmed"]))
            case other:
                logger.error("worker of engine %s sent %r, which is nothing", self._config.name, other)

    def _finish(self, run: RemoteExecution, event: RunEvent) -> None:
        del self._runs[run.execution]
        run.deliver(event)
        self._kill_if_idle()

    def _kill_if_idle(self) -> None:
        is_awaited = any(slot.execution is None for slot in self._slots)
        if self._retiring and not self._runs and not is_awaited and self._process is not None:
            self._process.kill()

    def _lose_all(self, process: WorkerProcess) -> None:
        """The process is gone. A run that it has not reported on, where it left something unread, was not begun."""
        if self._process is not process:
            return
        if self._questions is not None:
            self._questions.gone()
        self._process = self._questions = None
        runs, self._runs = self._runs, {}
        self._slots = set()
        self._retiring = False
        for run in runs.values():
            if process.left_unread and not run.has_reported:
                run.deliver(_not_begun())
            else:
                run.deliver(Lost("the worker process died", by_itself=len(runs) == 1))


def _not_begun() -> Failed:
    message = "the worker process ended before the statement reached it, so the query was not begun"
    return Failed(Failure(Reason.ENGINE_UNAVAILABLE, message), confirmed=True)
