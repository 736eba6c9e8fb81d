"""A large reply counts as in flight until its call is done, whatever its client reads. Over real gRPC."""

import socket

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from queryengine.domain.clock import SystemClock
from queryengine.domain.turns import TurnLimits, Turns
from queryengine.edges.grpc.admission import Admission
from queryengine.edges.grpc.call import Caller, Method
from queryengine.edges.grpc.chain import serving
from queryengine.edges.grpc.handling import Handling
from queryengine.edges.grpc.identity import identifying
from queryengine.policy.identity import Authentication
from queryengine.reading.byte_budget import ByteBudget, ByteBudgetLimits
from tests import raw_http2
from tests.support import until

UNVERIFIED = identifying(Authentication((), SystemClock()))
PATH = "/test.Service/Method"


@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
async def test_a_reply_is_in_flight_until_its_call_is_done(size: int) -> None:
    budget = ByteBudget(ByteBudgetLimits(bytes_max=10, tenant_bytes_max=10, tenant_waiting=1, wait_seconds=60.0))
    turns = Turns(TurnLimits(places=1, tenant_places=1, tenant_waiting=1, tenant_waiting_bytes=0))

    async def large(_: Empty, caller: Caller) -> bytes:
        assert caller.tenant == "default"
        return bytes(size)

    method = Method(name="Method", request_type=Empty, behaviour=large, is_streaming=False, count=lambda _: None)
    handling = Handling(request_bytes_max=100, stalled_seconds=60.0, in_flight=budget.add)
    server = grpc.aio.server()
    server.add_registered_method_handlers(
        "test.Service", {"Method": serving(method, UNVERIFIED, Admission(turns), handling)}
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        # A client that grants no more than the first 64 KiB, until it goes.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(raw_http2.opening(PATH, ()))
            await until(lambda: budget.total == size)
        await until(lambda: budget.total == 0)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert len(await channel.unary_unary(PATH)(b"")) == size
        await until(lambda: budget.total == 0)
        assert not budget._held
    finally:
        await server.stop(0)
