"""What reads results, built: streams, single pages, and the sandbox workers that cut stored pages."""

from dataclasses import dataclass

from queryengine.app.configured import MESSAGE_BYTES_MAX, byte_budget_limits, stream_limits
from queryengine.app.shared import Shared
from queryengine.app.state import State
from queryengine.reading.byte_budget import ByteBudget
from queryengine.reading.cutting import Cutting
from queryengine.reading.fetching import Fetching
from queryengine.reading.indexes import Indexes
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.page_listing import PageListing
from queryengine.reading.schemas import Schemas
from queryengine.reading.streaming import Streams
from queryengine.reading.watching import Watching
from queryengine.settings import Settings
from queryengine.store import StoreUnusable
from queryengine.workers.sandbox_pool import SandboxPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The room `reading`."""

    byte_budget: ByteBudget
    open_streams: OpenStreams
    streams: Streams
    watching: Watching
    fetching: Fetching
    listing: PageListing


def make_cutting(settings: Settings, pool: SandboxPool, state: State) -> Cutting:
    """To be made before the processes of the pool are started. Raises StoreUnusable."""
    folder = settings.state.cuts
    try:
        return Cutting(pool, ByteBudget(byte_budget_limits(settings)), folder, state.disk)
    except OSError as cause:
        message = f"state.directory: its folder {folder} cannot be made: {cause.strerror}"
        raise StoreUnusable(message) from cause


def make_reading(settings: Settings, cutting: Cutting, state: State, shared: Shared) -> Reading:
    disk = state.disk
    indexes = Indexes(state.results, disk, shared.lifetimes, store=state.store, registry=shared.registry)
    schemas = Schemas(disk)
    open_streams = OpenStreams(shared.limits)
    streams = Streams(
        cutting=cutting,
        indexes=indexes,
        schemas=schemas,
        disk=disk,
        limits=stream_limits(settings),
        open_streams=open_streams,
    )
    fetching = Fetching(
        cutting=cutting,
        indexes=indexes,
        schemas=schemas,
        disk=disk,
        message_bytes_max=MESSAGE_BYTES_MAX,
        inline_rows=settings.results.inline_rows,
        inline_bytes=settings.results.inline_bytes,
    )
    return Reading(
        byte_budget=cutting.byte_budget,
        open_streams=open_streams,
        streams=streams,
        watching=Watching(shared.registry, streams, open_streams),
        fetching=fetching,
        listing=PageListing(indexes),
    )
