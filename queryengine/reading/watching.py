"""What a watcher of the queries of a tenant is sent, and when. Holds nothing for it but how far it has come."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.filters import QueryFilter
from queryengine.domain.identity import Principal
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.policy.rights import Right, require, viewer
from queryengine.reading.items import Beat, RotateReason
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.place import StillValid
from queryengine.reading.streaming import Streams

LOOK: Final = 64
"""Changes that are looked up at a time."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Changes may be missing up to here."""


@dataclass(frozen=True, slots=True)
class WatchRotated:
    """The stream ends on purpose, to be opened again from here."""

    reason: RotateReason


@dataclass(frozen=True, slots=True)
class WatchItem:
    """Something to send, and the position to go on at after it."""

    position: str
    event: LiveQuery | Reset | Beat | WatchRotated


class Watching:
    """Serves all watchers of a server, whose streams end on purpose as those of results do."""

    def __init__(self, registry: Registry, streams: Streams, open_streams: OpenStreams) -> None:
        self._registry = registry
        self._changes = registry.changes
        self._streams = streams
        self._open_streams = open_streams

    async def watch(
        self,
        principal: Principal,
        wanted: QueryFilter,
        *,
        position: str,
        heartbeat_seconds: float,
        still_valid: StillValid,
    ) -> AsyncIterator[WatchItem]:
        """Queries that have changed since the position and leave it matching, each as it is now; then whatever changes,
        until the stream rotates. What the principal does not see is passed over as what does not match. Raises
        ROLE_MISSING and TENANT_STREAM_LIMIT, and what `still_valid` raises.
        """
        require(principal, Right.READ)
        tenant, wanted = principal.tenant, replace(wanted, seen_by=viewer(principal))
        started = sent = _now()
        versions: dict[str, int] = {}
        with self._open_streams.one(tenant, principal), self._changes.watched(tenant) as log:
            seen = log.sequence_at(position)
            if seen is None:
                seen = log.sequence
                yield WatchItem(log.position(seen), Reset())
            while True:
                still_valid()
                if (reason := self._streams.rotation(started)) is not None:
                    yield WatchItem(log.position(seen), WatchRotated(reason))
                    return
                changed = log.since(seen, LOOK)
                if changed is None:
                    # It was too slow: more has changed meanwhile than is remembered.
                    seen, sent = log.sequence, _now()
                    yield WatchItem(log.position(seen), Reset())
                    continue
                before, versions = versions, {}
                for number, query_id in changed:
                    seen = number
                    live = await self._find(tenant, query_id)
                    if live is None or not wanted.matches(live.query):
                        continue
                    versions[query_id] = live.version
                    # What was sent a moment ago may have been this change already.
                    if live.version != before.get(query_id):
                        yield WatchItem(log.position(seen), live)
                        sent = _now()
                if changed:
                    await asyncio.sleep(0)
                    continue
                left = min(sent + heartbeat_seconds, started + self._streams.rotate_seconds) - _now()
                if left > 0:
                    await log.wait(left)
                else:
                    sent = _now()
                    yield WatchItem(log.position(seen), Beat())

    async def _find(self, tenant: str, query_id: str) -> LiveQuery | None:
        """None for a query that was not accepted in the end, or is forgotten."""
        try:
            return await self._registry.find(tenant, query_id)
        except QueryEngineError as cause:
            if cause.failure.reason is not Reason.QUERY_NOT_FOUND:
                raise
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()
