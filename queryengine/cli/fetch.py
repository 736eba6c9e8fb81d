"""`queryengine fetch`: stored rows from anywhere in a result."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from queryengine.cli import options
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.options import Format, Output, QueryId, Records

if TYPE_CHECKING:
    from queryengine.client import QueryHandle, ResultPage


@connected
def fetch(
    config: ClientConfig,
    query_id: QueryId,
    *,
    page: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Page number from 0, in pages of --size rows.")
    ] = None,
    offset: Annotated[int | None, typer.Option(min=0, metavar="ROW", help="Number of the first row, from 0.")] = None,
    size: Annotated[int, typer.Option(min=1, max=100_000, metavar="ROWS", help="Rows to fetch.")] = 1000,
    format: Annotated[  # noqa: A002 - the option is called so
        Format | None,
        typer.Option("--format", "-f", help=f"How to write the rows. {options.FORMAT_BY_DEFAULT}"),
    ] = None,
    expanded: Records = None,
    output: Output = None,
) -> None:
    """Write stored rows of a query, from any row on.

    Rows are counted from 0: --offset 5 --size 3 is rows 5 to 7.
    """
    from queryengine.cli import ids
    from queryengine.cli.connecting import connect
    from queryengine.cli.consoles import terminal_width
    from queryengine.cli.failures import reported
    from queryengine.cli.output import writer_to
    from queryengine.cli.tablewriter import Layout
    from queryengine.cli.writing import write_all

    if page is not None and offset is not None:
        raise ended("give --page or --offset, not both")
    first = offset or (page or 0) * size
    rows_format = options.rows_format(format, output)
    width = terminal_width() if output is None else None
    with reported(config), connect(config) as client:
        pages = _Pages(client.attach(ids.whole(client, query_id)), first, size)
        layout = Layout(rows=size, expanded=options.expanded(expanded), width=width, first_row=first)
        # The first page comes before a file is touched.
        start = pages.first
        with writer_to(output, rows_format, layout) as writer:
            write_all(writer, start.batch.schema, pages)
    written = "" if output is None else f"; written to {output}"
    typer.echo(f"({pages.summary()}{written})", err=True)


class _Pages:
    """The rows asked for, in as many calls as their size takes."""

    def __init__(self, handle: "QueryHandle", first: int, size: int) -> None:
        self._handle = handle
        self._start_row = first
        self._end_row = first + size
        self.first = self._last = handle.fetch_page(offset=first, page_size=size)

    def __iter__(self) -> Iterator[Any]:
        yield self.first.batch
        while self._last.batch.num_rows and self._last.next_page_token and self._next_row < self._end_row:
            following = self._following()
            if following is None:
                return
            self._last = following
            yield following.batch

    def summary(self) -> str:
        """Which rows they were, and where to go on."""
        total = "so far" if self._last.total_rows is None else f"of {self._last.total_rows:,}"
        if self._next_row == self._start_row:
            return f"no rows {total}"
        last = self._next_row - 1
        rows = f"row {last}" if last == self._start_row else f"rows {self._start_row} to {last}"
        more = f"; next: --offset {self._next_row}" if self._last.next_page_token else ""
        return f"{rows} {total}{more}"

    @property
    def _next_row(self) -> int:
        return self._last.start_row + int(self._last.batch.num_rows)

    def _following(self) -> "ResultPage | None":
        """The next rows; None when they are not stored yet."""
        from queryengine.client import ResultUnavailable
        from queryengine.domain.errors import Reason

        rows = self._end_row - self._next_row
        try:
            return self._handle.fetch_page(offset=self._next_row, page_size=rows)
        except ResultUnavailable as error:
            if error.reason != Reason.RESULT_NOT_READY:
                raise
            return None
