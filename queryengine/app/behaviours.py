"""What serves each RPC, made from the use cases."""

from collections.abc import Callable

from queryengine.accepting.configuring import Configuring
from queryengine.accepting.engines import Engines
from queryengine.accepting.keys import Keys
from queryengine.accepting.refreshing import Refreshes
from queryengine.app.reading import Reading
from queryengine.app.reload import Reloading
from queryengine.app.use_cases import UseCases
from queryengine.domain.clock import Clock
from queryengine.domain.reloads import Trigger
from queryengine.edges.grpc.call import Streaming, Unary
from queryengine.edges.grpc.configuration import ConfigurationRpcs
from queryengine.edges.grpc.engines import EngineRpcs
from queryengine.edges.grpc.keys import KeyRpcs
from queryengine.edges.grpc.named import NamedQueryRpcs
from queryengine.edges.grpc.queries import QueryRpcs
from queryengine.edges.grpc.requests import LimitsInForce
from queryengine.edges.grpc.results import ResultRpcs
from queryengine.edges.grpc.statuses import Statuses
from queryengine.edges.grpc.usage import UsageRpcs
from queryengine.edges.grpc.watching import WatchRpcs


def behaviours(
    cases: UseCases,
    reading: Reading,
    engines: Engines,
    refreshes: Refreshes,
    keys: Keys,
    *,
    reloading: Reloading,
    warnings: Callable[[], tuple[str, ...]],
    clock: Clock,
    limits: LimitsInForce,
) -> dict[str, Unary | Streaming]:
    """By the names of the RPCs."""
    statuses = Statuses(clock)
    configuring = Configuring(lambda: reloading.status, lambda: reloading.reload(Trigger.CALL), warnings)
    queries = QueryRpcs(
        submitting=cases.submitting,
        explaining=cases.explaining,
        looking=cases.looking,
        listing=cases.listing,
        cancelling=cases.cancelling,
        releasing=cases.releasing,
        statuses=statuses,
        limits=limits,
    )
    results = ResultRpcs(
        looking=cases.looking,
        streams=reading.streams,
        fetching=reading.fetching,
        listing=reading.listing,
        statuses=statuses,
        limits=limits,
    )
    return {
        **queries.behaviours(),
        **results.behaviours(),
        **WatchRpcs(watching=reading.watching, statuses=statuses, limits=limits).behaviours(),
        **EngineRpcs(engines, refreshes).behaviours(),
        **KeyRpcs(keys).behaviours(),
        **UsageRpcs(cases.usage).behaviours(),
        **NamedQueryRpcs(cases.named, limits).behaviours(),
        **ConfigurationRpcs(configuring).behaviours(),
    }
