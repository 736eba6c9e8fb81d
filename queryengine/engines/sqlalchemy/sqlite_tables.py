"""The tables and views of a SQLite database, as it lists their columns."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from queryengine.domain.live_table import AskedTable, LiveColumn, LiveTable

_COLUMNS: Final = "SELECT name, type FROM pragma_table_xinfo(?, ?)"
_TEXT: Final = ("CHAR", "CLOB", "TEXT")
"""Parts of a declared type that give a column the affinity of text, unless INT is in it, too."""


def live_tables(tables: Sequence[AskedTable], connection: sa.Connection) -> list[LiveTable | None]:
    """As `Engine.live_tables`."""
    return [_of(each, connection) for each in tables]


def _of(asked: AskedTable, connection: sa.Connection) -> LiveTable | None:
    schema, table = asked.path[0], asked.path[-1]
    rows = connection.exec_driver_sql(_COLUMNS, (table, schema)).all()
    columns = [LiveColumn(name, kind or "no type", _is_text(kind.upper())) for name, kind in rows]
    return LiveTable.of(asked, columns, fold=str.lower) if columns else None


def _is_text(declared: str) -> bool:
    return "INT" not in declared and any(part in declared for part in _TEXT)
