"""The last link: reads the request, calls what serves the method, and sends what it answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, cast

from google.protobuf.message import DecodeError, Message

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.edges.grpc.call import Call, Context, Reply
from queryengine.edges.grpc.fields import invalid
from queryengine.edges.grpc.fitting import within_reply
from queryengine.edges.grpc.stall import Stall, stalled_failure

LARGE_REPLY_BYTES: Final = 64 << 10
"""Smaller ones are not worth counting."""

InFlight = Callable[[str, int], Callable[[], None]]
"""Takes note of so many bytes of a tenant that are being sent; returns what says that they are gone."""


class Handling:
    """Handles calls of every method."""

    def __init__(self, *, request_bytes_max: int, stalled_seconds: float, in_flight: InFlight) -> None:
        self._request_bytes_max = request_bytes_max
        self._stalled_seconds = stalled_seconds
        self._in_flight = in_flight

    async def reply(self, call: Call) -> bytes:
        """A call with one reply, which is in flight until the call is done: its client may read slowly."""
        request = await self._request(call)
        reply = within_reply(encoded(await cast(Awaitable[Reply], call.method.behaviour(request, call.caller))))
        if len(reply) >= LARGE_REPLY_BYTES:
            call.context.add_done_callback(_once_done(self._in_flight(call.caller.tenant, len(reply))))
        return reply

    async def stream(self, call: Call) -> None:
        """A call with a stream of replies. A client that leaves ends it, which is no error of ours. One that takes
        nothing of a message for `stalled_seconds` gets READER_STALLED when it reads on.
        """
        request = await self._request(call)
        items = cast(AsyncIterator[Reply], call.method.behaviour(request, call.caller))
        stall = Stall(self._stalled_seconds)
        try:
            await _send(call.context, items, stall)
        except asyncio.CancelledError:
            if not stall.happened:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            raise QueryEngineError(stalled_failure(self._stalled_seconds)) from None
        finally:
            stall.close()
            await items.aclose()  # type: ignore[attr-defined]

    async def _request(self, call: Call) -> Message:
        raw = await call.context.read()
        if not isinstance(raw, bytes):
            raise invalid("request", "is missing")
        if len(raw) > self._request_bytes_max:
            raise error(
                Reason.REQUEST_TOO_LARGE,
                f"the request has {len(raw)} bytes; at most {self._request_bytes_max} are read",
                bytes=len(raw),
                limit=self._request_bytes_max,
            )
        request_type = call.method.request_type
        try:
            return request_type.FromString(raw)
        except DecodeError as cause:
            raise invalid("request", f"is not a {request_type.DESCRIPTOR.full_name}") from cause


async def _send(context: Context, items: AsyncIterator[Reply], stall: Stall) -> None:
    async for item in items:
        stall.begin()
        await context.write(within_reply(encoded(item)))
        stall.end()


def encoded(reply: Reply) -> bytes:
    """A reply as bytes: one that is encoded already, as stored pages are, passes as it is."""
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def _once_done(call: Callable[[], None]) -> Any:
    """What gRPC calls with the call that is done."""
    return lambda _: call()
