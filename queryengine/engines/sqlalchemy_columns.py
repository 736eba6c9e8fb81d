"""Rows of a DB-API driver as Arrow batches: types settled once, every later value checked against them.

Some databases do not tell the type of a column before its values. Then the first rows decide, and a value
that does not fit later fails the query in clear words; it is never changed to fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, Final

import pyarrow as pa

from queryengine.domain.errors import Reason, error

FIRST_ROWS: Final = 500
"""How many rows may decide the types, and come first."""
ROWS_MAX: Final = 20_000
BATCH_BYTES: Final = 4 << 20
GROWTH: Final = 8
"""A batch has at most so many times the rows of the one before, so that rows that get wider are noticed in
time.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result, settled."""

    name: str
    type: pa.DataType
    engine_type: str

    def field(self) -> pa.Field:
        return pa.field(self.name, self.type, metadata={"engine_type": self.engine_type})


HELD: Final[Mapping[pa.DataType, frozenset[type]]] = MappingProxyType(
    {
        pa.null(): frozenset(),
        pa.int64(): frozenset({int}),
        pa.float64(): frozenset({float, int}),
        pa.string(): frozenset({str}),
        pa.binary(): frozenset({bytes}),
    }
)
"""What a column of each type may hold. Whole numbers in a float column must be exact in it."""


class BatchReader:
    """Reads a cursor in batches of bounded size."""

    def __init__(self, fetch: Callable[[int], Sequence[tuple[Any, ...]]]) -> None:
        self._fetch = fetch
        self._wanted = FIRST_ROWS
        self._rows = 0

    def fetch(self) -> Sequence[tuple[Any, ...]]:
        """The next rows; empty at the end."""
        return self._fetch(self._wanted)

    def batch(self, rows: Sequence[tuple[Any, ...]], columns: Sequence[Column], schema: pa.Schema) -> pa.RecordBatch:
        """These rows in Arrow. Raises STATEMENT_REJECTED for a value that its column cannot hold."""
        arrays = [self._array(values, column) for values, column in zip(zip(*rows, strict=True), columns, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        self._rows += batch.num_rows
        row_bytes = max(1, batch.nbytes // batch.num_rows)
        self._wanted = max(1, min(ROWS_MAX, batch.num_rows * GROWTH, BATCH_BYTES // row_bytes))
        return batch

    def _array(self, values: tuple[Any, ...], column: Column) -> pa.Array:
        odd = set(map(type, values)) - HELD[column.type] - {NoneType}
        if odd:
            found = ", ".join(sorted(each.__name__ for each in odd))
            raise self._misfit(column, f"a value of type {found}")
        try:
            return pa.array(values, column.type)
        except (pa.ArrowInvalid, OverflowError) as cause:
            raise self._misfit(column, str(cause)) from cause

    def _misfit(self, column: Column, what: str) -> Exception:
        message = (
            f"column {column.name!r} is {column.type} by its declaration and first values, but between rows "
            f"{self._rows} and {self._rows + self._wanted} there is {what}; CAST it in the query"
        )
        return error(Reason.STATEMENT_REJECTED, message, column=column.name)
