"""Rows as the data frames of other libraries, which are imported here only when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_pandas(table: pa.Table, **options: Any) -> "pd.DataFrame":
    _needed("pandas")
    return table.to_pandas(**options)


def to_polars(table: pa.Table) -> "pl.DataFrame":
    frame: pl.DataFrame = _needed("polars").DataFrame(table)
    return frame


def _needed(library: str) -> Any:
    """Raises ImportError that says what to install."""
    try:
        return import_module(library)
    except ModuleNotFoundError as cause:
        raise ImportError(f"to_{library} needs {library}: pip install {library}") from cause
