"""What differs between the databases behind SQLAlchemy, as a strategy per dialect.

A dialect says by its traits what it can do: the one that fits every database can neither confirm that a query has
stopped nor lock it down.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from queryengine.codec.values import BoundParameter
from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import EngineTraits, Statement
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.sqlalchemy.columns import Column

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class CheckedText:
    """One query that reads."""

    template: Template
    """Its text, cut at the placeholders."""
    placeholders: frozenset[str]
    """Their names; "1", "2", … when they are positional."""
    casts: tuple[str, ...] = ()
    """For each item of the select list the type that it is cast to; empty for another kind of item."""


class Dialect(ABC):
    """Stateless; one instance serves all executions of an engine."""

    product: str
    """The database's name for people."""
    probe: str
    """A query that fails when the database cannot be read."""
    traits: EngineTraits

    @abstractmethod
    def check_url(self, url: sa.URL) -> None:
        """Raises ValueError when the URL cannot be used, without its password in the text."""

    @abstractmethod
    def check(self, sql: str) -> CheckedText:
        """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX,
        PARAMETER_MISMATCH.
        """

    @abstractmethod
    def analyse(self, sql: str) -> Analysis:
        """What is known of the text. Raises as `check` does."""

    @abstractmethod
    def database(self, url: sa.URL, connect_args: Mapping[str, Any]) -> sa.Engine:
        """SQLAlchemy's engine for it: a connection of its own for every execution. Does not connect."""

    @abstractmethod
    def prepare(self, connection: sa.Connection, query: CheckedText, statement: Statement) -> tuple[str, ...]:
        """Make the connection refuse whatever does not read, and stop a query at its deadline.

        Returns the types of the result's columns by name, as far as the database names them before the
        query runs; an empty name, or none at all, where it does not.
        """

    @abstractmethod
    def execute(
        self, connection: sa.Connection, query: CheckedText, parameters: Sequence[BoundParameter]
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
        """Settle the columns from what the database says and from the first rows.

        Raises STATEMENT_REJECTED when one column has values that no type holds.
        """

    @abstractmethod
    def interrupt(self, connection: sa.Connection) -> None:
        """Stop what another thread runs on the connection. No harm when nothing runs."""

    @abstractmethod
    def reason(self, cause: BaseException) -> Reason:
        """The reason for an exception of the driver; QUERY_TIMEOUT for the end by the deadline."""

    def failure(self, connection: sa.Connection | None, sql: str, cause: BaseException) -> QueryEngineError:  # noqa: ARG002
        """The failure for an exception of the driver, while the statement `sql` ran."""
        state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
        return error(self.reason(cause), str(cause), sql_state=state)
