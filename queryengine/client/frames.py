"""Rows as the data frames of other libraries, which are imported here only when they are asked for."""

import os
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_INTERVALS_IN_POLARS: Final = "POLARS_IMPORT_INTERVAL_AS_STRUCT"
"""The variable by which Polars takes intervals, as structs."""


def to_pandas(table: pa.Table, **options: Any) -> "pd.DataFrame":
    """Raises ValueError for a value that pandas has no place for, such as a date before the year 1."""
    _needed("pandas")
    try:
        return table.to_pandas(**options)
    except ValueError as cause:
        if "types_mapper" in options:
            raise
        message = f"to_pandas cannot hold a value: {cause}; types_mapper=pandas.ArrowDtype keeps all values"
        raise ValueError(message) from cause


def to_polars(table: pa.Table) -> "pl.DataFrame":
    """Raises TypeError that names a column of a type that Polars does not take."""
    library = _needed("polars")
    for column in table.schema:
        advice = next(_refused_by_polars(column.type), "")
        if advice:
            raise TypeError(f"to_polars cannot take column {column.name!r} of type {column.type}: {advice}")
    frame: pl.DataFrame = library.DataFrame(table)
    return frame


def _refused_by_polars(kind: pa.DataType) -> Iterator[str]:
    """What to do about each type within one that Polars would end in an error of its own, or a panic."""
    if pa.types.is_interval(kind) and os.environ.get(_INTERVALS_IN_POLARS) != "1":
        yield f"CAST it to text in the query, set {_INTERVALS_IN_POLARS}=1 in the environment, or use to_arrow()"
    elif pa.types.is_decimal256(kind):
        yield 'CAST it in the query, submit with wide_integers="string", or use to_arrow()'
    elif isinstance(kind, pa.BaseExtensionType):
        yield from _refused_by_polars(kind.storage_type)
    else:
        for number in range(kind.num_fields):
            yield from _refused_by_polars(kind.field(number).type)


def _needed(library: str) -> Any:
    """Raises ImportError that says what to install."""
    try:
        return import_module(library)
    except ModuleNotFoundError as cause:
        raise ImportError(f"to_{library} needs {library}: pip install {library}") from cause
