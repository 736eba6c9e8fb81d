"""Queries in memory: every one that has not ended, and the ended ones asked for recently, as far as they fit."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer
from queryengine.live.changes import Changes
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import Key, LiveQuery
from queryengine.store.store import Store

ENDED_MAX: Final = 2_000
ENDED_BYTES_MAX: Final = 64 << 20
"""What ended queries may hold in memory together, by `LiveQuery.held_bytes`: columns, entries of pages, and small
results, which the record holds, too."""


def not_found() -> QueryEngineError:
    """One answer for unknown, malformed, foreign and unseen ids, so that they cannot be distinguished."""
    return error(Reason.QUERY_NOT_FOUND, "no such query")


class Ends(Protocol):
    """Takes note of queries that end, such as Metrics."""

    def ended(self, query: Query) -> None:
        """Called once for each query, when it reaches its final state."""


class Registry:
    """Finds the one LiveQuery of a query."""

    def __init__(self, store: Store, ends: Ends, lifetimes: Lifetimes) -> None:
        self.changes = Changes()
        """What watchers of all queries of a tenant are to see."""
        self._store = store
        self._lifetimes = lifetimes
        self._ends = ends
        self._active: dict[Key, LiveQuery] = {}
        self._ended: OrderedDict[Key, LiveQuery] = OrderedDict()
        self._held: dict[Key, int] = {}
        self._held_bytes = 0
        """Of the ended ones: what each holds, and all of them."""
        self._undecided: dict[Key, tuple[LiveQuery, asyncio.Future[None]]] = {}

    def active(self) -> list[LiveQuery]:
        """Queries whose end is not recorded yet."""
        return list(self._active.values())

    def add(self, query: Query) -> LiveQuery:
        """The LiveQuery of a record: the one there is, brought up to date, or a new one."""
        key = (query.tenant, query.query_id)
        live = self._active.get(key) or self._ended.get(key)
        if live is None:
            live = self.new(query)
        else:
            live.take(query)
        self.keep(live)
        return live

    def new(self, query: Query) -> LiveQuery:
        """A LiveQuery that nobody finds before `keep`."""
        return LiveQuery(query, self._ends.ended, self.changes.note)

    @contextmanager
    def undecided(self, live: LiveQuery) -> Iterator[None]:
        """While it is open, nobody knows whether there will be this query; whoever looks for it waits."""
        decision, key = asyncio.get_running_loop().create_future(), live.key
        self._undecided[key] = live, decision
        try:
            yield
        finally:
            del self._undecided[key]
            decision.set_result(None)

    def keep(self, live: LiveQuery) -> None:
        """Put a query where it belongs; to be called when it has ended."""
        if not live.is_final:
            if live.key not in self._active:
                self._active[live.key] = live
                self.changes.note(live.key, True)
            return
        self._active.pop(live.key, None)
        self._ended[live.key] = live
        self._ended.move_to_end(live.key)
        self.weigh(live)

    def weigh(self, live: LiveQuery) -> None:
        """Count again what a query holds, as after its index was read, and forget the oldest that no longer fit. Does
        nothing for one that is not kept here as an ended one.
        """
        if self._ended.get(live.key) is not live:
            return
        held = live.held_bytes
        self._held_bytes += held - self._held.get(live.key, 0)
        self._held[live.key] = held
        while len(self._ended) > ENDED_MAX or (self._held_bytes > ENDED_BYTES_MAX and len(self._ended) > 1):
            self._forget(next(iter(self._ended)))

    def _forget(self, key: Key) -> None:
        """What is left of it is in the store and in the spool."""
        del self._ended[key]
        self._held_bytes -= self._held.pop(key)

    def in_memory(self, tenant: str, query_id: str) -> LiveQuery | None:
        key = (tenant, query_id)
        live = self._active.get(key) or self._ended.get(key)
        if live is not None and self._lifetimes.is_forgotten(live.query):
            # However often it was asked for meanwhile.
            self._forget(key)
            return None
        return live

    async def recorded(self, live: LiveQuery) -> Query:
        """The query with its whole submission, of which memory holds the beginning once it has ended. Raises
        QUERY_NOT_FOUND when it is forgotten meanwhile.
        """
        if not live.is_final:
            return live.query
        stored = await self._store.get(*live.key)
        if stored is None:
            raise not_found()
        return stored

    async def find(self, tenant: str, query_id: str, viewer: Viewer | None = None) -> LiveQuery:
        """The query, from memory or from the store. Raises QUERY_NOT_FOUND, after one read of the store: also for a
        query in memory that the viewer does not see, as for an id that nobody has used.
        """
        key = (tenant, query_id)
        while True:
            live = self._seen_in_memory(key, viewer)
            if live is not None:
                return live
            undecided = self._undecided_for(key, viewer)
            if undecided is not None:
                new, decision = undecided
                if new.first_write is not None:
                    # Or the wait would be as long as a record may be held.
                    new.first_write.write()
                await asyncio.wait([decision])
                continue
            query = await self._store.get(tenant, query_id, seen_by=viewer)
            if self._undecided_for(key, viewer) is not None or self._seen_in_memory(key, viewer) is not None:
                # A Submit came meanwhile.
                continue
            if query is None or self._lifetimes.is_forgotten(query):
                raise not_found()
            return self.add(query)

    def _seen_in_memory(self, key: Key, viewer: Viewer | None) -> LiveQuery | None:
        live = self.in_memory(*key)
        return live if live is None or viewer is None or viewer.sees(live.query) else None

    def _undecided_for(self, key: Key, viewer: Viewer | None) -> tuple[LiveQuery, asyncio.Future[None]] | None:
        """A query of an id, which the viewer would see and of which is not known whether it will be; and what is done
        once that is known.
        """
        found = self._undecided.get(key)
        return found if found is None or viewer is None or viewer.sees(found[0].query) else None
