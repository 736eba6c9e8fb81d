"""The tables and views of an instance, as DuckDB lists their columns."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from queryengine.domain.analysis import Name
from queryengine.domain.live_table import AskedTable, LiveColumn, LiveTable
from queryengine.engines.duckdb.text import key_of

_COLUMNS: Final = """
SELECT database_name, schema_name, table_name, column_name, data_type, database_name = current_database()
FROM duckdb_columns() WHERE NOT internal
"""
_DEFAULT_SCHEMA: Final = "main"


def live_tables(tables: Sequence[AskedTable], ask: Callable[[str], list[Any]]) -> list[LiveTable | None]:
    """As `Engine.live_tables`."""
    found: defaultdict[Name, list[LiveColumn]] = defaultdict(list)
    for database, schema, table, column, kind, is_current in ask(_COLUMNS):
        live = LiveColumn(column, kind, kind == "VARCHAR")
        # By all names by which a statement may call it.
        paths: list[Name] = [(database, schema, table)]
        if is_current:
            paths.append((schema, table))
        if schema == _DEFAULT_SCHEMA:
            paths.append((database, table))
        for path in paths:
            found[tuple(map(key_of, path))].append(live)
    keys = [tuple(map(key_of, each.path)) for each in tables]
    return [
        LiveTable.of(each, found[key], fold=key_of) if key in found else None
        for each, key in zip(tables, keys, strict=True)
    ]
