"""What each part is given, from the settings."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Final

from queryengine.app.trimming import Trimming
from queryengine.codec.memory import give_back_malloc_memory
from queryengine.domain.clock import Clock, steady_us
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.query import Query
from queryengine.domain.turns import TurnLimits, Turns
from queryengine.edges.grpc.requests import RequestLimits
from queryengine.engines.base import EngineTraits
from queryengine.engines.kit.reach import reach
from queryengine.executing.discretion import Discretion
from queryengine.executing.quota import RecordLimits, SpoolLimits
from queryengine.executing.shares import ShareLimits, Shares
from queryengine.executing.throttle import Throttle
from queryengine.policy.analyses import Analyses
from queryengine.reading.byte_budget import ByteBudgetLimits
from queryengine.reading.streaming import StreamLimits
from queryengine.results.spool.local import LocalSpool
from queryengine.results.stored import StoredResults
from queryengine.results.writer import ResultLimits
from queryengine.settings import Settings, SettingsError
from queryengine.settings.secret import secret_variables
from queryengine.store import StoreUnusable
from queryengine.workers import forking
from queryengine.workers.forking import Template
from queryengine.workers.sandboxes import Sandboxes
from queryengine.workers.supervisor import EngineConfig

logger = logging.getLogger(__name__)

CALLS_AT_WORK: Final = 16
TENANT_CALLS_AT_WORK: Final = 8
MESSAGE_BYTES_MAX: Final = 3_500 << 10
"""gRPC clients accept 4 MiB unless they are configured otherwise."""


def stored_results(settings: Settings) -> StoredResults:
    """The results on this machine. Raises StoreUnusable when there can be none."""
    folder = settings.state.spool
    try:
        return StoredResults(LocalSpool.made(folder))
    except OSError as cause:
        message = f"state.directory: its folder {folder} cannot be made: {cause.strerror}"
        raise StoreUnusable(message) from cause


def engine_config(settings: Settings, name: str) -> EngineConfig:
    engine = settings.engines[name]
    return EngineConfig(
        name=name,
        type=engine.type,
        options=engine.options,
        workers=engine.workers,
        slots_per_worker=engine.slots_per_worker,
        memory_limit_mib=engine.memory_limit_mib,
        probe_seconds=engine.probe_seconds,
        spool=str(settings.state.spool.absolute()),
        confine=engine.confine,
        withheld=secret_variables(settings),
    )


async def engine_traits(settings: Settings, analyses: Analyses) -> dict[str, EngineTraits | Failure]:
    """What each engine can do, or why that is not known: an engine that cannot be used does not keep the others from
    being served. Raises SettingsError that names every wrong option.
    """
    traits: dict[str, EngineTraits | Failure] = {}
    mistakes = []

    def note(problem: str, *key: str, inside: Sequence[str] = ()) -> None:
        mistakes.append(f"{settings.origin(*key, *inside)}: {'.'.join(key)}: {problem}")

    for name, engine in settings.engines.items():
        try:
            traits[name] = found = await analyses.traits(name, engine.type, engine.options)
            found.check_slots(engine.slots_per_worker)
        except QueryEngineError as cause:
            failure = traits[name] = cause.failure
            if failure.reason is Reason.INVALID_FIELD:
                inside = json.loads(failure.metadata.get("keys", "[]"))
                note(failure.message, "engines", name, "options", inside=inside)
            else:
                logger.warning("engine %s cannot be used: %s", name, failure.message)
        except ValueError as cause:
            note(str(cause), "engines", name, "slots_per_worker")
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return traits


def worker_template(settings: Settings) -> Template:
    """What workers are forked from. It has imported the adapters of engines that compute in a worker; others read the
    environment as they are imported, and only a worker has theirs.
    """
    types = set()
    for each in settings.engines.values():
        # What is wrong with its options, such as the home of an unknown user, its workers say.
        with suppress(RuntimeError):
            if reach(each.type, each.options) is not None:
                types.add(each.type)
    return Template(partial(forking.spawn_template, engine_types=sorted(types)))


def sandboxes(settings: Settings, engines: Mapping[str, EngineConfig], template: Template) -> Sandboxes:
    return Sandboxes(
        {name: {"type": each.type, "options": dict(each.options)} for name, each in engines.items()},
        settings.log.style,
        template,
        spool=str(settings.state.spool.absolute()),
        cuts=str(settings.state.cuts.absolute()),
        check_workers=settings.sandbox.check_workers,
        cut_workers=settings.sandbox.cut_workers,
        tenant_waiting=settings.limits.tenant_waiting_calls,
        tenant_waiting_bytes=settings.limits.tenant_waiting_bytes,
    )


def call_turns(settings: Settings) -> Turns:
    limits = TurnLimits(
        places=CALLS_AT_WORK,
        tenant_places=TENANT_CALLS_AT_WORK,
        tenant_waiting=settings.limits.tenant_waiting_calls,
        # Requests are not read before their turn.
        tenant_waiting_bytes=0,
    )
    return Turns(limits)


def trimming(turns: Turns, threads: Executor) -> Trimming:
    """Memory is given back when no call is at work or waits to be."""
    return Trimming(
        is_idle=lambda: not turns.at_work and not turns.waiting, give_back=give_back_malloc_memory, threads=threads
    )


def analyses(settings: Settings, sandboxes: Sandboxes) -> Analyses:
    return Analyses(
        quick=sandboxes.quick_checks,
        sliced=sandboxes.sliced_checks,
        thorough=sandboxes.thorough_checks,
        inspections=sandboxes.inspections,
        cpu_seconds=settings.limits.check_timeout_seconds,
    )


def are_verified(settings: Settings) -> bool:
    """Whether callers are asked for credentials, so that not everybody of a tenant sees all of it."""
    return any(each.type != "none" for each in settings.auth.authenticators)


def shares(settings: Settings, clock: Clock, throttle: Throttle, discretion: Discretion) -> Shares:
    return Shares(settings.engines, share_limits(settings), partial(steady_us, clock), throttle, discretion)


def allowed_functions(settings: Callable[[], Settings], engine: str) -> Sequence[str]:
    """Those that statements on an engine may call although its adapter refuses them, by the settings of the moment."""
    return settings().statements.allowed_functions(engine)


def aging_us(settings: Settings) -> int:
    return int(settings.limits.priority_seconds * 1e6)


def share_limits(settings: Settings) -> ShareLimits:
    return ShareLimits(
        tenant_slots_percent=settings.limits.tenant_slots_percent,
        shared_us=int(settings.limits.shared_seconds * 1e6),
        short_run_ms=int(settings.limits.short_run_seconds * 1000),
        long_run_ms=int(settings.limits.long_run_seconds * 1000),
    )


def spool_limits(settings: Settings) -> SpoolLimits:
    results = settings.results
    return SpoolLimits(
        spool_bytes_max=results.spool_bytes_max,
        collect_mark=results.collect_mark_percent / 100,
        refuse_mark=results.refuse_mark_percent / 100,
        fail_mark=results.fail_mark_percent / 100,
    )


def record_limits(settings: Settings) -> RecordLimits:
    records = settings.records
    return RecordLimits(tenant_bytes_max=records.tenant_bytes_max, bytes_max=records.bytes_max)


def lifetimes_kept(settings: Settings) -> dict[str, int]:
    records = settings.records
    return {
        "keep_records_us": int(records.keep_seconds * 1e6),
        "keep_usage_us": int(records.keep_usage_seconds * 1e6),
    }


def result_limits(settings: Settings, query: Query) -> ResultLimits:
    results = settings.results
    return ResultLimits(
        page_bytes=results.page_bytes,
        page_bytes_max=MESSAGE_BYTES_MAX,
        segment_bytes=results.segment_bytes,
        compression=query.submission.compression,
        row_limit=query.plan.row_limit,
        byte_limit=query.plan.byte_limit,
        on_limit=query.submission.on_limit,
        bytes_max=results.query_bytes_max,
        record_bytes=results.record_bytes,
        sync_segments=results.sync == "all",
    )


def byte_budget_limits(settings: Settings) -> ByteBudgetLimits:
    streams = settings.streams
    return ByteBudgetLimits(
        bytes_max=streams.decoded_bytes_max,
        tenant_bytes_max=streams.tenant_decoded_bytes_max,
        tenant_waiting=settings.limits.tenant_waiting_calls,
        wait_seconds=streams.decoded_wait_seconds,
    )


def stream_limits(settings: Settings) -> StreamLimits:
    streams = settings.streams
    return StreamLimits(
        rotate_seconds=streams.rotate_seconds,
        rotate_bytes=streams.rotate_bytes,
        message_bytes_max=MESSAGE_BYTES_MAX,
        whole_page_streams=streams.whole_page_streams,
        chunk_bytes=streams.chunk_bytes,
    )


def request_limits(settings: Settings) -> RequestLimits:
    limits, results = settings.limits, settings.results
    return RequestLimits(
        request_bytes=limits.request_bytes,
        sql_bytes=limits.sql_bytes,
        parameters=limits.parameters,
        wait_timeout_max_seconds=limits.wait_timeout_max_seconds,
        ttl_max_seconds=results.ttl_max_seconds,
        heartbeat_seconds=settings.streams.heartbeat_seconds,
    )
