"""Databases whose rows SQLAlchemy brings. What differs between them is in a Dialect.

Every execution has a connection of its own, with a cursor that streams. Only the interrupt of its dialect
may touch the connection while a call on it is in flight.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import Engine, EngineTraits, PolicyProblem, Progress, Statement
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.guarded import GuardedExecution
from queryengine.engines.kit.parameters import check_names
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.sqlalchemy import sqlite_security, sqlite_tables
from queryengine.engines.sqlalchemy.columns import BatchReader, Column
from queryengine.engines.sqlalchemy.dialect import Dialect, Rows
from queryengine.engines.sqlalchemy.generic import GenericDialect
from queryengine.engines.sqlalchemy.guards import guard_of
from queryengine.engines.sqlalchemy.sqlite import SQLiteDialect

_OPTIONS: Final = ("url", "connect_args")


class RowsEngine(Engine):
    type_name = "sqlalchemy"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        _, dialect = _target(options)
        return dialect.traits

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        _, dialect = _target(options)
        dialect.check(sql)

    @classmethod
    def analyse(cls, sql: str, options: Mapping[str, Any]) -> Analysis:
        _, dialect = _target(options)
        return dialect.analyse(sql)

    @classmethod
    def secured(cls, sql: str, policy: RowPolicy, options: Mapping[str, Any]) -> SecuredText:
        _, dialect = _target(options)
        if not isinstance(dialect, SQLiteDialect):
            return super().secured(sql, policy, options)
        return sqlite_security.secured(sql, policy)

    @classmethod
    def policy_problems(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:
        _, dialect = _target(options)
        if not isinstance(dialect, SQLiteDialect):
            return super().policy_problems(policy, options)
        return sqlite_security.policy_problems(policy)

    @classmethod
    def compared_columns(cls, policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[tuple[int, str]]:
        _, dialect = _target(options)
        return compared(policy, sqlite_security.GRAMMAR) if isinstance(dialect, SQLiteDialect) else ()

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        url, self.dialect = _target(options)
        self.executions: OpenExecutions[RowsExecution] = OpenExecutions()
        self._database = self.dialect.database(url, options.get("connect_args", {}))
        try:
            with self._database.connect() as connection:
                connection.exec_driver_sql(self.dialect.probe)
                version = connection.dialect.server_version_info or ()
                self._version = ".".join(map(str, version))
                self.guard = guard_of(url.get_backend_name(), connection)
        except ValueError as cause:
            self._database.dispose()
            raise error(Reason.ENGINE_UNAVAILABLE, f"engine {name!r}: {cause}", engine=name) from cause
        except (sa.exc.SQLAlchemyError, OSError, TypeError) as cause:
            self._database.dispose()
            original = getattr(cause, "orig", None) or cause
            message = f"engine {name!r} cannot reach {url.render_as_string(hide_password=True)}: {original}"
            raise error(Reason.ENGINE_UNAVAILABLE, message, engine=name) from cause

    def version(self) -> str:
        return f"{self.dialect.product} {self._version}"

    def open(self, statement: Statement) -> "RowsExecution":
        return self.executions.add(RowsExecution(self, statement))

    def live_tables(self, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None]:
        if not isinstance(self.dialect, SQLiteDialect):
            return super().live_tables(tables)
        try:
            with self._database.connect() as connection:
                return sqlite_tables.live_tables(tables, connection)
        except sa.exc.SQLAlchemyError as cause:
            original = getattr(cause, "orig", None) or cause
            raise error(Reason.ENGINE_UNAVAILABLE, f"SQLite does not list its tables: {original}") from cause

    def connect(self) -> sa.Connection:
        return self._database.connect()

    def close(self) -> None:
        self.executions.close()
        self._database.dispose()


class RowsExecution(GuardedExecution):
    def __init__(self, engine: RowsEngine, statement: Statement) -> None:
        super().__init__(engine.executions)
        self._engine = engine
        self._dialect = engine.dialect
        self._statement = statement
        self._connection: sa.Connection | None = None
        self._rows: BatchReader | None = None
        self._first: Rows = ()
        self._columns: tuple[Column, ...] = ()
        self._schema = pa.schema([])

    def _begin(self) -> pa.Schema:
        statement = self._statement
        _refuse_what_traits_deny(statement, self._dialect.traits)
        query = self._dialect.check(statement.sql)
        self._engine.guard(statement.sql, statement.allowed_functions)
        check_names(statement.parameters, query.placeholders)
        self._connection = connection = self._engine.connect()
        self._hold(self._give_back, connection)
        declared = self._dialect.prepare(connection, query, statement)
        result = self._dialect.execute(connection, query, statement.parameters)
        self._hold(_close_quietly, result)
        self._rows = BatchReader(self._dialect.fetch(result))
        self._first = self._rows.fetch()
        self._columns = self._dialect.columns(result, declared, self._first)
        self._schema = pa.schema([column.field() for column in self._columns])
        return self._schema

    def _batches(self) -> Iterator[pa.RecordBatch]:
        rows, self._first = self._first, ()
        while rows and self._rows is not None:
            yield self._rows.batch(rows, self._columns, self._schema)
            rows = self._rows.fetch()

    def _snapshot(self) -> Progress:
        return Progress()

    def _interrupt(self) -> None:
        connection = self._connection
        if connection is not None:
            self._dialect.interrupt(connection)

    def _give_back(self, connection: sa.Connection) -> None:
        self._connection = None
        _close_quietly(connection)

    def _failure(self, cause: Exception) -> QueryEngineError:
        # SQLAlchemy's own text repeats statement and parameters; the driver's says what is wrong.
        original = getattr(cause, "orig", None) or cause
        return self._dialect.failure(self._connection, self._statement.sql, original)


def _close_quietly(held: sa.CursorResult[Any] | sa.Connection) -> None:
    """What breaks while it is closed is closed too, and its rows have been read or are not wanted."""
    with suppress(sa.exc.SQLAlchemyError):
        held.close()


def _target(options: Mapping[str, Any]) -> tuple[sa.URL, Dialect]:
    """Raises ValueError that names the key of a wrong option, without the password of the URL."""
    for key in options:
        if key not in _OPTIONS:
            raise ValueError(f"unknown option {key!r} for a sqlalchemy engine; known: {', '.join(_OPTIONS)}")
    url = sa.make_url(options["url"])
    dialect = SQLiteDialect() if url.get_backend_name() == "sqlite" else GenericDialect(url)
    dialect.check_url(url)
    return url, dialect


def _refuse_what_traits_deny(statement: Statement, traits: EngineTraits) -> None:
    has_unnamed = any(not each.name for each in statement.parameters)
    asked = {
        "positional_parameters": has_unnamed and not traits.positional_parameters,
        "catalog": statement.catalog,
        "schema": statement.schema,
        "session_settings": statement.session_settings,
    }
    for feature, value in asked.items():
        if value:
            raise error(Reason.UNSUPPORTED, f"this engine has no {feature}", feature=feature)
