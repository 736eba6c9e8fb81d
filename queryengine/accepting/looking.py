"""Look at one query of a tenant, at once or when it has changed."""

from collections.abc import Callable
from typing import Final

from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry, not_found

ID_CHARACTERS_MAX: Final = 64
"""Of what may be an id; longer texts are not looked up."""


class Looking:
    """Every method raises QUERY_NOT_FOUND for an id that the tenant does not have."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def find(self, tenant: str, query_id: str) -> LiveQuery:
        """The query of an id, in any case of its letters."""
        if len(query_id) > ID_CHARACTERS_MAX:
            raise not_found()
        return await self._registry.find(tenant, query_id.lower())

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
