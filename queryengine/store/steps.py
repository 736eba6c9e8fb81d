"""Steps that the store takes inside a transaction, and what they report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from queryengine.domain.errors import Reason, error
from queryengine.domain.query import Query
from queryengine.store import statements
from queryengine.store.rows import to_query
from queryengine.store.usage import Usage


@dataclass(frozen=True, slots=True)
class Dropped:
    """What became of a reference to a result."""

    fired: bool
    """Whether it was dropped now."""
    query: Query
    """The query as it is now."""
    was_last: bool = False
    """Whether nothing refers to the result any more, so that its bytes in the spool may go."""
    payload_bytes: int = 0
    """What went with it from the record."""


def usage_of(connection: sa.Connection) -> Usage:
    return Usage([(tenant, size) for tenant, size in statements.USED.run(connection, {})])


def get_query(connection: sa.Connection, tenant: str, query_id: str) -> Query | None:
    row = statements.GET.run(connection, {"key_tenant": tenant, "key_query_id": query_id}).one_or_none()
    return None if row is None else to_query(row)


def drop_result(connection: sa.Connection, query: Query) -> Sequence[Any] | None:
    """Remove a result that no query refers to any more: the size of its payload. None when there is another."""
    values = {"key_tenant": query.tenant, "key_result_id": query.result_id}
    return statements.DROP_RESULT.run(connection, values).one_or_none()


def found(query: Query | None) -> Query:
    if query is None:
        raise error(Reason.QUERY_NOT_FOUND, "no such query")
    return query
