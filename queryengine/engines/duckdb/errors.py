"""DuckDB's errors as failures, in its own words.

Connections have errors_as_json on, so that a message carries the exact place in the text; without it, as in
an error before that, the message is plain. Errors met while reading an Arrow stream come as OSError with
the same message.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.sqltext import position_of_byte

_REASONS: Final[Mapping[str, Reason]] = {
    "Binder": Reason.STATEMENT_REJECTED,
    "Catalog": Reason.STATEMENT_REJECTED,
    "Connection": Reason.ENGINE_ERROR,
    "Constraint": Reason.STATEMENT_REJECTED,
    "Conversion": Reason.STATEMENT_REJECTED,
    "Data Corruption": Reason.ENGINE_ERROR,
    "Decimal": Reason.STATEMENT_REJECTED,
    "Dependency": Reason.STATEMENT_REJECTED,
    "Divide by Zero": Reason.STATEMENT_REJECTED,
    "Executor": Reason.ENGINE_ERROR,
    "Expression": Reason.STATEMENT_REJECTED,
    "Extension Autoloading": Reason.STATEMENT_REJECTED,
    "FATAL": Reason.ENGINE_ERROR,
    "HTTP": Reason.ENGINE_ERROR,
    "INTERNAL": Reason.ENGINE_ERROR,
    "INTERRUPT": Reason.QUERY_CANCELLED,
    "IO": Reason.ENGINE_ERROR,
    "Index": Reason.ENGINE_ERROR,
    "Invalid Configuration": Reason.STATEMENT_REJECTED,
    "Invalid Input": Reason.STATEMENT_REJECTED,
    "Invalid type": Reason.STATEMENT_REJECTED,
    "Invalid": Reason.STATEMENT_REJECTED,
    "Mismatch Type": Reason.STATEMENT_REJECTED,
    "Missing Extension": Reason.STATEMENT_REJECTED,
    "Not implemented": Reason.STATEMENT_REJECTED,
    "NullPointer": Reason.ENGINE_ERROR,
    "Object Size": Reason.STATEMENT_REJECTED,
    "Optimizer": Reason.ENGINE_ERROR,
    "Out of Memory": Reason.OUT_OF_MEMORY,
    "Out of Range": Reason.STATEMENT_REJECTED,
    "Parameter Not Allowed": Reason.STATEMENT_REJECTED,
    "Parameter Not Resolved": Reason.STATEMENT_REJECTED,
    "Parser": Reason.SYNTAX_ERROR,
    "Permission": Reason.STATEMENT_NOT_ALLOWED,
    "Planner": Reason.ENGINE_ERROR,
    "Resource In Use": Reason.ENGINE_ERROR,
    "Scheduler": Reason.ENGINE_ERROR,
    "Sequence": Reason.STATEMENT_REJECTED,
    "Serialization": Reason.ENGINE_ERROR,
    "Settings": Reason.STATEMENT_REJECTED,
    "Stat": Reason.ENGINE_ERROR,
    "Syntax": Reason.SYNTAX_ERROR,
    "TransactionContext": Reason.ENGINE_ERROR,
    "Unknown Type": Reason.STATEMENT_REJECTED,
}
"""DuckDB's exception types, all of them, by the first words of a message. A type that is not here comes from a newer
DuckDB: ENGINE_ERROR.
"""

INTERNAL: Final = frozenset({"FATAL", "INTERNAL"})
"""The types of an error that is DuckDB's own, after which an instance may not be usable any more."""
MORE_MEMORY: Final = (
    "; select fewer columns or rows (every column of a result takes some 16 KiB, however few its rows are), or have "
    "the engine's memory_limit raised"
)
_TOO_DEEP: Final = "Max expression depth limit"
_ARROW_TOO_DEEP: Final = "Recursion level in ArrowSchema"
ARROW_LEVELS_MAX: Final = 64

