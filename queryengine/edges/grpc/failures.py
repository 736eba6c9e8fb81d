"""Failures as statuses of calls."""

import asyncio
from typing import Final, NoReturn

from grpc._cython import cygrpc

from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.incidents import incident
from queryengine.edges.grpc.call import Call, Context, Following
from queryengine.edges.grpc.status import abort

LEAVE_SECONDS: Final = 1.0
"""Time for the status of a stream whose reader stalled to be handed over for sending."""
CLIENT_LEFT: Final = (cygrpc.InternalError, cygrpc.UsageError)
"""What gRPC raises for reading from or writing to a call whose client is gone; it has no public name for them."""


async def translate_failures(call: Call, following: Following) -> bytes | None:
    """The link that ends a call with the status of its failure."""
    try:
        return await following(call)
    except QueryEngineError as cause:
        failure = cause.failure
    # Outside of the handler above: gRPC keeps the exception that it ends a call by, and with it the context of that
    # exception, until Python collects cycles, and a large request may be in it.
    if failure.reason is Reason.READER_STALLED:
        await _leave_behind(call.context, failure)
    await abort(call.context, failure)
    return None


async def report_defects(call: Call, following: Following) -> bytes | None:
    """The link that makes a failure of an exception that nothing expects: INTERNAL_ERROR, and an entry in the log."""
    try:
        return await following(call)
    except QueryEngineError:
        raise
    except CLIENT_LEFT as cause:
        # What gRPC itself makes of a client that leaves, and ends without a word in the log.
        raise asyncio.CancelledError from cause
    except Exception as cause:
        failure = incident(call.method.name, cause)
    raise QueryEngineError(failure)


async def _leave_behind(context: Context, failure: Failure) -> NoReturn:
    """End a call whose client does not read: the status is there when it does, and nothing waits for it here."""
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await abort(context, failure)
    except TimeoutError as cause:
        raise asyncio.CancelledError from cause
