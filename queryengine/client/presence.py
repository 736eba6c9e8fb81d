"""Shows the server that the caller of `query` is there while nobody reads its rows: a call that waits, again and again.

Such a query is cancelled when no call has been open on it for its grace. Between its submit and the first read, and
while the caller is busy with a batch for longer than one stream lasts, this is the open call. It ends with the query.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import grpc

from queryengine.client import calls
from queryengine.client.calls import Call
from queryengine.client.channel import Connection
from queryengine.client.errors import QueryEngineClientError, RpcFailure
from queryengine.client.model import QueryStatus

WAIT_SECONDS: Final = 10.0
LAST_VERSION: Final = (1 << 63) - 1

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Calls a function after so many seconds; returns what prevents it."""
Start = Callable[[Call[Any]], Any]
"""Begins a call; returns a grpc.Future or an asyncio.Task. Raises QueryEngineClientError when the client is closed, and
grpc.RpcError when there is nothing to show who calls.
"""


class Presence:
    """Goes on in callbacks, of gRPC's threads or of the event loop, so that any number of queries take no thread."""

    def __init__(self, start: Start, later: Later, query_id: str, connection: Connection) -> None:
        self._start = start
        self._connection = connection
        self._later = later
        # It answers when the query has ended, or unchanged when the time has passed.
        self._call: Call[QueryStatus] = calls.get_status(
            query_id, after_version=LAST_VERSION, wait_timeout=WAIT_SECONDS
        )
        self._backoff = connection.backoff()
        # `end` may be called by the garbage collector, at any moment of any thread.
        self._lock = threading.RLock()
        self._is_over = False
        self._stop: Callable[[], Any] | None = None
        self._ask()

    def end(self) -> None:
        """Idempotent, from any thread."""
        with self._lock:
            self._is_over = True
            stop, self._stop = self._stop, None
        if stop is not None:
            # RuntimeError: the event loop was closed, and the call with it.
            with suppress(RuntimeError):
                stop()

    def _ask(self) -> None:
        # ValueError: the channel was closed meanwhile.
        with suppress(QueryEngineClientError, ValueError):
            try:
                waiting = self._start(self._call)
            except grpc.RpcError as error:
                self._ask_later(self._connection.failure(error))
                return
            if self._goes_on(waiting.cancel):
                waiting.add_done_callback(self._answered)

    def _goes_on(self, stop: Callable[[], Any]) -> bool:
        """Remember how to stop what was begun; when `end` came first, stop it."""
        with self._lock:
            if not self._is_over:
                self._stop = stop
                return True
        stop()
        return False

    def _answered(self, waiting: Any) -> None:
        if waiting.cancelled():
            return
        error = waiting.exception()
        if self._is_over:
            return
        if error is None:
            self._backoff.progressed()
            if not self._call.convert(waiting.result()).is_final:
                # Not in this thread, which is gRPC's: a function that fetches a token may take its time.
                self._again(0.0)
        elif isinstance(error, grpc.RpcError):
            self._ask_later(self._connection.failure(error))

    def _ask_later(self, failure: RpcFailure) -> None:
        """Unless it would fail again, or nothing has answered for too long."""
        if not failure.is_passing:
            return
        with suppress(QueryEngineClientError):
            self._again(self._backoff.delay(time.monotonic(), failure=failure))

    def _again(self, seconds: float) -> None:
        # The lock holds `_ask` back until it is known how to stop it.
        with self._lock:
            self._goes_on(self._later(seconds, self._ask))
