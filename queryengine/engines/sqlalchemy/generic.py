"""Any database for which SQLAlchemy has a dialect and whose driver is installed, as far as DB-API reaches.

Columns take their types from the Python values of the first rows. Whether a query stops, only its driver knows: nothing
asks the database afterwards, so a worker runs one query at a time and is killed when it does not stop.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from types import MappingProxyType, NoneType
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from sqlglot.dialects.dialect import Dialect as SqlglotDialect

from queryengine.codec.values import BoundParameter
from queryengine.codec.wide_numbers import UNBOUNDED
from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Reason, error
from queryengine.engines.base import EngineTraits, Statement
from queryengine.engines.kit.parameters import bound, word_of
from queryengine.engines.kit.sqlstates import QUERY_CANCELED, reason_of_state
from queryengine.engines.sqlalchemy.columns import Column
from queryengine.engines.sqlalchemy.dialect import CheckedText, Dialect, Rows
from queryengine.engines.sqlalchemy.parsed import analyse, check

ROWS_AHEAD: Final = 1000
"""What SQLAlchemy may hold of a result that it streams."""

_SQLGLOT: Final[Mapping[str, str]] = MappingProxyType(
    {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql", "cockroachdb": "postgres"}
)
"""sqlglot's names where they differ from SQLAlchemy's."""

_READ_ONLY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {milliseconds}"),
        "mysql": ("START TRANSACTION READ ONLY",),
        "mariadb": ("START TRANSACTION READ ONLY",),
        "oracle": ("SET TRANSACTION READ ONLY",),
    }
)
"""What makes a transaction refuse to write, and stop in time, where a dialect is known to have it."""

_PROBES: Final[Mapping[str, str]] = MappingProxyType({"oracle": "SELECT 1 FROM dual"})

_TYPES: Final[Mapping[frozenset[type], tuple[pa.DataType, str]]] = MappingProxyType(
    {
        frozenset(): (pa.null(), "NULL"),
        frozenset({bool}): (pa.bool_(), "BOOLEAN"),
        frozenset({int}): (pa.int64(), "INTEGER"),
        frozenset({float}): (pa.float64(), "DOUBLE"),
        frozenset({float, int}): (pa.float64(), "DOUBLE"),
        frozenset({Decimal}): (UNBOUNDED, "DECIMAL"),
        frozenset({Decimal, int}): (UNBOUNDED, "DECIMAL"),
        frozenset({str}): (pa.string(), "TEXT"),
        frozenset({bytes}): (pa.binary(), "BINARY"),
        frozenset({bytearray}): (pa.binary(), "BINARY"),
        frozenset({memoryview}): (pa.binary(), "BINARY"),
        frozenset({dt.date}): (pa.date32(), "DATE"),
        frozenset({dt.time}): (pa.time64("us"), "TIME"),
        frozenset({dt.timedelta}): (pa.duration("us"), "INTERVAL"),
        frozenset({uuid.UUID}): (pa.uuid(), "UUID"),
        frozenset({dict}): (pa.json_(), "JSON"),
        frozenset({list}): (pa.json_(), "JSON"),
        frozenset({dict, list}): (pa.json_(), "JSON"),
    }
)
"""By the Python types of the first values."""


class GenericDialect(Dialect):
    def __init__(self, url: sa.URL) -> None:
        """Raises ValueError when there is no such dialect, or its driver is not installed."""
        try:
            found = sa.create_engine(url, poolclass=NullPool).dialect
        except sa.exc.NoSuchModuleError:
            message = f"option 'url': there is no dialect {url.drivername!r}; install the package that brings it"
            raise ValueError(message) from None
        except ImportError as cause:
            message = f"option 'url': {url.drivername} needs a driver that is not installed ({cause}); pip install it"
            raise ValueError(message) from None
        if found.is_async:
            raise ValueError(f"option 'url': {url.drivername} is an asynchronous driver, use a synchronous one")
        self._backend = backend = url.get_backend_name()
        self._dialect: Any = found
        self._driver: Any = found.dbapi
        self.product = backend
        name = _SQLGLOT.get(backend, backend)
        self._parser = name if name in SqlglotDialect.classes else ""
        self.probe = _PROBES.get(backend, "SELECT 1")
        streams = bool(found.supports_server_side_cursors)
        self.traits = EngineTraits(named_parameters=True, streams=streams, back_pressure=streams, embedded=True)

    def check_url(self, url: sa.URL) -> None:
        """What is wrong with the rest of an URL only its driver knows, when it connects."""

    def check(self, sql: str) -> CheckedText:
        return check(sql, self._parser)

    def analyse(self, sql: str) -> Analysis:
        return analyse(sql, self._parser)

    def database(self, url: sa.URL, connect_args: Mapping[str, Any]) -> sa.Engine:
        return sa.create_engine(url, connect_args=dict(connect_args), poolclass=NullPool, hide_parameters=True)

    def prepare(self, connection: sa.Connection, query: CheckedText, statement: Statement) -> tuple[str, ...]:  # noqa: ARG002
        milliseconds = max(1, int(statement.execution_timeout_seconds * 1000))
        for sql in _READ_ONLY.get(self._backend, ()):
            connection.exec_driver_sql(sql.format(milliseconds=milliseconds))
        return ()

    def execute(
        self, connection: sa.Connection, query: CheckedText, parameters: Sequence[BoundParameter]
    ) -> sa.CursorResult[Any]:
        values = bound(parameters, _bind)
        template = query.template
        # To SQLAlchemy a colon begins a parameter also inside of literals, unless a backslash stands before it.
        text = "".join(
            piece.replace(":", "\\:") + (f":{name}" if name else "")
            for (piece, _), name in zip(template.pieces, (*template.names, ""), strict=True)
        )
        streaming = connection.execution_options(stream_results=True, max_row_buffer=ROWS_AHEAD)
        return streaming.execute(sa.text(text), values)

    def fetch(self, result: sa.CursorResult[Any]) -> Callable[[int], Rows]:
        # Some drivers report the columns only with the first row, which SQLAlchemy then holds.
        return result.fetchmany

    def columns(self, result: sa.CursorResult[Any], declared: tuple[str, ...], first: Rows) -> tuple[Column, ...]:  # noqa: ARG002
        names = (
            [each[0] for each in result.cursor.description or ()] if result.cursor is not None else list(result.keys())
        )
        values = list(zip(*first, strict=True)) or [()] * len(names)
        return tuple(map(_column, names, values))

    def interrupt(self, connection: sa.Connection) -> None:
        with suppress(Exception):
            cancel = getattr(connection.connection.driver_connection, "cancel", None)
            if cancel is not None:
                cancel()

    def reason(self, cause: BaseException) -> Reason:
        state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
        if state == QUERY_CANCELED:
            # Nobody else stops it: whoever cancels gets QUERY_CANCELLED, whatever comes out.
            return Reason.QUERY_TIMEOUT
        if state:
            return reason_of_state(state)
        driver = self._driver
        if isinstance(cause, driver.Error) and self._dialect.is_disconnect(cause, None, None):
            return Reason.ENGINE_UNAVAILABLE
        if isinstance(cause, driver.InterfaceError | driver.InternalError):
            return Reason.ENGINE_ERROR
        return Reason.STATEMENT_REJECTED if isinstance(cause, driver.Error) else Reason.ENGINE_ERROR


def _column(name: str, values: Sequence[Any]) -> Column:
    present = [value for value in values if value is not None]
    kinds = frozenset(map(type, present))
    if kinds == {dt.datetime}:
        zone = present[0].tzinfo
        kind, word = (pa.timestamp("us"), "TIMESTAMP") if zone is None else (pa.timestamp("us", "UTC"), "TIMESTAMPTZ")
        return Column(name, kind, word)
    if kinds not in _TYPES:
        found = ", ".join(sorted(each.__name__ for each in kinds - {NoneType}))
        message = f"column {name!r} has values of {found}, which have no type here together; CAST it in the query"
        raise error(Reason.STATEMENT_REJECTED, message, column=name)
    return Column(name, *_TYPES[kinds])


def _bind(parameter: BoundParameter) -> Any:
    value = parameter.value
    match value:
        case None | bool() | int() | float() | Decimal() | bytes() | uuid.UUID():
            return value
        case dt.datetime() | dt.date() | dt.time() | dt.timedelta():
            return value
        case str() if "\0" not in value:
            return value
        case _:
            raise ValueError(f"this kind of database takes no {word_of(value)}")
