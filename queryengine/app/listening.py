"""The ports of a server, open: the service, health, and metrics."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from grpc.aio import Server

from queryengine.app.auditing import Audit
from queryengine.domain.turns import Turns
from queryengine.edges.admin.health import Health
from queryengine.edges.admin.scraping import MetricsServer
from queryengine.edges.grpc.call import Streaming, Unary
from queryengine.edges.grpc.server import SERVICE, bind, make_server
from queryengine.edges.grpc.tls import Tls
from queryengine.policy.identity import Authentication
from queryengine.reading.byte_budget import ByteBudget
from queryengine.settings import Settings
from queryengine.telemetry.gauges import Gauges, Reading
from queryengine.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """What answers calls, and where."""

    server: Server
    health: Health
    address: str
    admin_address: str
    metrics_address: str
    """Empty when metrics are not served."""
    mutual_address: str
    """Where clients must show a certificate beside `address`, where they need none; empty without such a place."""


async def listen(
    settings: Settings,
    rpcs: Mapping[str, Unary | Streaming],
    *,
    turns: Turns,
    authentication: Authentication,
    byte_budget: ByteBudget,
    tls: Tls | None,
    metrics: Metrics,
    audit: Audit | None,
    read: Callable[[], Reading],
    closing: AsyncExitStack,
) -> Edges:
    """Answer calls from here on. `read` is what a scrape asks the event loop. Raises PortTaken."""
    health = Health(SERVICE)
    # First: an address that is taken is refused before gRPC holds any. Closed late, so that a drain can be watched.
    metrics_address = _serve_metrics(settings.server.metrics_listen, metrics, read, health, closing)
    closing.push_async_callback(health.server.stop, 0)
    server = make_server(
        rpcs,
        metrics,
        turns,
        health,
        authentication=authentication,
        audit=None if audit is None else audit.log,
        in_flight=byte_budget.add,
        request_bytes_max=settings.limits.request_bytes,
        stalled_seconds=settings.streams.stalled_seconds,
        with_reflection=settings.server.reflection,
    )
    closing.push_async_callback(server.stop, 0)
    address, admin_address, mutual_address = _bind(settings, server, health, tls)
    await health.alive()
    await health.server.start()
    await server.start()
    await health.ready(True)
    return Edges(
        server=server,
        health=health,
        address=address,
        admin_address=admin_address,
        metrics_address=metrics_address,
        mutual_address=mutual_address,
    )


def _bind(settings: Settings, server: Server, health: Health, tls: Tls | None) -> tuple[str, str, str]:
    """The addresses of the service, of health alone, and of the service for clients with certificates, if any."""
    chosen = settings.tls
    if tls is None:
        plain = bind(server, settings.server.listen, "server.listen")
        return plain, bind(health.server, settings.server.admin_listen, "server.admin_listen"), ""
    is_mutual = chosen.client_certificates == "required"
    credentials = tls.credentials(client_certificates=is_mutual)
    address = bind(server, settings.server.listen, "server.listen", credentials)
    health_credentials = tls.credentials(client_certificates=False) if chosen.health else None
    admin_address = bind(health.server, settings.server.admin_listen, "server.admin_listen", health_credentials)
    if not chosen.mutual_listen:
        return address, admin_address, ""
    mutual = tls.credentials(client_certificates=True)
    return address, admin_address, bind(server, chosen.mutual_listen, "tls.mutual_listen", mutual)


def _serve_metrics(
    address: str, metrics: Metrics, read: Callable[[], Reading], health: Health, closing: AsyncExitStack
) -> str:
    """The address with the port that it got; empty when metrics are not served."""
    metrics.registry.register(Gauges(asyncio.get_running_loop(), read))
    if not address:
        return ""
    server = MetricsServer(address, metrics.registry, lambda: health.is_ready)
    closing.callback(server.close)
    server.start()
    return server.address
