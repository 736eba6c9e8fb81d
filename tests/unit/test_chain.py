"""Links around a call: in which order they act, what they see of a failure, and that each call is counted once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.turns import TurnLimits, Turns
from queryengine.edges.grpc.admission import Admission
from queryengine.edges.grpc.call import Call, Caller, Following, Link, Method
from queryengine.edges.grpc.chain import joined, serving
from queryengine.edges.grpc.handling import Handling
from queryengine.edges.grpc.identity import identifying
from queryengine.policy.identity import Authentication
from tests.support import refused

UNVERIFIED = identifying(Authentication((), SystemClock()))
LIMITS = TurnLimits(places=1, tenant_places=1, tenant_waiting=1, tenant_waiting_bytes=0)
TENANT = (("x-tenant-id", "tenant"), ("x-user-id", "user"))


def noting(name: str, seen: list[str]) -> Link:
    async def link(call: Call, following: Following) -> bytes | None:
        seen.append(name)
        try:
            return await following(call)
        except QueryEngineError as refusal:
            seen.append(f"{name}: {refusal.failure.reason}")
            raise
        finally:
            seen.append(f"/{name}")

    return link


def call_of(seen: list[str]) -> Call:
    method = Method(name="Method", request_type=StringValue, behaviour=_never, is_streaming=False, count=seen.append)
    return Call(method, None)  # type: ignore[arg-type]


async def _never(_: Any, __: Caller) -> bytes:
    raise AssertionError("the last link of these tests is their own")


async def test_links_act_from_the_outermost_in_and_back() -> None:
    seen: list[str] = []

    async def last(_: Call) -> bytes:
        seen.append("last")
        return b"reply"

    chain = joined([noting("a", seen), noting("b", seen)], last)
    assert await chain(call_of(seen)) == b"reply"
    assert seen == ["a", "b", "last", "/b", "/a"]


async def test_a_link_refuses_and_those_before_it_see_that() -> None:
    seen: list[str] = []

    async def refusing(_: Call, __: Following) -> bytes | None:
        raise error(Reason.TENANT_BUSY, "come back later")

    chain = joined([noting("a", seen), refusing, noting("never", seen)], _last)
    with pytest.raises(QueryEngineError):
        await chain(call_of(seen))
    assert seen == ["a", "a: TENANT_BUSY", "/a"]


async def _last(_: Call) -> bytes:
    raise AssertionError("nothing follows a refusal")


@asynccontextmanager
async def served(behaviour: Callable[[Any, Caller], Any], counted: list[str]) -> AsyncIterator[Any]:
    """A call of one method over real gRPC."""
    turns = Turns(LIMITS)
    handling = Handling(request_bytes_max=100, stalled_seconds=60.0, in_flight=lambda _, __: lambda: None)
    method = Method(
        name="Method", request_type=StringValue, behaviour=behaviour, is_streaming=False, count=counted.append
    )
    server = grpc.aio.server()
    server.add_registered_method_handlers(
        "test.Service", {"Method": serving(method, UNVERIFIED, Admission(turns), handling)}
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield channel.unary_unary("/test.Service/Method")
        finally:
            await server.stop(0)
    assert turns.at_work == 0


async def echo(request: StringValue, caller: Caller) -> bytes:
    return f"{caller.tenant}/{caller.principal.subject}/{request.value}".encode()


async def broken(_: Any, __: Caller) -> bytes:
    raise ZeroDivisionError


async def busy(_: Any, __: Caller) -> bytes:
    raise error(Reason.TENANT_QUEUE_FULL, "too many", retry_after_seconds=1.0)


async def test_a_call_is_handled_for_its_caller() -> None:
    counted: list[str] = []
    async with served(echo, counted) as call:
        sent = StringValue(value="hello").SerializeToString()
        assert await call(sent, metadata=TENANT) == b"tenant/user/hello"
    assert counted == ["OK"]


TWICE = (("x-tenant-id", "a"), ("x-tenant-id", "b"))


FAILURES: dict[str, tuple[Any, bytes, Any, str]] = {
    "INVALID_FIELD": (echo, b"", TWICE, "INVALID_ARGUMENT"),
    "INVALID_FIELD ": (echo, b"\xff", TENANT, "INVALID_ARGUMENT"),
    "REQUEST_TOO_LARGE": (echo, b"x" * 101, TENANT, "INVALID_ARGUMENT"),
    "TENANT_QUEUE_FULL": (busy, b"", TENANT, "RESOURCE_EXHAUSTED"),
    "INTERNAL_ERROR": (broken, b"", TENANT, "INTERNAL"),
}
"""By the reason, of who calls, of what is sent, and of what serves the method."""


@pytest.mark.parametrize("reason", FAILURES)
async def test_a_failure_in_any_link_is_a_status_and_counted_once(
    reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour, raw, metadata, code = FAILURES[reason]
    counted: list[str] = []
    async with served(behaviour, counted) as call:
        refusal = await refused(call(raw, metadata=metadata))
    assert (refusal.code.name, refusal.reason) == (code, reason.strip())
    assert counted == [code]
    # A defect is in the log, with its frames, which hold the call.
    assert ("ZeroDivisionError" in caplog.text) == (behaviour is broken)
    caplog.clear()
