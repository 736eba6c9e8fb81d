"""Binds values to the parameters of named queries: few at once, many in a sandbox worker."""

from collections.abc import Callable
from typing import Final

from queryengine.codec.declarations import Declarations
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.workers.sandbox import LimitExceeded, ProcessLost
from queryengine.workers.sandbox_pool import SandboxPool

HERE_BYTES_MAX: Final = 4 << 10
"""Of values that are looked at on the event loop, for which that takes some milliseconds; most have some hundred."""
CPU_SECONDS: Final = 5.0
"""Several times what as many values take as one request holds."""
RETRY_SECONDS: Final = 1.0


class Binding:
    """Does what Declarations.bind does, and raises what that raises."""

    def __init__(self, lane: SandboxPool) -> None:
        self._lane = lane

    async def bind(
        self,
        tenant: str,
        declarations: Declarations,
        given: bytes,
        *,
        is_positional: bool,
        leave_turn: Callable[[], None],
    ) -> tuple[bytes, bytes]:
        """`leave_turn` is called before it waits for a worker. Raises INVALID_FIELD for values that take too long, and
        SANDBOX_UNAVAILABLE.
        """
        if len(given) <= HERE_BYTES_MAX:
            return declarations.bind(given, is_positional=is_positional)
        leave_turn()
        declared = declarations.encoded()
        order = {"type": "bind", "declared_bytes": len(declared), "is_positional": is_positional}
        try:
            frames = await self._lane.request(
                tenant, order, declared + given, cpu_seconds=CPU_SECONDS, size_bytes=len(given)
            )
        except LimitExceeded as cause:
            message = "parameters take too long to check; give fewer elements in lists"
            raise error(Reason.INVALID_FIELD, message, field="parameters") from cause
        except ProcessLost as cause:
            message = "the parameters could not be checked now, which is no fault of the request; send it again"
            raise error(Reason.SANDBOX_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        bound = frames[0]
        if "failure" in bound.header:
            raise QueryEngineError(Failure.from_json(bound.header["failure"]))
        size = bound.header["types_bytes"]
        return bound.blob[size:], bound.blob[:size]
