"""Look at queries of a tenant, at once or when one has changed."""

from collections.abc import Callable
from typing import Final

from queryengine.domain.filters import QueryFilter
from queryengine.domain.query import Query
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry, not_found

ID_CHARACTERS_MAX: Final = 64
"""Of what may be an id; longer texts are not looked up."""


class Looking:
    """A method that takes an id raises QUERY_NOT_FOUND for one that the tenant does not have."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def find(self, tenant: str, query_id: str) -> LiveQuery:
        """The query of an id, in any case of its letters."""
        if len(query_id) > ID_CHARACTERS_MAX:
            raise not_found()
        return await self._registry.find(tenant, query_id.lower())

    async def recorded(self, live: LiveQuery) -> Query:
        """The query with all that was submitted."""
        return await self._registry.recorded(live)

    def active(self, tenant: str, wanted: QueryFilter) -> list[LiveQuery]:
        """The queries of the tenant that wait or run and match, the first submitted first."""
        found = [
            live
            for live in self._registry.active()
            if live.query.tenant == tenant and not live.is_final and wanted.matches(live.query)
        ]
        return sorted(found, key=lambda live: (live.query.submit_us, live.query.query_id))

    async def status(
        self, tenant: str, query_id: str, *, after_version: int, wait_seconds: float, leave_turn: Callable[[], None]
    ) -> LiveQuery:
        """The query once its version is larger or it has ended, and anyway after the time to wait. `leave_turn` is
        called before it waits; whoever waits counts as a reader of the query.
        """
        live = await self.find(tenant, query_id)
        if wait_seconds and not live.is_final:
            leave_turn()
            with live.readers.present():
                await live.wait_for_version(after_version, wait_seconds)
        return live
