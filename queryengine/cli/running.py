"""One statement from submit to its last row, with the query cancelled when the command ends before it."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.consoles import error_console, terminal_width
from queryengine.cli.exits import ended
from queryengine.cli.hints import command
from queryengine.cli.interrupt import Interrupted, interrupted_by, raised
from queryengine.cli.options import Expanded, Format, ParameterValues
from queryengine.cli.output import writer_to
from queryengine.cli.progress import Progress
from queryengine.cli.statuses import byte_text, count_text
from queryengine.cli.tablewriter import Layout, TableWriter
from queryengine.cli.writing import Writer, refused_rows
from queryengine.client import (
    Client,
    LimitReached,
    QueryEngineClientError,
    QueryHandle,
    QueryResult,
    ServiceUnavailable,
    SubmitOptions,
)
from queryengine.client.calls import ATTACHED_GRACE_SECONDS, INLINE_WAIT_SECONDS

CANCEL_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Submission:
    """A statement with an id of its own, so that it can be cancelled before the server has answered."""

    sql: str
    values: ParameterValues
    options: SubmitOptions

    @classmethod
    def of(cls, sql: str, values: ParameterValues, options: SubmitOptions) -> "Submission":
        return cls(sql, values, {**options, "query_id": str(uuid.uuid4())})

    @property
    def query_id(self) -> str:
        return self.options["query_id"]


@dataclass(frozen=True, slots=True)
class Sink:
    """Where rows go, and how."""

    format: Format = Format.TABLE
    expanded: Expanded = Expanded.AUTO
    path: Path | None = None

    @property
    def is_shared_with_progress(self) -> bool:
        """Whether rows come on the terminal while the query runs."""
        return self.path is None and self.format is not Format.TABLE and sys.stdout.isatty()

    @property
    def layout(self) -> Layout:
        return Layout(expanded=self.expanded, width=terminal_width() if self.path is None else None)


def detach(client: Client, config: ClientConfig, asked: Submission) -> None:
    """Submit, print the id, and say how to come back."""
    query_id = _submit(client, asked, asked.options).query_id
    typer.echo(query_id)
    errors = error_console()
    errors.print("the query runs on without this command", style="dim")
    for what, name in (("follow it", "watch"), ("its rows", "fetch"), ("stop it", "cancel")):
        errors.print(f"  {what}: {command(config, name, query_id)}", style="dim", markup=False)


def run(client: Client, config: ClientConfig, asked: Submission, sink: Sink, shown: Progress) -> int:
    """Run to the end and write the rows. Returns how many the result has.

    Raises Interrupted after the query was cancelled, also when the reader of standard output has left, and whatever
    ended the query.
    """
    options: SubmitOptions = {
        **asked.options,
        "wait_timeout": INLINE_WAIT_SECONDS,
        "cancel_on_disconnect": True,
        # For a command that was killed and could cancel nothing.
        "disconnect_grace": ATTACHED_GRACE_SECONDS,
    }
    began = time.monotonic()
    with raised():
        try:
            with writer_to(sink.path, sink.format, sink.layout) as writer, shown:
                handle = _submit(client, asked, options)
                with _kept(handle, config), handle.result(on_status=shown.show) as result:
                    _copy(result, writer, shown, sink)
        except Interrupted:
            with suppress(Interrupted):
                cancel(client, config, asked.query_id)
            raise
        except BrokenPipeError:
            _leave_standard_output()
            with suppress(Interrupted):
                cancel(client, config, asked.query_id, is_quiet=True)
            raise Interrupted(signal.SIGPIPE) from None
        return _note(result, writer, config, sink, time.monotonic() - began)


def cancel(client: Client, config: ClientConfig, query_id: str, *, is_quiet: bool = False) -> None:
    """Stop the query on the server and say what became of it. Fails with a message only."""
    errors = error_console()
    errors.quiet = is_quiet
    errors.print("cancelling on the server …")
    try:
        outcome = client.attach(query_id).cancel(reason="interrupted at the command line", wait=CANCEL_WAIT_SECONDS)
    except QueryEngineClientError as error:
        if error.code is grpc.StatusCode.NOT_FOUND:
            errors.print("the query had not reached the server")
        else:
            errors.print(f"the cancel failed, the query may still run: {error}", markup=False)
            errors.print(f"try again: {command(config, 'cancel', query_id)}", markup=False)
        return
    errors.print(f"query {query_id}: {outcome.result}, engine {outcome.engine}", markup=False)


def _submit(client: Client, asked: Submission, options: SubmitOptions) -> QueryHandle:
    try:
        return client.submit(asked.sql, asked.values, **options)
    except ValueError as error:
        raise ended(str(error)) from error


@contextmanager
def _kept(handle: QueryHandle, config: ClientConfig) -> Iterator[None]:
    """Say how to come back to a query that was accepted when its rows cannot be read now."""
    try:
        yield
    except (ServiceUnavailable, LimitReached) as error:
        rows = command(config, "fetch", handle.query_id)
        error.add_note(
            f"the query was accepted, and is cancelled unless it ends within {ATTACHED_GRACE_SECONDS:g} seconds; "
            f"its rows, later: {rows}"
        )
        raise


def _copy(result: QueryResult, writer: Writer, shown: Progress, sink: Sink) -> None:
    with refused_rows(), interrupted_by(result.close):
        writer.begin(result.schema)
        if sink.is_shared_with_progress:
            shown.make_way()
        for batch in result:
            writer.write(batch)
            if writer.is_full:
                break
    if result.end is None:
        _await_end(result, shown)


def _await_end(result: QueryResult, shown: Progress) -> None:
    """The rest stays on the server, but whether the query goes well matters."""
    status: Any = result.status
    for status in result.handle.watch():
        shown.show(status)
    failure = status.failure() if status is not None else None
    if failure is not None:
        raise failure


def _note(result: QueryResult, writer: Writer, config: ClientConfig, sink: Sink, seconds: float) -> int:
    """Say how many rows there are, and where. Returns the number."""
    notes = []
    end = result.end
    total = result.handle.status().rows if end is None else end.total_rows
    if isinstance(writer, TableWriter) and total > writer.shown:
        rest = command(config, "fetch", result.query_id, "--offset", str(writer.shown))
        notes.append(f"{writer.shown} of {total:,} rows; the rest: {rest}, or all with --format csv")
    elif sink.path is not None:
        size = f", {byte_text(sink.path.stat().st_size)}" if sink.path.is_file() else ""
        notes.append(f"wrote {count_text(total, 'row')}{size} to {sink.path} in {seconds:.1f} s")
    elif isinstance(writer, TableWriter):
        notes.append(count_text(total, "row"))
    if end is not None and end.truncated:
        notes.append(f"the result was cut: {end.truncation_reason.lower().replace('_', ' ')} reached")
    errors = error_console()
    for note in notes:
        errors.print(f"({note})", style="dim", markup=False)
    return total


def _leave_standard_output() -> None:
    """Its reader is gone, and what is left in its buffer must not fail at exit."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
