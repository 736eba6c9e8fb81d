"""Calls are let in tenant by tenant, before their requests are read and before anything is done for them.

A turn is for work, not for waiting: a call gives it back when it begins to wait for something, and loses it after a
second in any case, so that slow calls of one tenant never keep all others out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
from grpc.aio import ServerInterceptor

from queryengine.domain.errors import Code, Failure, QueryEngineError
from queryengine.domain.turns import Turns
from queryengine.edges.grpc import edge
from queryengine.edges.grpc.servicer import Caller

TURN_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.25
"""Between two looks for turns that have lasted too long, while calls wait."""

Handle = Callable[..., Awaitable[Any]]
"""Takes a Caller before what gRPC gives it."""
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC."""

    handle: Handle
    is_streaming: bool
    count: edge.Count


class Turn:
    """A call's place among those at work."""

    __slots__ = ("_held", "_tenant", "_turns")

    def __init__(self, turns: Turns, held: "dict[Turn, float]", tenant: str, now: float) -> None:
        self._turns = turns
        self._tenant = tenant
        self._held = held
        held[self] = now

    def leave(self, _: object = None) -> None:
        """Let the next call in. Idempotent."""
        if self._held.pop(self, None) is not None:
            self._turns.leave(self._tenant)


class Admission(ServerInterceptor):  # type: ignore[type-arg]
    """Serves the methods named by their paths; what else is called is not its business."""

    def __init__(self, turns: Turns, methods: dict[str, Method]) -> None:
        self._turns = turns
        self._methods = methods
        self._held: dict[Turn, float] = {}
        """The calls at work, the oldest first, and since when."""
        self._watching = False

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Any:
        """The handler of one call, once it is its turn."""
        method = self._methods.get(details.method)
        if method is None:
            return await continuation(details)
        try:
            tenant, subject = edge.names(details.invocation_metadata)
            if not self._turns.enter_now(tenant):
                self._watch()
                await self._turns.enter(tenant)
        except QueryEngineError as refusal:
            return _refusing(refusal.failure, method.count)
        except asyncio.CancelledError:
            method.count(Code.CANCELLED.name)
            raise
        turn = Turn(self._turns, self._held, tenant, asyncio.get_running_loop().time())
        task = asyncio.current_task()
        assert task is not None
        # However the call ends, also before its handler begins.
        task.add_done_callback(turn.leave)
        handle = partial(method.handle, Caller(tenant, subject, turn.leave))
        if method.is_streaming:
            return grpc.unary_stream_rpc_method_handler(handle)
        return grpc.unary_unary_rpc_method_handler(handle)

    def _watch(self) -> None:
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """End turns that have lasted for too long."""
        self._watching = False
        too_old = asyncio.get_running_loop().time() - TURN_SECONDS
        for turn, since in list(self._held.items()):
            if since > too_old:
                break
            turn.leave()
        if self._turns.waiting:
            self._watch()


def _refusing(failure: Failure, count: edge.Count) -> Any:
    """A handler that ends the call without reading its request."""

    async def refuse(_: object, context: edge.Context) -> None:
        await edge.refuse(context, failure, count)

    return grpc.stream_unary_rpc_method_handler(refuse)
