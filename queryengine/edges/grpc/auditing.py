"""Every call has a record of what was decided about it, before anything of it leaves the server."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, cast

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.edges.grpc.call import Call, Caller, Following, Link, Reply, Streaming, Unary
from queryengine.edges.grpc.failures import CLIENT_LEFT
from queryengine.edges.grpc.trail import Trail
from queryengine.telemetry.audit import AuditLog

WITHOUT_EFFECT: Final = frozenset(
    {
        "FetchPage",
        "GetNamedQuery",
        "GetStatus",
        "GetUsage",
        "ListApiKeys",
        "ListEngines",
        "ListNamedQueries",
        "ListNamedQueryVersions",
        "ListPages",
        "ListQueries",
        "ReloadStatus",
        "StreamResults",
        "WatchQueries",
        "WatchStatus",
        # It has one, and is recorded before that.
        "Submit",
    }
)
"""Calls that do nothing before their record is written, whatever serves them. Others have it written by their use case
before it changes anything. Where one does not, it still does not begin while records cannot be written, and is recorded
as soon as they can.
"""


def auditing(log: AuditLog) -> Link:
    """The link that has refusals recorded; it stands before the caller is identified, which may be refused."""

    async def audit(call: Call, following: Following) -> bytes | None:
        name = call.method.name
        trail = Trail(log, rpc=name, peer=call.context.peer(), has_effect=name not in WITHOUT_EFFECT)
        call.caller.trail = trail
        try:
            return await following(call)
        except QueryEngineError as refusal:
            await trail.refuse(refusal.failure.reason)
            raise
        except CLIENT_LEFT:
            raise
        except Exception:
            # What the link before makes of a defect.
            await trail.refuse(Reason.INTERNAL_ERROR)
            raise

    return audit


def audited(behaviour: Unary | Streaming, *, is_streaming: bool) -> Unary | Streaming:
    """What serves a method, and has what it allows recorded before the first reply."""
    return _stream(cast(Streaming, behaviour)) if is_streaming else _reply(cast(Unary, behaviour))


def _reply(behaviour: Unary) -> Unary:
    async def reply(request: Any, caller: Caller) -> Reply:
        trail = caller.trail
        assert trail is not None, "the link before makes it"
        await trail.begin(request)
        answer = await behaviour(request, caller)
        caller.leave_turn()
        await trail.allow(answer)
        return answer

    return reply


def _stream(behaviour: Streaming) -> Streaming:
    async def stream(request: Any, caller: Caller) -> AsyncIterator[Reply]:
        trail = caller.trail
        assert trail is not None, "the link before makes it"
        await trail.begin(request)
        async with aclosing(cast(Any, behaviour(request, caller))) as items:
            async for item in items:
                await trail.allow()
                yield item

    return stream
