"""Queries as a table that fits the terminal. The reason that a query waits for or failed with is never cut.

On a terminal without room for all columns the reason stands above the SQL, and columns go, the least useful first.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from queryengine.cli import ids
from queryengine.cli.consoles import table_lines
from queryengine.cli.visible import visible
from queryengine.cli.wording import in_commands
from queryengine.client import QueryStatus

ALWAYS: Final = frozenset({"id", "state", "engine", "submitted", "waited", "ran", "rows", "sql"})
"""Columns that are there also when all their cells are empty."""
SHORT: Final = frozenset({"id", "state", "user", "engine", "submitted", "waited", "ran", "rows", "place"})
"""Columns whose cells take one line."""
NUMBERS: Final = frozenset({"rows", "waited", "ran", "place"})
LEAVING_FIRST: Final = ("submitted", "user", "place", "waited", "rows", "ran", "engine")
MARGIN: Final = 3
"""Between two columns."""
TEXT_WIDTH: Final = 30
"""What SQL and a reason are given at least, as long as columns can go."""

Row: TypeAlias = dict[str, str]


def query_table(queries: Sequence[QueryStatus], width: int | None) -> tuple[list[str], list[str]]:
    """The lines, and the columns there was no room for. Without a width nothing is cut and ids are whole."""
    rows = [_cells(each, queries, is_short=width is not None) for each in queries]
    widths = {
        name: max(cell_len(text) for text in (name, *(row[name] for row in rows)))
        for name in rows[0]
        if name in ALWAYS or any(row[name] for row in rows)
    }
    if width is None or _needed(widths) - widths["sql"] + TEXT_WIDTH <= width:
        return table_lines(_table(rows, [*widths]), width), []
    title = "reason, sql" if widths.pop("reason", 0) else "sql"
    del widths["sql"]
    left_out: list[str] = []
    for name in LEAVING_FIRST:
        if _needed(widths) + MARGIN + TEXT_WIDTH <= width:
            break
        if widths.pop(name, 0):
            left_out.append(name)
    room = max(1, width - _needed(widths) - MARGIN)
    stacked = [row | {title: _stacked(row, room)} for row in rows]
    return table_lines(_table(stacked, [*widths, title]), width), left_out


def _needed(widths: dict[str, int]) -> int:
    return sum(widths.values()) + MARGIN * len(widths)


def _stacked(row: Row, room: int) -> str:
    """The reason, in as many lines as it takes, above one line of SQL."""
    sql = Text(row["sql"])
    sql.truncate(room, overflow="ellipsis")
    return "\n".join(filter(None, (row["reason"], sql.plain)))


def _table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    table = Table(show_edge=False)
    for name in columns:
        is_text = name not in SHORT
        table.add_column(
            name,
            justify="right" if name in NUMBERS else "left",
            no_wrap=not is_text,
            overflow="fold" if is_text else "ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(row[name]) for name in columns))
    return table


def _cells(query: QueryStatus, queries: Sequence[QueryStatus], *, is_short: bool) -> Row:
    every_id = [each.query_id for each in queries]
    place = "" if query.queue_position is None else f"{query.queue_position + 1} of {query.queue_depth or '?'}"
    done = "" if query.fraction is None else f" {query.fraction:.0%}"
    failure = query.error.reason if query.error is not None else ""
    return {
        "id": ids.beginning(query.query_id, every_id) if is_short else query.query_id,
        "state": query.state + done,
        "user": visible(query.subject),
        "engine": query.engine,
        "submitted": f"{query.submit_time.astimezone():%Y-%m-%d %H:%M:%S}" if query.submit_time else "",
        "waited": f"{query.queue_seconds:.1f} s",
        "ran": f"{query.execution_seconds:.1f} s" if query.start_time else "",
        "rows": f"{query.rows:,}",
        "place": place,
        "reason": visible(in_commands(query.waiting_reason) or failure),
        "sql": visible(query.sql_preview),
    }
