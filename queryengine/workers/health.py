"""Whether a worker's engine answers: asked by probes, doubted when an execution could not reach it.

Law: an engine that is in doubt gets no execution until a probe of it was answered well.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from queryengine.domain.errors import Failure, Reason
from queryengine.workers.protocol import encode

ANSWER_SECONDS: Final = 10.0
"""How long a probe may go without an answer; an adapter's own bound is shorter and says more."""
DOUBT_SECONDS: Final = 1.0
"""Between the probes of an engine that did not answer well."""


class Health:
    """The health of one engine as one worker process sees it. Well until it is known to be otherwise."""

    def __init__(self, *, interval_seconds: float, send: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        self._interval_seconds = interval_seconds
        self._send = send
        self._changed = changed
        self._answer: asyncio.Future[Failure | None] | None = None
        self._in_doubt = asyncio.Event()
        self.failure: Failure | None = None

    async def watch(self) -> None:
        """Probe for ever."""
        while True:
            if self.failure is not None:
                await asyncio.sleep(min(DOUBT_SECONDS, self._interval_seconds))
            else:
                await self._rest()
            self._settle(await self._probe())

    def doubt(self, failure: Failure) -> None:
        """An execution could not reach the engine; find out at once."""
        self._settle(failure)
        self._in_doubt.set()

    def answered(self, failure: Failure | None) -> None:
        """The worker's answer to a probe. One that comes too late is nobody's."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(failure)

    async def _rest(self) -> None:
        self._in_doubt.clear()
        try:
            async with asyncio.timeout(self._interval_seconds):
                await self._in_doubt.wait()
        except TimeoutError:
            return

    async def _probe(self) -> Failure | None:
        self._answer = asyncio.get_running_loop().create_future()
        self._send(encode({"type": "probe"}))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answer
        except TimeoutError:
            return Failure(Reason.ENGINE_UNAVAILABLE, f"no answer to a probe within {ANSWER_SECONDS:g} seconds")

    def _settle(self, failure: Failure | None) -> None:
        was_well = self.failure is None
        self.failure = failure
        if was_well != (failure is None):
            self._changed()
