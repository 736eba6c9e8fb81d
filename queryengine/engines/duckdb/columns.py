"""Whether Parquet files can be read as one table: by the names of their columns, without loss."""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from queryengine.engines.duckdb.folder import shown
from queryengine.engines.duckdb.text import key_of

Columns: TypeAlias = tuple[tuple[str, str], ...]
"""The name and the type of each column of a file."""

_INTEGERS: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_FLOATS: Final = frozenset({"FLOAT", "DOUBLE"})
_UNTYPED: Final = '"NULL"'
_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_DECIMAL_DIGITS_MAX: Final = 38


def is_mixed(columns: Mapping[str, Columns]) -> bool:
    """Whether files, by path, differ in their columns."""
    return len(set(columns.values())) > 1


def conflict(columns: Mapping[str, Columns]) -> str:
    """What keeps files, by path, from being one table: a column whose values no one type holds exactly, or that cannot
    be distinguished from another one by its name. Empty when nothing does, as when all files have the same columns.
    """
    seen: dict[str, tuple[str, str, str]] = {}
    for path, each in columns.items() if is_mixed(columns) else ():
        keys = [key_of(name) for name, _ in each]
        if len(set(keys)) < len(keys):
            return f"{shown(path)} has two columns whose names differ in case only, and other files have other columns"
        for name, found in each:
            other_path, other_name, other = seen.setdefault(key_of(name), (path, name, found))
            union = _union(other, found)
            if union is None:
                return (
                    f"column {shown(name)} is {found} in {shown(path)} but {other} in {shown(other_path)}; "
                    "write the files with one type"
                )
            seen[key_of(name)] = (other_path, other_name, union) if union == other else (path, name, union)
    return ""


def _union(one: str, other: str) -> str | None:
    """A type that holds the values of both exactly, as DuckDB chooses it; None when there is none."""
    if other in (one, _UNTYPED):
        return one
    if one == _UNTYPED:
        return other
    for family in (_INTEGERS, _FLOATS):
        if one in family and other in family:
            # Which of them does not matter: all of a family go together.
            return one
    return _decimal_union(one, other)


def _decimal_union(one: str, other: str) -> str | None:
    first, second = _DECIMAL.fullmatch(one), _DECIMAL.fullmatch(other)
    if first is None or second is None:
        return None
    digits, scales = zip(*((int(each[1]), int(each[2])) for each in (first, second)), strict=True)
    scale = max(scales)
    whole = max(width - fraction for width, fraction in zip(digits, scales, strict=True))
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= _DECIMAL_DIGITS_MAX else None
