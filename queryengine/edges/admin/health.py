"""Health of the process and of the service, as gRPC's own protocol has it.

It is served on a port of its own, whose answers do not wait behind calls of tenants, and beside the service for whoever
reaches only that port.
"""

from typing import Final

import grpc
from grpc.aio import Server
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from queryengine.edges.grpc.reflecting import reflect

SERVICE: Final[str] = health.SERVICE_NAME
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Two answers: no name asks whether the process lives, the name of the service whether it takes work."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._servicer = health.aio.HealthServicer()
        self.server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        """Of the port for health alone; the owner starts and stops it."""
        self.serve_on(self.server)
        reflect(self.server, (SERVICE,))
        self.is_ready = False

    def serve_on(self, server: Server) -> None:
        """Answer on another server, too, which has not started yet."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def alive(self) -> None:
        await self._servicer.set("", _SERVING)
        await self._servicer.set(self._service, _NOT_SERVING)

    async def ready(self, ready: bool) -> None:
        self.is_ready = ready
        await self._servicer.set(self._service, _SERVING if ready else _NOT_SERVING)

    async def drain(self) -> None:
        """NOT_SERVING for good, whatever comes."""
        self.is_ready = False
        await self._servicer.enter_graceful_shutdown()
