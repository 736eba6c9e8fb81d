"""One call on its way through the chain: which method, who asks, and what gRPC gives for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from grpc.aio import ServicerContext

from queryengine.domain.identity import NOBODY, Principal
from queryengine.edges.grpc.trail import Trail

Context = ServicerContext[Any, Any]
Reply = Message | bytes
"""A message, or one that is encoded already, as stored pages are."""
Count = Callable[[str], None]
"""Takes note of a call that ended, by the name of its status."""


class Caller:
    """Who asks, and the turn that the call has."""

    __slots__ = ("leave_turn", "principal", "still_valid", "trail")

    def __init__(self, principal: Principal, still_valid: Callable[[], None], trail: Trail | None = None) -> None:
        self.principal = principal
        self.still_valid = still_valid
        """To be called between the messages or pages of a stream: raises TOKEN_EXPIRED, or CREDENTIAL_INVALID after a
        revocation. Answers from memory.
        """
        self.leave_turn: Callable[[], None] = _stay
        """To be called before the call waits, so that the next one is let in. Idempotent."""

        self.trail = trail
        """Of the call in the audit log; None without one."""
        if trail is not None:
            trail.principal = principal

    async def record(self, key_id: str = "") -> None:
        """The Record of what the call does, for the use case that does it."""
        if self.trail is not None:
            await self.trail.decide(key_id)

    @property
    def tenant(self) -> str:
        return self.principal.tenant


def _stay() -> None:
    """What has no turn cannot leave it."""


def _unidentified() -> None:
    """Nothing is sent to nobody."""


Unary = Callable[[Any, Caller], Awaitable[Reply]]
Streaming = Callable[[Any, Caller], AsyncIterator[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC of the contract, and what serves it."""

    name: str
    request_type: type[Message]
    behaviour: Unary | Streaming
    is_streaming: bool
    count: Count


class Call:
    """One call. Links hand it on; whatever they learn of it for later links is here."""

    __slots__ = ("caller", "context", "method")

    def __init__(self, method: Method, context: Context) -> None:
        self.method = method
        self.context = context
        self.caller = Caller(NOBODY, _unidentified)
        """Nobody, until the caller is identified."""


Following = Callable[[Call], Awaitable[bytes | None]]
"""The rest of the chain; returns the encoded reply of a unary call."""
Link = Callable[[Call, Following], Awaitable[bytes | None]]
