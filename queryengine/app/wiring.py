"""A whole server, built and started in the one order in which that works; what is opened is closed the other way round.

state → sandbox workers → workers → tasks → recovery → the scheduler's loop → ports → sweeps

Whatever is opened puts how it is closed on a stack, before the next part is opened: a start that fails half-way closes
what it had opened, and a stop is the same stack.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from queryengine import __version__
from queryengine.accepting.engines import Engines
from queryengine.accepting.recording import Recording
from queryengine.accepting.refreshing import Refreshes
from queryengine.app.auditing import AuditedEnds, open_audit
from queryengine.app.behaviours import behaviours
from queryengine.app.certificates import CertificatesOfPorts, tls
from queryengine.app.configured import (
    analyses,
    call_turns,
    engine_config,
    engine_traits,
    request_limits,
    sandboxes,
    trimming,
)
from queryengine.app.execution import Execution, make_execution
from queryengine.app.exposure import Exposure
from queryengine.app.identity import Identity, make_identity
from queryengine.app.listening import Edges, listen
from queryengine.app.planning import make_planning
from queryengine.app.policies import PoliciesInForce, checked_policies
from queryengine.app.reading import Reading, make_cutting, make_reading
from queryengine.app.readings import readings
from queryengine.app.reload import Reloadable, Reloading, SettingsInForce
from queryengine.app.reloadables import LimitsAndLog
from queryengine.app.shared import Shared
from queryengine.app.state import State, open_state
from queryengine.app.use_cases import UseCases, make_use_cases
from queryengine.domain.clock import Clock
from queryengine.edges.admin.health import Health
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.policy.choose_engine import ChooseEngine
from queryengine.policy.row_security.policies import Policies
from queryengine.settings import Settings, Source, missing_places, warnings
from queryengine.store import Store
from queryengine.telemetry.metrics import Metrics
from queryengine.workers.sandboxes import Sandboxes
from queryengine.workers.supervisor import EngineConfig

READY_SECONDS: Final = 2.0
"""Between two looks at whether the service can take work."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A running server, by its rooms."""

    state: State
    shared: Shared
    sandboxes: Sandboxes
    choice: ChooseEngine
    execution: Execution
    cases: UseCases
    reading: Reading
    identity: Identity
    edges: Edges
    reloading: Reloading


async def start(
    in_force: SettingsInForce, exposure: Exposure, clock: Clock, source: Source | None, closing: AsyncExitStack
) -> Parts:
    """Start a server; it answers calls on return. A reload changes the settings in force later.

    Raises StoreLocked and StoreUnusable for the state, PortTaken for an address, SettingsError for an option.
    """
    now = in_force.now
    state = await open_state(now, closing)
    for line in (*warnings(now), *missing_places(now)):
        logger.warning("%s", line)
    shared = _shared(now, clock, state, closing)
    encryption = tls(now, clock, shared.metrics)
    configs = {name: engine_config(now, name) for name in now.engines}
    workers = sandboxes(now, configs)
    closing.push_async_callback(workers.close)
    texts, cutting = analyses(now, workers), make_cutting(now, workers.cuts, state)
    execution = await make_execution(lambda: in_force.now, configs, state, shared, closing)
    closing.push_async_callback(shared.tasks.close)
    closing.callback(execution.scheduler.close)
    await workers.start()
    # First: a wrong option ends the start in one line, before any worker stumbles over it.
    traits = await engine_traits(now, texts)
    await workers.inspections.close()
    execution.pool.start()
    policies = Policies(await checked_policies(now, texts.policy_problems))
    planning = make_planning(now, traits, texts, policies)
    reading = make_reading(now, cutting, state, shared)
    identity = await make_identity(now, state, shared, closing)
    cases = make_use_cases(planning.planner, execution, reading, state, shared, policies=policies)
    await _recover(configs, execution, cases.recording, state)
    shared.tasks.spawn(execution.scheduler.run(), "scheduler")
    engines = Engines(planning.choice, execution.pool, execution.dispatcher)
    limits, turns = LimitsInForce(request_limits(now)), call_turns(now)
    certificates = None if encryption is None else CertificatesOfPorts(encryption, clock)
    log = LimitsAndLog(state, shared.lifetimes, execution, reading, texts, planning, limits, now.log.style)
    parts = (exposure, log, PoliciesInForce(policies, texts), certificates, identity.authenticators, shared.audit)
    reloading = _reloading(in_force, source, state, shared, parts)
    refreshes = Refreshes(planning.choice, execution.pool, shared.tasks)
    rpcs = behaviours(
        cases, reading, engines, refreshes, identity.keys, reloading=reloading, clock=clock, limits=limits
    )
    edges = await listen(
        now,
        rpcs,
        turns=turns,
        authentication=identity.authentication,
        byte_budget=reading.byte_budget,
        tls=encryption,
        metrics=shared.metrics,
        audit=shared.audit,
        read=readings(engines, state.meter, reading.open_streams),
        closing=closing,
    )
    _spawn_loops(shared.tasks, edges.health, state, execution)
    shared.tasks.spawn(trimming(turns, state.disk).keep_trimming(), "trimming")
    shared.tasks.spawn(reloading.run(), "reloading")
    return Parts(
        state=state,
        shared=shared,
        sandboxes=workers,
        choice=planning.choice,
        execution=execution,
        cases=cases,
        reading=reading,
        identity=identity,
        edges=edges,
        reloading=reloading,
    )


def _shared(settings: Settings, clock: Clock, state: State, closing: AsyncExitStack) -> Shared:
    """Raises SettingsError when there can be no audit log."""
    metrics = Metrics(settings.engines, __version__)
    audit = open_audit(settings, server=state.owner, clock=clock, metrics=metrics, closing=closing)
    ends = metrics if audit is None else AuditedEnds(metrics, audit.log)
    lifetimes = Lifetimes(clock, keep_records_us=int(settings.records.keep_seconds * 1e6))
    return Shared(
        clock=clock,
        metrics=metrics,
        tasks=Tasks(),
        lifetimes=lifetimes,
        audit=audit,
        ends=ends,
        registry=Registry(state.store, ends, lifetimes),
    )


def _reloading(
    in_force: SettingsInForce,
    source: Source | None,
    state: State,
    shared: Shared,
    parts: Iterable[Reloadable | None],
) -> Reloading:
    """Of whatever takes over a new configuration while the server runs."""
    found = [each for each in parts if each is not None]
    return Reloading(in_force, source, found, clock=shared.clock, metrics=shared.metrics, disk=state.disk)


async def _recover(
    configs: Mapping[str, EngineConfig], execution: Execution, recording: Recording, state: State
) -> None:
    """Count what is stored, and take up what a former process left unfinished."""
    await asyncio.get_running_loop().run_in_executor(state.disk, state.meter.measure)
    for tenant, size in (await state.store.payload_bytes()).items():
        state.meter.add(tenant, size)
    for query in await execution.recovery.recover(configs):
        recording.adopt(query)


def _spawn_loops(tasks: Tasks, health: Health, state: State, execution: Execution) -> None:
    tasks.spawn(_keep_readiness(health, state.store), "readiness")
    tasks.spawn(execution.sweeper.run(), "sweeper")


async def _keep_readiness(health: Health, store: Store) -> None:
    """Have health checks answer whether Submit can work: whether the store takes writes."""
    while True:
        await health.ready(await store.healthy())
        await asyncio.sleep(READY_SECONDS)
