"""The tables and views of a server, as ClickHouse lists their columns."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from queryengine.domain.live_table import AskedTable, LiveColumn, LiveTable
from queryengine.engines.clickhouse.enforcement import Ask, policed_tables

_COLUMNS: Final = """
SELECT database, table, name, type FROM system.columns
WHERE database IN {databases:Array(String)} AND table IN {tables:Array(String)} ORDER BY database, table
"""
_AROUND: Final = ("LowCardinality(", "Nullable(")
"""What leaves the values of a type as they are."""


def live_tables(tables: Sequence[AskedTable], ask: Ask) -> list[LiveTable | None]:
    """As `Engine.live_tables`."""
    databases, names = (sorted({each.path[part] for each in tables}) for part in (0, -1))
    rows = ask(_COLUMNS, {"databases": databases, "tables": names})
    found = {path: [LiveColumn(row[2], row[3], _is_text(row[3])) for row in group] for path, group in _by_table(rows)}
    enforced = [each.path for each in tables if each.enforced]
    policed = policed_tables(ask, enforced) if enforced else frozenset()
    return [
        LiveTable.of(each, found[each.path], is_filtered=each.path in policed) if each.path in found else None
        for each in tables
    ]


def _by_table(rows: Sequence[Sequence[Any]]) -> Any:
    return groupby(rows, itemgetter(0, 1))


def _is_text(kind: str) -> bool:
    for around in _AROUND:
        kind = kind.removeprefix(around)
    return kind.rstrip(")") == "String"
