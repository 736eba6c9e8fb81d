"""Failures of calls as people see them: one line that says what to do, and the exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import typer
from rich.text import Text

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.consoles import error_console
from queryengine.cli.exits import ExitCode
from queryengine.cli.hints import program
from queryengine.cli.interrupt import Interrupted
from queryengine.cli.visible import visible
from queryengine.cli.wording import message_in_commands
from queryengine.client.errors import (
    AccessDenied,
    LimitReached,
    NotFound,
    QueryCancelled,
    QueryEngineClientError,
    ResultUnavailable,
    ServiceUnavailable,
    place_of,
)
from queryengine.domain.errors import Position, Reason

CONTEXT_CHARACTERS = 60
"""Shown of a line of SQL on each side of a mistake."""


PLAIN_TEXT = "WRONG_VERSION_NUMBER"
"""What a TLS handshake ends with when the other side answers in plain text."""
USAGE_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


def exit_code(error: QueryEngineClientError) -> ExitCode:
    match error:
        case QueryCancelled():
            return ExitCode.CANCELLED
        case AccessDenied():
            return ExitCode.DENIED
        case _ if error.code is grpc.StatusCode.PERMISSION_DENIED:
            return ExitCode.DENIED
        case ServiceUnavailable():
            return ExitCode.UNREACHABLE
        case _ if error.code is grpc.StatusCode.UNIMPLEMENTED:
            return ExitCode.UNREACHABLE
        case LimitReached():
            return ExitCode.LIMIT
        case _ if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return ExitCode.LIMIT
        case _ if error.code in USAGE_CODES:
            return ExitCode.USAGE
        case NotFound() | ResultUnavailable():
            return ExitCode.NOT_FOUND
        case _:
            return ExitCode.FAILED


@contextmanager
def reported(config: ClientConfig, *, sql: str = "") -> Iterator[None]:
    """Turn failures into messages on standard error and exit codes. The SQL is for pointing at a mistake in
    it.
    """
    try:
        yield
    except QueryEngineClientError as error:
        errors = error_console()
        errors.print(_message(error, config))
        for note in getattr(error, "__notes__", ()):
            errors.print(Text(f"  {visible(note)}", "dim"))
        if sql and error.position is not None:
            errors.print(pointed(sql, error.position))
        raise typer.Exit(exit_code(error)) from error
    except Interrupted as signal:
        raise typer.Exit(signal.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.CANCELLED) from None


def _message(error: QueryEngineClientError, config: ClientConfig) -> Text:
    if isinstance(error, ServiceUnavailable) and not error.reason:
        return _unreachable(error, config)
    if error.code is grpc.StatusCode.UNIMPLEMENTED:
        # Whoever answers speaks gRPC, such as the health port.
        text = f"{config.server} does not serve queryengine; `{program()} serve` prints the address to use, after gRPC"
        return Text.assemble(("error: ", "bold red"), text)
    parts: list[str | tuple[str, str]] = [("error: ", "bold red")]
    if error.reason:
        parts.append((f"{error.reason}: ", "red"))
    said = message_in_commands(error.reason, error.message, error.metadata, query_id=error.query_id, program=program())
    parts.append(visible(said))
    if error.sql_state:
        parts.append((f" (SQLSTATE {error.sql_state})", "dim"))
    if error.reason == Reason.CREDENTIAL_MISSING:
        parts.append("; give one by --token-file or --api-key-file")
    elif error.reason == Reason.QUERY_NOT_FOUND:
        parts.append(_whose(config))
    if error.retry_after is not None:
        parts.append(f"; try again in {error.retry_after:g} s")
    elif error.retryable:
        parts.append("; trying again may help")
    return Text.assemble(*parts)


def _whose(config: ClientConfig) -> str:
    user = f" that user {config.user} may see" if config.user else ""
    # A credential says itself who calls.
    hint = "" if config.has_credential else "; --tenant and --user name another caller"
    return f" of {config.tenant_in_words}{user}{hint}"


def _unreachable(error: QueryEngineClientError, config: ClientConfig) -> Text:
    said = error.transport or error.message
    place = place_of(config.server)
    if config.tls and PLAIN_TEXT in said:
        text = f"the server at {place} does not speak TLS; give --no-tls, or the address of a proxy that does"
    else:
        secure = " that this command can trust by TLS" if config.tls else ""
        text = f"no server at {place}{secure}; start one with `{program()} serve`, or name another with --server"
    return Text.assemble(("error: ", "bold red"), text, (f"\n  {visible(said)}", "dim"))


def pointed(sql: str, position: Position) -> Text:
    """The line of SQL at this position with a caret under it; nothing when there is no such line."""
    lines = sql.splitlines()
    if not 1 <= position.line <= len(lines):
        return Text("")
    line = lines[position.line - 1]
    column = min(position.column - 1, len(line))
    first = max(0, column - CONTEXT_CHARACTERS)
    # A tab is shown as one space, so that the caret stands under its character.
    before, after = (
        visible(part.replace("\t", " ")) for part in (line[first:column], line[column : column + CONTEXT_CHARACTERS])
    )
    shown, pad = before + after, " " * len(before)
    label = f"  {position.line} | "
    return Text.assemble((label, "dim"), shown, "\n", (" " * (len(label) - 2) + "| ", "dim"), pad, ("^", "bold red"))
