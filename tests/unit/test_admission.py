"""Admission: whose call is handled next, and what becomes of calls that wait, leave or last. Over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from queryengine.domain.clock import SystemClock
from queryengine.domain.turns import TurnLimits, Turns
from queryengine.edges.grpc import admission
from queryengine.edges.grpc.admission import Admission
from queryengine.edges.grpc.call import Caller, Method
from queryengine.edges.grpc.chain import serving as handler
from queryengine.edges.grpc.handling import Handling
from queryengine.edges.grpc.identity import identifying
from queryengine.policy.identity import Authentication
from tests.support import Refusal, refused, until

PATH = "/test.Service/Method"
STREAM = "/test.Service/Stream"


class Service:
    """Handles a call by noting it, and by staying until the test lets it go."""

    def __init__(self, *, places: int = 1, tenant_places: int = 1, waiting: int = 100) -> None:
        self.turns = Turns(
            TurnLimits(places=places, tenant_places=tenant_places, tenant_waiting=waiting, tenant_waiting_bytes=0)
        )
        self.began: list[str] = []
        self.callers: dict[str, Caller] = {}
        self.counted: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    async def handle(self, request: StringValue, caller: Caller) -> bytes:
        name = request.value[:2]
        self.began.append(name)
        self.callers[name] = caller
        await self._gate(name).wait()
        return name.encode()

    async def stream(self, request: StringValue, caller: Caller) -> AsyncIterator[bytes]:
        yield await self.handle(request, caller)

    def method(self, path: str) -> Method:
        is_streaming = path == STREAM
        return Method(
            name=path.rpartition("/")[2],
            request_type=StringValue,
            behaviour=self.stream if is_streaming else self.handle,
            is_streaming=is_streaming,
            count=self.counted.append,
        )

    def end(self, *names: str) -> None:
        for name in names:
            self._gate(name).set()

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    async def begun(self, *names: str) -> None:
        await until(lambda: self.began == list(names))


class Caller_:  # noqa: N801 - A caller of the test, beside the one of the service.
    """Sends calls whose tenant is the first letter of their name."""

    def __init__(self, channel: grpc.aio.Channel, service: Service) -> None:
        self._channel = channel
        self._service = service

    async def sends(self, *names: str, size: int = 2) -> list[Any]:
        """The calls, each accepted before the next one is sent."""
        calls = []
        for name in names:
            seen = self._seen()
            call = self._channel.unary_unary(PATH)(sent(name, size), metadata=(("x-tenant-id", name[0]),))
            calls.append(asyncio.ensure_future(_reply(call)))
            await until(lambda seen=seen: self._seen() > seen)
        return calls

    def _seen(self) -> int:
        return len(self._service.began) + self._service.turns.waiting + len(self._service.counted)


def sent(name: str, size: int = 2) -> bytes:
    return StringValue(value=name.ljust(size)).SerializeToString()


async def _reply(call: Any) -> Any:
    try:
        return await call
    except asyncio.CancelledError:
        call.cancel()
        raise


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Caller_]:
    admission = Admission(service.turns)
    handling = Handling(request_bytes_max=2 << 20, stalled_seconds=60.0, in_flight=lambda _, __: lambda: None)
    methods = [service.method(path) for path in (PATH, STREAM)]
    server = grpc.aio.server()
    identify = identifying(Authentication((), SystemClock()))
    handlers = {method.name: handler(method, identify, admission, handling) for method in methods}
    server.add_registered_method_handlers("test.Service", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Caller_(channel, service)
        finally:
            await server.stop(0)
    assert service.turns.at_work == 0


async def test_tenants_are_handled_in_turn() -> None:
    service = Service()
    async with serving(service) as caller:
        calls = await caller.sends("a1", "a2", "a3", "b1")
        service.end("a1", "a2", "a3", "b1")
        assert await asyncio.gather(*calls) == [b"a1", b"a2", b"a3", b"b1"]
        assert service.began == ["a1", "a2", "b1", "a3"]
        assert (service.callers["b1"].tenant, service.callers["b1"].principal.subject) == ("b", "")


async def test_one_tenant_leaves_places_to_others() -> None:
    service = Service(places=2, tenant_places=1)
    async with serving(service) as caller:
        calls = await caller.sends("a1", "a2", "b1")
        await service.begun("a1", "b1")
        service.end("a1", "a2", "b1")
        await asyncio.gather(*calls)


async def test_a_call_that_waits_lets_the_next_one_in() -> None:
    service = Service()
    async with serving(service) as caller:
        calls = await caller.sends("a1", "a2")
        service.callers["a1"].leave_turn()
        service.callers["a1"].leave_turn()
        await service.begun("a1", "a2")
        assert service.turns.at_work == 1
        service.end("a1", "a2")
        await asyncio.gather(*calls)


async def test_a_call_that_lasts_loses_its_turn_when_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(admission, "LOOK_SECONDS", 0.01)
    service = Service()
    async with serving(service) as caller:
        calls = await caller.sends("a1", "a2", "a3")
        await service.begun("a1", "a2", "a3")
        service.end("a1", "a2", "a3")
        await asyncio.gather(*calls)


@pytest.mark.parametrize("size", [2, 1 << 20])
async def test_what_waits_is_bounded_and_refused_unread(size: int) -> None:
    service = Service(waiting=2)
    async with serving(service) as caller:
        calls = await caller.sends("a1", "a2", "a3", size=size)
        (call,) = await caller.sends("a4", size=size)
        with pytest.raises(grpc.aio.AioRpcError) as cause:
            await call
        refusal = Refusal.of(cause.value)
        assert (refusal.code.name, refusal.reason, refusal.metadata) == (
            "RESOURCE_EXHAUSTED",
            "TENANT_BUSY",
            {"limit": "2"},
        )
        assert refusal.retry_seconds
        assert refusal.quota
        assert service.counted == ["RESOURCE_EXHAUSTED"]
        calls += await caller.sends("b1")
        service.end("a1", "a2", "a3", "b1")
        await asyncio.gather(*calls)
        assert "a4" not in service.began


async def test_a_caller_that_leaves_gives_its_turn_back() -> None:
    service = Service()
    async with serving(service) as caller:
        at_work, waiting, staying = await caller.sends("a1", "a2", "a3")
        waiting.cancel()
        await until(lambda: service.turns.waiting == 1)
        at_work.cancel()
        await service.begun("a1", "a3")
        await until(lambda: service.counted == ["CANCELLED", "CANCELLED"])
        service.end("a3")
        assert await staying == b"a3"


async def test_streams_take_turns_too_and_other_methods_are_unknown() -> None:
    service = Service()
    async with serving(service) as caller:
        (call,) = await caller.sends("a1")
        stream = caller._channel.unary_stream(STREAM)(sent("b1"), metadata=(("x-tenant-id", "b"),))
        await until(lambda: service.turns.waiting == 1)
        service.end("a1", "b1")
        assert [item async for item in stream] == [b"b1"]
        await call
        assert (await refused(caller._channel.unary_unary("/test.Service/Other")(b""))).code.name == "UNIMPLEMENTED"
