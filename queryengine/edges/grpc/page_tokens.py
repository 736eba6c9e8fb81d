"""Tokens of lists that are newest first: the time and the id of the last entry that was sent."""

import base64
import binascii

from queryengine.domain.errors import QueryEngineError
from queryengine.edges.grpc.fields import invalid


def list_token(time_us: int, entry_id: str) -> str:
    return base64.urlsafe_b64encode(f"{time_us}:{entry_id}".encode()).decode()


def listed_before(token: str) -> tuple[int, str] | None:
    """Of the last entry that was sent; None without a token. Raises INVALID_FIELD."""
    if not token:
        return None
    try:
        time_us, _, entry_id = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        found = int(time_us)
        # SQLite has no larger numbers.
        found.to_bytes(8, signed=True)
    except (ValueError, OverflowError, binascii.Error, UnicodeError) as cause:
        raise _unknown() from cause
    if not entry_id.isprintable():
        # No entry has such an id, and not every store can look for one.
        raise _unknown()
    return found, entry_id


def _unknown() -> QueryEngineError:
    return invalid("page_token", "is not a token of an earlier answer")
