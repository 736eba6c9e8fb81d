"""The RPCs about engines."""

from queryengine.accepting.engines import Engines
from queryengine.accepting.refreshing import Refreshes
from queryengine.edges.grpc import convert
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.v1 import query_service_pb2 as pb


class EngineRpcs:
    """ListEngines and RefreshEngine."""

    def __init__(self, engines: Engines, refreshes: Refreshes) -> None:
        self._engines = engines
        self._refreshes = refreshes

    def behaviours(self) -> dict[str, Unary]:
        return {"ListEngines": self.list_engines, "RefreshEngine": self.refresh_engine}

    async def list_engines(self, _: pb.ListEnginesRequest, caller: Caller) -> pb.ListEnginesResponse:
        return pb.ListEnginesResponse(
            engines=[convert.engine(view) for view in self._engines.seen_by(caller.principal)]
        )

    async def refresh_engine(self, request: pb.RefreshEngineRequest, caller: Caller) -> pb.RefreshEngineResponse:
        refreshed = await self._refreshes.refresh(
            caller.principal, request.engine, leave_turn=caller.leave_turn, record=caller.record
        )
        return convert.refreshed(refreshed)
