"""The gRPC server of the service, and how a server gets its address."""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc.aio import Server

from queryengine.domain.turns import Turns
from queryengine.edges.admin.health import SERVICE as HEALTH
from queryengine.edges.admin.health import Health
from queryengine.edges.grpc.admission import Admission
from queryengine.edges.grpc.auditing import audited, auditing
from queryengine.edges.grpc.call import Method, Streaming, Unary
from queryengine.edges.grpc.chain import serving
from queryengine.edges.grpc.handling import Handling, InFlight
from queryengine.edges.grpc.identity import identifying
from queryengine.edges.grpc.reflecting import reflect
from queryengine.policy.identity import Authentication
from queryengine.telemetry.audit import AuditLog
from queryengine.telemetry.metrics import Metrics
from queryengine.v1 import admin_service_pb2, named_query_service_pb2, query_service_pb2

QUERY_SERVICE: Final = query_service_pb2.DESCRIPTOR.services_by_name["QueryService"]
SERVICE: Final = QUERY_SERVICE.full_name
ADMIN_SERVICE: Final = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]
NAMED_QUERY_SERVICE: Final = named_query_service_pb2.DESCRIPTOR.services_by_name["NamedQueryService"]
SERVICES: Final = (QUERY_SERVICE, ADMIN_SERVICE, NAMED_QUERY_SERVICE)
"""Their RPCs have names of their own: behaviours and metrics know an RPC by its name alone."""
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


class PortTaken(Exception):  # noqa: N818 - Named for what it says; it ends the start.
    """An address cannot be listened on; the message names it."""


def make_server(
    behaviours: Mapping[str, Unary | Streaming],
    metrics: Metrics,
    turns: Turns,
    health: Health,
    *,
    authentication: Authentication,
    audit: AuditLog | None,
    in_flight: InFlight,
    request_bytes_max: int,
    stalled_seconds: float,
    with_reflection: bool,
) -> Server:
    """The services, not bound to a port yet. `behaviours` has what serves each method, by its name."""
    options = (*OPTIONS, ("grpc.max_receive_message_length", request_bytes_max + TRANSPORT_SLACK_BYTES))
    identify, admission = identifying(authentication), Admission(turns)
    auditing_link = None if audit is None else auditing(audit)
    handling = Handling(request_bytes_max=request_bytes_max, stalled_seconds=stalled_seconds, in_flight=in_flight)
    server = grpc.aio.server(options=options)
    for service in SERVICES:
        handlers = {}
        for described in service.methods:
            method = Method(
                name=described.name,
                request_type=GetMessageClass(described.input_type),
                behaviour=_behaviour(behaviours[described.name], described, audit),
                is_streaming=described.server_streaming,
                count=metrics.requests_of(described.name),
            )
            handlers[method.name] = serving(method, identify, admission, handling, auditing_link)
        # gRPC has a line of arrivals for each registered method: a flood of one method delays no call of another.
        server.add_registered_method_handlers(service.full_name, handlers)
    health.serve_on(server)
    if with_reflection:
        reflect(server, (*(service.full_name for service in SERVICES), HEALTH))
    return server


def _behaviour(behaviour: Unary | Streaming, described: MethodDescriptor, audit: AuditLog | None) -> Unary | Streaming:
    return behaviour if audit is None else audited(behaviour, is_streaming=described.server_streaming)


def bind(server: Server, address: str, key: str, credentials: grpc.ServerCredentials | None = None) -> str:
    """Bind a server to what a key of the settings says, in plain text without credentials; returns the address with the
    port it got. Raises PortTaken.
    """
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as cause:
        message = f"cannot listen on {address}, is it in use? {key} sets another one: {cause}"
        raise PortTaken(message) from cause
    if address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"
