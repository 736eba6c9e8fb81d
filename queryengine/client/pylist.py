"""Rows as Python's own values, or an error that names the value which has none."""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.rows import PER_SECOND, list_parts
from queryengine.codec.types import is_list

DAY_SECONDS: Final = 86_400


def python_tuples(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows as tuples. Raises OverflowError as `_python_columns`."""
    return list(zip(*_python_columns(table), strict=True))


def python_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as dicts. Raises OverflowError as `_python_columns`, and ValueError for columns of one name, of which a
    dict would hold one.
    """
    names = table.column_names
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        said = ", ".join(repr(name) for name in doubled)
        raise ValueError(f"more than one column is named {said}; name them apart with AS, or read rows() or to_arrow()")
    return [dict(zip(names, row, strict=True)) for row in python_tuples(table)]


def _python_columns(table: pa.Table) -> list[list[Any]]:
    """The values of each column.

    Raises OverflowError that names column and row of the first value that Python's types cannot hold: infinity, a year
    outside of 1 to 9999, the time 24:00 or one with nanoseconds.
    """
    return [_python_values(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]


def _python_values(name: str, column: pa.ChunkedArray) -> list[Any]:
    if not _keeps_times(column):
        raise _unheld(name, next(row for row in range(len(column)) if not _keeps_times(column.slice(row, 1))))
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except (OverflowError, ValueError) as cause:
        for row, value in enumerate(column):
            if not _is_held(value):
                raise _unheld(name, row) from cause
        raise


def _is_held(value: pa.Scalar) -> bool:
    try:
        value.as_py()
    except (OverflowError, ValueError):
        return False
    return True


def _unheld(name: str, row: int) -> OverflowError:
    return OverflowError(f"row {row}, column {name!r}: Python has no value for this one; read it with to_arrow()")


def _keeps_times(column: pa.ChunkedArray) -> bool:
    """Whether every time of day in it is one of Python's; Arrow would make another one of it without a word."""
    return all(_is_time(leaf) for chunk in column.chunks for leaf in _times(chunk))


def _times(array: pa.Array) -> Iterator[pa.Array]:
    arrow = array.type
    if pa.types.is_time(arrow):
        yield array
    elif is_list(arrow) or pa.types.is_map(arrow):
        for part in list_parts(array)[1]:
            yield from _times(part)
    elif pa.types.is_struct(arrow):
        for index in range(arrow.num_fields):
            yield from _times(array.field(index))


def _is_time(array: pa.Array) -> bool:
    per_second = PER_SECOND[array.type.unit]
    counts = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    bounds: dict[str, Any] = pc.min_max(counts).as_py()
    if bounds["min"] is None:
        return True
    if bounds["min"] < 0 or bounds["max"] >= DAY_SECONDS * per_second:
        return False
    # Arrow's times of day have microseconds in Python.
    finest = pc.multiply(pc.divide(counts, 1000), 1000)
    return array.type.unit != "ns" or bool(pc.all(pc.equal(counts, finest)).as_py())
