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

_CONFIGURED: Final = "can be set in the configuration (engine option {option})"
_GUESS: Final = f"types are guessed by the first 20,480 lines, and {_CONFIGURED}"
_EXPLANATIONS: Final = (
    ("No magic bytes", "{path} is not a whole Parquet file; perhaps it is still being written"),
    ("too small to be a Parquet file", "{path} is not a whole Parquet file; perhaps it is still being written"),
    (
        "not utf-8 encoded",
        "{path} is not encoded as UTF-8; its encoding " + _CONFIGURED.format(option="csv: encoding"),
    ),
    ("not utf-16 encoded", "{path} is not encoded as UTF-16, or has characters that DuckDB does not read from it"),
    ("not latin-1 encoded", "{path} is not encoded as Latin-1; a file of Windows-1252 must be saved as UTF-8"),
    ("invalid UTF-8 encoding", "{path} is not encoded as UTF-8; save it as UTF-8"),
    (
        "Error when sniffing file",
        "{path} does not look like delimited text; its delimiter, or lines to skip, "
        + _CONFIGURED.format(option="csv"),
    ),
    ("cannot join incompatible paths", "DuckDB cannot read {path} beside a name that begins with a backslash"),
    ("No files found", "{path} is not there any more"),
)
"""What a part of a message means, where the rest of it is of no use to a user of the service."""

_HINTS: Final = (
    ("JSON transform error", _GUESS.format(option="json: columns")),
    ("Error when converting column", _GUESS.format(option="csv: types, or skip for lines before the header")),
    ("CSV Error on Line", "how the file is read " + _CONFIGURED.format(option="csv")),
    ("COLUMN_TYPES error", "as the configuration says (engine option csv: types)"),
)
"""What else to say of a message that stays."""


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
    hint = next((f"; {text}" for part, text in _HINTS if part in facts.full), "")
    return f"{problem}{hint}" if path in problem else f"{shown(path)}: {problem}{hint}"
