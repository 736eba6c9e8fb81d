"""How calls end, for the metrics."""

import asyncio

from queryengine.domain.errors import Code, QueryEngineError
from queryengine.edges.grpc.call import Call, Following
from queryengine.telemetry.metrics import OK


async def count(call: Call, following: Following) -> bytes | None:
    """The link that counts a call once, by the status that it ends with: before the status is sent, so that whoever
    gets it finds it counted.
    """
    try:
        reply = await following(call)
    except QueryEngineError as refusal:
        call.method.count(refusal.failure.code.name)
        raise
    except asyncio.CancelledError:
        call.method.count(Code.CANCELLED.name)
        raise
    call.method.count(OK)
    return reply
