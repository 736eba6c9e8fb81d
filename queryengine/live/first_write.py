"""The first write of a query's record: held for a moment, so that one which ends soon is written once, with its end.

Until it is written nobody has heard of the query: its Submit is not answered, and whoever looks for its id waits. So a
server that ends meanwhile leaves nothing, and the same Submit may be sent again.

| state   | left by                         | to                                                             |
|---------|---------------------------------|----------------------------------------------------------------|
| held    | `claim`: it has got a slot      | held, as RUNNING                                               |
|         | `write_with_end`: its run ended | written with its end, in one transaction                       |
|         | `write`: by time, or as somebody looks for it | written as it is; what follows is written by itself |
| written | the answer of the store         | decided                                                        |
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from queryengine.domain.lifecycle import Event, QueryState
from queryengine.domain.query import Query
from queryengine.store.store import Store

RUNNING_SECONDS: Final = 0.02
"""How long a record waits for the end of its run. Whoever waits for the query gets no answer in this time anyway."""
WAITING_SECONDS: Final = 0.1
"""How long it waits for a slot before that."""


class FirstWrite:
    """Of one new query, QUEUED or RUNNING. `decided` is what Store.submit returns or raises."""

    def __init__(self, store: Store, query: Query) -> None:
        self.decided: asyncio.Future[tuple[Query, bool]] = asyncio.get_running_loop().create_future()
        self._store = store
        self._query = query
        self._is_held = True
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_held(self) -> bool:
        return self._is_held and not self.decided.done()

    def hold(self, seconds: float) -> None:
        """Write it within so many seconds, and within what its state allows, unless something else does before."""
        if self._timer is not None:
            self._timer.cancel()
        most = WAITING_SECONDS if self._query.state is QueryState.QUEUED else RUNNING_SECONDS
        self._timer = asyncio.get_running_loop().call_later(min(seconds, most), self.write)

    def write(self) -> None:
        """Hold it no longer. Idempotent, and does nothing once it is written otherwise."""
        if self._take():
            self._writing = asyncio.ensure_future(self._answered(partial(self._store.submit, self._query)))

    def abandon(self) -> None:
        """Keep it from being written. To be called before anything has awaited since it was made."""
        self._take()
        self.decided.cancel()
        if self._writing is not None:
            self._writing.cancel()

    def claim(self, query: Query) -> bool:
        """Let it be written as this, RUNNING; False when it is too late for that."""
        if not self.is_held:
            return False
        self._query = query
        self.hold(RUNNING_SECONDS)
        return True

    async def write_with_end(self, event: Event, changes: dict[str, Any], payload: bytes | None) -> Query | None:
        """Write it with the end of its run, unless its id has a record; to be called while it is held. Returns the
        query as it is then, or None when it was not written: by `decided` the caller of Submit learns why.
        """
        self._take()
        write = partial(self._store.submit_ended, self._query, event, changes=changes, payload=payload)
        await self._answered(write)
        return self.decided.result()[0] if await self.is_accepted() else None

    async def is_accepted(self) -> bool:
        """Once it is decided: whether the record is this query's. False for an id that had one, and after a failure."""
        if not self.decided.done():
            await asyncio.wait([self.decided])
        return not self.is_refused

    @property
    def is_refused(self) -> bool:
        """Whether it is known that the record is not this query's."""
        decided = self.decided
        return decided.done() and (decided.cancelled() or decided.exception() is not None or decided.result()[1])

    def _take(self) -> bool:
        held, self._is_held = self.is_held, False
        if self._timer is not None:
            self._timer.cancel()
        return held

    async def _answered(self, write: Callable[[], Awaitable[tuple[Query, bool]]]) -> None:
        """`write` is called here, so that nothing has begun of it when this is cancelled before it runs."""
        try:
            answer = await write()
        except Exception as cause:
            if not self.decided.done():
                self.decided.set_exception(cause)
            return
        # Whoever waited may have been cancelled, as at the end of the server.
        if not self.decided.done():
            self.decided.set_result(answer)
