"""List the queries of a tenant."""

from queryengine.domain.filters import QueryFilter
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.store.store import Store


class Listing:
    """Lists what the store has, as it is now in memory."""

    def __init__(self, *, store: Store, registry: Registry, lifetimes: Lifetimes) -> None:
        self._store = store
        self._registry = registry
        self._lifetimes = lifetimes

    async def list(
        self, tenant: str, wanted: QueryFilter, *, before: tuple[int, str] | None, limit: int
    ) -> list[LiveQuery]:
        """Queries newest first, from `before` (submit time and id of the last one seen) on."""
        found = await self._store.list(
            tenant,
            wanted,
            before=before,
            ended_since_us=self._lifetimes.forgotten_before_us(),
            now_us=self._lifetimes.now_us(),
            limit=limit,
        )
        return [self._registry.in_memory(tenant, query.query_id) or LiveQuery(query) for query in found]
