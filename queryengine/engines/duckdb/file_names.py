"""Names in a statement that DuckDB would open as files.

FROM 'a.csv', and FROM a.csv as well, read a file when there is no table of the name. Such a name is not a way to data
here: a view reads the files that it is made of, and what a name leads to on the disk cannot be judged by its text.
"""

import json
import re
from typing import Any, Final, TypeAlias

import duckdb

from queryengine.engines.duckdb.check import explained_statement

TablePath: TypeAlias = tuple[str, ...]
"""A table as a statement names it, with the catalog and schema that it gives."""

ENDINGS: Final = frozenset(
    {"csv", "db", "ddb", "duckdb", "geojson", "geojsonl", "json", "jsonl", "ndjson", "parquet", "tsv"}
)
"""Of the names that DuckDB takes for files; a test looks for more."""

_ENDING: Final = rf"\.(?:{'|'.join(sorted(ENDINGS, key=len, reverse=True))})"
_FILE: Final = re.compile(rf"{_ENDING}(?:\.gz|\.zst)?$|{_ENDING}\?", re.IGNORECASE)
_WORD: Final = re.compile("|".join(ENDINGS), re.IGNORECASE)
_ANYWHERE: Final = re.compile(rf"\w{{0,64}}{_ENDING}", re.IGNORECASE)
_QUOTES: Final = re.compile("[\"'`]")
_TREE: Final = "SELECT json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)"


class UnreadableStatementError(Exception):
    """A statement that DuckDB does not take apart has the name of a file in it, perhaps only as a text."""


def file_names(parser: duckdb.DuckDBPyConnection, sql: str) -> frozenset[TablePath]:
    """The tables of a statement that are files to DuckDB unless the catalog has them.

    Raises UnreadableStatementError for a PIVOT without an IN list that has such a name anywhere.
    """
    dot = sql.find(".")
    if dot < 0 or not _WORD.search(sql, dot):
        return frozenset()
    row = parser.execute(_TREE, [explained_statement(sql)]).fetchone()
    assert row is not None, "it is one row for any text"
    tree = json.loads(row[0])
    if tree.get("error"):
        if found := _ANYWHERE.search(_without_quotes(sql)):
            raise UnreadableStatementError(found[0])
        return frozenset()
    return frozenset(path for path in _tables(tree) if _FILE.search(".".join(path)))


def _tables(tree: Any) -> list[TablePath]:
    found: list[TablePath] = []
    waiting: list[Any] = [tree]
    while waiting:
        match waiting.pop():
            case dict() as node:
                if node.get("type") == "BASE_TABLE":
                    found.append(tuple(node["qualified_name"]["path"]))
                waiting.extend(node.values())
            case list() as nodes:
                waiting.extend(nodes)
            case _:
                pass
    return found


def _without_quotes(sql: str) -> str:
    """The text without what may stand between the parts of a name and is none of it."""
    tokens = duckdb.tokenize(sql)
    ends = [start for start, _ in tokens[1:]] + [len(sql.encode())]
    text = sql.encode()
    parts = [
        text[start:end].decode(errors="replace").strip()
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind != duckdb.token_type.comment
    ]
    return _QUOTES.sub("", "".join(parts))
