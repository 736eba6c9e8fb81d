"""Metrics and health over HTTP: each request in a thread of its own, accepted by the event loop.

The library's start_http_server does the same with one more thread, which takes half a second to hear that it shall
end, and its connections may stay silent for ever.
"""

import asyncio
import logging
import socket
import socketserver
import sys
from collections.abc import Callable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from queryengine.edges.grpc.server import PortTaken

logger = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 5.0
"""A connection that says or takes nothing for this long is closed."""


class _Handler(WSGIRequestHandler):
    timeout = SILENCE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - The name is the base's.
        """A scrape every few seconds is no news."""


class _Server(ThreadingWSGIServer):
    # A port that another server listens on is refused, not shared.
    allow_reuse_port = False
    # Connections that may wait to be accepted. With the 5 of the standard library, a probe beside a few scrapers
    # waits a second for its connection to be tried again.
    request_queue_size = 128

    def server_bind(self) -> None:
        # Not HTTPServer's, which looks up the name of this host and waits for a slow DNS.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        logger.info("a scrape broke off: %s", sys.exception())


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


def _answers(registry: CollectorRegistry, is_ready: Callable[[], bool]) -> Callable[..., Any]:
    """The WSGI application. A probe that gets an answer shows that the event loop accepts, so that is all of health but
    for whether Submit works.
    """
    metrics = make_wsgi_app(registry)

    def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Any:
        match environment["PATH_INFO"]:
            case "/livez" | "/healthz":
                status, text = "200 OK", "alive"
            case "/readyz":
                status, text = ("200 OK", "ready") if is_ready() else ("503 Service Unavailable", "not ready")
            case _:
                return metrics(environment, start)
        body = f"{text}\n".encode()
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [b"" if environment["REQUEST_METHOD"] == "HEAD" else body]

    return answer


class MetricsServer:
    """Answers GET /metrics, /livez, /healthz and /readyz from `start` to `close`, both on the event loop."""

    def __init__(self, address: str, registry: CollectorRegistry, is_ready: Callable[[], bool]) -> None:
        """Take the port. Raises PortTaken."""
        host, _, port = address.rpartition(":")
        kind = _ServerOfIPv6 if host.startswith("[") else _Server
        try:
            self._server = make_server(host.strip("[]"), int(port), _answers(registry, is_ready), kind, _Handler)
        except OSError as cause:
            message = f"cannot listen on {address}, is it in use? server.metrics_listen sets another one: {cause}"
            raise PortTaken(message) from cause
        # A caller that leaves before it is accepted must not let the loop wait for the next one.
        self._server.socket.setblocking(False)
        self.address = f"{host}:{self._server.server_port}"

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._server.fileno(), self._server.handle_request)

    def close(self) -> None:
        """Give the port free at once. A scrape under way ends by itself and keeps nobody waiting."""
        asyncio.get_running_loop().remove_reader(self._server.fileno())
        self._server.server_close()
