"""Look at the configuration of the server, and have it loaded: for admins of the service alone."""

from collections.abc import Awaitable, Callable

from queryengine.domain.identity import Principal
from queryengine.domain.reloads import ReloadStatus
from queryengine.policy.rights import Right, require


class Configuring:
    """The use cases about the configuration. Both raise ROLE_MISSING."""

    def __init__(self, status: Callable[[], ReloadStatus], reload: Callable[[], Awaitable[ReloadStatus]]) -> None:
        self._status = status
        self._reload = reload

    def status(self, principal: Principal) -> ReloadStatus:
        require(principal, Right.CONFIGURE)
        return self._status()

    async def reload(self, principal: Principal) -> ReloadStatus:
        """What came of it, applied or refused."""
        require(principal, Right.CONFIGURE)
        return await self._reload()
