"""Look at queries of a tenant, at once or when one has changed."""

from collections.abc import Callable
from typing import Final

from queryengine.domain.filters import QueryFilter
from queryengine.domain.identity import Principal
from queryengine.domain.query import Query
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry, not_found
from queryengine.policy.rights import Right, may_change, require, require_change, viewer
from queryengine.policy.row_security.policies import Policies

ID_CHARACTERS_MAX: Final = 64
"""Of what may be an id; longer texts are not looked up."""


class Looking:
    """A method that takes an id raises ROLE_MISSING without a look at it, and QUERY_NOT_FOUND for one that the tenant
    does not have or the principal does not see.
    """

    def __init__(self, registry: Registry, policies: Policies) -> None:
        self._registry = registry
        self._policies = policies

    async def find(self, principal: Principal, query_id: str, right: Right = Right.READ) -> LiveQuery:
        """The query of an id, in any case of its letters, for whoever has the right."""
        require(principal, right)
        if len(query_id) > ID_CHARACTERS_MAX:
            raise not_found()
        return await self._registry.find(principal.tenant, query_id.lower(), viewer(principal))

    async def find_rows(self, principal: Principal, query_id: str) -> LiveQuery:
        """As `find`, to read the rows of it. Raises RESULT_RESTRICTED where the principal does not see what the query
        saw.
        """
        live = await self.find(principal, query_id)
        self.require_rows(principal, live.query)
        return live

    def require_rows(self, principal: Principal, query: Query) -> None:
        """Raises RESULT_RESTRICTED where the principal does not see, by the policies of this moment, what the query
        saw.
        """
        self._policies.require_same(principal, query)

    async def find_to_change(self, principal: Principal, query_id: str) -> LiveQuery:
        """As `find`. Raises ROLE_MISSING, too, for a query that the principal only sees."""
        live = await self.find(principal, query_id, Right.CHANGE)
        require_change(principal, live.query)
        return live

    async def recorded(self, live: LiveQuery) -> Query:
        """The query with all that was submitted."""
        return await self._registry.recorded(live)

    def active_to_change(self, principal: Principal, wanted: QueryFilter) -> list[LiveQuery]:
        """The queries that the principal may change, wait or run, and match, the first submitted first. Raises
        ROLE_MISSING.
        """
        require(principal, Right.CHANGE)
        tenant = principal.tenant
        found = [
            live
            for live in self._registry.active()
            if live.query.tenant == tenant
            and not live.is_final
            and wanted.matches(live.query)
            and may_change(principal, live.query)
        ]
        return sorted(found, key=lambda live: (live.query.submit_us, live.query.query_id))

    async def status(
        self,
        principal: Principal,
        query_id: str,
        *,
        after_version: int,
        wait_seconds: float,
        leave_turn: Callable[[], None],
    ) -> LiveQuery:
        """The query once its version is larger or it has ended, and anyway after the time to wait. `leave_turn` is
        called before it waits; whoever waits counts as a reader of the query.
        """
        live = await self.find(principal, query_id)
        if wait_seconds and not live.is_final:
            leave_turn()
            with live.readers.present():
                await live.wait_for_version(after_version, wait_seconds)
        return live
