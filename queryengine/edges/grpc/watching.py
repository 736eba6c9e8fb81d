"""The RPC that watches all queries of a tenant: parse, call the use case, frame what it yields."""

from collections.abc import AsyncIterator

from queryengine.edges.grpc import convert
from queryengine.edges.grpc.call import Caller, Streaming
from queryengine.edges.grpc.filters import to_position, to_watched
from queryengine.edges.grpc.requests import LimitsInForce, heartbeat_seconds
from queryengine.edges.grpc.statuses import Statuses
from queryengine.live.query import LiveQuery
from queryengine.reading.items import Beat
from queryengine.reading.watching import Reset, Watching, WatchItem, WatchRotated
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import result_pb2


class WatchRpcs:
    """WatchQueries."""

    def __init__(self, *, watching: Watching, statuses: Statuses, limits: LimitsInForce) -> None:
        self._watching = watching
        self._statuses = statuses
        self._limits = limits

    def behaviours(self) -> dict[str, Streaming]:
        return {"WatchQueries": self.watch_queries}

    async def watch_queries(
        self, request: pb.WatchQueriesRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchQueriesResponse]:
        heartbeat = heartbeat_seconds(request, self._limits.now)
        wanted, position = to_watched(request), to_position(request)
        caller.leave_turn()
        async for item in self._watching.watch(
            caller.principal,
            wanted,
            position=position,
            heartbeat_seconds=heartbeat,
            still_valid=caller.still_valid,
        ):
            yield self._message(item)

    def _message(self, item: WatchItem) -> pb.WatchQueriesResponse:
        match item.event:
            case LiveQuery() as live:
                return pb.WatchQueriesResponse(position=item.position, status=self._statuses.of(live))
            case Reset():
                return pb.WatchQueriesResponse(position=item.position, reset=pb.WatchReset())
            case WatchRotated(reason):
                rotate = result_pb2.StreamRotate(reason=convert.ROTATIONS[reason])
                return pb.WatchQueriesResponse(position=item.position, rotate=rotate)
            case Beat():
                return pb.WatchQueriesResponse(position=item.position, heartbeat=self._statuses.beat())
