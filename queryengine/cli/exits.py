"""What the process ends with, which scripts can rely on."""

from enum import IntEnum

import typer


class ExitCode(IntEnum):
    """One per thing to do about it."""

    OK = 0
    FAILED = 1
    """The query failed."""
    USAGE = 2
    """The command or the SQL is wrong."""
    NOT_FOUND = 3
    """No such query, or its rows are gone."""
    UNREACHABLE = 4
    """No server of this service answers."""
    LIMIT = 5
    """A limit or a quota was reached."""
    DENIED = 6
    """The server does not know who calls, or does not allow it."""
    CANCELLED = 130
    """The query was cancelled, or the command interrupted by Ctrl-C. Another signal N ends it with 128 + N."""


EXIT_CODES = {
    ExitCode.OK: "all went well",
    ExitCode.FAILED: "the query failed",
    ExitCode.USAGE: "the command or the SQL is wrong",
    ExitCode.NOT_FOUND: "no such query, or its rows are gone",
    ExitCode.UNREACHABLE: "no queryengine server answers",
    ExitCode.LIMIT: "a limit or a quota was reached",
    ExitCode.DENIED: "the server does not know who calls, or does not allow it",
    ExitCode.CANCELLED: "cancelled or interrupted; 128 + N when signal N ended it",
}


def ended(message: str, code: ExitCode = ExitCode.USAGE) -> typer.Exit:
    """Say what is wrong with the command, and give the exception that ends it."""
    from rich.text import Text

    from queryengine.cli.consoles import error_console

    error_console().print(Text.assemble(("error: ", "bold red"), message))
    return typer.Exit(code)
