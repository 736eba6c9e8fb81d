"""Rows as an HTML table, for notebooks."""

from collections.abc import Sequence
from html import escape
from itertools import islice
from typing import Any, Final

import pyarrow as pa

ROWS_SHOWN: Final = 20
COLUMNS_SHOWN: Final = 50
CHARACTERS_SHOWN: Final = 200


def html_table(summary: str, schema: pa.Schema | None, batches: Sequence[pa.RecordBatch]) -> str:
    """A line, and under it the columns with their types and the first rows, all of it escaped."""
    line = f"<div>{escape(summary)}</div>"
    if schema is None:
        return line
    fields = [schema.field(index) for index in range(min(len(schema), COLUMNS_SHOWN))]
    heads = "".join(f"<th>{escape(field.name)}<br><small>{escape(str(field.type))}</small></th>" for field in fields)
    rows = (
        [batch.column(index)[row] for index in range(len(fields))] for batch in batches for row in range(batch.num_rows)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in islice(rows, ROWS_SHOWN))
    return f"{line}<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if not value.is_valid:
        return "<td><i>NULL</i></td>"
    try:
        text = str(value.as_py())
    except (OverflowError, ValueError):
        # Arrow can write what Python cannot hold, such as a date of the year 10000.
        text = str(value)
    shown = text if len(text) <= CHARACTERS_SHOWN else text[: CHARACTERS_SHOWN - 1] + "…"
    return f"<td>{escape(shown)}</td>"
