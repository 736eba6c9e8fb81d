"""Around every RPC alike: parse, know the caller, turn what goes wrong into a status, and count how the call ended.
Nothing else catches.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, NoReturn

from google.protobuf.message import DecodeError, Message
from grpc.aio import ServicerContext

from queryengine.domain.errors import Code, Failure, QueryEngineError, Reason, error
from queryengine.domain.incidents import incident
from queryengine.edges.grpc.fitting import within_reply
from queryengine.edges.grpc.requests import invalid
from queryengine.edges.grpc.servicer import Caller
from queryengine.edges.grpc.stall import Stall, stalled_failure
from queryengine.edges.grpc.status import abort
from queryengine.telemetry.metrics import OK

TENANT_KEY: Final = "x-tenant-id"
SUBJECT_KEY: Final = "x-user-id"
DEFAULT_TENANT: Final = "default"
LEAVE_SECONDS: Final = 1.0
"""Time for the status of a stream whose reader stalled to be handed over for sending."""
NAME_CHARACTERS_MAX: Final = 128

Reply = Message | bytes
Context = ServicerContext[Any, Any]
Metadata = Iterable[tuple[str, str | bytes]] | None
Count = Callable[[str], None]
"""Takes note of a call that ended, by the name of its status."""
InFlight = Callable[[str, int], Callable[[], None]]
"""Takes note of so many bytes of a tenant that are being sent; returns what says that they are gone."""
LARGE_REPLY_BYTES: Final = 64 << 10
"""Smaller ones are not worth counting."""


def unary(
    method: Callable[[Any, Caller], Awaitable[Reply]],
    request_type: type[Message],
    request_bytes_max: int,
    count: Count,
    in_flight: InFlight,
) -> Callable[[Caller, bytes, Context], Awaitable[bytes]]:
    """A handler for an RPC with one reply, which is in flight until the call is done: its client may read slowly."""

    async def handle(caller: Caller, raw: bytes, context: Context) -> bytes:
        try:
            reply = within_reply(encode(await method(_parse(raw, request_type, request_bytes_max), caller)))
        except QueryEngineError as cause:
            failure = cause.failure
        except asyncio.CancelledError:
            count(Code.CANCELLED.name)
            raise
        except Exception as cause:
            failure = incident(request_type.DESCRIPTOR.name, cause)
        else:
            if len(reply) >= LARGE_REPLY_BYTES:
                context.add_done_callback(_once_done(in_flight(caller.tenant, len(reply))))
            count(OK)
            return reply
        # gRPC keeps the exception that it ends a call by, and with it this frame and every cause, until Python collects
        # cycles: a large request must be in none of them.
        raw = b""
        return await refuse(context, failure, count)

    return handle


def streaming(
    method: Callable[[Any, Caller], AsyncIterator[Reply]],
    request_type: type[Message],
    request_bytes_max: int,
    count: Count,
    stalled_seconds: float,
) -> Callable[[Caller, bytes, Context], Awaitable[None]]:
    """A handler for an RPC with a stream of replies. A client that leaves ends it; that is no error of ours. One that
    takes nothing of a message for `stalled_seconds` gets READER_STALLED when it reads on.
    """

    async def handle(caller: Caller, raw: bytes, context: Context) -> None:
        items: AsyncIterator[Reply] | None = None
        stall = Stall(stalled_seconds)
        try:
            items = method(_parse(raw, request_type, request_bytes_max), caller)
            async for item in items:
                stall.begin()
                await context.write(within_reply(encode(item)))
                stall.end()
            count(OK)
        except QueryEngineError as cause:
            await refuse(context, cause.failure, count)
        except asyncio.CancelledError:
            if stall.happened:
                await _leave_behind(context, stalled_failure(stalled_seconds), count)
            count(Code.CANCELLED.name)
            raise
        except Exception as cause:
            if _client_left(cause):
                count(Code.CANCELLED.name)
                # What grpc itself makes of a client that leaves, and ends without a word in the log.
                raise asyncio.CancelledError from cause
            await refuse(context, incident(request_type.DESCRIPTOR.name, cause), count)
        finally:
            stall.close()
            if items is not None:
                await items.aclose()  # type: ignore[attr-defined]

    return handle


def _once_done(call: Callable[[], None]) -> Any:
    """What gRPC calls with the call that is done."""
    return lambda _: call()


def encode(reply: Reply) -> bytes:
    """A reply as bytes: one that is encoded already, as stored pages are, passes as it is."""
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


async def refuse(context: Context, failure: Failure, count: Count) -> NoReturn:
    """End a call with a failure, and count it."""
    # Counted first: who is told of the end finds it counted.
    count(failure.code.name)
    await abort(context, failure)


async def _leave_behind(context: Context, failure: Failure, count: Count) -> NoReturn:
    """End a call whose client does not read: the status is there when it does, and nothing waits for it here."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await refuse(context, failure, count)
    except TimeoutError as cause:
        raise asyncio.CancelledError from cause


def _parse(raw: bytes, request_type: type[Message], request_bytes_max: int) -> Message:
    if len(raw) > request_bytes_max:
        raise error(
            Reason.REQUEST_TOO_LARGE,
            f"the request has {len(raw)} bytes; at most {request_bytes_max} are read",
            bytes=len(raw),
            limit=request_bytes_max,
        )
    try:
        return request_type.FromString(raw)
    except DecodeError as cause:
        raise invalid("request", f"is not a {request_type.DESCRIPTOR.full_name}") from cause


def names(metadata: Metadata) -> tuple[str, str]:
    """Tenant and subject of a caller. Raises INVALID_FIELD."""
    return _name(metadata, TENANT_KEY) or DEFAULT_TENANT, _name(metadata, SUBJECT_KEY)


def _name(metadata: Metadata, key: str) -> str:
    """What the metadata says under a key; empty without it. Twice is refused: a proxy may have added its own to what a
    client made up, and nobody knows which of them counts.
    """
    values = [str(value) for each, value in metadata or () if each == key]
    if len(values) > 1:
        raise invalid(key, f"must be sent once, not {len(values)} times")
    value = values[0] if values else ""
    # HTTP allows ASCII alone here, and gRPC reads bytes that are not UTF-8 as Latin-1: two tenants could have one name.
    if len(value) > NAME_CHARACTERS_MAX or not value.isascii() or not value.isprintable():
        raise invalid(key, f"must be at most {NAME_CHARACTERS_MAX} printable ASCII characters")
    return value


def _client_left(cause: Exception) -> bool:
    """A write to a call whose client is gone raises a private class of grpc, which can be told by its name only."""
    return type(cause).__name__ in ("ExecuteBatchError", "UsageError", "InternalError")
