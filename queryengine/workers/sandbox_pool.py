"""Sandbox workers of one kind: a bounded number of processes, which tenants use in turn."""

import asyncio
import logging
from typing import Any, Final

from queryengine.domain.turns import TurnLimits, Turns
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.forking import Template
from queryengine.workers.protocol import Frame
from queryengine.workers.sandbox import LimitExceeded, ProcessLost, SandboxWorker

logger = logging.getLogger(__name__)

TURN_TIMEOUT_SECONDS: Final = 60.0
"""Longest wait for a free process."""


class SandboxPool:
    """Each request runs alone in a process. Processes start when requests first need them, and stay."""

    def __init__(self, role: dict[str, Any], log: LogStyle, template: Template, limits: TurnLimits) -> None:
        self._turns = Turns(limits)
        self._workers = [SandboxWorker(role, log, template) for _ in range(limits.places)]
        self._idle = list(self._workers)
        self._asking: set[asyncio.Future[list[Frame]]] = set()

    @property
    def waiting(self) -> int:
        """Requests that wait for a process."""
        return self._turns.waiting

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers if worker.pid is not None]

    @property
    def size(self) -> int:
        return len(self._workers)

    async def start(self, count: int = 1) -> None:
        """Have so many processes ready among those that nothing is asked of. Raises ProcessLost."""
        idle = [worker for worker in self._idle if not worker.is_ready]
        missing = count - (len(self._workers) - len(idle))
        await asyncio.gather(*(worker.start() for worker in idle[: max(0, missing)]))

    async def request(
        self,
        tenant: str,
        header: dict[str, Any],
        blob: bytes = b"",
        *,
        cpu_seconds: float,
        size_bytes: int = 0,
        last: bool = False,
    ) -> list[Frame]:
        """The frames of an answer. `size_bytes` is what the caller holds while it waits.

        Raises TENANT_BUSY, LimitExceeded when the request used up its own limit, and ProcessLost for what is no fault
        of it.
        """
        if last or not self._turns.enter_now(tenant):
            try:
                async with asyncio.timeout(TURN_TIMEOUT_SECONDS):
                    await self._turns.enter(tenant, size_bytes, last=last)
            except TimeoutError as cause:
                message = f"no sandbox worker was free within {TURN_TIMEOUT_SECONDS:g} seconds"
                raise ProcessLost(message) from cause
        # The one that was used last is warm.
        worker = self._idle.pop()
        # A caller that leaves does not end it: that would cost the process, and so whoever comes next.
        asking = asyncio.ensure_future(self._answer(worker, header, blob, cpu_seconds))
        self._asking.add(asking)
        asking.add_done_callback(lambda _: self._answered(asking, worker, tenant))
        return await asyncio.shield(asking)

    def defer(self, tenant: str) -> None:
        """Let all others go before the requests of this tenant that wait for a process."""
        self._turns.defer(tenant)

    async def close(self) -> None:
        """End all processes. Idempotent."""
        asking = list(self._asking)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        for worker in self._workers:
            await worker.close()

    def _answered(self, asking: "asyncio.Future[list[Frame]]", worker: SandboxWorker, tenant: str) -> None:
        self._asking.discard(asking)
        self._idle.append(worker)
        self._turns.leave(tenant)
        if not asking.cancelled():
            # Looked at here, as the caller may be gone.
            asking.exception()

    async def _answer(
        self, worker: SandboxWorker, header: dict[str, Any], blob: bytes, cpu_seconds: float
    ) -> list[Frame]:
        """Ask once more when a process is lost, which may have nothing to do with the request; a crash that repeats
        has.
        """
        try:
            return await worker.ask(header, blob, cpu_seconds=cpu_seconds)
        except ProcessLost as lost:
            logger.warning("%s, during a %s", lost, header["type"])
            if not lost.retry:
                raise
        try:
            return await worker.ask(header, blob, cpu_seconds=cpu_seconds)
        except ProcessLost as lost:
            logger.warning("%s, during a %s", lost, header["type"])
            if lost.crashed:
                raise LimitExceeded("memory") from lost
            raise
