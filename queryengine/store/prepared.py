"""Statements compiled once for the driver of each database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from queryengine.store.hop import Connection

_DIALECTS: Final[Mapping[str, sa.Dialect]] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
}
_INSERTS: Final[Mapping[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

Inserting = Callable[[sa.Table], "sqlite.Insert | postgresql.Insert"]


@dataclass(frozen=True, slots=True)
class Form:
    """A statement as text for the driver of one database."""

    sql: str
    names: tuple[str, ...]
    """Of its parameters, in order."""
    defaults: Mapping[str, Any]
    reorder: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
    """From the order in which a caller has values to that of the parameters."""


class Prepared:
    """A statement compiled for the driver. Running it skips what Core does per execution (60 µs of 75), and for SQLite
    what its way to the driver costs.
    """

    __slots__ = ("_forms", "_names", "_statement")

    def __init__(
        self,
        statement: sa.UpdateBase | sa.Select[Any] | Callable[[Inserting], sa.UpdateBase],
        *,
        names: Sequence[str] | None = None,
    ) -> None:
        """A function makes the statement with the INSERT of the database, for what Core has no general form of."""
        self._statement = statement
        self._names = names
        self._forms: dict[str, Form] = {}

    def form(self, dialect: str) -> Form:
        """Compiled when it is first asked for."""
        found = self._forms.get(dialect)
        if found is None:
            found = self._forms[dialect] = self._compiled(dialect)
        return found

    def run_row(self, connection: sa.Connection, row: tuple[Any, ...]) -> "Rows":
        """Run with values in the order of `names`."""
        form = self.form(connection.dialect.name)
        return _run(connection, form.sql, row if form.reorder is None else form.reorder(row))

    def run(self, connection: sa.Connection, values: Mapping[str, Any]) -> "Rows":
        form = self.form(connection.dialect.name)
        given = {**form.defaults, **values}
        return _run(connection, form.sql, tuple([given[name] for name in form.names]))

    def _compiled(self, dialect: str) -> Form:
        statement = self._statement
        compiled = (statement(_INSERTS[dialect]) if callable(statement) else statement).compile(
            dialect=_DIALECTS[dialect],
            column_keys=None if self._names is None else list(self._names),
            compile_kwargs={"render_postcompile": True},
        )
        names: tuple[str, ...] = tuple(compiled.positiontup or ())
        given = self._names
        # An INSERT has the columns in the order of the table.
        reorder = None if given is None else itemgetter(*(given.index(name) for name in names))
        return Form(str(compiled), names, dict(compiled.params), reorder)


class Rows:
    """What a statement returned, at most some rows, and how many rows it changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Sequence[Any]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self._rows)

    def one_or_none(self) -> Sequence[Any] | None:
        """The first row, of a statement that has no more."""
        return self._rows[0] if self._rows else None


def _run(connection: sa.Connection, sql: str, values: tuple[Any, ...]) -> Rows:
    driver = connection.connection.driver_connection
    if isinstance(driver, Connection):
        return Rows(*driver.now(sql, values))
    result = connection.exec_driver_sql(sql, values)
    return Rows(result.all() if result.returns_rows else (), result.rowcount)
