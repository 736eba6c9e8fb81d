"""Python libraries as consumers: each takes the table of a result, and gives back what it has made of it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

from tests.compat.forms import form
from tests.compat.pages import Sample


def _pyarrow(sample: Sample) -> pa.ChunkedArray:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, sample.table.schema) as writer:
        writer.write_table(sample.table)
    return pa.ipc.open_stream(sink.getvalue()).read_all().column(0)


def _polars(sample: Sample) -> pa.ChunkedArray:
    frame = pl.DataFrame(sample.table)
    # Whoever reads a result looks at it, too.
    repr(frame)
    return frame.to_arrow().column(0)


def _duckdb(sample: Sample) -> pa.ChunkedArray:
    with duckdb.connect() as connection:
        # A TIMESTAMP WITH TIME ZONE is shown in this zone.
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.from_arrow(sample.table)
        column: pa.ChunkedArray = relation.to_arrow_table().column(0)
        relation.fetchall()
    return column


def _pandas(sample: Sample) -> pa.ChunkedArray:
    series = sample.table.to_pandas()["v"]
    if series.dtype.kind in "mM":
        return pa.chunked_array([pa.array(series)])
    return pa.chunked_array([pa.array(list(map(_plain, series)), storage(sample.column.type), from_pandas=True)])


def _plain(cell: Any) -> Any:
    """A cell as Arrow takes it back."""
    if hasattr(cell, "bytes") and hasattr(cell, "urn"):
        return cell.bytes
    if isinstance(cell, dict):
        return {name: _plain(each) for name, each in cell.items()}
    if isinstance(cell, tuple) and not isinstance(cell, pa.MonthDayNano):
        return tuple(map(_plain, cell))
    if isinstance(cell, list):
        return list(map(_plain, cell))
    return list(map(_plain, cell)) if type(cell).__name__ == "ndarray" else cell


def storage(arrow: pa.DataType) -> pa.DataType:
    """The same without extension types."""
    if isinstance(arrow, pa.BaseExtensionType):
        return arrow.storage_type
    if pa.types.is_map(arrow):
        return pa.map_(storage(arrow.key_type), storage(arrow.item_type))
    if pa.types.is_struct(arrow):
        return pa.struct([field.with_type(storage(field.type)).with_nullable(True) for field in arrow])
    if pa.types.is_fixed_size_list(arrow):
        return pa.list_(storage(arrow.value_type), arrow.list_size)
    return pa.list_(storage(arrow.value_type)) if pa.types.is_list(arrow) else arrow


CONSUMERS: Final[Mapping[str, Callable[[Sample], pa.ChunkedArray]]] = MappingProxyType(
    {"pyarrow": _pyarrow, "polars": _polars, "pandas": _pandas, "duckdb": _duckdb}
)
VERSIONS: Final = MappingProxyType(
    {"pyarrow": pa.__version__, "polars": pl.__version__, "pandas": pd.__version__, "duckdb": duckdb.__version__}
)


def verdict(consumer: str, sample: Sample) -> str:
    """Empty when the consumer reads the sample and has its values; else what is wrong, in a few words."""
    from comparing import equal, number_of

    try:
        column = CONSUMERS[consumer](sample)
    # Polars panics with what is no Exception.
    except BaseException as cause:
        if isinstance(cause, KeyboardInterrupt):
            raise
        return f"{type(cause).__name__}: {str(cause).splitlines()[0][:80] if str(cause) else ''}"
    for sent, read in zip(sample.column, column, strict=True):
        if consumer == "pandas" and not read.is_valid and form(sent) == "nan":
            # To pandas a NULL is a NaN.
            continue
        if form(sent) != form(read) and not (
            sent.is_valid and read.is_valid and equal(number_of(sent), number_of(read))
        ):
            return f"reads {form(read)} for {form(sent)}"[:100]
    return ""
