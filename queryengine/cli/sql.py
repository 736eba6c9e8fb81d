"""`queryengine sql`: run one statement, show how far it is, and write its rows."""

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import grpc
import typer
from rich.console import Console

from queryengine.cli import options
from queryengine.cli.failures import ExitCode, ended, error_console, reported
from queryengine.cli.hints import command
from queryengine.cli.interrupt import interrupted_by
from queryengine.cli.options import DEFAULT_SERVER, DEFAULT_TENANT, Format, Output, Server, Tenant, User
from queryengine.cli.output import TableWriter, Writer, refused_rows, writer_to
from queryengine.cli.progress import Progress, count_text
from queryengine.client import (
    Client,
    LimitReached,
    QueryEngineClientError,
    QueryHandle,
    QueryResult,
    ServiceUnavailable,
    SubmitOptions,
)
from queryengine.domain.query import WideIntegers

CANCEL_WAIT_SECONDS = 10.0
INLINE_WAIT_SECONDS = 0.1


def sql(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="The statement; - reads standard input.")],
    *,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME=VALUE",
            help="Value of a placeholder, as JSON or else as text: -p id=5, -p name=Ann, -p 'zip=\"01234\"'. "
            "Without NAME= for positional ones. Repeatable.",
        ),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", "-e", help="Engine to run on.")] = "",
    format: Annotated[  # noqa: A002 - the option is called so
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="table shows the first 40 rows. json is one object per line and loses nothing: decimals are strings. "
            + options.FORMAT_BY_DEFAULT,
        ),
    ] = None,
    output: Output = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="--no-wait prints the query's id and leaves it running.")
    ] = True,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="Longest run on the engine, such as 90s or 30m.")
    ] = "",
    wide_integers: Annotated[
        WideIntegers, typer.Option(help="How numbers that may have more than 38 digits come; fail refuses larger ones.")
    ] = WideIntegers.FAIL,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many rows; 0 means no limit.")] = 0,
    progress: Annotated[
        bool | None, typer.Option("--progress/--no-progress", help="By default on a terminal only.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = DEFAULT_TENANT,
    user: User = "",
) -> None:
    """Run one SQL statement.

    Rows go to standard output, everything else to standard error. Ctrl-C cancels the query on the server.
    """
    text = sys.stdin.read() if statement == "-" else statement
    rows_format = options.rows_format(format, output)
    _check_output(rows_format, output)
    values = options.parameters(parameter or ())
    chosen = SubmitOptions(query_id=str(uuid.uuid4()), engine=engine, row_limit=limit, wide_integers=wide_integers)
    if timeout:
        chosen["execution_timeout"] = options.seconds(timeout)
    shown = Progress(is_shown=progress, query_id=chosen["query_id"])
    with reported(server, sql=text), options.client(server, tenant, user, say=shown.say) as client:
        if not wait:
            typer.echo(_submit(client, text, values, chosen).query_id)
            return
        chosen["wait_timeout"] = INLINE_WAIT_SECONDS
        try:
            with writer_to(output, rows_format) as writer, shown:
                handle = _submit(client, text, values, chosen)
                with _kept(handle, client), handle.result(on_status=shown.show) as result:
                    _copy(result, writer, shown)
            _note(result, writer, client)
        except KeyboardInterrupt:
            _cancel(client, chosen["query_id"])
            raise typer.Exit(ExitCode.CANCELLED) from None


def _submit(client: Client, text: str, values: options.ParameterValues, chosen: SubmitOptions) -> QueryHandle:
    try:
        return client.submit(text, values, **chosen)
    except ValueError as error:
        raise ended(str(error)) from error


@contextmanager
def _kept(handle: QueryHandle, client: Client) -> Iterator[None]:
    """Say how to come back to a query that was accepted when its rows cannot be read now."""
    try:
        yield
    except (ServiceUnavailable, LimitReached) as error:
        rows = command(client.connection, "fetch", handle.query_id)
        error.add_note(f"the query was accepted and is kept; its rows, later: {rows}")
        raise


def _check_output(format: Format, output: object) -> None:  # noqa: A002 - as the option is called
    if format in (Format.ARROW, Format.PARQUET) and output is None and sys.stdout.isatty():
        raise ended(f"{format} is not for a terminal; name a file with --output")


def _copy(result: QueryResult, writer: Writer, shown: Progress) -> None:
    with refused_rows(), interrupted_by(result.close):
        writer.begin(result.schema)
        for batch in result:
            shown.rows_come()
            writer.write(batch)
            if isinstance(writer, TableWriter) and writer.is_full:
                break
    if result.end is None:
        # The rest stays on the server, but whether the query goes well matters.
        status = result.status
        for status in result.handle.watch():
            shown.show(status)
        failure = status.failure() if status is not None else None
        if failure is not None:
            raise failure


def _note(result: QueryResult, writer: Writer, client: Client) -> None:
    notes = []
    end = result.end
    if isinstance(writer, TableWriter):
        total = result.handle.status().rows if end is None else end.total_rows
        if total > writer.shown:
            rest = command(client.connection, "fetch", result.query_id, "--offset", str(writer.shown))
            notes.append(f"{writer.shown} of {total:,} rows; the rest: {rest}, or all with --format csv")
        else:
            notes.append(count_text(total, "row"))
    if end is not None and end.truncated:
        notes.append(f"the result was cut: {end.truncation_reason.lower().replace('_', ' ')} reached")
    console = Console(stderr=True, highlight=False, soft_wrap=True, style="dim")
    for note in notes:
        console.print(f"({note})", markup=False)


def _cancel(client: Client, query_id: str) -> None:
    errors = error_console()
    errors.print("cancelling on the server …")
    try:
        outcome = client.attach(query_id).cancel(reason="interrupted at the command line", wait=CANCEL_WAIT_SECONDS)
    except QueryEngineClientError as error:
        if error.code is grpc.StatusCode.NOT_FOUND:
            errors.print("the query had not reached the server")
        else:
            errors.print(f"the cancel failed, the query may still run: {error}", markup=False)
            errors.print(f"try again: {command(client.connection, 'cancel', query_id)}", markup=False)
        return
    errors.print(f"query {query_id}: {outcome.result}, engine {outcome.engine}", markup=False)
