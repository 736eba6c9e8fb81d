"""What differs between the databases behind SQLAlchemy, as a strategy per dialect.

A dialect says by its traits what it can do: the one that fits every database can neither confirm that a query has
stopped nor lock it down.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason
from queryengine.engines.base import EngineTraits
from queryengine.engines.sqlalchemy.columns import Column
from queryengine.engines.sqlcheck import CheckedQuery

Rows = Sequence[tuple[Any, ...]]


class Dialect(ABC):
    """Stateless; one instance serves all executions of an engine."""

    product: str
    """The database's name for people."""
    sqlglot_name: str
    probe: str
    """A query that fails when the database cannot be read."""
    traits: EngineTraits

    @abstractmethod
    def check_url(self, url: sa.URL) -> None:
        """Raises ValueError when the URL cannot be used, without its password in the text."""

    @abstractmethod
    def database(self, url: sa.URL, connect_args: Mapping[str, Any]) -> sa.Engine:
        """SQLAlchemy's engine for it: a connection of its own for every execution. Does not connect."""

    @abstractmethod
    def prepare(self, connection: sa.Connection, query: CheckedQuery, timeout_seconds: float) -> tuple[str, ...]:
        """Make the connection refuse whatever does not read, and stop a query at its deadline.

        Returns the types of the result's columns by name, as far as the database tells them before the
        query runs; an empty name, or none at all, where it does not.
        """

    @abstractmethod
    def execute(
        self, connection: sa.Connection, sql: str, parameters: Sequence[BoundParameter]
    ) -> sa.CursorResult[Any]:
        """Run with a cursor that streams. Raises PARAMETER_MISMATCH for a value that the database has no
        type for.
        """

    def fetch(self, result: sa.CursorResult[Any]) -> Callable[[int], Rows]:
        """What reads the next rows: the driver's own cursor, as SQLAlchemy's rows cost as much again as reading."""
        assert result.cursor is not None
        fetch: Callable[[int], Rows] = result.cursor.fetchmany
        return fetch

    @abstractmethod
    def columns(self, result: sa.CursorResult[Any], declared: tuple[str, ...], first: Rows) -> tuple[Column, ...]:
        """Settle the columns from what the database tells and from the first rows.

        Raises STATEMENT_REJECTED when one column has values that no type holds.
        """

    @abstractmethod
    def interrupt(self, connection: sa.Connection) -> None:
        """Stop what another thread runs on the connection. No harm when nothing runs."""

    @abstractmethod
    def reason(self, cause: BaseException) -> Reason:
        """The reason for an exception of the driver; QUERY_TIMEOUT for the end by the deadline."""
