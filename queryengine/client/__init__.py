"""The Python client: `for batch in Client().query("SELECT 1")`. Brings no engine and no database."""

from queryengine.client.aio import AsyncClient, AsyncQueryHandle, AsyncQueryResult
from queryengine.client.arguments import Seconds
from queryengine.client.changes import QueryChange
from queryengine.client.channel import Connection
from queryengine.client.configuration import ReloadAttempt, ServerConfiguration
from queryengine.client.details import ParameterInfo, QueryDetails
from queryengine.client.errors import (
    AccessDenied,
    LimitReached,
    NotFound,
    QueryCancelled,
    QueryEngineClientError,
    QueryFailed,
    ResultCorrupt,
    ResultUnavailable,
    ServiceUnavailable,
)
from queryengine.client.explanation import Explanation, PassedOver, Routing
from queryengine.client.keys import ApiKey, ApiKeyList, NewApiKey
from queryengine.client.model import (
    CancelledQueries,
    CancelOutcome,
    CancelResult,
    EngineCancel,
    EngineInfo,
    QueryError,
    QueryList,
    QueryStatus,
    ResultEnd,
    ResultPage,
)
from queryengine.client.named import NamedQuery, NamedQueryList, QueryDefinition, QueryParameter
from queryengine.client.options import QueryOptions, SubmitOptions
from queryengine.client.pages import StoredPage, StoredPages
from queryengine.client.refresh import EngineRefresh, ViewChange
from queryengine.client.sync import Client, QueryHandle, QueryResult
from queryengine.client.usage import DailyUsage, UsageList
from queryengine.codec.memory import keep_malloc_memory
from queryengine.domain.identity import Role
from queryengine.domain.views import ViewChangeKind

__all__ = [
    "AccessDenied",
    "ApiKey",
    "ApiKeyList",
    "AsyncClient",
    "AsyncQueryHandle",
    "AsyncQueryResult",
    "CancelOutcome",
    "CancelResult",
    "CancelledQueries",
    "Client",
    "Connection",
    "DailyUsage",
    "EngineCancel",
    "EngineInfo",
    "EngineRefresh",
    "Explanation",
    "LimitReached",
    "NamedQuery",
    "NamedQueryList",
    "NewApiKey",
    "NotFound",
    "ParameterInfo",
    "PassedOver",
    "QueryCancelled",
    "QueryChange",
    "QueryDefinition",
    "QueryDetails",
    "QueryEngineClientError",
    "QueryError",
    "QueryFailed",
    "QueryHandle",
    "QueryList",
    "QueryOptions",
    "QueryParameter",
    "QueryResult",
    "QueryStatus",
    "ReloadAttempt",
    "ResultCorrupt",
    "ResultEnd",
    "ResultPage",
    "ResultUnavailable",
    "Role",
    "Routing",
    "Seconds",
    "ServerConfiguration",
    "ServiceUnavailable",
    "StoredPage",
    "StoredPages",
    "SubmitOptions",
    "UsageList",
    "ViewChange",
    "ViewChangeKind",
    "keep_malloc_memory",
]
