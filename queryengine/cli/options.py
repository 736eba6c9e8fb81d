"""Options that many commands share, and the words people may use in them."""

import datetime as dt
import json
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

QueryId = Annotated[str, typer.Argument(metavar="ID", help="Id of a query, or enough of its beginning.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of standard output.")
]

Records = Annotated[
    bool | None,
    typer.Option(
        "--expanded/--no-expanded",
        "-x",
        help="In a table, rows one below the other, a line for each column. By default when the table would be wider "
        "than the terminal.",
    ),
]

ParameterValues: TypeAlias = dict[str, Any] | list[Any] | None

DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?((?:[kmgt]i?)?b)?", re.IGNORECASE)
UNIT_BYTES = {"b": 1} | {
    f"{unit}{binary}b": base**power
    for power, unit in enumerate("kmgt", 1)
    for binary, base in (("", 1000), ("i", 1024))
}
UNIT_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_SECONDS = 365_000 * 86_400
"""About a thousand years, which dates and the contract can hold on both sides of now."""
LARGEST_BYTES = 9_000_000 * 10**12
"""A round number below 2**63."""


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    """An IPC file."""
    ARROWS = "arrows"
    """An IPC stream."""
    PARQUET = "parquet"


class Expanded(StrEnum):
    """Whether rows stand one below the other, a line for each column."""

    AUTO = "auto"
    """When a table would be wider than the terminal."""
    ON = "on"
    OFF = "off"


ENDINGS = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".arrow": Format.ARROW,
    ".arrows": Format.ARROWS,
    ".parquet": Format.PARQUET,
}
"""What a file's ending says of its format, in lower case."""

FORMAT_BY_DEFAULT = (
    f"By default the format that the ending of --output stands for ({' '.join(ENDINGS)}), or table without --output."
)


def _wrong(option: str, message: str) -> typer.BadParameter:
    """The error that names the option, as Typer's own do for values that it reads itself."""
    return typer.BadParameter(message, param_hint=f"'{option}'")


def rows_format(given: Format | None, output: Path | None) -> Format:
    """The format asked for, else that of the file's ending. Raises typer.BadParameter for an unknown ending, because a
    table for people would keep only the first rows.
    """
    if given is not None:
        return given
    if output is None:
        return Format.TABLE
    found = ENDINGS.get(output.suffix.lower())
    if found is None:
        raise _wrong(
            "--output",
            f"the ending of {output.name!r} is not that of a format; use one of {' '.join(ENDINGS)}, "
            f"or give --format {'|'.join(Format)}",
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
        return [literal(text) for text in texts]
    named: dict[str, Any] = {}
    for text, is_named, (name, _, value) in zip(texts, has_name, parts, strict=True):
        if not is_named:
            raise _wrong("--parameter", f"{text!r} has no name; parameters are all NAME=VALUE or all VALUE")
        if name in named:
            raise _wrong("--parameter", f"{name!r} is given twice")
        named[name] = literal(value)
    return named


def expanded(given: bool | None) -> Expanded:
    return Expanded.AUTO if given is None else Expanded.ON if given else Expanded.OFF


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE. Raises typer.BadParameter for another text, and for a key given twice."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise _wrong(option, f"{text!r} is not KEY=VALUE")
        if key in found:
            raise _wrong(option, f"{key!r} is given twice")
        found[key] = value
    return found


def size(option: str, text: str) -> int:
    """Bytes of a size such as 500, 64KiB, 100MiB, 2GiB or 10MB. Raises typer.BadParameter for anything else."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise _wrong(option, f"{text!r} is not a size such as 64KiB, 100MiB or 2GB")
    found = float(match[1]) * UNIT_BYTES[(match[2] or "b").lower()]
    if found > LARGEST_BYTES:
        raise _wrong(option, f"{text!r} is more than {LARGEST_BYTES // 10**12}TB")
    return int(found)


def seconds(option: str, text: str) -> float:
    """Seconds of a duration such as 90, 45s, 30m, 2h or 1d. Raises typer.BadParameter for anything else."""
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise _wrong(option, f"{text!r} is not a duration such as 45s, 30m, 2h or 1d")
    found = float(match[1]) * UNIT_SECONDS[match[2]]
    if found > LONGEST_SECONDS:
        raise _wrong(option, f"{text!r} is more than {LONGEST_SECONDS // 86_400}d")
    return found


def past(option: str, text: str, now: dt.datetime) -> dt.datetime:
    """A time such as 2026-11-28T13:30, local without a zone, or so long ago as a duration such as 90m or 2d says.

    Raises typer.BadParameter for anything else.
    """
    try:
        if DURATION.fullmatch(text.strip()):
            return now - dt.timedelta(seconds=seconds(option, text))
        return dt.datetime.fromisoformat(text.strip()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is neither a time such as 2026-11-28T13:30 nor a duration such as 2h"
        raise _wrong(option, message) from None


def _is_name(text: str) -> bool:
    """Whether engines take it as the name of a placeholder: letters of any script, digits, _ and $, as in größe, and
    SQLite's a::b.
    """
    return all(part.replace("$", "_").isidentifier() for part in text.split("::"))


def literal(text: str) -> Any:
    """A JSON number, true, false, null, string, list or object as what it says; everything else as text."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(name: str) -> Any:
    raise ValueError(name)
