"""Writes audit records in their order, in groups, in a thread of its own; holds a bounded number of bytes meanwhile."""

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from queryengine.domain.audit import Decision
from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.query import Query
from queryengine.telemetry.audit import records
from queryengine.telemetry.audit.files import Sink
from queryengine.telemetry.metrics import Metrics

RETRY_SECONDS: Final = 1.0
"""Between two attempts to write records of what has happened."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """What is written, and what holds while it cannot be."""

    refuses: bool = True
    """A call whose record is not written is refused; else calls go on, and their records are written later or counted
    as lost.
    """
    with_text: bool = False
    """Whether records have the text of statements, beside the fingerprint."""
    buffer_bytes: int = 8 << 20
    """Records that wait to be written."""
    wait_seconds: float = 5.0
    """Longest wait of a call for its record."""


@dataclass(slots=True)
class _Entry:
    """One record that waits."""

    line: bytes
    written: "asyncio.Future[None] | None"
    """For whoever waits for it."""
    is_kept: bool
    """Of what has happened: it waits until it can be written."""

    def tell(self, refusal: QueryEngineError | None) -> None:
        written, self.written = self.written, None
        if written is None or written.done():
            return
        if refusal is None:
            written.set_result(None)
        else:
            written.set_exception(refusal)

    @property
    def is_given_up(self) -> bool:
        """Whoever waited has left before anything was written."""
        return not self.is_kept and self.written is not None and self.written.done()


class AuditLog:
    """The audit log of one server. `close` must be called. Metrics count every record as written or lost."""

    def __init__(self, sink: Sink, rules: AuditRules, *, server: str, clock: Clock, metrics: Metrics) -> None:
        """`server` stands in every record; with the sequence number, which counts from 1, it shows gaps."""
        self._sink = sink
        self._rules = rules
        self._server = server
        self._clock = clock
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        """Of what waits, and of the group that is being written."""
        self._sequence = 0
        self._writing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.is_failing = False
        """Whether the last records could not be written."""

    def adopt(self, rules: AuditRules) -> None:
        """Follow other rules from the next record on."""
        self._rules = rules

    async def write(self, decision: Decision) -> None:
        """Write the record of a decision before it has an effect. Raises AUDIT_UNAVAILABLE when that fails and the
        rules refuse calls then; there may be a record of a call that was refused for that, or was left.
        """
        await self._write(records.decision(decision, with_text=self._rules.with_text), is_kept=False)

    async def write_done(self, decision: Decision) -> None:
        """As `write`, for what has happened: the record waits until it can be written, even when this raises."""
        await self._write(records.decision(decision, with_text=self._rules.with_text), is_kept=True)

    def ended(self, query: Query) -> None:
        """Take note of the end of a query. Never fails or waits."""
        self._add(records.query_end(query), None, is_kept=True)

    async def require_working(self) -> None:
        """Raise AUDIT_UNAVAILABLE while records wait because they cannot be written, and the rules refuse calls then.
        For calls whose effect comes before their record.
        """
        if self.is_failing and self._rules.refuses:
            self._start()
            if self._writing is not None:
                await asyncio.wait([self._writing], timeout=self._rules.wait_seconds)
            if self.is_failing and self._waiting:
                raise unavailable()

    def reopen(self) -> None:
        """Let go of a file that was moved away, soon. A failure shows with the next record."""
        self._thread.submit(self._sink.reopen)

    async def close(self) -> None:
        """Write what waits, no longer than a call would wait for it, and let go of the file."""
        self._start()
        writing = self._writing
        if writing is not None:
            await asyncio.wait([writing], timeout=self._rules.wait_seconds)
        if self._retry is not None:
            self._retry.cancel()
        self._lose(len(self._waiting), "the server stops")
        self._waiting.clear()
        if self._writing is None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._sink.close)
        self._thread.shutdown(wait=self._writing is None)

    async def _write(self, fields: dict[str, Any], *, is_kept: bool) -> None:
        if not self._rules.refuses:
            self._add(fields, None, is_kept=True)
            return
        written = asyncio.get_running_loop().create_future()
        if not self._add(fields, written, is_kept=is_kept):
            raise unavailable()
        try:
            async with asyncio.timeout(self._rules.wait_seconds):
                await written
        except TimeoutError as cause:
            raise unavailable() from cause

    def _add(self, fields: dict[str, Any], written: "asyncio.Future[None] | None", *, is_kept: bool) -> bool:
        """Whether there is room."""
        self._sequence += 1
        line = records.line(fields, now_us=self._clock.now_us(), server=self._server, sequence=self._sequence)
        if self._bytes + len(line) > self._rules.buffer_bytes:
            self._lose(1, "too many records wait")
            return False
        self._bytes += len(line)
        self._waiting.append(_Entry(line, written, is_kept))
        self._start()
        return True

    def _start(self) -> None:
        if self._writing is None and self._waiting:
            self._writing = asyncio.get_running_loop().create_task(self._write_all(), name="audit")

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                if not await self._write_group():
                    self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._start)
                    return
        finally:
            self._writing = None

    async def _write_group(self) -> bool:
        """Write what waits. When that fails, what is kept waits again."""
        group = [each for each in self._waiting if not each.is_given_up]
        self._metrics.audited("lost", len(self._waiting) - len(group))
        self._waiting.clear()
        failure: OSError | None = None
        try:
            data = b"".join(each.line for each in group)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._sink.append, data)
        except OSError as cause:
            failure = cause
            kept = [each for each in group if each.is_kept]
            self._waiting.extendleft(reversed(kept))
            self._metrics.audited("lost", len(group) - len(kept))
        else:
            self._metrics.audited("written", len(group))
        self._bytes = sum(len(each.line) for each in self._waiting)
        self._say(failure)
        for each in group:
            each.tell(None if failure is None else unavailable())
        return failure is None

    def _say(self, failure: OSError | None) -> None:
        """In the log, when it begins and when it is over."""
        if failure is not None and not self.is_failing:
            effect = "calls are refused" if self._rules.refuses else "calls go on"
            logger.error("audit records cannot be written, %s: %s", effect, failure.strerror or failure)
        if failure is None and self.is_failing:
            logger.warning("audit records are written again")
        self.is_failing = failure is not None

    def _lose(self, count: int, why: str) -> None:
        if count:
            self._metrics.audited("lost", count)
            logger.error("%d audit record%s lost: %s", count, "s" if count > 1 else "", why)


def unavailable() -> QueryEngineError:
    return error(
        Reason.AUDIT_UNAVAILABLE,
        "the call was refused, as its audit record could not be written; the log of the server says why",
    )
