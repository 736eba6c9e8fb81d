"""Commands about queries that exist: ps, status, watch, cancel, fetch, release; and engines."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from queryengine.cli import jsontext, options
from queryengine.cli.failures import ended, reported
from queryengine.cli.hints import command
from queryengine.cli.options import (
    DEFAULT_SERVER,
    DEFAULT_TENANT,
    Format,
    Json,
    Output,
    QueryId,
    Server,
    Tenant,
    User,
)
from queryengine.cli.output import WIDE, write_all, writer_to
from queryengine.cli.progress import byte_text, count_text, line
from queryengine.cli.visible import visible
from queryengine.client import QueryStatus
from queryengine.domain.clock import SystemClock
from queryengine.domain.lifecycle import QueryState

CANCEL_WAIT_SECONDS = 10.0
TRAITS_SHOWN = ("streams", "back_pressure", "progress", "scan_statistics", "cancel_confirmed", "sandbox", "writes")


def ps(
    *,
    all_states: Annotated[bool, typer.Option("--all", "-a", help="Ended queries too.")] = False,
    state: Annotated[
        list[QueryState] | None, typer.Option(help="Only this state; repeatable.", case_sensitive=False)
    ] = None,
    engine: Annotated[str, typer.Option("--engine", "-e", help="Only this engine.")] = "",
    size: Annotated[int, typer.Option(min=1, max=1000, help="Queries to list.")] = 50,
    as_json: Json = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """List the tenant's queries, newest first: those that wait or run, or more."""
    states = state or ([] if all_states else [QueryState.QUEUED, QueryState.RUNNING])
    with reported(server), options.client(server, tenant, user) as client:
        listed = client.list_queries(states=states, engine=engine, page_size=size)
    if as_json:
        for status in listed.queries:
            typer.echo(_json(status))
        return
    if not listed.queries:
        if states:
            told = f"no queries are {' or '.join(states)}; to list all: {command(client.connection, 'ps', '--all')}"
        else:
            told = f"no queries; to run one: {command(client.connection, 'sql', 'SELECT 42 AS answer')}"
        typer.echo(told, err=True)
        return
    table = Table(show_edge=False)
    for name in ("id", "state", "engine", "rows", "time", "sql"):
        justify: Any = "right" if name in ("rows", "time") else "left"
        table.add_column(name, justify=justify, no_wrap=name != "sql", overflow="ellipsis")
    for status in listed.queries:
        spent = status.queue_seconds + status.execution_seconds
        cells = (status.query_id, status.state, status.engine, f"{status.rows:,}", f"{spent:.1f} s")
        table.add_row(*cells, Text(visible(status.sql_preview)))
    _print_table(table)
    if listed.next_page_token:
        typer.echo("(there are more; --size shows up to 1000)", err=True)


