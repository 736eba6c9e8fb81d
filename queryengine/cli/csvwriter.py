"""Rows as CSV: NULL is an empty field, an empty text is "". What is not a number or a boolean is written as in JSON."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from queryengine.cli import jsontext
from queryengine.cli.writing import Writer

PLAIN_SCALE = 6
"""Digits behind the point up to which Arrow writes a small decimal without an exponent."""

SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""What Arrow writes for a float without digits, and what JSON has for it."""

types = pa.types


class CsvWriter(Writer):
    """A header and rows."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        self._schema = pa.schema([(field.name, _csv_type(field.type)) for field in schema])
        self._writer = pyarrow.csv.CSVWriter(self._sink, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [
            column if column.type.equals(field.type) else jsontext.plain(column)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        if any(_has_special(column) for column in columns):
            self._sink.write("".join(f"{line}\n" for line in _lines(columns)).encode())
        else:
            self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()


def _csv_type(arrow: pa.DataType) -> pa.DataType:
    """The type that Arrow writes a column of this type from; text where Arrow has no form, or not that of JSON."""
    is_plain = (
        types.is_integer(arrow)
        or types.is_boolean(arrow)
        or types.is_float32(arrow)
        or types.is_float64(arrow)
        or (types.is_decimal128(arrow) and 0 <= arrow.scale <= PLAIN_SCALE)
        or types.is_string(arrow)
        or types.is_large_string(arrow)
    )
    return arrow if is_plain else pa.string()


def _has_special(column: pa.Array) -> bool:
    if not types.is_floating(column.type):
        return False
    import pyarrow.compute as pc

    return not pc.all(pc.is_finite(column)).as_py()


def _lines(columns: list[pa.Array]) -> list[str]:
    """As Arrow writes them, but for the floats it has other words for."""
    fields = [_fields(column) for column in columns]
    return [",".join(row) for row in zip(*fields, strict=True)]


def _fields(column: pa.Array) -> list[str]:
    texts = column.cast(pa.string()).to_pylist()
    if types.is_floating(column.type):
        return ["" if text is None else SPECIAL.get(text, text) for text in texts]
    if types.is_string(column.type) or types.is_large_string(column.type):
        return ["" if text is None else '"' + text.replace('"', '""') + '"' for text in texts]
    return ["" if text is None else text for text in texts]
