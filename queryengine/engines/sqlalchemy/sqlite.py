"""SQLite behind SQLAlchemy: a file opened read-only, with an authorizer that lets through nothing but
reading.
"""

import math
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from queryengine.codec.values import BoundParameter
from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.base import EngineTraits, Statement
from queryengine.engines.kit.parameters import bound, word_of
from queryengine.engines.sqlalchemy.authorizer import Authorizer
from queryengine.engines.sqlalchemy.columns import Column
from queryengine.engines.sqlalchemy.dialect import CheckedText, Dialect, Rows
from queryengine.engines.sqlalchemy.patience import PatientConnection
from queryengine.engines.sqlalchemy.sqlite_check import analyse, check
from queryengine.engines.sqlalchemy.sqlite_places import place_of

VALUE_BYTES_MAX: Final = 64 << 20
"""Longest value. SQLite hears an interrupt only between steps, so one step must not work for long."""

STEPS_PER_LOOK: Final = 10_000
"""Steps of SQLite's machine between two looks at the deadline; below a millisecond of work."""

_TOO_COMPLEX: Final = ("parser stack overflow", "Expression tree is too large", "too many terms", "too many columns")
_INTEGERS: Final = range(-(2**63), 2**63)

REASONS: Final[Mapping[int, Reason]] = MappingProxyType(
    {
        sqlite3.SQLITE_ABORT: Reason.STATEMENT_REJECTED,
        sqlite3.SQLITE_AUTH: Reason.STATEMENT_NOT_ALLOWED,
        sqlite3.SQLITE_BUSY: Reason.ENGINE_UNAVAILABLE,
        sqlite3.SQLITE_CANTOPEN: Reason.ENGINE_UNAVAILABLE,
        sqlite3.SQLITE_CONSTRAINT: Reason.STATEMENT_REJECTED,
        sqlite3.SQLITE_EMPTY: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_ERROR: Reason.STATEMENT_REJECTED,
        sqlite3.SQLITE_FORMAT: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_FULL: Reason.OUT_OF_MEMORY,
        sqlite3.SQLITE_INTERNAL: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_INTERRUPT: Reason.QUERY_TIMEOUT,
        sqlite3.SQLITE_IOERR: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_CORRUPT: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_LOCKED: Reason.ENGINE_UNAVAILABLE,
        sqlite3.SQLITE_MISMATCH: Reason.STATEMENT_REJECTED,
        sqlite3.SQLITE_MISUSE: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_NOLFS: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_NOMEM: Reason.OUT_OF_MEMORY,
        sqlite3.SQLITE_NOTADB: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_NOTFOUND: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_PERM: Reason.ENGINE_ERROR,
        sqlite3.SQLITE_PROTOCOL: Reason.ENGINE_UNAVAILABLE,
        sqlite3.SQLITE_RANGE: Reason.STATEMENT_REJECTED,
        sqlite3.SQLITE_READONLY: Reason.STATEMENT_NOT_ALLOWED,
        sqlite3.SQLITE_SCHEMA: Reason.ENGINE_UNAVAILABLE,
        sqlite3.SQLITE_TOOBIG: Reason.ROW_TOO_LARGE,
    }
)
"""By SQLite's primary result code: every one that ends a statement."""

_STORED: Final[Mapping[type, tuple[str, pa.DataType]]] = MappingProxyType(
    {
        int: ("INTEGER", pa.int64()),
        float: ("REAL", pa.float64()),
        str: ("TEXT", pa.string()),
        bytes: ("BLOB", pa.binary()),
    }
)
"""SQLite's storage classes by the Python type they are read as."""

_AFFINITIES: Final = (
    ("INT", pa.int64()),
    ("CHAR", pa.string()),
    ("CLOB", pa.string()),
    ("TEXT", pa.string()),
    ("BLOB", pa.binary()),
    ("REAL", pa.float64()),
    ("FLOA", pa.float64()),
    ("DOUB", pa.float64()),
    ("NUM", pa.float64()),
    ("DEC", pa.float64()),
)
"""What a declared type says about its values, by a part of its name; the first that fits. Others say
nothing.
"""


