"""Streams of changes, opened again when they break, for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from queryengine.client.aio.transport import AsyncTransport, received
from queryengine.client.errors import RpcFailure

T_co = TypeVar("T_co", covariant=True)


class Reader(Protocol[T_co]):
    """What is asked for next, and what to make of the messages."""

    @property
    def is_done(self) -> bool: ...

    def request(self) -> Message: ...

    def receive(self, message: Any) -> T_co | None: ...

    def closed(self, failure: RpcFailure | None, now: float) -> float: ...


async def followed(
    transport: AsyncTransport, method: str, reply_type: type[Message], reader: Reader[T_co]
) -> AsyncIterator[T_co]:
    """What the reader makes of the messages of a stream, and of those after it, until it is done."""
    while not reader.is_done:
        stream = failure = None
        try:
            stream = await transport.open_stream(method, reader.request(), reply_type.FromString)
            while (message := await received(stream)) is not None:
                item = reader.receive(message)
                if item is not None:
                    yield item
        except grpc.RpcError as error:
            failure = transport.connection.failure(error)
        finally:
            if stream is not None:
                stream.cancel()
        if not reader.is_done:
            await asyncio.sleep(reader.closed(failure, time.monotonic()))