_DETAILS: Final = re.compile(
    r"\n ?(?:Possible (?:[Ss]olutions?|fixes)|Stack Trace|This error signals|Please try installing|Install it first|"
    r"Try (?:increasing|setting|reinstalling)|If you are trying to read|Database is launched|This limit was set by|"
    r"Consider explicitly|To enable temporary|LINE \d+: |\* (?:SET|PRAGMA|Consider) ).*",
    re.DOTALL,
)
"""What follows the message proper: advice on settings that nobody may change here, and a stack trace with paths."""
_ADVICE: Final = re.compile(
    r"(?<=[.!])\s{1,2}(?:Use \"?SET \w+=\S+ [^.\n]*\.|DuckDB may still be able to scan this file.*)"
    r"|(?<=for this expression), or SET \w+=\S+ [^.\n]*"
)
_SYSTEM: Final = r"(?:pg_|duckdb_|sqlite_|pragma_|information_schema)"
_NOT_MEANT: Final = re.compile(rf'(?<= does not exist!)\nDid you mean "{_SYSTEM}[^"\n]*"\?')
"""Where a catalog has few tables, DuckDB suggests its own views for any name."""
_SYSTEM_WANTED: Final = re.compile(rf"\w+ Error: [\w ]+ with name {_SYSTEM}")
_PART_MAX: Final = 8192
"""Characters of a message that are looked at, at its start and at its end: what stands between is data of a user."""
_SOURCE: Final = re.compile(r' in file "[^"]*" on line \d+')
_DECODER: Final = json.JSONDecoder()
_KIND: Final = re.compile(r"([A-Za-z ]+?) Error: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What DuckDB says about an error."""

    kind: str
    message: str
    """Without advice that a user of the service cannot follow, and without stack traces."""
    offset: int | None
    """Byte in the SQL text; None when it gives no place."""
    full: str = ""
    """The message with everything that DuckDB adds. Not for users."""


def facts_of(cause: BaseException) -> ErrorFacts:
    text = str(cause)
    match = _KIND.match(text)
    kind, rest = match.groups() if match is not None else ("", text)
    details = _json(rest)
    if details is None:
        full = _bounded(text)
        return ErrorFacts(kind, _shortened(full), None, full)
    # Some come as JSON alone, which then has the kind.
    kind = kind or str(details.get("exception_type", ""))
    position = details.get("position")
    offset = int(position) if position is not None else None
    full = _bounded(f"{kind} Error: {details['exception_message']}")
    return ErrorFacts(kind, _shortened(full), offset, full)


def _bounded(text: str) -> str:
    return text if len(text) <= 2 * _PART_MAX else f"{text[:_PART_MAX]} ... {text[-_PART_MAX:]}"


def _shortened(message: str) -> str:
    for part in (_DETAILS, _ADVICE, _SOURCE):
        message = part.sub("", message)
    if _SYSTEM_WANTED.match(message) is None:
        message = _NOT_MEANT.sub("", message)
    return message.rstrip()


def translated(cause: BaseException, sql: str, *, skipped: int = 0) -> QueryEngineError:
    """The failure for anything that DuckDB or its Arrow stream raised.

    `skipped` is how many bytes stood before the text when DuckDB read it.
    """
    if isinstance(cause, QueryEngineError):
        return cause
    if isinstance(cause, MemoryError):
        return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
    if isinstance(cause, pa.ArrowInvalid) and _ARROW_TOO_DEEP in str(cause):
        message = f"a column of the result is nested more than {ARROW_LEVELS_MAX} levels deep"
        return error(Reason.STATEMENT_REJECTED, message)
    if not isinstance(cause, duckdb.Error | OSError):
        return error(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")
    facts = facts_of(cause)
    if _TOO_DEEP in facts.message:
        # DuckDB would have a setting changed, which nobody may.
        return error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply")
    if facts.kind in INTERNAL:
        return error(Reason.ENGINE_ERROR, f"an error within DuckDB itself ended the query: {facts.message}")
    reason = _reason(facts)
    advice = MORE_MEMORY if reason is Reason.OUT_OF_MEMORY else ""
    position = position_of_byte(sql, facts.offset - skipped) if facts.offset is not None else None
    return error(reason, facts.message + advice, position=position)


def _reason(facts: ErrorFacts) -> Reason:
    if facts.kind == "INTERRUPT":
        timed_out = "maximum execution time" in facts.message
        return Reason.QUERY_TIMEOUT if timed_out else Reason.QUERY_CANCELLED
    if facts.kind == "TransactionContext" and "read-only mode" in facts.message:
        return Reason.STATEMENT_NOT_ALLOWED
    return _REASONS.get(facts.kind, Reason.ENGINE_ERROR)


def _json(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        # More may follow it, such as a plea to report an internal error.
        details, _ = _DECODER.raw_decode(text)
    except ValueError:
        return None
    return details if isinstance(details, dict) and "exception_message" in details else None
