"""The client for asyncio: written by hand, and the source of `queryengine.client.sync`."""

from queryengine.client.aio.client import AsyncClient
from queryengine.client.aio.handle import AsyncQueryHandle
from queryengine.client.aio.result import AsyncQueryResult

__all__ = ["AsyncClient", "AsyncQueryHandle", "AsyncQueryResult"]
