"""The columns of a result as the encoded ResultSchema that clients get."""

import asyncio
from collections import OrderedDict
from concurrent.futures import Executor
from typing import Final

from queryengine.codec.types import encoded_attempt, encoded_result_schema

KEPT: Final = 64
KEPT_BYTES_MAX: Final = 32 << 10
"""Largest Arrow schema that is described on the event loop, in about a millisecond, and kept for the next answer."""


class Schemas:
    """Describes columns. Those of usual results are kept, the ones used last: to describe them takes longer than to
    send a short result.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    async def describe(self, schema: bytes, attempt: int) -> bytes:
        """The encoded ResultSchema of an Arrow IPC schema message. A wide one is described in a thread."""
        if len(schema) <= KEPT_BYTES_MAX:
            described = self._described(schema)
        else:
            described = await asyncio.get_running_loop().run_in_executor(self._threads, encoded_result_schema, schema)
        return described + encoded_attempt(attempt)

    def _described(self, schema: bytes) -> bytes:
        described = self._kept.get(schema)
        if described is None:
            described = self._kept[schema] = encoded_result_schema(schema)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(schema)
        return described
