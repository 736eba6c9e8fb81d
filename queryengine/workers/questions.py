"""Questions to one worker process beside what it runs, and the waiting for their answers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from queryengine.domain.errors import Failure, Reason
from queryengine.workers.protocol import encode

Answer: TypeAlias = Mapping[str, Any] | Failure
"""What the worker says, or why it says nothing."""


class Questions:
    """To one process, in its life."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0

    async def ask(self, kind: str, *, seconds: float, **details: Any) -> Answer:
        """The answer to one question; `kind` is the type of its frame."""
        self._number = number = self._number + 1
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._send(encode({"type": kind, "number": number, **details}))
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            return Failure(Reason.ENGINE_UNAVAILABLE, f"the worker did not answer ({kind}) within {seconds:g} seconds")
        finally:
            del self._waiting[number]

    def answered(self, header: Mapping[str, Any]) -> None:
        """The worker's answer. One that comes too late is nobody's."""
        failure = header["failure"]
        self._settle(header["number"], Failure.from_json(failure) if failure else header)

    def gone(self) -> None:
        """The process has ended."""
        for number in self._waiting:
            self._settle(number, Failure(Reason.ENGINE_UNAVAILABLE, "the worker ended before it answered"))

    def _settle(self, number: int, answer: Answer) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
