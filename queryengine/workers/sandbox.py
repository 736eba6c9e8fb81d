"""A sandbox worker as the server sees it: one request at a time, under a time limit that ends in SIGKILL."""

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Final

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.engines.base import EngineTraits
from queryengine.results.slicing import CutOrder, CutPage
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.process import WorkerProcess
from queryengine.workers.protocol import Frame, encode

logger = logging.getLogger(__name__)

MEMORY_LIMIT_MIB: Final = 4096
CUT_TIMEOUT_SECONDS: Final = 60.0
START_TIMEOUT_SECONDS: Final = 60.0
REMEMBERED_MAX: Final = 1_000
REMEMBERED_CHARACTERS_MAX: Final = 4_096


class SandboxWorker:
    """Checks SQL and cuts pages in a process of its own. Requests queue; one that takes too long costs the process,
    which is started again for the next.
    """

    def __init__(self, engines: dict[str, dict[str, Any]], log: LogStyle) -> None:
        """`engines` maps a configured name to its `type` and `options`."""
        self._log = log
        self._role = {"type": "sandbox", "engines": engines, "memory_limit_mib": MEMORY_LIMIT_MIB}
        self._process: WorkerProcess | None = None
        self._turn = asyncio.Lock()
        self._passed: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def start(self) -> None:
        """Start the process now instead of at the first request."""
        async with self._turn:
            await self._started()

    async def check(self, engine: str, sql: str, *, timeout_seconds: float) -> None:
        """Raises what Engine.check raises, and STATEMENT_TOO_COMPLEX when it takes too long or too much memory.

        Short texts that passed are remembered: a check depends on the text alone, and services repeat their statements.
        """
        if (engine, sql) in self._passed:
            self._passed.move_to_end((engine, sql))
            return
        too_complex = error(
            Reason.STATEMENT_TOO_COMPLEX,
            "the statement is too complex to check; simplify it, or bind long lists as parameters",
            timeout_ms=int(timeout_seconds * 1000),
        )
        await self._request({"type": "check", "engine": engine, "sql": sql}, timeout_seconds, too_complex)
        if len(sql) <= REMEMBERED_CHARACTERS_MAX:
            self._passed[engine, sql] = None
            if len(self._passed) > REMEMBERED_MAX:
                self._passed.popitem(last=False)

    async def traits(self, engine: str) -> EngineTraits:
        """What a configured engine can do. Raises ENGINE_UNAVAILABLE when its driver is missing, INVALID_FIELD when an
        option is wrong.
        """
        unavailable = error(Reason.ENGINE_UNAVAILABLE, f"engine {engine!r} cannot be inspected", engine=engine)
        frames = await self._request({"type": "traits", "engine": engine}, START_TIMEOUT_SECONDS, unavailable)
        fields = frames[0].header["traits"]
        return EngineTraits(**{**fields, "session_settings": tuple(fields["session_settings"])})

    async def cut(self, order: CutOrder) -> list[CutPage]:
        """The pages of an order. Raises RESULT_LOST when stored pages are missing or damaged, and STORE_UNAVAILABLE
        when the process is lost over them.
        """
        message = "stored rows could not be decoded now; try again"
        lost = error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=1.0)
        frames = await self._request({"type": "cut", "order": order.to_json()}, CUT_TIMEOUT_SECONDS, lost)
        return [
            CutPage(
                start_row=frame.header["start_row"],
                row_count=frame.header["row_count"],
                crc32c=frame.header["crc32c"],
                payload=frame.blob,
                is_arrow=frame.header["is_arrow"],
            )
            for frame in frames
        ]

    async def close(self) -> None:
        """End the process. Idempotent."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.close()

    async def _request(self, header: dict[str, Any], timeout_seconds: float, lost: QueryEngineError) -> list[Frame]:
        async with self._turn:
            try:
                # A process may die of something else than what it is asked; a second one does not.
                frames = await self._answer(header, timeout_seconds) or await self._answer(header, timeout_seconds)
            except TimeoutError:
                frames = None
        if frames is None:
            raise lost
        failure = frames[-1].header.get("failure")
        if failure is not None:
            raise QueryEngineError(Failure.from_json(failure))
        return frames[:-1]

    async def _answer(self, header: dict[str, Any], timeout_seconds: float) -> list[Frame] | None:
        """None when the process died over it; raises TimeoutError."""
        process = await self._started()
        finished = False
        try:
            async with asyncio.timeout(timeout_seconds):
                process.send(encode(header))
                frames = await _replies(process)
            finished = frames is not None
        finally:
            # A request that was not read to its end, also one whose caller left, leaves the process out of step.
            if not finished:
                self._process = None
                await asyncio.shield(process.close())
        return frames

    async def _started(self) -> WorkerProcess:
        if self._process is not None and self._process.is_gone:
            # It died while nothing was asked of it, so that no text is to blame.
            idle, self._process = self._process, None
            logger.warning("an idle sandbox worker ended: exit code %s", await idle.close())
        if self._process is None:
            process = await WorkerProcess.start(self._role, self._log)
            ready = None
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(START_TIMEOUT_SECONDS):
                        ready = await process.receive()
            finally:
                # Also when the caller left meanwhile.
                if ready is None:
                    await asyncio.shield(process.close())
            if ready is None:
                message = "the process that checks SQL and cuts pages did not start, see the server's log"
                raise error(Reason.INTERNAL_ERROR, message)
            self._process = process
        return self._process


async def _replies(process: WorkerProcess) -> list[Frame] | None:
    frames = []
    while (frame := await process.receive()) is not None:
        frames.append(frame)
        if frame.type == "done":
            return frames
    return None
