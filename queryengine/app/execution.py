"""What runs queries, built: workers, the dispatcher and the loop that acts on it, the runner, recovery and sweeps."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from queryengine.app.configured import aging_us, allowed_functions, are_verified, result_limits, shares
from queryengine.app.routing import past_of
from queryengine.app.shared import Shared
from queryengine.app.state import State
from queryengine.app.tenants import used_today
from queryengine.executing.discretion import Discretion
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.engine_plans import EnginePlans
from queryengine.executing.estimates import Estimates
from queryengine.executing.following import Following
from queryengine.executing.holders import Holders
from queryengine.executing.orders import Orders
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.recorder import Recorder
from queryengine.executing.recovery import Recovery
from queryengine.executing.runner import Runner
from queryengine.executing.scheduler import Scheduler
from queryengine.executing.settling import Settling
from queryengine.executing.sweeper import Sweeper
from queryengine.executing.sweeps import (
    Expiry,
    Forgetting,
    ForgettingKeys,
    ForgettingNamedQueries,
    Strays,
    TidyingUsage,
)
from queryengine.executing.throttle import Throttle
from queryengine.policy.routing.routing import Past
from queryengine.policy.row_security.live_catalog import LiveCatalog
from queryengine.settings import Settings
from queryengine.workers.forking import Template
from queryengine.workers.pool import WorkerPool
from queryengine.workers.supervisor import EngineConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The room `executing`, with the workers below it."""

    pool: WorkerPool
    dispatcher: Dispatcher
    runner: Runner
    scheduler: Scheduler
    recovery: Recovery
    sweeper: Sweeper
    expiry: Expiry
    catalog: LiveCatalog
    engine_plans: EnginePlans
    past: Past
    """What completed runs say of a statement."""


async def make_execution(
    settings: Callable[[], Settings],
    configs: Mapping[str, EngineConfig],
    state: State,
    shared: Shared,
    closing: AsyncExitStack,
    *,
    template: Template,
) -> Execution:
    """`settings` are those of the moment, since bounds on a result may be changed by a reload. Nothing runs yet."""
    now, clock = settings(), shared.clock
    discretion = Discretion(lambda: are_verified(settings()))
    history = [
        (
            each.engine,
            discretion.past(each.tenant, each.subject, each.query_hash),
            each.microseconds,
            each.rows,
            each.scanned_bytes,
        )
        for each in await state.store.execution_times()
    ]
    estimates = Estimates(history, discretion)
    wake = asyncio.Event()
    pool = WorkerPool(list(configs.values()), wake, shared.metrics.worker_restarted, now.log.style, template)
    closing.push_async_callback(pool.close)
    throttle = Throttle(shared.limits, clock)
    throttle.adopt(await used_today(now, state.store, clock))
    queues = {name: EngineQueue(throttle.weight, aging_us=aging_us(now)) for name in configs}
    held = shares(now, clock, throttle, discretion)
    dispatcher = Dispatcher(queues, slots=pool, shares=held, clock=clock)
    catalog = LiveCatalog(pool.live_tables)
    allowed = partial(allowed_functions, settings)
    runner = _runner(settings, estimates, throttle, state, shared, catalog=catalog, allowed=allowed)
    scheduler = Scheduler(
        dispatcher,
        runner,
        places=Places(queues, slots=pool, shares=held, estimates=estimates, clock=clock),
        holders=Holders(queues, slots=pool, shares=held, clock=clock),
        tasks=shared.tasks,
        wake=wake,
        clock=clock,
    )
    recovery = Recovery(
        store=state.store,
        results=state.results,
        removal=state.removal,
        disk=state.disk,
        clock=clock,
        metrics=shared.ends,
    )
    expiry = Expiry(store=state.store, registry=shared.registry, lifetimes=shared.lifetimes, removal=state.removal)
    return Execution(
        pool=pool,
        dispatcher=dispatcher,
        runner=runner,
        scheduler=scheduler,
        recovery=recovery,
        sweeper=_sweeper(expiry, state, shared),
        expiry=expiry,
        catalog=catalog,
        past=past_of(estimates, discretion),
        engine_plans=EnginePlans(
            pool,
            allowed,
            waiting=dispatcher.waiting,
            freed=wake.set,
        ),
    )


def _runner(
    settings: Callable[[], Settings],
    estimates: Estimates,
    throttle: Throttle,
    state: State,
    shared: Shared,
    *,
    catalog: LiveCatalog,
    allowed: Callable[[str], Sequence[str]],
) -> Runner:
    now, clock = settings(), shared.clock
    recorder = Recorder(state.store, state.results, state.disk)
    following = Following(
        orders=Orders(
            lambda query: result_limits(settings(), query),
            allowed,
            first_page_flush_seconds=now.results.first_page_flush_ms / 1000,
        ),
        results=state.results,
        meter=state.meter,
        estimates=estimates,
        throttle=throttle,
        clock=clock,
        cancel_grace_seconds=now.limits.cancel_grace_seconds,
    )
    settling = Settling(
        recorder=recorder,
        results=state.results,
        registry=shared.registry,
        meter=state.meter,
        removal=state.removal,
        estimates=estimates,
        tasks=shared.tasks,
        clock=clock,
        explain=catalog.explained,
    )
    return Runner(
        owner=state.owner,
        recorder=recorder,
        registry=shared.registry,
        following=following,
        settling=settling,
        clock=clock,
    )


def _sweeper(expiry: Expiry, state: State, shared: Shared) -> Sweeper:
    store, lifetimes = state.store, shared.lifetimes
    strays = Strays(store=store, results=state.results, removal=state.removal, lifetimes=lifetimes, disk=state.disk)
    forgetting = Forgetting(store=store, records=state.records, lifetimes=lifetimes)
    keys = ForgettingKeys(keys=store.keys, lifetimes=lifetimes)
    usage = TidyingUsage(ledger=store.ledger, lifetimes=lifetimes)
    named = ForgettingNamedQueries(store.named)
    return Sweeper((expiry, strays, forgetting, keys, usage, named), quota=state.quota, registry=shared.registry)
