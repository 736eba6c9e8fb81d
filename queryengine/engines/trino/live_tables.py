"""The tables and views of a cluster, as the catalogs of Trino list their columns."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from queryengine.domain.analysis import Name
from queryengine.domain.live_table import AskedTable, LiveColumn, LiveTable

_COLUMNS: Final = (
    "SELECT table_schema, table_name, column_name, data_type FROM {catalog}.information_schema.columns "
    "WHERE table_schema IN ({schemas}) AND table_name IN ({tables})"
)
_PARTS: Final = 3


def live_tables(
    tables: Sequence[AskedTable], ask: Callable[[str], list[list[Any]]], catalog: str
) -> list[LiveTable | None]:
    """As `Engine.live_tables`. `catalog` is that of names without one. Raises what `ask` raises."""
    paths = [_full(each.path, catalog) for each in tables]
    found: defaultdict[Name, list[LiveColumn]] = defaultdict(list)
    for name in sorted({path[0] for path in paths}):
        inside = [path for path in paths if path[0] == name]
        sql = _COLUMNS.format(
            catalog=_quoted(name), schemas=_list(path[1] for path in inside), tables=_list(path[2] for path in inside)
        )
        for schema, table, column, kind in ask(sql):
            found[(name, schema, table)].append(LiveColumn(column, kind, kind.startswith("varchar")))
    return [
        LiveTable.of(each, found[path], fold=str.lower) if path in found else None
        for each, path in zip(tables, paths, strict=True)
    ]


def _full(path: Name, catalog: str) -> Name:
    """Trino has no names in upper case."""
    return tuple(part.lower() for part in (path if len(path) == _PARTS else (catalog, *path)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(texts: Iterable[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in sorted(set(texts)))
