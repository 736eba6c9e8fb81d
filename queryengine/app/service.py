"""The composition root: builds all parts and owns the order of start and stop."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from queryengine import __version__
from queryengine.accepting.engines import Engines
from queryengine.accepting.queries import Queries
from queryengine.accepting.refreshing import Refreshes
from queryengine.app.behaviours import behaviours
from queryengine.app.configured import (
    MESSAGE_BYTES_MAX,
    call_turns,
    checks,
    engine_config,
    engine_traits,
    flight_limits,
    record_limits,
    request_limits,
    result_limits,
    sandboxes,
    share_limits,
    shares,
    spool_limits,
    stored_results,
    stream_limits,
    trimming,
)
from queryengine.app.draining import finish_running
from queryengine.app.readings import readings
from queryengine.domain.clock import Clock, SystemClock
from queryengine.edges.admin.health import Health
from queryengine.edges.admin.scraping import MetricsServer
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.edges.grpc.server import SERVICE, bind, make_server
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.estimates import Estimates
from queryengine.executing.following import Following
from queryengine.executing.holders import Holders
from queryengine.executing.orders import Orders
from queryengine.executing.places import Places
from queryengine.executing.queue import EngineQueue
from queryengine.executing.quota import RecordQuota, SpoolQuota
from queryengine.executing.recorder import Recorder
from queryengine.executing.recovery import Recovery
from queryengine.executing.runner import Runner
from queryengine.executing.scheduler import Scheduler
from queryengine.executing.settling import Settling
from queryengine.executing.sweeper import SWEEP_SECONDS, Sweeper
from queryengine.executing.sweeps import Expiry, Forgetting, Strays
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.reading.cutting import Cutting
from queryengine.reading.fetching import Fetching
from queryengine.reading.flight import Flight
from queryengine.reading.indexes import Indexes
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.schemas import Schemas
from queryengine.reading.streaming import Streams
from queryengine.reading.watching import Watching
from queryengine.results.meter import SpoolMeter
from queryengine.results.removal import Removal
from queryengine.settings import Settings, SettingsError, missing_places, reloaded, warnings
from queryengine.store import Store, StoreUnusable
from queryengine.telemetry.gauges import Gauges
from queryengine.telemetry.logs import set_up_logging
from queryengine.telemetry.metrics import Metrics
from queryengine.workers.pool import WorkerPool
from queryengine.workers.seat import EngineConfig

logger = logging.getLogger(__name__)

DISK_THREADS: Final = 4
READY_SECONDS: Final = 2.0
"""Between two looks at whether the service can take work."""
STOP_GRACE_SECONDS: Final = 2.0
DRAIN_NOTICE_SECONDS: Final = 0.2
"""Time for streams to say where to resume before calls are cut."""


class Service:
    """A whole server in this process. `start`, then `stop`; each once."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._lifetimes = Lifetimes(self._clock, keep_records_us=int(settings.records.keep_seconds * 1e6))
        self._metrics = Metrics(settings.engines, __version__)
        self._tasks = Tasks()
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="disk")
        self.address = ""
        self.admin_address = ""
        self.metrics_address = ""
        """Empty when metrics are not served."""
        self._metrics_server: MetricsServer | None = None

    async def start(self) -> None:
        """Open the state, recover what a former process left, start workers, listen.

        Raises StoreLocked and StoreUnusable for the state, PortTaken for an address, SettingsError for an option.
        Returns when Submit works; workers may still be starting, and queries wait for them.
        """
        settings = self.settings
        state = settings.state
        try:
            state.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as cause:
            raise StoreUnusable(f"state.directory {state.directory} cannot be made: {cause.strerror}") from cause
        self.owner = str(uuid.uuid4())
        self._results = stored_results(settings)
        self._store = await Store.open(state.database, owner=self.owner, results=self._results)
        for line in (*warnings(settings), *missing_places(settings)):
            logger.warning("%s", line)
        try:
            await self._begin(await self._build())
        except BaseException:
            await self.stop(0)
            raise

    async def _build(self) -> dict[str, EngineConfig]:
        """Make the parts, of which nothing runs yet; returns the configured engines."""
        settings, clock, store = self.settings, self._clock, self._store
        configs = {name: engine_config(settings, name) for name in settings.engines}
        self._measure(store)
        self._registry = Registry(store, self._metrics, self._lifetimes)
        estimates = Estimates(await store.execution_times())
        wake = asyncio.Event()
        self.pool = WorkerPool(list(configs.values()), wake, self._metrics.worker_restarted, settings.log.style)
        queues = {name: EngineQueue() for name in configs}
        held = shares(settings, clock)
        self._dispatcher = Dispatcher(
            queues, slots=self.pool, shares=held, clock=clock, tenant_queued=settings.limits.tenant_queued
        )
        self._make_sandboxes(configs)
        recorder = Recorder(store, self._results, self._disk)
        following = Following(
            orders=Orders(
                lambda query: result_limits(self.settings, query),
                first_page_flush_seconds=settings.results.first_page_flush_ms / 1000,
            ),
            results=self._results,
            meter=self._meter,
            estimates=estimates,
            clock=clock,
            cancel_grace_seconds=settings.limits.cancel_grace_seconds,
        )
        settling = Settling(
            recorder=recorder,
            registry=self._registry,
            meter=self._meter,
            removal=self._removal,
            estimates=estimates,
            tasks=self._tasks,
            clock=clock,
        )
        self._runner = Runner(
            owner=self.owner,
            recorder=recorder,
            registry=self._registry,
            following=following,
            settling=settling,
            clock=clock,
        )
        self._scheduler = Scheduler(
            self._dispatcher,
            self._runner,
            places=Places(queues, slots=self.pool, shares=held, estimates=estimates, clock=clock),
            holders=Holders(queues, slots=self.pool, shares=held, clock=clock),
            tasks=self._tasks,
            wake=wake,
            clock=clock,
        )
        self._queries = Queries(
            store=store,
            registry=self._registry,
            dispatcher=self._dispatcher,
            scheduler=self._scheduler,
            checks=self._checks,
            quota=self._quota,
            records=self._records,
            clock=clock,
            lifetimes=self._lifetimes,
            metrics=self._metrics,
            tasks=self._tasks,
            removal=self._removal,
            has_rows=self._results.may_hold,
        )
        self._sweeper = self._make_sweeper(store)
        return configs

    def _make_sweeper(self, store: Store) -> Sweeper:
        registry, lifetimes, removal = self._registry, self._lifetimes, self._removal
        sweeps = (
            Expiry(store=store, registry=registry, lifetimes=lifetimes, removal=removal),
            Strays(store=store, results=self._results, removal=removal, lifetimes=lifetimes, disk=self._disk),
            Forgetting(store=store, records=self._records, lifetimes=lifetimes),
        )
        return Sweeper(sweeps, quota=self._quota, registry=registry, sweep_seconds=SWEEP_SECONDS)

    def _make_sandboxes(self, configs: dict[str, EngineConfig]) -> None:
        """Make what checks statements and decodes stored rows."""
        engines = {name: {"type": config.type, "options": dict(config.options)} for name, config in configs.items()}
        self.sandboxes = sandboxes(self.settings, engines)
        self._checks = checks(self.settings, self.sandboxes)
        folder = self.settings.state.cuts
        try:
            self._cutting = Cutting(self.sandboxes.cuts, Flight(flight_limits(self.settings)), folder, self._disk)
        except OSError as cause:
            message = f"state.directory: its folder {folder} cannot be made: {cause.strerror}"
            raise StoreUnusable(message) from cause

    def _measure(self, store: Store) -> None:
        """Make what knows how much room records and results take."""
        quota = self._records = RecordQuota(store.usage, record_limits(self.settings))
        self._meter = SpoolMeter(self._results)
        self._removal = Removal(self._results, self._meter, self._disk)
        self._quota = SpoolQuota(
            self._results.spool,
            self._meter,
            spool_limits(self.settings),
            lambda: store.file_bytes() + quota.pending_bytes,
        )

    async def _begin(self, configs: dict[str, EngineConfig]) -> None:
        """Start the workers, take up what a former process left, listen."""
        await self.sandboxes.start()
        # First: a wrong option ends the start in one line, before any worker stumbles over it.
        traits = await engine_traits(self.settings, self._checks)
        await self.sandboxes.inspections.close()
        self.pool.start()
        default = self.settings.default_engine
        self._engines = Engines(
            configs=configs, default=default, traits=traits, pool=self.pool, dispatcher=self._dispatcher
        )
        await asyncio.get_running_loop().run_in_executor(self._disk, self._meter.measure)
        for tenant, size in (await self._store.payload_bytes()).items():
            self._meter.add(tenant, size)
        recovery = Recovery(
            store=self._store,
            results=self._results,
            removal=self._removal,
            disk=self._disk,
            clock=self._clock,
            metrics=self._metrics,
        )
        for query in await recovery.recover(configs):
            self._queries.adopt(query)
        self._tasks.spawn(self._scheduler.run(), "scheduler")
        await self._listen()
        self._tasks.spawn(self._sweeper.run(), "sweeper")

    async def _listen(self) -> None:
        settings = self.settings
        indexes = Indexes(self._results, self._disk, self._lifetimes, store=self._store, registry=self._registry)
        schemas = Schemas(self._disk)
        self._open_streams = OpenStreams(settings.limits.tenant_streams)
        self._streams = Streams(
            cutting=self._cutting,
            indexes=indexes,
            schemas=schemas,
            disk=self._disk,
            limits=stream_limits(settings),
            open_streams=self._open_streams,
        )
        self._health = Health(SERVICE)
        # First: an address that is taken is refused before gRPC holds any.
        self._listen_for_scrapes(settings.server.metrics_listen)
        fetching = Fetching(
            cutting=self._cutting,
            indexes=indexes,
            schemas=schemas,
            disk=self._disk,
            message_bytes_max=MESSAGE_BYTES_MAX,
            inline_rows=settings.results.inline_rows,
            inline_bytes=settings.results.inline_bytes,
        )
        self._request_limits = LimitsInForce(request_limits(settings))
        turns = call_turns(settings)
        rpcs = behaviours(
            queries=self._queries,
            registry=self._registry,
            streams=self._streams,
            watching=Watching(self._registry, self._streams, self._open_streams),
            fetching=fetching,
            engines=self._engines,
            refreshes=Refreshes(self.pool, self._tasks),
            clock=self._clock,
            limits=self._request_limits,
        )
        self._server = make_server(
            rpcs,
            self._metrics,
            turns,
            self._health,
            in_flight=self._cutting.flight.add,
            request_bytes_max=settings.limits.request_bytes,
            stalled_seconds=settings.streams.stalled_seconds,
            with_reflection=settings.server.reflection,
        )
        self.address = bind(self._server, settings.server.listen, "server.listen")
        self.admin_address = bind(self._health.server, settings.server.admin_listen, "server.admin_listen")
        await self._health.alive()
        await self._health.server.start()
        await self._server.start()
        await self._health.ready(True)
        self._tasks.spawn(self._keep_readiness(), "readiness")
        self._tasks.spawn(trimming(turns, self._disk).keep_trimming(), "trimming")

    def _listen_for_scrapes(self, address: str) -> None:
        read = readings(self._engines, self._meter, self._open_streams)
        self._metrics.registry.register(Gauges(asyncio.get_running_loop(), read))
        if address:
            self._metrics_server = MetricsServer(address, self._metrics.registry, lambda: self._health.is_ready)
            self._metrics_server.start()
            self.metrics_address = self._metrics_server.address

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take over what a running server can of the settings that `load` returns, all of it or, when they are refused,
        nothing. Says in the log what has changed and what waits for a restart. To be called after `start`.
        """
        try:
            done = reloaded(self.settings, load())
        except SettingsError as cause:
            self._metrics.reloaded("refused")
            for line in str(cause).splitlines():
                # In one line each, without a traceback.
                logger.log(logging.ERROR, "the settings stay as they are: %s", line)
            return
        self.settings = settings = done.settings
        self._scheduler.adopt(share_limits(settings), tenant_queued=settings.limits.tenant_queued)
        self._quota.adopt(spool_limits(settings))
        self._records.adopt(record_limits(settings))
        self._streams.adopt(stream_limits(settings))
        self._request_limits.now = request_limits(settings)
        self._open_streams.adopt(settings.limits.tenant_streams)
        self._checks.adopt(cpu_seconds=settings.limits.check_timeout_seconds)
        self._lifetimes.adopt(keep_records_us=int(settings.records.keep_seconds * 1e6))
        if any(key.startswith("log.") for key in done.applied):
            set_up_logging(settings.log.style)
            self.pool.log_as(settings.log.style)
        self._metrics.reloaded("applied")
        logger.info("settings read again; changed: %s", ", ".join(done.applied) or "nothing")
        if done.needs_restart:
            logger.warning("settings that need a restart to change: %s", ", ".join(done.needs_restart))

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Drain, then stop: no new work; streams rotate; running queries get their time; what is left is put back or
        failed as retryable; then everything is closed. May be called when `start` failed half-way. Idempotent.
        """
        limit = self.settings.server.drain_seconds if drain_seconds is None else drain_seconds
        if hasattr(self, "_queries"):
            self._queries.drain()
        if self.address:
            await self._health.drain()
            self._streams.drain()
            self._registry.changes.wake()
            await asyncio.sleep(min(DRAIN_NOTICE_SECONDS, limit))
            await self._queries.submits_over(limit)
            await finish_running(
                self._registry,
                limit_seconds=limit,
                cancel_grace_seconds=self.settings.limits.cancel_grace_seconds,
            )
            await self._server.stop(min(STOP_GRACE_SECONDS, limit))
            await self._health.server.stop(0)
            self.address = ""
        if self._metrics_server is not None:
            # Late, so that a drain can be watched.
            self._metrics_server.close()
            self._metrics_server = None
        await self._tasks.close()
        for part in ("pool", "sandboxes", "_store"):
            if hasattr(self, part):
                await getattr(self, part).close()
        self._disk.shutdown(wait=True)

    async def _keep_readiness(self) -> None:
        """Tell health checks whether Submit can work: the store takes writes."""
        while True:
            await self._health.ready(await self._store.healthy())
            await asyncio.sleep(READY_SECONDS)
