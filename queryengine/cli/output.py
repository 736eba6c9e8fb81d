"""Rows to a file or to standard output, batch by batch in bounded memory, in the format asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from queryengine.cli import jsontext
from queryengine.cli.exits import ExitCode, ended
from queryengine.cli.options import Format
from queryengine.cli.tablewriter import Layout, TableWriter
from queryengine.cli.visible import visible
from queryengine.cli.writing import Writer


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


class ArrowStreamWriter(Writer):
    """An Arrow IPC stream: pyarrow.ipc.open_stream reads it, also while it is written."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def begin(self, schema: pa.Schema) -> None:
        self._writer = self._open(schema)

    def _open(self, schema: pa.Schema) -> Any:
        return pa.ipc.new_stream(self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def finish(self) -> None:
        self._writer.close()


class ArrowFileWriter(ArrowStreamWriter):
    """An Arrow IPC file, also known as Feather: pyarrow.ipc.open_file reads it."""

    def _open(self, schema: pa.Schema) -> Any:
        return pa.ipc.new_file(self._sink, schema)


class ParquetWriter(ArrowStreamWriter):
    """A Parquet file. Errors of Parquet do not name the column; these do."""

    def _open(self, schema: pa.Schema) -> Any:
        try:
            return _parquet(self._sink, schema)
        except pa.ArrowNotImplementedError:
            for field in schema:
                with _named(field):
                    _parquet(pa.BufferOutputStream(), pa.schema([field])).close()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        try:
            super().write(batch)
        except pa.ArrowInvalid:
            for field, column in zip(batch.schema, batch.columns, strict=True):
                alone = pa.schema([field])
                with _named(field), _parquet(pa.BufferOutputStream(), alone) as writer:
                    writer.write_batch(pa.RecordBatch.from_arrays([column], schema=alone))
            raise


def _parquet(sink: Any, schema: pa.Schema) -> Any:
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(sink, schema)


@contextmanager
def _named(field: pa.Field) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise type(error)(f"column {visible(field.name)!r} of type {field.type}: {error}") from error


@contextmanager
def writer_to(
    path: Path | None,
    format: Format,  # noqa: A002 - as the option is called
    layout: Layout,
) -> Iterator[Writer]:
    """A writer to the file, or to standard output without one. The file appears when everything is written,
    in the place of an older one; after an error nothing has changed.
    """
    if path is None:
        with _writer(sys.stdout.buffer, format, layout) as writer:
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
        with sink, _writer(sink, format, layout) as writer:
            yield writer
        if partial != path:
            partial.replace(path)
    except OSError as error:
        raise ended(f"cannot write {path}: {error.strerror}", ExitCode.FAILED) from error
    finally:
        if partial != path:
            partial.unlink(missing_ok=True)


def _writer(sink: BinaryIO, format: Format, layout: Layout) -> Writer:  # noqa: A002 - as the option is called
    match format:
        case Format.TABLE:
            return TableWriter(sink, layout)
        case Format.CSV:
            from queryengine.cli.csvwriter import CsvWriter

            return CsvWriter(sink)
        case Format.JSON:
            return JsonWriter(sink)
        case Format.ARROW:
            return ArrowFileWriter(sink)
        case Format.ARROWS:
            return ArrowStreamWriter(sink)
        case Format.PARQUET:
            return ParquetWriter(sink)
