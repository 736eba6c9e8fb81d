"""A whole server, built and started in the one order in which that works; what is opened is closed the other way round.

state → sandbox workers → workers → tasks → recovery → the scheduler's loop → ports → sweeps

Whatever is opened puts how it is closed on a stack, before the next part is opened: a start that fails half-way closes
what it had opened, and a stop is the same stack.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from queryengine import __version__
from queryengine.accepting.engines import Engines
from queryengine.accepting.refreshing import Refreshes
from queryengine.app.auditing import AuditedEnds, open_audit
from queryengine.app.behaviours import behaviours
from queryengine.app.certificates import CertificatesOfPorts, tls
from queryengine.app.configured import (
    analyses,
    call_turns,
    engine_config,
    engine_traits,
    lifetimes_kept,
    request_limits,
    sandboxes,
    trimming,
    worker_template,
)
from queryengine.app.decisions import DecisionsInForce, endpoint
from queryengine.app.execution import Execution, make_execution
from queryengine.app.exposure import Exposure
from queryengine.app.identity import Identity, make_identity
from queryengine.app.listening import Edges, listen
from queryengine.app.named import make_named
from queryengine.app.planning import Planning, make_planning
from queryengine.app.policies import PoliciesInForce, checked_policies
from queryengine.app.reading import Reading, make_cutting, make_reading
from queryengine.app.readings import readings
from queryengine.app.reload import Reloadable, Reloading, SettingsInForce
from queryengine.app.reloadables import LimitsAndLog
from queryengine.app.shared import Shared
from queryengine.app.state import State, open_state
from queryengine.app.tenants import tenant_limits
from queryengine.app.use_cases import UseCases, make_use_cases
from queryengine.domain.clock import Clock
from queryengine.domain.turns import Turns
from queryengine.edges.admin.health import Health
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.edges.grpc.tls import Tls
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.policy.analyses import Analyses
from queryengine.policy.decisions.decision_point import DecisionPoint
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.policy.routing.engines import KnownEngines
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
class Rooms:
    """All of a server but what clients and operators reach it by."""

    state: State
    shared: Shared
    encryption: Tls | None
    configs: Mapping[str, EngineConfig]
    sandboxes: Sandboxes
    texts: Analyses
    policies: Policies
    decisions: DecisionPoint
    planning: Planning
    execution: Execution
    reading: Reading
    identity: Identity
    cases: UseCases


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A running server, by its rooms."""

    state: State
    shared: Shared
    sandboxes: Sandboxes
    choice: KnownEngines
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
    rooms = await _open_rooms(in_force, clock, closing)
    tasks, state = rooms.shared.tasks, rooms.state
    await _recover(rooms)
    tasks.spawn(rooms.execution.scheduler.run(), "scheduler")
    limits, turns = LimitsInForce(request_limits(in_force.now)), call_turns(in_force.now)
    reloading = _reloading(rooms, in_force, exposure, source, limits)
    edges = await _listen(rooms, in_force.now, reloading, limits=limits, turns=turns, closing=closing)
    tasks.spawn(_keep_readiness(edges.health, state.store), "readiness")
    tasks.spawn(rooms.execution.sweeper.run(), "sweeper")
    tasks.spawn(rooms.execution.catalog.run(), "live-catalog")
    tasks.spawn(trimming(turns, state.disk).keep_trimming(), "trimming")
    tasks.spawn(reloading.run(), "reloading")
    return Parts(
        state=state,
        shared=rooms.shared,
        sandboxes=rooms.sandboxes,
        choice=rooms.planning.engines,
        execution=rooms.execution,
        cases=rooms.cases,
        reading=rooms.reading,
        identity=rooms.identity,
        edges=edges,
        reloading=reloading,
    )


