"""`queryengine ps`: the tenant's queries, newest first."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.options import Json, pairs, past
from queryengine.domain.lifecycle import QueryState

if TYPE_CHECKING:
    from queryengine.client import QueryStatus


@connected
def ps(
    config: ClientConfig,
    *,
    all_states: Annotated[bool, typer.Option("--all", "-a", help="Ended queries too.")] = False,
    state: Annotated[
        list[QueryState] | None, typer.Option(help="Only this state; repeatable.", case_sensitive=False)
    ] = None,
    engine: Annotated[str, typer.Option("--engine", "-e", help="Only this engine.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only queries with this label; repeatable.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="Only queries that this user submitted.")] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Submitted at this time or later, such as 2026-11-28T13:30, or 2h for 2 hours ago."
        ),
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Submitted before this time, written as above.")] = "",
    size: Annotated[int, typer.Option(min=1, max=1000, help="Queries to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List the tenant's waiting and running queries, newest first.

    On a terminal the ids are cut to what distinguishes them, which every command takes. "waited" is the time in the
    queue, "ran" the time on the engine; "place" counts from the next one to start.
    """
    from queryengine.cli import statuses
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported
    from queryengine.cli.hints import command
    from queryengine.domain.clock import SystemClock

    now = dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC)
    states = state or ([] if all_states else [QueryState.QUEUED, QueryState.RUNNING])
    with reported(config), connect(config) as client:
        listed = client.list_queries(
            states=states,
            engine=engine,
            labels=pairs("--label", label or ()),
            subject=by,
            submitted_after=past("--since", since, now) if since else None,
            submitted_before=past("--until", until, now) if until else None,
            page_size=size,
        )
    if as_json:
        for each in listed.queries:
            typer.echo(statuses.as_json(each))
        return
    if not listed.queries:
        if states:
            hint = f"no queries are {' or '.join(states)}; to list all: {command(config, 'ps', '--all')}"
        else:
            hint = f"no queries; to run one: {command(config, 'sql', 'SELECT 42 AS answer')}"
        typer.echo(hint, err=True)
        return
    for line in _table(listed.queries):
        typer.echo(line)
    if listed.next_page_token:
        typer.echo("(there are more; --size shows up to 1000)", err=True)


def _table(queries: "tuple[QueryStatus, ...]") -> list[str]:
    from rich.table import Table
    from rich.text import Text

    from queryengine.cli.consoles import table_lines, terminal_width

    width = terminal_width()
    rows = [_cells(each, queries, is_short=width is not None) for each in queries]
    table = Table(show_edge=False)
    for name in rows[0]:
        if name in ALWAYS or any(row[name] for row in rows):
            justify = "right" if name in NUMBERS else "left"
            table.add_column(name, justify=justify, no_wrap=name not in WRAPPED, overflow="ellipsis")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(row[str(column.header)]) for column in table.columns))
    return table_lines(table, width)


ALWAYS = frozenset({"id", "state", "engine", "submitted", "waited", "ran", "rows", "sql"})
"""Columns that are there also when all their cells are empty."""
NUMBERS = frozenset({"rows", "waited", "ran", "place"})
WRAPPED = frozenset({"sql", "reason"})


def _cells(query: "QueryStatus", queries: "tuple[QueryStatus, ...]", *, is_short: bool) -> dict[str, str]:
    from queryengine.cli import ids
    from queryengine.cli.visible import visible

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
        "reason": visible(query.waiting_reason or failure),
        "sql": visible(query.sql_preview),
    }
