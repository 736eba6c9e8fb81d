"""Rows to a file or to standard output, batch by batch in bounded memory, in the format asked for."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from queryengine.cli import jsontext
from queryengine.cli.failures import ExitCode, ended
from queryengine.cli.options import Format
from queryengine.cli.visible import visible

TABLE_ROWS = 40
"""Rows that a table for people shows."""

WIDE = 1_000_000
"""Columns of a terminal that is none: nothing is cut for a reader who can scroll."""

PLAIN_SCALE = 6
"""Digits behind the point up to which Arrow writes a small decimal without an exponent."""

NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


class Writer(ABC):
    """Takes the schema once, then batches. A context manager: leaving it finishes what was begun."""

    @abstractmethod
    def begin(self, schema: pa.Schema) -> None: ...

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Write what belongs at the end. Called only when everything went well."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()


class CsvWriter(Writer):
    """Header and rows; NULL is an empty field, an empty text is "". Nested values are JSON."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        self._schema = pa.schema([(field.name, _csv_type(field.type)) for field in schema])
        self._writer = pyarrow.csv.CSVWriter(self._sink, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [
            column if column.type.equals(field.type) else _texts(column)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def finish(self) -> None:
        self._writer.close()


class JsonWriter(Writer):
    """One JSON object per line; jsontext says how each type is written."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        """There is no header."""

    def write(self, batch: pa.RecordBatch) -> None:
        self._sink.write("".join(f"{line}\n" for line in jsontext.lines(batch)).encode())

    def finish(self) -> None:
        """There is no footer."""


class ArrowWriter(Writer):
    """An Arrow IPC stream: pyarrow.ipc.open_stream reads it."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def finish(self) -> None:
        self._writer.close()


class ParquetWriter(Writer):
    """A Parquet file."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        self._writer = pyarrow.parquet.ParquetWriter(self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def finish(self) -> None:
        self._writer.close()


class TableWriter(Writer):
    """A table of the first rows, for people."""

    def __init__(self, sink: BinaryIO, *, rows: int = TABLE_ROWS) -> None:
        self._sink = sink
        self._rows = rows
        self._batches: list[pa.RecordBatch] = []
        self.shown = 0

    @property
    def is_full(self) -> bool:
        return self.shown >= self._rows

    def begin(self, schema: pa.Schema) -> None:
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        part = batch.slice(0, self._rows - self.shown)
        self.shown += part.num_rows
        if part.num_rows:
            self._batches.append(part)

    def finish(self) -> None:
        table = Table(show_edge=False)
        for field in self._schema:
            is_number = any(test(field.type) for test in NUMBERS)
            table.add_column(Text(visible(field.name)), justify="right" if is_number else "left", overflow="ellipsis")
        for batch in self._batches:
            for row in zip(*(_cells(column) for column in batch.columns), strict=True):
                table.add_row(*row)
        is_terminal = self._sink is sys.stdout.buffer and sys.stdout.isatty()
        console = Console(highlight=False) if is_terminal else Console(highlight=False, width=WIDE)
        with console.capture() as captured:
            console.print(table)
        lines = captured.get().splitlines()
        self._sink.write("".join(f"{line.rstrip()}\n" for line in lines).encode())


@contextmanager
def writer_to(
    path: Path | None,
    format: Format,  # noqa: A002 - as the option is called
    *,
    table_rows: int = TABLE_ROWS,
) -> Iterator[Writer]:
    """A writer to the file, or to standard output without one. The file appears when everything is written,
    in the place of an older one; after an error nothing has changed.
    """
    if path is None:
        with _writer(sys.stdout.buffer, format, table_rows) as writer:
            yield writer
        sys.stdout.buffer.flush()
        return
    # A pipe or a device cannot be replaced, and need not be.
    partial = path.with_name(f".{path.name}.partial") if path.is_file() or not path.exists() else path
    try:
        sink = partial.open("wb")
    except OSError as error:
        raise ended(f"cannot write {path}: {error.strerror}") from error
    try:
        with sink, _writer(sink, format, table_rows) as writer:
            yield writer
        if partial != path:
            partial.replace(path)
    except OSError as error:
        raise ended(f"cannot write {path}: {error.strerror}", ExitCode.FAILED) from error
    finally:
        if partial != path:
            partial.unlink(missing_ok=True)


def write_all(writer: Writer, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with refused_rows():
        writer.begin(schema)
        for batch in batches:
            writer.write(batch)


@contextmanager
def refused_rows() -> Iterator[None]:
    """Around what hands rows to a writer: those that its format cannot hold end the command, as a message."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ended(f"the format cannot hold these rows: {error}; try --format arrow or json") from error


def _writer(sink: BinaryIO, format: Format, table_rows: int) -> Writer:  # noqa: A002 - as the option is called
    match format:
        case Format.TABLE:
            return TableWriter(sink, rows=table_rows)
        case Format.CSV:
            return CsvWriter(sink)
        case Format.JSON:
            return JsonWriter(sink)
        case Format.ARROW:
            return ArrowWriter(sink)
        case Format.PARQUET:
            return ParquetWriter(sink)


def _csv_type(arrow: pa.DataType) -> pa.DataType:
    """The type that Arrow writes a column of this type from; text where Arrow has no form, or not that of JSON."""
    types = pa.types
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


def _texts(column: pa.Array) -> pa.Array:
    texts = (_text(value) for value in jsontext.values(column))
    return pa.array(texts, pa.string())


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else jsontext.text(value)


def _cells(column: pa.Array) -> list[Text]:
    texts = (_text(value) for value in jsontext.values(column))
    return [Text("NULL", style="dim") if text is None else Text(visible(text)) for text in texts]
