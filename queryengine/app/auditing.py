"""The audit log of a server, made from its settings, and what of it changes while the server runs."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from queryengine.app.reload import Prepared
from queryengine.domain.clock import Clock
from queryengine.domain.query import Query
from queryengine.settings import AuditSettings, Settings, SettingsError
from queryengine.telemetry.audit import AuditFile, AuditLog, AuditRules, Rotation, Sink, StandardError
from queryengine.telemetry.metrics import Metrics


def open_audit(
    settings: Settings, *, server: str, clock: Clock, metrics: Metrics, closing: AsyncExitStack
) -> "Audit | None":
    """None when it is off. Raises SettingsError when the file cannot be opened."""
    audit = settings.audit
    if not audit.is_on:
        return None
    sink: Sink = StandardError()
    if audit.path is not None:
        try:
            sink = AuditFile(audit.path, _rotation(audit), clock=clock, fsync=audit.fsync)
        except BlockingIOError as cause:
            problem = f"another server writes {audit.path}; give each one a file of its own"
            raise SettingsError(f"{settings.origin('audit', 'to')}: audit.to: {problem}") from cause
        except OSError as cause:
            problem = f"{audit.path} cannot be opened: {cause.strerror}"
            raise SettingsError(f"{settings.origin('audit', 'to')}: audit.to: {problem}") from cause
    log = AuditLog(sink, _rules(audit), server=server, clock=clock, metrics=metrics)
    closing.push_async_callback(log.close)
    return Audit(log, sink)


class Audit:
    """The audit log, as a part that takes over settings. Every reload also lets go of a file that was moved away."""

    def __init__(self, log: AuditLog, sink: Sink) -> None:
        self.log = log
        self._sink = sink

    def files(self, settings: Settings) -> Iterable[Path]:  # noqa: ARG002 - The signature is the protocol's.
        return ()

    async def prepare(self, settings: Settings) -> Prepared:
        return Prepared(commit=lambda: self._adopt(settings.audit))

    def _adopt(self, settings: AuditSettings) -> None:
        if isinstance(self._sink, AuditFile):
            self._sink.rotation, self._sink.fsync = _rotation(settings), settings.fsync
        self.log.adopt(_rules(settings))
        self.log.reopen()


class AuditedEnds:
    """Counts ends of queries, as Metrics does, and has them recorded."""

    def __init__(self, metrics: Metrics, log: AuditLog) -> None:
        self._metrics = metrics
        self._log = log

    def ended(self, query: Query) -> None:
        self._metrics.ended(query)
        self._log.ended(query)

    def recovered(self, query: Query) -> None:
        self._metrics.recovered(query)
        self._log.ended(query)


def _rotation(settings: AuditSettings) -> Rotation:
    return Rotation(bytes_max=settings.rotate_bytes, seconds=settings.rotate_seconds, keep_files=settings.keep_files)


def _rules(settings: AuditSettings) -> AuditRules:
    return AuditRules(
        refuses=settings.on_failure == "refuse",
        with_text=settings.statement == "text",
        buffer_bytes=settings.buffer_bytes,
        wait_seconds=settings.wait_seconds,
    )
