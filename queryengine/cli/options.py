"""Options that many commands share, and the words people may use in them."""

import json
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from queryengine.cli.visible import visible
from queryengine.client import Client, QueryEngineClientError
from queryengine.client.channel import DEFAULT_TARGET

SERVER_VARIABLE = "QUERYENGINE_TARGET"
TENANT_VARIABLE = "QUERYENGINE_TENANT"
USER_VARIABLE = "QUERYENGINE_USER"

Server = Annotated[
    str,
    typer.Option("--server", "-s", envvar=SERVER_VARIABLE, help="Host and port of the server."),
]
Tenant = Annotated[str, typer.Option(envvar=TENANT_VARIABLE, help="Tenant to act as.")]
User = Annotated[str, typer.Option(envvar=USER_VARIABLE, help="User to act as.")]
QueryId = Annotated[str, typer.Argument(metavar="ID", help="Id of the query, as sql --no-wait and ps print it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")]

ParameterValues: TypeAlias = dict[str, Any] | list[Any] | None

DEFAULT_SERVER = DEFAULT_TARGET
DEFAULT_TENANT = "default"

DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
UNIT_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    PARQUET = "parquet"


ENDINGS = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".arrow": Format.ARROW,
    ".arrows": Format.ARROW,
    ".parquet": Format.PARQUET,
}
"""What a file's ending says of its format, in lower case."""

FORMAT_BY_DEFAULT = f"By default as the ending of --output says ({' '.join(ENDINGS)}), and table without --output."


def say_on_standard_error(text: str) -> None:
    typer.echo(text, err=True)


def client(server: str, tenant: str, user: str, *, say: Callable[[str], None] = say_on_standard_error) -> Client:
    """`say` takes a line for people when a stream broke off and has to be tried again and again."""

    def on_retry(error: QueryEngineClientError) -> None:
        # Without a reason nobody answered.
        say(f"{visible(error.message) if error.reason else f'no answer from {server}'}, trying again")

    try:
        return Client(server, tenant=tenant, user=user, on_retry=on_retry)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def rows_format(given: Format | None, output: Path | None) -> Format:
    """The format asked for, else that of the file's ending. Raises typer.BadParameter for an ending that tells
    none, because a table for people would keep only the first rows.
    """
    if given is not None:
        return given
    if output is None:
        return Format.TABLE
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        raise typer.BadParameter(
            f"the name {output.name!r} tells no format; end it with one of {' '.join(ENDINGS)}, "
            f"or give --format {'|'.join(Format)}"
        )
    return found


def parameters(texts: Sequence[str]) -> ParameterValues:
    """Named parameters from NAME=VALUE, positional ones from VALUE. Raises typer.BadParameter when they are
    mixed.
    """
    if not texts:
        return None
    parts = [text.partition("=") for text in texts]
    has_name = [bool(equals) and _is_name(name) for name, equals, _ in parts]
    if not any(has_name):
        return [_literal(text) for text in texts]
    named: dict[str, Any] = {}
    for text, is_named, (name, _, value) in zip(texts, has_name, parts, strict=True):
        if not is_named:
            raise typer.BadParameter(f"{text!r} has no name; parameters are all NAME=VALUE or all VALUE")
        if name in named:
            raise typer.BadParameter(f"{name!r} is given twice")
        named[name] = _literal(value)
    return named


def seconds(text: str) -> float:
    """Seconds of a duration such as 90, 45s, 30m, 2h or 1d. Raises typer.BadParameter for anything else."""
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 45s, 30m, 2h or 1d")
    return float(match[1]) * UNIT_SECONDS[match[2]]


def _is_name(text: str) -> bool:
    """Whether engines take it as the name of a placeholder: letters of any script, digits, _ and $, as in größe, and
    SQLite's a::b.
    """
    return all(part.replace("$", "_").isidentifier() for part in text.split("::"))


def _literal(text: str) -> Any:
    """A JSON number, true, false, null, string, list or object as what it says; everything else as text."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(name: str) -> Any:
    raise ValueError(name)
