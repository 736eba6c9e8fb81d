"""The record of a query that runs from its Submit on: written once, together with the end, when that comes soon.

Until the record is written nobody has heard of the query: its Submit is not answered, and whoever looks for its id
waits. So a server that ends meanwhile leaves nothing, and the same Submit may be sent again.

| state | left by                         | to      |
|-------|---------------------------------|---------|
| held  | `write`: by time, or a defect   | written as RUNNING, the end follows by itself |
|       | `write_with_end`: the run ended | written with its end, in one transaction      |
"""

import asyncio
from typing import Any, Final

from queryengine.domain.lifecycle import Event
from queryengine.domain.query import Query
from queryengine.store.store import Store

HELD_SECONDS: Final = 0.02
"""How long a record waits for the end of its run. Whoever waits for the query gets no answer in this time anyway."""


class HeldRecord:
    """Of one query, which is RUNNING. `decided` is what Store.submit returns or raises; to cancel it before the record
    is written keeps it from being written.
    """

    def __init__(self, store: Store, query: Query) -> None:
        loop = asyncio.get_running_loop()
        self.decided: asyncio.Future[tuple[Query, bool]] = loop.create_future()
        self._store = store
        self._query = query
        self._writing: asyncio.Task[None] | None = None
        self._is_held = True
        self._timer = loop.call_later(HELD_SECONDS, self.write)

    def write(self) -> None:
        """Hold it no longer. Idempotent, and does nothing once it is written otherwise."""
        if self._take():
            self._writing = asyncio.ensure_future(self._submit())

    async def write_with_end(self, event: Event, changes: dict[str, Any], payload: bytes | None) -> Query | None:
        """Write it with the end of its run, unless its id has a record. Returns the query as it is then, or None when
        it was not written so: by `decided` the caller of Submit learns why.
        """
        if not self._take():
            return None
        try:
            stored, is_old = await self._store.submit_ended(self._query, event, changes=changes, payload=payload)
        except Exception as cause:
            self._decide(cause)
            return None
        self._decide((stored, is_old))
        return None if is_old else stored

    @property
    def is_held(self) -> bool:
        return self._is_held

    def _take(self) -> bool:
        held, self._is_held = self._is_held and not self.decided.done(), False
        self._timer.cancel()
        return held

    async def _submit(self) -> None:
        try:
            self._decide(await self._store.submit(self._query))
        except Exception as cause:
            self._decide(cause)

    def _decide(self, outcome: tuple[Query, bool] | Exception) -> None:
        if self.decided.done():
            # Whoever waited was cancelled, as at the end of the server.
            return
        if isinstance(outcome, Exception):
            self.decided.set_exception(outcome)
        else:
            self.decided.set_result(outcome)
