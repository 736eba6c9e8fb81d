"""What serves each RPC, made from the use cases."""

from queryengine.accepting.cancelling import Cancelling
from queryengine.accepting.engines import Engines
from queryengine.accepting.looking import Looking
from queryengine.accepting.queries import Queries
from queryengine.accepting.refreshing import Refreshes
from queryengine.accepting.submitting import Submitting
from queryengine.domain.clock import Clock
from queryengine.edges.grpc.call import Streaming, Unary
from queryengine.edges.grpc.engines import EngineRpcs
from queryengine.edges.grpc.queries import QueryRpcs
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.edges.grpc.results import ResultRpcs
from queryengine.edges.grpc.statuses import Statuses
from queryengine.edges.grpc.watching import WatchRpcs
from queryengine.live.registry import Registry
from queryengine.reading.fetching import Fetching
from queryengine.reading.streaming import Streams
from queryengine.reading.watching import Watching


def behaviours(
    *,
    queries: Queries,
    registry: Registry,
    streams: Streams,
    watching: Watching,
    fetching: Fetching,
    engines: Engines,
    refreshes: Refreshes,
    clock: Clock,
    limits: LimitsInForce,
) -> dict[str, Unary | Streaming]:
    """By the names of the RPCs."""
    looking, statuses = Looking(registry), Statuses(clock)
    of_queries = QueryRpcs(
        submitting=Submitting(queries, fetching),
        looking=looking,
        cancelling=Cancelling(looking, queries),
        queries=queries,
        engines=engines,
        statuses=statuses,
        limits=limits,
    )
    of_results = ResultRpcs(looking=looking, streams=streams, fetching=fetching, statuses=statuses, limits=limits)
    return {
        **of_queries.behaviours(),
        **of_results.behaviours(),
        **WatchRpcs(watching=watching, statuses=statuses, limits=limits).behaviours(),
        **EngineRpcs(engines, refreshes).behaviours(),
    }
