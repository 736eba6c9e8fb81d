"""DuckDB's errors about a file, in words for someone who queries a view and cannot change how DuckDB reads."""

import re
from typing import Final

from queryengine.engines.duckdb.errors import ErrorFacts
from queryengine.engines.duckdb.folder import shown

_MISSING: Final = re.compile(r"Catalog Error: Table with name (.+?) does not exist!(?:\nDid you mean .*)?", re.DOTALL)
_MENTIONS: Final = (
    re.compile(r"\n  file = (?P<path>.+?)\n  delimiter = ", re.DOTALL),
    re.compile(r"""\b(?:file|pattern) (?P<quote>["'])(?P<path>.+?)(?P=quote)""", re.DOTALL | re.IGNORECASE),
    re.compile(r"GZIP stream: (?P<path>.+)", re.DOTALL),
)
"""Where DuckDB names the file that a message is about."""

_EXPLANATIONS: Final = (
    ("No magic bytes", "{path} is not a whole Parquet file; perhaps it is still being written"),
    ("too small to be a Parquet file", "{path} is not a whole Parquet file; perhaps it is still being written"),
    ("not utf-8 encoded", "{path} is not encoded as UTF-8; save it as UTF-8, or as Parquet"),
    ("Error when sniffing file", "{path} does not look like delimited text"),
    ("cannot join incompatible paths", "DuckDB cannot read {path} beside a name that begins with a backslash"),
    ("No files found", "{path} is not there any more"),
)
"""What a part of a message means, where the rest of it is of no use to a user of the service."""

_GUESSED: Final = ("auto-detected", "JSON transform error")
_GUESS: Final = "DuckDB chose the types of the columns by the first 20,480 lines; a Parquet file states them"


def missing_table(facts: ErrorFacts) -> str | None:
    """The name of the table that a statement asks for and DuckDB does not have."""
    match = _MISSING.fullmatch(facts.message)
    return match[1] if match is not None else None


def named_file(facts: ErrorFacts) -> str | None:
    """The relative path of the file that an error is about; a pattern where DuckDB writes the pattern."""
    for mention in _MENTIONS:
        if (match := mention.search(facts.full)) is not None:
            return match["path"].removeprefix("./")
    return None


def explained(facts: ErrorFacts, path: str) -> str:
    """What is wrong with the file at this path."""
    for part, meaning in _EXPLANATIONS:
        if part in facts.full:
            return meaning.format(path=shown(path))
    problem = facts.message.replace("./", "").partition(" Error: ")[2].partition("\n\n")[0].replace("\n", "; ")
    guess = f" ({_GUESS})" if any(part in facts.full for part in _GUESSED) else ""
    return f"{problem}{guess}" if path in problem else f"{shown(path)}: {problem}{guess}"
