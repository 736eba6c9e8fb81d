"""A sandbox worker as the server sees it: one request at a time, under a limit of processor time.

What ends a request is either the fault of what was asked, which used up its own limit, or of the machine: a process
that does not start, was killed, or does not get on. The two are never mixed up, because the first is final.
"""

import asyncio
import logging
import signal
from contextlib import suppress
from typing import Any, Final

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import Template
from queryengine.workers.process import WorkerProcess
from queryengine.workers.protocol import Frame, encode

logger = logging.getLogger(__name__)

START_TIMEOUT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.1
"""Between two looks at a process that works."""
GRACE_SECONDS: Final = 0.25
"""Processor time beyond the limit in which the process ends a request by itself, before it is killed."""
STALLED_LOOKS: Final = 50
"""So many looks without any processor time used between them, and a process counts as stopped: 5 seconds. Not counted
in seconds, as a server that is late itself does not read what the process has to say.
"""
REQUEST_TIMEOUT_SECONDS: Final = 60.0
"""Longest time of a request, however slowly the machine gets on with it."""

_CRASHES: Final = frozenset({-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGILL, -signal.SIGFPE})


class LimitExceeded(Exception):  # noqa: N818 - Named for what it says.
    """The request used up its own limit."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit
        """`time` or `memory`."""


class ProcessLost(Exception):  # noqa: N818
    """The process did not start, ended, or did not get on."""

    def __init__(self, message: str, *, crashed: bool = False, retry: bool = True) -> None:
        super().__init__(message)
        self.crashed = crashed
        """It ended by a fault of its own, such as a stack overflow, which the request may have caused."""
        self.retry = retry
        """Another process may do better at once."""


class SandboxWorker:
    """Keeps one process, started at the first request. A request that fails costs the process; the next one starts
    another.
    """

    def __init__(self, role: dict[str, Any], log: LogStyle, template: Template) -> None:
        self._role = role
        self._log = log
        self._template = template
        self._process: WorkerProcess | None = None
        self._replacing: asyncio.Task[WorkerProcess] | None = None
        """Starts the process after one that was lost, so that the next request does not wait for all of the start."""

    @property
    def is_ready(self) -> bool:
        return self._process is not None and not self._process.is_gone

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> WorkerProcess:
        """The process, started unless it runs. Raises ProcessLost."""
        if self._process is not None and self._process.is_gone:
            # It died while nothing was asked of it.
            idle, self._process = self._process, None
            logger.warning("an idle sandbox worker ended: exit code %s", await idle.close())
        if self._process is None:
            replacing, self._replacing = self._replacing, None
            try:
                self._process = await (replacing or self._started())
            except asyncio.CancelledError:
                if replacing is not None:
                    await _given_up(replacing)
                raise
        return self._process

    async def ask(self, header: dict[str, Any], blob: bytes = b"", *, cpu_seconds: float) -> list[Frame]:
        """All frames of the answer, the last of them `done`. One request at a time.

        Raises LimitExceeded and ProcessLost. A caller that is cancelled costs the process, which is out of step then.
        """
        process = await self.start()
        watch = _Watch(process, cpu_seconds)
        frames = None
        try:
            process.send(encode({**header, "cpu_seconds": cpu_seconds}, blob))
            frames = await _replies(process)
        finally:
            watch.end()
            over_limit = frames[-1].header.get("over_limit", "") if frames is not None else watch.over_limit
            # What ran out of memory may not get it back, as the allocator keeps what it has, in pieces.
            if frames is None or over_limit == "memory":
                self._process = None
                code = await asyncio.shield(process.exit_code() if process.is_gone else process.close())
                if over_limit:
                    # It started once; what is lost otherwise may not start again.
                    self._replacing = asyncio.ensure_future(self._started())
        if over_limit:
            raise LimitExceeded(over_limit)
        if frames is None:
            reason = watch.verdict or f"ended with exit code {code}"
            raise ProcessLost(f"a sandbox worker {reason}", crashed=code in _CRASHES)
        return frames

    async def close(self) -> None:
        """End the process. Idempotent."""
        if self._replacing is not None:
            replacing, self._replacing = self._replacing, None
            await _given_up(replacing)
        if self._process is not None:
            process, self._process = self._process, None
            await process.close()

    async def _started(self) -> WorkerProcess:
        try:
            process = await WorkerProcess.start(self._role, self._log, self._template)
        except OSError as cause:
            raise ProcessLost(f"a sandbox worker cannot be started: {cause.strerror}", retry=False) from cause
        ready = None
        reason = "ended at its start"
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                ready = await process.receive()
        except TimeoutError:
            reason = f"was not ready after {START_TIMEOUT_SECONDS:g} seconds"
        finally:
            # Also when the caller left meanwhile.
            if ready is None:
                await asyncio.shield(process.close())
        if ready is None:
            raise ProcessLost(f"a sandbox worker {reason}", retry=False)
        return process


async def _given_up(starting: "asyncio.Task[WorkerProcess]") -> None:
    """End a process that is being started, or has been."""
    starting.cancel()
    with suppress(asyncio.CancelledError, ProcessLost):
        await (await starting).close()


class _Watch:
    """Kills a process that used up its time or does not get on with a request."""

    def __init__(self, process: WorkerProcess, cpu_seconds: float) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + REQUEST_TIMEOUT_SECONDS
        self._idle_looks = 0
        self._used_before = self._used = process.cpu_seconds() or 0.0
        self._limit = cpu_seconds + GRACE_SECONDS
        self.over_limit = ""
        self.verdict = ""
        """Why the process was killed for no fault of the request."""
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def end(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        used = self._process.cpu_seconds()
        if used is None:
            return
        self._idle_looks = self._idle_looks + 1 if used == self._used else 0
        self._used = used
        if used - self._used_before >= self._limit:
            self.over_limit = "time"
        elif self._idle_looks >= STALLED_LOOKS:
            self.verdict = "was stopped, or waited for a disk that does not answer"
        elif self._loop.time() >= self._deadline:
            self.verdict = f"did not answer within {REQUEST_TIMEOUT_SECONDS:g} seconds"
        else:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
            return
        self._process.kill()


async def _replies(process: WorkerProcess) -> list[Frame] | None:
    frames = []
    while (frame := await process.receive()) is not None:
        frames.append(frame)
        if frame.type == "done":
            return frames
    return None