async def _open_rooms(in_force: SettingsInForce, clock: Clock, closing: AsyncExitStack) -> Rooms:
    """State, processes and use cases. Nothing runs yet but workers, which start."""
    now = in_force.now
    limits = tenant_limits(now)
    template = worker_template(now)
    closing.push_async_callback(template.close)
    # Beside all that comes before the first worker.
    template.prepare()
    state = await open_state(now, closing)
    for line in (*warnings(now), *missing_places(now)):
        logger.warning("%s", line)
    shared = _shared(now, clock, state, limits, closing)
    encryption = tls(now, clock, shared.metrics)
    configs = {name: engine_config(now, name) for name in now.engines}
    workers = sandboxes(now, configs, template)
    closing.push_async_callback(workers.close)
    texts, cutting = analyses(now, workers), make_cutting(now, workers.cuts, state)
    execution = await make_execution(lambda: in_force.now, configs, state, shared, closing, template=template)
    closing.push_async_callback(shared.tasks.close)
    closing.callback(execution.scheduler.close)
    await workers.start()
    # First: a wrong option ends the start in one line, before any worker stumbles over it.
    traits = await engine_traits(now, texts)
    await workers.inspections.close()
    execution.pool.start()
    checked = await checked_policies(now, texts.judged)
    decisions = DecisionPoint(endpoint(now.policies.decision_point))
    closing.callback(decisions.close)
    policies = Policies(checked.engines, decisions.decided_for)
    execution.catalog.adopt(checked.tables)
    planning = make_planning(now, traits, texts, policies, execution, tenant_limits=limits, decisions=decisions)
    reading = make_reading(now, cutting, state, shared)
    named = make_named(state.store, planning.planner, workers.cuts, clock)
    return Rooms(
        state=state,
        shared=shared,
        encryption=encryption,
        configs=configs,
        sandboxes=workers,
        texts=texts,
        policies=policies,
        decisions=decisions,
        planning=planning,
        execution=execution,
        reading=reading,
        identity=await make_identity(now, state, shared, closing),
        cases=make_use_cases(planning.planner, execution, reading, state, shared, policies=policies, named=named),
    )


def _shared(settings: Settings, clock: Clock, state: State, limits: TenantLimits, closing: AsyncExitStack) -> Shared:
    """Raises SettingsError when there can be no audit log."""
    metrics = Metrics(settings.engines, __version__)
    audit = open_audit(settings, server=state.owner, clock=clock, metrics=metrics, closing=closing)
    ends = metrics if audit is None else AuditedEnds(metrics, audit.log)
    lifetimes = Lifetimes(clock, **lifetimes_kept(settings))
    return Shared(
        clock=clock,
        metrics=metrics,
        tasks=Tasks(),
        lifetimes=lifetimes,
        audit=audit,
        ends=ends,
        registry=Registry(state.store, ends, lifetimes),
        limits=limits,
    )


def _reloading(
    rooms: Rooms, in_force: SettingsInForce, exposure: Exposure, source: Source | None, limits: LimitsInForce
) -> Reloading:
    """Of whatever takes over a new configuration while the server runs."""
    shared, style = rooms.shared, in_force.now.log.style
    parts: list[Reloadable | None] = [
        exposure,
        LimitsAndLog(
            rooms.state,
            shared,
            rooms.execution,
            rooms.reading,
            rooms.texts,
            rooms.planning,
            limits,
            style,
        ),
        PoliciesInForce(rooms.policies, rooms.execution.catalog, rooms.texts),
        DecisionsInForce(rooms.decisions, in_force.now),
        None if rooms.encryption is None else CertificatesOfPorts(rooms.encryption, shared.clock),
        rooms.identity.authenticators,
        shared.audit,
    ]
    found = [each for each in parts if each is not None]
    return Reloading(in_force, source, found, clock=shared.clock, metrics=shared.metrics, disk=rooms.state.disk)


async def _listen(
    rooms: Rooms,
    settings: Settings,
    reloading: Reloading,
    *,
    limits: LimitsInForce,
    turns: Turns,
    closing: AsyncExitStack,
) -> Edges:
    """Open the ports: calls are answered on return."""
    execution, shared, reading = rooms.execution, rooms.shared, rooms.reading
    engines = Engines(rooms.planning.engines, execution.pool, execution.dispatcher)
    refreshes = Refreshes(rooms.planning.engines, execution.pool, shared.tasks)
    rpcs = behaviours(
        rooms.cases,
        reading,
        engines,
        refreshes,
        rooms.identity.keys,
        reloading=reloading,
        warnings=execution.catalog.warnings,
        clock=shared.clock,
        limits=limits,
    )
    return await listen(
        settings,
        rpcs,
        turns=turns,
        authentication=rooms.identity.authentication,
        byte_budget=reading.byte_budget,
        tls=rooms.encryption,
        metrics=shared.metrics,
        audit=shared.audit,
        read=readings(engines, rooms.state.meter, reading.open_streams),
        closing=closing,
    )


async def _recover(rooms: Rooms) -> None:
    """Count what is stored, and take up what a former process left unfinished."""
    state = rooms.state
    await asyncio.get_running_loop().run_in_executor(state.disk, state.meter.measure)
    for tenant, size in (await state.store.payload_bytes()).items():
        state.meter.add(tenant, size)
    for query in await rooms.execution.recovery.recover(rooms.configs):
        rooms.cases.recording.adopt(query)


async def _keep_readiness(health: Health, store: Store) -> None:
    """Have health checks answer whether Submit can work: whether the store takes writes."""
    while True:
        await health.ready(await store.healthy())
        await asyncio.sleep(READY_SECONDS)
