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

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.sqltext import position_of_byte

_ERRORS: Final[Mapping[str, Reason]] = {
    "Binder": Reason.STATEMENT_REJECTED,
    "Catalog": Reason.STATEMENT_REJECTED,
    "Constraint": Reason.STATEMENT_REJECTED,
    "Conversion": Reason.STATEMENT_REJECTED,
    "Decimal": Reason.STATEMENT_REJECTED,
    "Dependency": Reason.STATEMENT_REJECTED,
    "Divide by Zero": Reason.STATEMENT_REJECTED,
    "Expression": Reason.STATEMENT_REJECTED,
    "Invalid Input": Reason.STATEMENT_REJECTED,
    "Invalid type": Reason.STATEMENT_REJECTED,
    "Invalid": Reason.STATEMENT_REJECTED,
    "Mismatch Type": Reason.STATEMENT_REJECTED,
    "Not implemented": Reason.STATEMENT_REJECTED,
    "Out of Memory": Reason.OUT_OF_MEMORY,
    "Out of Range": Reason.STATEMENT_REJECTED,
    "Parameter Not Allowed": Reason.STATEMENT_REJECTED,
    "Parameter Not Resolved": Reason.STATEMENT_REJECTED,
    "Parser": Reason.SYNTAX_ERROR,
    "Permission": Reason.STATEMENT_NOT_ALLOWED,
    "Sequence": Reason.STATEMENT_REJECTED,
    "Settings": Reason.STATEMENT_REJECTED,
    "Syntax": Reason.SYNTAX_ERROR,
}
"""By the first words of the message. What is not listed is the engine's own trouble: ENGINE_ERROR."""

_TOO_DEEP: Final = "Max expression depth limit"

_KIND: Final = re.compile(r"([A-Za-z ]+?) Error: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Told:
    """What DuckDB told about an error."""

    kind: str
    message: str
    offset: int | None
    """Byte in the SQL text; None when it told no place."""


def told(cause: BaseException) -> Told:
    text = str(cause)
    match = _KIND.match(text)
    kind, rest = match.groups() if match is not None else ("", text)
    details = _json(rest)
    if details is None:
        return Told(kind, text.partition("\n\nLINE ")[0], None)
    # Some come as JSON alone, which then tells the kind.
    kind = kind or str(details.get("exception_type", ""))
    position = details.get("position")
    offset = int(position) if position is not None else None
    return Told(kind, f"{kind} Error: {details['exception_message']}", offset)


def translated(cause: BaseException, sql: str, *, skipped: int = 0) -> QueryEngineError:
    """The failure for anything that DuckDB or its Arrow stream raised.

    `skipped` is how many bytes stood before the text when DuckDB read it.
    """
    if isinstance(cause, QueryEngineError):
        return cause
    if isinstance(cause, MemoryError):
        return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
    if not isinstance(cause, duckdb.Error | OSError):
        return error(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")
    facts = told(cause)
    if _TOO_DEEP in facts.message:
        # DuckDB would have a setting changed, which nobody may.
        return error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply")
    position = position_of_byte(sql, facts.offset - skipped) if facts.offset is not None else None
    return error(_reason(facts), facts.message, position=position)


def _reason(facts: Told) -> Reason:
    if facts.kind == "INTERRUPT":
        timed_out = "maximum execution time" in facts.message
        return Reason.QUERY_TIMEOUT if timed_out else Reason.QUERY_CANCELLED
    if facts.kind == "TransactionContext" and "read-only mode" in facts.message:
        return Reason.STATEMENT_NOT_ALLOWED
    return _ERRORS.get(facts.kind, Reason.ENGINE_ERROR)


def _json(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        details = json.loads(text)
    except ValueError:
        return None
    return details if isinstance(details, dict) and "exception_message" in details else None
