"""The retry policy for calls of the store that must not be lost to a full disk: repeated until they succeed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from queryengine.domain.errors import QueryEngineError, Reason

logger = logging.getLogger(__name__)

STORE_RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries; the last one is repeated."""

T = TypeVar("T")


async def _nothing() -> None:
    """Does nothing."""


async def until_stored(
    call: Callable[[], Awaitable[T]], message: str, make_room: Callable[[], Awaitable[None]] = _nothing
) -> T:
    """What a call returns, repeated for as long as it raises STORE_UNAVAILABLE; `make_room` is called before each
    repetition. What else it raises would be raised each time. `message` is logged with each failure.
    """
    tries = 0
    while True:
        try:
            return await call()
        except QueryEngineError as cause:
            if cause.failure.reason is not Reason.STORE_UNAVAILABLE:
                raise
            logger.warning("%s: %s", message, cause)
            await make_room()
            await asyncio.sleep(STORE_RETRY_SECONDS[min(tries, len(STORE_RETRY_SECONDS) - 1)])
            tries += 1
