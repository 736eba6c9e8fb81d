"""The parts of a server that take over a new configuration while it runs: one class for each, named in `wiring`.

A part that reads files of its own, such as certificates, is one more class here with `files` and `prepare`; keys of
settings that it takes over are marked in `settings/reload.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from queryengine.app.configured import (
    aging_us,
    lifetimes_kept,
    record_limits,
    request_limits,
    share_limits,
    spool_limits,
    stream_limits,
)
from queryengine.app.execution import Execution
from queryengine.app.planning import Planning
from queryengine.app.reading import Reading
from queryengine.app.reload import Prepared
from queryengine.app.shared import Shared
from queryengine.app.state import State
from queryengine.app.tenants import service_bounds, tenant_rules, used_today
from queryengine.domain.consumption import Consumption
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.policy.analyses import Analyses
from queryengine.settings import Settings
from queryengine.telemetry.logs import LogStyle, set_up_logging


@dataclass
class LimitsAndLog:
    """Limits, rules on statements, lifetimes and the log, which are keys of the settings and nothing else."""

    state: State
    shared: Shared
    execution: Execution
    reading: Reading
    analyses: Analyses
    planning: Planning
    limits: LimitsInForce
    log: LogStyle
    """As it was set up."""

    def files(self, settings: Settings) -> Iterable[Path]:  # noqa: ARG002 - The signature is the protocol's.
        return ()

    async def prepare(self, settings: Settings) -> Prepared:
        recorded = await used_today(settings, self.state.store, self.shared.clock)
        return Prepared(commit=lambda: self._adopt(settings, recorded))

    def _adopt(self, settings: Settings, recorded: list[Consumption]) -> None:
        limits = settings.limits
        self.shared.limits.adopt(service_bounds(settings), tenant_rules(settings))
        self.execution.scheduler.adopt(share_limits(settings), aging_us=aging_us(settings), recorded=recorded)
        self.state.quota.adopt(spool_limits(settings))
        self.state.records.adopt(record_limits(settings))
        self.reading.streams.adopt(stream_limits(settings))
        self.limits.now = request_limits(settings)
        self.planning.adopt(settings)
        self.analyses.adopt(cpu_seconds=limits.check_timeout_seconds)
        self.shared.lifetimes.adopt(**lifetimes_kept(settings))
        if settings.log.style != self.log:
            self.log = settings.log.style
            set_up_logging(self.log)
            self.execution.pool.log_as(self.log)