def status(
    query_id: QueryId,
    *,
    as_json: Json = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Show everything known of a query. A failed query is a normal answer."""
    with reported(server), options.client(server, tenant, user) as client:
        found = client.attach(query_id).status()
    typer.echo(_json(found) if as_json else _details(found))


def watch(
    query_id: QueryId,
    *,
    as_json: Json = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Print every change of a query until it ends. The exit code tells how it ended; Ctrl-C stops only
    watching.
    """
    with reported(server), options.client(server, tenant, user) as client:
        last: QueryStatus | None = None
        for last in client.attach(query_id).watch():
            typer.echo(_json(last) if as_json else line(last))
        failure = last.failure() if last is not None else None
        if failure is not None:
            raise failure


def cancel(
    query_id: QueryId,
    *,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the engine is known to have stopped.")] = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Stop a query, also on its engine. Cancelling an ended query does nothing."""
    with reported(server), options.client(server, tenant, user) as client:
        seconds = CANCEL_WAIT_SECONDS if wait else 0.0
        outcome = client.attach(query_id).cancel(reason=reason, wait=seconds)
    typer.echo(f"{outcome.result}, engine {outcome.engine}; the query is {outcome.status.state}")


def fetch(
    query_id: QueryId,
    *,
    page: Annotated[int | None, typer.Option(min=0, help="Page number from 0, in pages of --size rows.")] = None,
    offset: Annotated[int | None, typer.Option(min=0, help="Row number from 0.")] = None,
    size: Annotated[int, typer.Option(min=1, max=100_000, help="Rows to fetch.")] = 1000,
    format: Annotated[  # noqa: A002 - the option is called so
        Format | None,
        typer.Option("--format", "-f", help=f"How to write the rows. {options.FORMAT_BY_DEFAULT}"),
    ] = None,
    output: Output = None,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Write some stored rows of a query, from anywhere in its result."""
    if page is not None and offset is not None:
        raise ended("give --page or --offset, not both")
    rows_format = options.rows_format(format, output)
    with reported(server), options.client(server, tenant, user) as client:
        fetched = client.attach(query_id).fetch_page(page=page, offset=offset, page_size=size)
    batch = fetched.batch
    with writer_to(output, rows_format, table_rows=size) as writer:
        write_all(writer, batch.schema, [batch])
    total = "so far" if fetched.total_rows is None else f"of {fetched.total_rows:,}"
    after = fetched.start_row + batch.num_rows
    more = f"; next: --offset {after}" if fetched.next_page_token else ""
    typer.echo(f"(rows {fetched.start_row} to {after} {total}{more})", err=True)


def release(
    query_id: QueryId,
    *,
    extend: Annotated[
        str, typer.Option(metavar="DURATION", help="Keep the rows for so long from now instead, such as 2h or 3d.")
    ] = "",
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Free the stored rows of an ended query, or keep them for longer."""
    length = options.seconds(extend) if extend else 0.0
    with reported(server), options.client(server, tenant, user) as client:
        handle = client.attach(query_id)
        if extend:
            now = dt.datetime.fromtimestamp(SystemClock().now_us() / 1e6, dt.UTC)
            found = handle.extend(now + dt.timedelta(seconds=length))
        else:
            found = handle.release()
    until = f" until {_moment(found.expire_time)}" if extend and found.expire_time else ""
    typer.echo(f"result {found.result_state}{until}")


def engines(
    *,
    as_json: Json = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """List the configured engines and what they can do."""
    with reported(server), options.client(server, tenant, user) as client:
        found = client.engines()
    if as_json:
        for engine in found:
            typer.echo(jsontext.text(dataclasses.asdict(engine)))
        return
    table = Table(show_edge=False)
    for name in ("name", "type", "running", "queued", "state", "parameters", "does", "detail"):
        table.add_column(name, justify="right" if name in ("running", "queued") else "left")
    for engine in found:
        takes = [
            word
            for word, is_taken in (
                ("named", engine.named_parameters),
                ("positional", engine.positional_parameters),
            )
            if is_taken
        ]
        does = [word.replace("_", " ") for word in TRAITS_SHOWN if getattr(engine, word)]
        table.add_row(
            Text(engine.name + (" (default)" if engine.is_default else "")),
            engine.type,
            f"{engine.running} of {engine.slots}",
            str(engine.queued),
            "up" if engine.available else "down",
            ", ".join(takes) or "none",
            ", ".join(does) or "nothing more",
            Text(visible(engine.detail)),
        )
    _print_table(table)


def _print_table(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(each.rstrip() for each in captured.get().splitlines()))


def _json(found: QueryStatus) -> str:
    values = dataclasses.asdict(found)
    return jsontext.text({name: _jsonable(value) for name, value in values.items() if value is not None})


def _jsonable(value: Any) -> Any:
    return _moment(value) if isinstance(value, dt.datetime) else value


def _moment(value: dt.datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _stored(found: QueryStatus) -> str:
    return f"{count_text(found.rows, 'row')} in {count_text(found.pages, 'page')}, {byte_text(found.bytes)}"


_DETAILS: tuple[tuple[str, Callable[[QueryStatus], Any]], ...] = (
    ("query", lambda found: found.query_id),
    ("state", line),
    ("result", lambda found: found.result_state),
    ("engine", lambda found: f"{found.engine} ({found.engine_type}, {found.routing_reason})"),
    ("attempt", lambda found: found.attempt or None),
    ("error", lambda found: found.failure()),
    ("queued for", lambda found: f"{found.queue_seconds:.3f} s"),
    ("ran for", lambda found: f"{found.execution_seconds:.3f} s" if found.start_time else None),
    ("stored", _stored),
    ("scanned rows", lambda found: found.rows_scanned),
    ("scanned bytes", lambda found: found.bytes_scanned),
    ("submitted", lambda found: found.submit_time),
    ("may start", lambda found: found.estimated_start_time),
    ("started", lambda found: found.start_time),
    ("first rows", lambda found: found.first_page_time),
    ("may end", lambda found: found.estimated_completion_time),
    ("ended", lambda found: found.end_time),
    ("cancel asked", lambda found: found.cancel_request_time),
    ("rows kept until", lambda found: found.expire_time),
    ("labels", lambda found: ", ".join(f"{key}={value}" for key, value in found.labels.items()) or None),
    ("sql", lambda found: found.sql_preview),
)


def _details(found: QueryStatus) -> str:
    lines = []
    for name, get in _DETAILS:
        value = _jsonable(get(found))
        if value is not None:
            lines.append(f"{name:<16}{visible(str(value))}")
    return "\n".join(lines)
