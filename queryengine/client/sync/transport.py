"""How the client for code that blocks makes calls. Written twice, beside `queryengine.client.aio.transport`: what
differs.
"""

import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import grpc

from queryengine.client import calls
from queryengine.client.authorization import KEY
from queryengine.client.base import ClientBase
from queryengine.client.calls import Call
from queryengine.client.channel import STREAM_SECONDS, Metadata, path
from queryengine.client.errors import QueryEngineClientError

T = TypeVar("T")


class Transport(ClientBase):
    """A channel of gRPC, and a thread in which streams begin."""

    def _open(self) -> None:
        self._channel = self._connection.open()
        # A channel never closes again when Ctrl-C comes just while a stream begins, so streams begin where signals
        # do not reach.
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="queryengine-client")
        # Its thread starts here: interrupted by Ctrl-C at its start, with a query running, it would outlive the client.
        self._opener.submit(bool)

    def _shut(self) -> None:
        self._is_closed = True
        self._opener.shutdown()
        self._channel.close()

    def call(self, call: Call[T]) -> T:
        """Run one unary call."""
        try:
            return call.convert(self._send(call, self._seconds(call)))
        except grpc.RpcError as error:
            raise self._connection.failure(error).to_error(call.query_id) from error

    def _send(self, call: Call[Any], seconds: float) -> Any:
        """The message that answers. Raises grpc.RpcError as it comes, of the second attempt where the authorization was
        refused and is another one by now.
        """
        end = time.monotonic() + seconds
        method = self._method(call)
        metadata = self._metadata()
        try:
            return method(call.request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            if not self._connection.renews(error) or (fresh := self._metadata()) == metadata:
                raise
        return method(call.request, timeout=max(0.0, end - time.monotonic()), metadata=fresh)

    def start(self, call: Call[Any]) -> Any:
        """Begin a unary call; returns its grpc.Future, whose result is the message. Raises grpc.RpcError when there is
        nothing to show who calls.
        """
        return self._begin(call, self._seconds(call))

    def abandon(self, query_id: str) -> None:
        """Cancel a query whose reader goes away. Takes 2 seconds at most, and raises nothing."""
        # ValueError: the channel was closed meanwhile.
        with suppress(grpc.RpcError, QueryEngineClientError, ValueError):
            self._begin(calls.abandon(query_id), calls.ABANDON_SECONDS).result()

    def _begin(self, call: Call[Any], seconds: float) -> Any:
        return self._method(call).future(call.request, timeout=seconds, metadata=self._metadata())

    def _metadata(self) -> Metadata:
        """Of one call."""
        shown = self._connection.authorization
        if shown is None:
            return self._connection.identity
        value = shown.current()
        if not isinstance(value, str):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError("token takes a coroutine function only for AsyncClient")
        return (*self._connection.identity, (KEY, value))

    def _method(self, call: Call[Any]) -> Any:
        self._check_open()
        return self._channel.unary_unary(
            path(call.method),
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.reply_type.FromString,
        )

    def open_stream(self, method: str, request: Any, deserializer: Any) -> Any:
        """Open a server stream; without a deserializer it yields messages as bytes. Raises grpc.RpcError when there is
        nothing to show who calls.
        """
        self._check_open()
        stream = self._channel.unary_stream(
            path(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=deserializer,
        )
        metadata = self._metadata()
        opening = self._opener.submit(stream, request, timeout=STREAM_SECONDS, metadata=metadata)
        try:
            return opening.result()
        except BaseException:
            opening.add_done_callback(_cancel_opened)
            raise


def _cancel_opened(opening: "Future[Any]") -> None:
    if opening.exception() is None:
        opening.result().cancel()


def received(stream: Any) -> Any:
    """The next message; None at the end."""
    return next(stream, None)


def later(seconds: float, function: Callable[[], None]) -> Callable[[], None]:
    """Call a function then, in a thread of its own; returns what prevents it."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer.cancel
