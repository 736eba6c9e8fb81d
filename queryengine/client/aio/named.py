"""Named queries, for asyncio: `client.named_queries`."""

from queryengine.client import named
from queryengine.client.aio.transport import AsyncTransport
from queryengine.client.named import NamedQuery, NamedQueryList, QueryDefinition


class AsyncNamedQueries:
    """SQL text under a name of the tenant, in versions that never change. `query(named="report@prod")` runs one.

    A reference names what is meant: `report@7` is version 7, `report@prod` the version that the tag points at, and
    `report` the newest. Changing them takes the role tenant_admin or admin. NotFound stands for a name, version or tag
    that is not there, or that the caller may not run. Every call is safe to repeat.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(self, name: str, definition: QueryDefinition | str) -> NamedQuery:
        """Make version 1, of SQL or all that a definition holds. The server checks the text as if the caller submitted
        it; QueryFailed says what is wrong. A name with another definition is refused: update it.
        """
        return await self._transport.call(named.create(name, definition))

    async def update(self, name: str, definition: QueryDefinition | str, *, expected_version: int) -> NamedQuery:
        """Make the next version; tags stay where they are. Nothing is taken over from the version before, so hand in
        dataclasses.replace(found.definition, …).

        expected_version: the newest version as the caller saw it. When somebody else made another one, the call is
        refused with the reason NAMED_QUERY_CHANGED: read it again.
        """
        return await self._transport.call(named.update(name, definition, expected_version=expected_version))

    async def get(self, reference: str) -> NamedQuery:
        """The version that a reference stands for."""
        return await self._transport.call(named.get(reference))

    async def list(self, *, prefix: str = "", page_size: int = 50, page_token: str = "") -> NamedQueryList:
        """Named queries that the caller may run, by name, each in its newest version and without its SQL;
        `next_page_token` continues. prefix: only names that begin with it.
        """
        return await self._transport.call(named.list_named(prefix=prefix, page_size=page_size, page_token=page_token))

    async def versions(self, name: str, *, page_size: int = 50, page_token: str = "") -> NamedQueryList:
        """Versions of a named query, newest first, without their SQL; `next_page_token` continues."""
        return await self._transport.call(named.versions(name, page_size=page_size, page_token=page_token))

    async def delete(self, name: str) -> int:
        """End a name; queries that were submitted go on. Returns how many versions are kept, as queries refer to them:
        get(name@version) reads those.
        """
        return await self._transport.call(named.delete(name))

    async def tag(self, name: str, tag: str, version: int) -> NamedQuery:
        """Point a tag at a version, from wherever it pointed before."""
        return await self._transport.call(named.tag(name, tag, version))

    async def untag(self, name: str, tag: str) -> NamedQuery:
        """Take a tag away."""
        return await self._transport.call(named.untag(name, tag))
