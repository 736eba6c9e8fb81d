"""Asks one worker process to look at its engine's files again, and waits for the answer."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.refreshed import Refreshed
from queryengine.workers.protocol import encode

ANSWER_SECONDS: Final = 60.0
"""How long a worker may look. What it finds later, its queries see all the same."""

Answer: TypeAlias = Refreshed | Failure


class Refreshing:
    """Of one process, in whose life one question is asked at a time."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._answer: asyncio.Future[Answer] | None = None
        self._number = 0

    async def ask(self) -> Answer:
        """What the worker found, or why it found nothing."""
        self._number += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._send(encode({"type": "refresh", "number": self._number}))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answer
        except TimeoutError:
            message = f"the worker has looked at its files for more than {ANSWER_SECONDS:g} seconds"
            return Failure(Reason.ENGINE_UNAVAILABLE, message)

    def answered(self, header: Mapping[str, Any]) -> None:
        """The worker's answer. One that comes too late is nobody's."""
        if header["number"] == self._number:
            found = header["refreshed"]
            self._settle(Refreshed.from_json(found) if found else Failure.from_json(header["failure"]))

    def gone(self) -> None:
        """The process has ended."""
        self._settle(Failure(Reason.ENGINE_UNAVAILABLE, "the worker ended while it looked at its files"))

    def _settle(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
