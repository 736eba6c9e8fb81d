"""Shows the server that the caller of `query` is there while nobody reads its rows: a call that waits, again and again.

Such a query is cancelled when no call has been open on it for its grace. Between its submit and the first read, and
while the caller is busy with a batch for longer than one stream lasts, this is the open call. It ends with the query.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from queryengine.client import calls
from queryengine.client.backoff import Backoff
from queryengine.client.calls import Call
from queryengine.client.errors import QueryEngineClientError, RpcFailure, rpc_failure
from queryengine.client.model import QueryStatus

WAIT_SECONDS: Final = 10.0
LAST_VERSION: Final = (1 << 63) - 1


def _waiting(query_id: str) -> Call[QueryStatus]:
    """Answers when the query has ended, or unchanged when the time has passed."""
    return calls.get_status(query_id, after_version=LAST_VERSION, wait_timeout=WAIT_SECONDS)


class Presence:
    """Calls that run in gRPC's own threads, so that any number of queries take none of their own."""

    def __init__(self, start: Callable[[Call[QueryStatus]], Any], query_id: str, backoff: Backoff) -> None:
        """`start` begins a call and returns its grpc.Future, or raises QueryEngineClientError when it is closed."""
        self._start = start
        self._call = _waiting(query_id)
        self._backoff = backoff
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
            stop()

    def _ask(self) -> None:
        try:
            waiting = self._start(self._call)
        except QueryEngineClientError:
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
        if self._is_over:
            return
        if waiting.code() is grpc.StatusCode.OK:
            self._backoff.progressed()
            if not self._call.convert(waiting.result()).is_final:
                self._ask()
            return
        seconds = _delay(rpc_failure(waiting), self._backoff)
        if seconds is not None:
            timer = threading.Timer(seconds, self._ask)
            timer.daemon = True
            if self._goes_on(timer.cancel):
                timer.start()


class AsyncPresence:
    """As Presence, as a task of the running event loop."""

    def __init__(
        self, run: Callable[[Call[QueryStatus]], Awaitable[QueryStatus]], query_id: str, backoff: Backoff
    ) -> None:
        """`run` makes a call; it raises grpc.RpcError, or QueryEngineClientError when the client is closed."""
        self._run = run
        self._call = _waiting(query_id)
        self._backoff = backoff
        self._task = asyncio.get_running_loop().create_task(self._keep_asking(), name=f"presence-{query_id}")

    def end(self) -> None:
        """Idempotent."""
        if not self._task.get_loop().is_closed():
            self._task.cancel()

    async def _keep_asking(self) -> None:
        is_final = False
        while not is_final:
            try:
                is_final = (await self._run(self._call)).is_final
                self._backoff.progressed()
            except QueryEngineClientError:
                return
            except grpc.RpcError as error:
                seconds = _delay(rpc_failure(error), self._backoff)
                if seconds is None:
                    return
                await asyncio.sleep(seconds)


def _delay(failure: RpcFailure, backoff: Backoff) -> float | None:
    """Seconds until the next call; None when it would fail, too, or nothing has answered for too long."""
    if not failure.is_passing:
        return None
    try:
        return backoff.delay(time.monotonic(), failure=failure)
    except QueryEngineClientError:
        return None
