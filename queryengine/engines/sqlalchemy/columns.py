"""Rows of a DB-API driver as Arrow batches: types settled once, every later value checked against them.

Some databases do not say the type of a column before its values. Then the first rows decide, and a value
that does not fit later fails the query in clear words; it is never changed to fit.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType, NoneType
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.wide_numbers import UNBOUNDED
from queryengine.domain.errors import QueryEngineError, Reason, error

FIRST_ROWS: Final = 500
"""How many rows may decide the types, and come first."""
ROWS_MAX: Final = 20_000
BATCH_BYTES: Final = 4 << 20
STEP_ROWS: Final = 64
"""Rows fetched between two looks at their size. A batch ends after the step that fills it, so rows that get
wider all of a sudden make it too large by one step.
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
        pa.binary(): frozenset({bytes, bytearray, memoryview}),
        pa.bool_(): frozenset({bool}),
        UNBOUNDED: frozenset({Decimal, int}),
        pa.date32(): frozenset({dt.date}),
        pa.time64("us"): frozenset({dt.time}),
        pa.timestamp("us"): frozenset({dt.datetime}),
        pa.timestamp("us", "UTC"): frozenset({dt.datetime}),
        pa.duration("us"): frozenset({dt.timedelta}),
        pa.uuid(): frozenset({uuid.UUID}),
        pa.json_(): frozenset({dict, list}),
    }
)
"""What a column of each type may hold. Whole numbers in a float column must be exact in it."""


class BatchReader:
    """Reads a cursor in batches of bounded size."""

    def __init__(self, fetch: Callable[[int], Sequence[tuple[Any, ...]]]) -> None:
        self._fetch = fetch
        self._wanted = FIRST_ROWS
        self._rows = 0

    def fetch(self) -> list[tuple[Any, ...]]:
        """The next rows; empty at the end."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        while len(rows) < self._wanted and size < BATCH_BYTES:
            part = self._fetch(min(STEP_ROWS, self._wanted - len(rows)))
            if not part:
                break
            rows += part
            size += len(part) * _weight(part[-1])
        self._wanted = ROWS_MAX
        return rows

    def batch(self, rows: Sequence[tuple[Any, ...]], columns: Sequence[Column], schema: pa.Schema) -> pa.RecordBatch:
        """These rows in Arrow. Raises STATEMENT_REJECTED for a value that its column cannot hold."""
        last = self._rows + len(rows)
        arrays = [
            self._array(values, column, last) for values, column in zip(zip(*rows, strict=True), columns, strict=True)
        ]
        self._rows = last
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _array(self, values: tuple[Any, ...], column: Column, last: int) -> pa.Array:
        odd = set(map(type, values)) - HELD[column.type] - {NoneType}
        if odd:
            found = ", ".join(sorted(each.__name__ for each in odd))
            raise self._misfit(column, last, f"a value of type {found}")
        try:
            return _made(values, column.type)
        except (pa.ArrowInvalid, OverflowError) as cause:
            raise self._misfit(column, last, str(cause)) from cause

    def _misfit(self, column: Column, last: int, what: str) -> QueryEngineError:
        message = (
            f"column {column.name!r} is {column.type} by its declaration and first values, but rows "
            f"{self._rows + 1} to {last} have {what}; CAST it in the query"
        )
        return error(Reason.STATEMENT_REJECTED, message, column=column.name)


def _made(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array. What Arrow does not make of Python's values by itself, it makes of what they stand for."""
    if kind == pa.binary():
        return pa.array([None if value is None else bytes(value) for value in values], kind)
    if kind == pa.uuid():
        octets = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
        return pa.ExtensionArray.from_storage(kind, octets)
    if kind == pa.json_():
        texts = pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
        return pa.ExtensionArray.from_storage(kind, texts)
    is_timestamp = pa.types.is_timestamp(kind)
    if is_timestamp and any(value is not None and (value.tzinfo is None) != (kind.tz is None) for value in values):
        raise pa.ArrowInvalid("a time zone where the first rows have none, or none where they have one")
    return pa.array(values, kind)


def _weight(row: tuple[Any, ...]) -> int:
    return sum(len(value) if isinstance(value, str | bytes | bytearray | memoryview) else 8 for value in row)
