"""Takes over, while a server runs, what it can of settings that have changed: all of it, or nothing."""

import logging
from collections.abc import Callable

from queryengine.app.configured import (
    default_limits,
    record_limits,
    request_limits,
    share_limits,
    spool_limits,
    stream_limits,
)
from queryengine.app.wiring import Parts
from queryengine.settings import Settings, SettingsError, reloaded
from queryengine.telemetry.logs import set_up_logging

logger = logging.getLogger(__name__)


def reload(parts: Parts, settings: Settings, load: Callable[[], Settings]) -> Settings:
    """The settings that hold from now on: those that `load` returns, as far as a running server can take them over, or
    the old ones when they are refused. Says in the log what has changed and what waits for a restart.
    """
    metrics = parts.shared.metrics
    try:
        done = reloaded(settings, load())
    except SettingsError as cause:
        metrics.reloaded("refused")
        for line in str(cause).splitlines():
            # In one line each, without a traceback.
            logger.log(logging.ERROR, "the settings stay as they are: %s", line)
        return settings
    _adopt(parts, done.settings)
    if any(key.startswith("log.") for key in done.applied):
        set_up_logging(done.settings.log.style)
        parts.execution.pool.log_as(done.settings.log.style)
    metrics.reloaded("applied")
    logger.info("settings read again; changed: %s", ", ".join(done.applied) or "nothing")
    if done.needs_restart:
        logger.warning("settings that need a restart to change: %s", ", ".join(done.needs_restart))
    return done.settings


def _adopt(parts: Parts, settings: Settings) -> None:
    limits = settings.limits
    parts.execution.scheduler.adopt(share_limits(settings), tenant_queued=limits.tenant_queued)
    parts.state.quota.adopt(spool_limits(settings))
    parts.state.records.adopt(record_limits(settings))
    parts.reading.streams.adopt(stream_limits(settings))
    parts.reading.open_streams.adopt(limits.tenant_streams)
    parts.limits.now = request_limits(settings)
    parts.default_limits.adopt(default_limits(settings))
    parts.analyses.adopt(cpu_seconds=limits.check_timeout_seconds)
    parts.shared.lifetimes.adopt(keep_records_us=int(settings.records.keep_seconds * 1e6))
