"""Trino's errors as failures, in its own words."""

import re
from collections.abc import Mapping
from typing import Any, Final

from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.trino.error_codes import reason_of
from queryengine.engines.trino.http import Refused, Unreachable
from queryengine.engines.trino.query import QueryFailed

_PLACE: Final = re.compile(r"line \d+:\d+: ")


def failed(cause: QueryFailed, *, skipped: int = 0) -> QueryEngineError:
    """The failure for a query that Trino ended.

    `skipped` is how many characters stood before the user's text when Trino read it.
    """
    account = cause.account
    reason = reason_of(account.get("errorName", ""), account.get("errorType", ""))
    position = _position(account.get("errorLocation"), reason, skipped)
    message = str(cause)
    if "stack overflow while parsing" in message:
        reason = Reason.STATEMENT_TOO_COMPLEX
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
