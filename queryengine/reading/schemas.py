"""The columns of a result as the encoded ResultSchema that clients get."""

import asyncio
from concurrent.futures import Executor
from functools import lru_cache
from typing import Final

from queryengine.codec.types import encoded_attempt, encoded_result_schema

KEPT: Final = 64
KEPT_BYTES_MAX: Final = 32 << 10
"""Largest Arrow schema that is described on the event loop, in about a millisecond, and kept for the next answer."""


class Schemas:
    """Describes columns. Those of usual results are kept: to describe them takes longer than to send a short result."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def describe(self, schema: bytes, attempt: int) -> bytes:
        """The encoded ResultSchema of an Arrow IPC schema message. A wide one is described in a thread."""
        if len(schema) <= KEPT_BYTES_MAX:
            described = _kept(schema)
        else:
            described = await asyncio.get_running_loop().run_in_executor(self._threads, encoded_result_schema, schema)
        return described + encoded_attempt(attempt)


_kept = lru_cache(maxsize=KEPT)(encoded_result_schema)