class SQLiteDialect(Dialect):
    product = "SQLite"
    probe = "SELECT count(*) FROM sqlite_master"
    traits = EngineTraits(
        named_parameters=True,
        positional_parameters=True,
        streams=True,
        back_pressure=True,
        cancel_confirmed=True,
        sandbox=True,
        embedded=True,
    )

    def check_url(self, url: sa.URL) -> None:
        if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
            raise ValueError(f"option 'url': driver {url.drivername!r} is not supported, use sqlite")
        if not url.database or url.database == ":memory:" or url.query:
            raise ValueError("option 'url' must name a database file and nothing else, as in sqlite:////data/x.db")

    def check(self, sql: str) -> CheckedText:
        return check(sql)

    def analyse(self, sql: str) -> Analysis:
        return analyse(sql)

    def database(self, url: sa.URL, connect_args: Mapping[str, Any]) -> sa.Engine:
        location = f"file:{quote(str(Path(url.database or '').absolute()))}?mode=ro"

        def connect() -> sqlite3.Connection:
            # Whoever cancels does so from another thread.
            arguments = {**connect_args, "uri": True, "check_same_thread": False}
            return PatientConnection(location, **arguments)

        return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    def prepare(self, connection: sa.Connection, query: CheckedText, statement: Statement) -> tuple[str, ...]:
        driver = _driver(connection)
        driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
        driver.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        driver.deadline = deadline = time.monotonic() + statement.execution_timeout_seconds
        driver.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_PER_LOOK)
        declared = _declared(driver, query)
        connection.info[Authorizer] = authorizer = Authorizer(statement.allowed_functions)
        driver.set_authorizer(authorizer)
        return declared

    def execute(
        self, connection: sa.Connection, query: CheckedText, parameters: Sequence[BoundParameter]
    ) -> sa.CursorResult[Any]:
        values = bound(parameters, _bind)
        # Each by its name, also where it is a number: the driver takes a mapping for all of them alike.
        text = query.template.filled({name: f":{name}" if parameters[0].name else f"?{name}" for name in values})
        return connection.exec_driver_sql(text.sql, values)

    def columns(self, result: sa.CursorResult[Any], declared: tuple[str, ...], first: Rows) -> tuple[Column, ...]:
        names = [each[0] for each in result.cursor.description] if result.cursor is not None else []
        if len(declared) != len(names):
            declared = ("",) * len(names)
        values = list(zip(*first, strict=True)) or [()] * len(names)
        return tuple(map(_column, names, declared, values))

    def interrupt(self, connection: sa.Connection) -> None:
        # Closed already: then nothing runs.
        with suppress(sqlite3.ProgrammingError, sa.exc.SQLAlchemyError):
            _driver(connection).interrupt()

    def failure(self, connection: sa.Connection | None, sql: str, cause: BaseException) -> QueryEngineError:
        reason = self.reason(cause)
        if connection is None or not isinstance(cause, sqlite3.Error):
            return error(reason, str(cause))
        authorizer = connection.info.get(Authorizer)
        if reason is Reason.STATEMENT_NOT_ALLOWED and authorizer is not None and authorizer.refused:
            return error(reason, f"{authorizer.refused} is not allowed; a statement may only read")
        place = None
        if reason is Reason.SYNTAX_ERROR:
            place = place_of(sql, cause, lambda text: _driver(connection).execute(f"EXPLAIN {text}").close())
        return error(reason, str(cause), position=place)

    def reason(self, cause: BaseException) -> Reason:
        if not isinstance(cause, sqlite3.Error):
            return Reason.ENGINE_ERROR
        text = str(cause)
        if "not authorized" in text or "authorization denied" in text or "prohibited" in text:
            return Reason.STATEMENT_NOT_ALLOWED
        if text.startswith("fts5: "):
            # The text of a search is a value of the statement.
            return Reason.STATEMENT_REJECTED
        if any(words in text for words in _TOO_COMPLEX):
            return Reason.STATEMENT_TOO_COMPLEX
        if "syntax error" in text or "unrecognized token" in text or "incomplete input" in text:
            return Reason.SYNTAX_ERROR
        code = getattr(cause, "sqlite_errorcode", None)
        if code is None:
            # Raised by Python's module itself: a value it cannot read or bind.
            return Reason.STATEMENT_REJECTED
        return REASONS.get(code & 0xFF, Reason.ENGINE_ERROR)


def _driver(connection: sa.Connection) -> PatientConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, PatientConnection)
    return driver


def _declared(driver: sqlite3.Connection, query: CheckedText) -> tuple[str, ...]:
    """Declared types of the result's columns. SQLite lists those of a view without running it."""
    bare = query.template.filled(dict.fromkeys(query.placeholders, "NULL")).sql
    try:
        driver.execute("PRAGMA temp_store = MEMORY")
        driver.execute(f"CREATE TEMP VIEW queryengine_columns AS {bare}")
        try:
            listed = driver.execute("PRAGMA temp.table_info(queryengine_columns)").fetchall()
        finally:
            driver.execute("DROP VIEW temp.queryengine_columns")
    except sqlite3.Error:
        # What is wrong with the query shows when it runs, in SQLite's words.
        return ()
    casts = query.casts if len(query.casts) == len(listed) else ("",) * len(listed)
    return tuple(row[2] or cast for row, cast in zip(listed, casts, strict=True))


def _column(name: str, declared: str, values: Sequence[Any]) -> Column:
    stored = set(map(type, values)) - {NoneType}
    hint = next((kind for part, kind in _AFFINITIES if part in declared.upper()), None)
    match sorted(each.__name__ for each in stored):
        case []:
            return Column(name, hint or pa.null(), declared or "NULL")
        case ["int"] if hint == pa.float64():
            return Column(name, hint, declared)
        case ["float", "int"]:
            return Column(name, pa.float64(), declared or "REAL")
        case [_]:
            word, kind = _STORED[stored.pop()]
            return Column(name, kind, declared or word)
        case several:
            message = f"column {name!r} mixes values of types {', '.join(several)}; CAST it in the query"
            raise error(Reason.STATEMENT_REJECTED, message, column=name)


def _bind(parameter: BoundParameter) -> Any:
    """A value as SQLite stores it; dates and times as the ISO text that its functions take."""
    value = parameter.value
    match value:
        case float() if math.isnan(value):
            # SQLite keeps a NaN as NULL.
            why = "no NaN"
        case None | str() | bytes() | float() | bool():
            return value
        case int() if value in _INTEGERS:
            return value
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time_of_day():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case int():
            why = "whole numbers of 64 bits, and the value has more"
        case _:
            why = f"no {word_of(value)}"
    raise ValueError(f"SQLite holds {why}")
