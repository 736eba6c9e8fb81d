"""List the queries that somebody sees."""

from dataclasses import replace

from queryengine.domain.filters import QueryFilter
from queryengine.domain.identity import Principal
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.policy.rights import Right, require, viewer
from queryengine.store.store import Store


class Listing:
    """Lists what the store has, as it is now in memory."""

    def __init__(self, *, store: Store, registry: Registry, lifetimes: Lifetimes) -> None:
        self._store = store
        self._registry = registry
        self._lifetimes = lifetimes

    async def list(
        self, principal: Principal, wanted: QueryFilter, *, before: tuple[int, str] | None, limit: int
    ) -> list[LiveQuery]:
        """The queries that are wanted and that the principal sees, newest first, from `before` (submit time and id of
        the last one seen) on. Raises ROLE_MISSING.
        """
        require(principal, Right.READ)
        tenant = principal.tenant
        found = await self._store.list(
            tenant,
            replace(wanted, seen_by=viewer(principal)),
            before=before,
            ended_since_us=self._lifetimes.forgotten_before_us(),
            now_us=self._lifetimes.now_us(),
            limit=limit,
        )
        return [self._registry.in_memory(tenant, query.query_id) or LiveQuery(query) for query in found]
