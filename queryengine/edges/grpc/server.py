"""The gRPC server of the service, and how a server gets its address."""

from typing import Any, Final

import grpc
from grpc.aio import Server

from queryengine.domain.turns import Turns
from queryengine.edges.admin.health import SERVICE as HEALTH
from queryengine.edges.admin.health import Health
from queryengine.edges.grpc import edge
from queryengine.edges.grpc.admission import Admission, Handle, Method
from queryengine.edges.grpc.reflecting import reflect
from queryengine.edges.grpc.servicer import Servicer
from queryengine.telemetry.metrics import Metrics
from queryengine.v1 import query_service_pb2 as pb

SERVICE: Final = pb.DESCRIPTOR.services_by_name["QueryService"].full_name
CONNECTION_CALLS: Final = 128
"""Calls open on one connection; gRPC clients keep further ones back, in their order. Calls of one method are accepted
in the order of their arrival whoever sent them, which is the only wait that turns of tenants do not shorten.
"""
TRANSPORT_SLACK_BYTES: Final = 1 << 20
"""Requests this much over the limit still get our own error; gRPC cuts off what is larger."""

# Why each: two servers on one port would share it silently without so_reuseport=0; keepalive needs ping_timeout to
# act at all; without max_pending_requests a burst of calls is dropped at random; what passes max_concurrent_streams
# waits in the client, unless overload_protection resets streams at random below it; connections end after a while so
# that clients find new servers; with bdp_probe clients may send far ahead of what is read.
OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", 5 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 300_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.max_concurrent_streams", CONNECTION_CALLS),
    ("grpc.http.overload_protection", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 40_000),
)


_BY_ADMISSION: Final[Any] = grpc.RpcMethodHandler()
"""In the place of each method's handler, which Admission makes for every call."""


class PortTaken(Exception):  # noqa: N818 - Named for what it says; it ends the start.
    """An address cannot be listened on; the message names it."""


def make_server(
    servicer: Servicer,
    metrics: Metrics,
    turns: Turns,
    health: Health,
    *,
    in_flight: edge.InFlight,
    request_bytes_max: int,
    stalled_seconds: float,
    with_reflection: bool,
) -> Server:
    """The service, not bound to a port yet."""
    options = (*OPTIONS, ("grpc.max_receive_message_length", request_bytes_max + TRANSPORT_SLACK_BYTES))
    methods: dict[str, Method] = {}
    for method in pb.DESCRIPTOR.services_by_name["QueryService"].methods:
        request_type = getattr(pb, method.input_type.name)
        behaviour = getattr(servicer, method.name)
        count = metrics.requests_of(method.name)
        handle: Handle = (
            edge.streaming(behaviour, request_type, request_bytes_max, count, stalled_seconds)
            if method.server_streaming
            else edge.unary(behaviour, request_type, request_bytes_max, count, in_flight)
        )
        methods[f"/{SERVICE}/{method.name}"] = Method(handle=handle, is_streaming=method.server_streaming, count=count)
    server = grpc.aio.server(interceptors=(Admission(turns, methods),), options=options)
    # gRPC has a line of arrivals for each registered method: a flood of one method delays no call of another.
    server.add_registered_method_handlers(SERVICE, {path.rpartition("/")[2]: _BY_ADMISSION for path in methods})
    health.serve_on(server)
    if with_reflection:
        reflect(server, (SERVICE, HEALTH))
    return server


def bind(server: Server, address: str, key: str) -> str:
    """Bind a server to what a key of the settings says; returns the address with the port it got. Raises PortTaken."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as cause:
        message = f"cannot listen on {address}, is it in use? {key} sets another one: {cause}"
        raise PortTaken(message) from cause
    if address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"
