"""Look at the configuration of the server, and have it loaded: for admins of the service alone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from queryengine.domain.audit import Record, unrecorded
from queryengine.domain.identity import Principal
from queryengine.domain.reloads import ReloadStatus
from queryengine.policy.rights import Right, require


class Configuring:
    """The use cases about the configuration. Both raise ROLE_MISSING."""

    def __init__(
        self,
        status: Callable[[], ReloadStatus],
        reload: Callable[[], Awaitable[ReloadStatus]],
        warnings: Callable[[], tuple[str, ...]],
    ) -> None:
        """`warnings` are those that are found while the server runs."""
        self._status = status
        self._reload = reload
        self._warnings = warnings

    def status(self, principal: Principal) -> ReloadStatus:
        require(principal, Right.CONFIGURE)
        return replace(self._status(), warnings=self._warnings())

    async def reload(self, principal: Principal, *, record: Record = unrecorded) -> ReloadStatus:
        """What came of it, applied or refused. Raises what `record` raises."""
        require(principal, Right.CONFIGURE)
        await record()
        return replace(await self._reload(), warnings=self._warnings())
