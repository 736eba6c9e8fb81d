"""Steps that the store takes inside a transaction, and what they report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from queryengine.domain.errors import Reason, error
from queryengine.domain.lifecycle import HOLDS_ROWS, ResultState
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer
from queryengine.store import statements
from queryengine.store.prepared import Prepared
from queryengine.store.rows import plain, to_query, with_facts
from queryengine.store.stored_bytes import StoredBytes
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


class PastRun(NamedTuple):
    """How long a completed query has run, and how large it was."""

    engine: str
    tenant: str
    subject: str
    query_hash: str
    microseconds: int
    """On the engine."""
    rows: int | None
    """Of the whole result; None where it was cut."""
    scanned_bytes: int | None
    """None where the engine did not say, and where policies hide rows that it read."""


def usage_of(connection: sa.Connection) -> Usage:
    return Usage([(tenant, size) for tenant, size in statements.USED.run(connection, {})])


def stored_bytes_of(connection: sa.Connection) -> StoredBytes:
    return StoredBytes([(row[0], row[1], row[2], row[3]) for row in statements.STORED_BYTES.run(connection, {})])


def get_query(connection: sa.Connection, tenant: str, query_id: str, seen_by: Viewer | None = None) -> Query | None:
    values = {"key_tenant": tenant, "key_query_id": plain(query_id)}
    if seen_by is None:
        row = statements.GET.run(connection, values).one_or_none()
    else:
        values["seen_subject"] = plain(seen_by.subject)
        row = statements.GET_SEEN[seen_by.sees_shared].run(connection, values).one_or_none()
    return None if row is None else to_query(row)


def drop_result(connection: sa.Connection, query: Query) -> Sequence[Any] | None:
    """Remove a result that no query refers to any more: the size of its payload. None when there is another."""
    values = {"key_tenant": query.tenant, "key_result_id": query.result_id}
    return statements.DROP_RESULT.run(connection, values).one_or_none()


def found(query: Query | None) -> Query:
    if query is None:
        raise error(Reason.QUERY_NOT_FOUND, "no such query")
    return query


Change: TypeAlias = Callable[[sa.Connection], tuple[bool, Query | None, Sequence[Any] | None]]
"""Changes a query by compare-and-set: whether it fired, the query as it is now, and the result that went with it."""


def changed_by(
    prepared: Prepared, query: Query, columns: Mapping[str, Any], result: tuple[Any, ...] | None = None
) -> Change:
    """What changes a query, as its caller saw it, by a prepared compare-and-set, and adds a result when it fires."""
    values = {
        **columns,
        "key_tenant": query.tenant,
        "key_query_id": query.query_id,
        "key_attempt": query.attempt,
    }
    drops = columns.get("result_state", ResultState.READY) not in HOLDS_ROWS

    def change(connection: sa.Connection) -> tuple[bool, Query | None, Sequence[Any] | None]:
        row = prepared.run(connection, values).one_or_none()
        if row is None:
            return False, get_query(connection, query.tenant, query.query_id), None
        now = with_facts(query, row)
        if result is not None:
            statements.ADD_RESULT.run_row(connection, result)
        dropped = drop_result(connection, now) if drops and now.result_id is not None else None
        return True, now, dropped

    return change
