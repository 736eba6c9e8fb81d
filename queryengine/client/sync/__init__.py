"""The client for code that blocks. `client`, `handle` and `result` are generated from `queryengine.client.aio`."""

from queryengine.client.sync.client import Client
from queryengine.client.sync.handle import QueryHandle
from queryengine.client.sync.result import QueryResult

__all__ = ["Client", "QueryHandle", "QueryResult"]
