"""The first rows for people: a table, or one row below the other where a table would be wider than the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from queryengine.cli import jsontext
from queryengine.cli.consoles import table_lines
from queryengine.cli.options import Expanded
from queryengine.cli.visible import visible
from queryengine.cli.writing import Writer

TABLE_ROWS = 40
"""Rows that a table for people shows."""

SEPARATOR_WIDTH = 3
"""Between two columns."""

NULL = "NULL"
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are laid out for people."""

    rows: int = TABLE_ROWS
    """Rows to show."""
    expanded: Expanded = Expanded.AUTO
    width: int | None = None
    """Columns of the terminal; None without a terminal: nothing is cut."""
    first_row: int = 0
    """Number of the first row in its result."""


class TableWriter(Writer):
    """A table of the first rows, or records of them."""

    def __init__(self, sink: BinaryIO, layout: Layout | None = None) -> None:
        self._sink = sink
        self._layout = layout or Layout()
        self._batches: list[pa.RecordBatch] = []
        self.shown = 0

    @property
    def is_full(self) -> bool:  # type: ignore[override]
        return self.shown >= self._layout.rows

    def begin(self, schema: pa.Schema) -> None:
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        part = batch.slice(0, self._layout.rows - self.shown)
        self.shown += part.num_rows
        if part.num_rows:
            self._batches.append(part)

    def finish(self) -> None:
        names = [visible(name) for name in self._schema.names]
        rows = [row for batch in self._batches for row in zip(*map(_cells, batch.columns), strict=True)]
        if self._is_expanded(names, rows):
            lines = list(_records(names, rows, self._layout.first_row))
        else:
            lines = self._table(names, rows)
        self._sink.write("".join(f"{line}\n" for line in lines).encode())

    def _is_expanded(self, names: list[str], rows: list[tuple[str | None, ...]]) -> bool:
        match self._layout.expanded:
            case Expanded.ON:
                return True
            case Expanded.OFF:
                return False
            case Expanded.AUTO:
                width = self._layout.width
                return width is not None and bool(rows) and _natural_width(names, rows) > width

    def _table(self, names: list[str], rows: list[tuple[str | None, ...]]) -> list[str]:
        table = Table(show_edge=False)
        for name, field in zip(names, self._schema, strict=True):
            is_number = any(test(field.type) for test in NUMBERS)
            table.add_column(Text(name), justify="right" if is_number else "left", overflow="ellipsis")
        for row in rows:
            table.add_row(*(Text(NULL, "dim") if text is None else Text(text) for text in row))
        return table_lines(table, self._layout.width)


def _cells(column: pa.Array) -> list[str | None]:
    texts = jsontext.plain(column, jsontext.hex_text).to_pylist()
    return [None if text is None else visible(text) for text in texts]


def _lines_of(text: str | None) -> list[str]:
    return (NULL if text is None else text).expandtabs().split("\n")


def _natural_width(names: list[str], rows: list[tuple[str | None, ...]]) -> int:
    """Of the table when nothing in it is cut."""
    columns = zip(*([tuple(names), *rows]), strict=True)
    widths = [max(cell_len(line) for text in column for line in _lines_of(text)) for column in columns]
    return sum(widths) + SEPARATOR_WIDTH * (len(widths) - 1) + 2


def _records(names: list[str], rows: list[tuple[str | None, ...]], first_row: int) -> Iterator[str]:
    width = max((cell_len(name) for name in names), default=0)
    for number, row in enumerate(rows, first_row):
        yield f"─[ row {number} ]".ljust(width + SEPARATOR_WIDTH + 1, "─")
        for name, text in zip(names, row, strict=True):
            first, *others = _lines_of(text)
            yield f"{name}{' ' * (width - cell_len(name))} │ {first}".rstrip()
            for line in others:
                yield f"{' ' * width} │ {line}".rstrip()
