"""How the client for asyncio makes calls. Written twice, beside `queryengine.client.sync.transport`: what differs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import grpc

from queryengine.client import calls
from queryengine.client.authorization import KEY, awaited
from queryengine.client.base import ClientBase
from queryengine.client.calls import Call
from queryengine.client.channel import STREAM_SECONDS, Metadata, path
from queryengine.client.errors import QueryEngineClientError

T = TypeVar("T")


class AsyncTransport(ClientBase):
    """A channel of grpc.aio, and the tasks that cancel queries nobody reads."""

    def _open(self) -> None:
        self._channel = self._connection.open_aio()
        self._abandoning: set[asyncio.Task[None]] = set()

    async def _shut(self) -> None:
        if self._abandoning:
            await asyncio.wait(self._abandoning)
        self._is_closed = True
        await self._channel.close(None)

    async def call(self, call: Call[T]) -> T:
        """Run one unary call."""
        try:
            return call.convert(await self._send(call, self._seconds(call)))
        except grpc.RpcError as error:
            raise self._connection.failure(error).to_error(call.query_id) from error

    def start(self, call: Call[Any]) -> "asyncio.Task[Any]":
        """Begin a unary call; the result of the task is the message."""
        self._check_open()
        return asyncio.get_running_loop().create_task(self._send(call, self._seconds(call)), name=call.method)

    def abandon(self, query_id: str) -> Awaitable[None]:
        """Cancel a query whose reader goes away. It is sent whether or not anybody awaits the reply, which takes
        2 seconds at most and raises nothing. `close` waits for it.
        """
        task = asyncio.get_running_loop().create_task(self._abandon(query_id), name=f"abandon-{query_id}")
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)
        # Who awaits it may be cancelled once more.
        return asyncio.shield(task)

    async def _abandon(self, query_id: str) -> None:
        with suppress(grpc.RpcError, QueryEngineClientError):
            await self._send(calls.abandon(query_id), calls.ABANDON_SECONDS)

    async def _send(self, call: Call[Any], seconds: float) -> Any:
        """The message that answers. Raises grpc.RpcError as it comes, of the second attempt where the authorization was
        refused and is another one by now.
        """
        self._check_open()
        end = time.monotonic() + seconds
        method = self._channel.unary_unary(
            path(call.method),
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.reply_type.FromString,
        )
        metadata = await self._metadata()
        try:
            return await method(call.request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            if not self._connection.renews(error) or (fresh := await self._metadata()) == metadata:
                raise
        return await method(call.request, timeout=max(0.0, end - time.monotonic()), metadata=fresh)

    async def open_stream(self, method: str, request: Any, deserializer: Any) -> Any:
        """Open a server stream; without a deserializer it yields messages as bytes. Raises grpc.RpcError when there is
        nothing to show who calls.
        """
        self._check_open()
        stream = self._channel.unary_stream(
            path(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=deserializer,
        )
        metadata = await self._metadata()
        self._check_open()
        return stream(request, timeout=STREAM_SECONDS, metadata=metadata)

    async def _metadata(self) -> Metadata:
        """Of one call."""
        shown = self._connection.authorization
        if shown is None:
            return self._connection.identity
        value = shown.current()
        return (*self._connection.identity, (KEY, value if isinstance(value, str) else await awaited(value)))


async def received(stream: Any) -> Any:
    """The next message; None at the end."""
    try:
        message = await stream.read()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled this task: the result or the client was closed. It ends as any stream that breaks.
        none = grpc.aio.Metadata()
        raise grpc.aio.AioRpcError(grpc.StatusCode.CANCELLED, none, none, "closed by this client", None) from None
    return None if message is grpc.aio.EOF else message  # type: ignore[attr-defined]


def later(seconds: float, function: Callable[[], None]) -> Callable[[], None]:
    """Call a function then; returns what prevents it."""
    return asyncio.get_running_loop().call_later(seconds, function).cancel
