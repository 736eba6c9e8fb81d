"""Trino's errors as failures, in its own words."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.trino.http import Refused, Unreachable
from queryengine.engines.trino.query import QueryFailed

_NAMES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "SYNTAX_ERROR": Reason.SYNTAX_ERROR,
        "STACK_OVERFLOW": Reason.STATEMENT_TOO_COMPLEX,
        "QUERY_TEXT_TOO_LARGE": Reason.STATEMENT_TOO_COMPLEX,
        "READ_ONLY_VIOLATION": Reason.STATEMENT_NOT_ALLOWED,
        "EXCEEDED_TIME_LIMIT": Reason.QUERY_TIMEOUT,
        "EXCEEDED_CPU_LIMIT": Reason.QUERY_TIMEOUT,
        "EXCEEDED_SCAN_LIMIT": Reason.STATEMENT_REJECTED,
        "EXCEEDED_GLOBAL_MEMORY_LIMIT": Reason.OUT_OF_MEMORY,
        "EXCEEDED_LOCAL_MEMORY_LIMIT": Reason.OUT_OF_MEMORY,
        "EXCEEDED_TASK_DESCRIPTOR_STORAGE_CAPACITY": Reason.OUT_OF_MEMORY,
        "EXCEEDED_SPILL_LIMIT": Reason.OUT_OF_MEMORY,
        "CLUSTER_OUT_OF_MEMORY": Reason.OUT_OF_MEMORY,
        "OUT_OF_SPILL_SPACE": Reason.OUT_OF_MEMORY,
        # Somebody else ended it, on the engine.
        "USER_CANCELED": Reason.ENGINE_ERROR,
        "ADMINISTRATIVELY_KILLED": Reason.ENGINE_ERROR,
        "ADMINISTRATIVELY_PREEMPTED": Reason.ENGINE_UNAVAILABLE,
        "ABANDONED_QUERY": Reason.ENGINE_UNAVAILABLE,
        "ABANDONED_TASK": Reason.ENGINE_UNAVAILABLE,
        "CLUSTER_HAS_TOO_MANY_RUNNING_QUERIES": Reason.ENGINE_UNAVAILABLE,
        "NO_NODES_AVAILABLE": Reason.ENGINE_UNAVAILABLE,
        "QUERY_QUEUE_FULL": Reason.ENGINE_UNAVAILABLE,
        "QUERY_REJECTED": Reason.ENGINE_UNAVAILABLE,
        "REMOTE_HOST_GONE": Reason.ENGINE_UNAVAILABLE,
        "REMOTE_TASK_ERROR": Reason.ENGINE_UNAVAILABLE,
        "REMOTE_TASK_MISMATCH": Reason.ENGINE_UNAVAILABLE,
        "PAGE_TRANSPORT_ERROR": Reason.ENGINE_UNAVAILABLE,
        "PAGE_TRANSPORT_TIMEOUT": Reason.ENGINE_UNAVAILABLE,
        "SERVER_SHUTTING_DOWN": Reason.ENGINE_UNAVAILABLE,
        "SERVER_STARTING_UP": Reason.ENGINE_UNAVAILABLE,
        "TOO_MANY_REQUESTS_FAILED": Reason.ENGINE_UNAVAILABLE,
    }
)
"""By error name. Others go by their type: a USER_ERROR is STATEMENT_REJECTED, anything else ENGINE_ERROR."""

_PLACE: Final = re.compile(r"line \d+:\d+: ")


def failed(cause: QueryFailed, *, skipped: int = 0) -> QueryEngineError:
    """The failure for a query that Trino ended.

    `skipped` is how many characters stood before the user's text when Trino read it.
    """
    account = cause.account
    name = account.get("errorName", "")
    by_type = Reason.STATEMENT_REJECTED if account.get("errorType") == "USER_ERROR" else Reason.ENGINE_ERROR
    reason = _NAMES.get(name, by_type)
    position = _position(account.get("errorLocation"), reason, skipped)
    message = str(cause)
    if position is not None:
        message = _PLACE.sub("", message, count=1)
    return error(reason, message, sql_state=account.get("sqlState") or "", position=position)


def unanswered(cause: Unreachable | Refused, engine: str) -> QueryEngineError:
    """The failure for a request without a good answer."""
    if isinstance(cause, Unreachable):
        return error(Reason.ENGINE_UNAVAILABLE, f"engine {engine!r} cannot reach Trino: {cause}", engine=engine)
    match cause.status:
        case 401 | 403:
            message = f"Trino refuses the credentials of engine {engine!r}: {cause}"
            return error(Reason.ENGINE_UNAVAILABLE, message, engine=engine)
        case 404 | 410:
            message = f"Trino no longer knows the query; it may have been started anew: {cause}"
            return error(Reason.ENGINE_UNAVAILABLE, message, engine=engine)
        case 400:
            return error(Reason.STATEMENT_REJECTED, cause.words)
        case _:
            return error(Reason.ENGINE_ERROR, f"Trino answered with {cause}")


def _position(place: Mapping[str, Any] | None, reason: Reason, skipped: int) -> Position | None:
    if not place:
        return None
    line, column = place["lineNumber"], place["columnNumber"]
    # Trino counts what it skipped on the first line, and its parser on every line.
    if line == 1 or reason is Reason.SYNTAX_ERROR:
        column -= skipped
    return Position(line, max(1, column))
