"""PostgreSQL's errors as failures: by SQLSTATE, in the server's words."""

from typing import Final

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.sqlstates import reason_of_state
from queryengine.engines.kit.sqltemplate import PlacedText

_NO_PLACE: Final = (
    "syntax error at the parameter {name}: no value can stand here; a type goes behind it, as in {name}::date, "
    "and a name or a part of the statement cannot be a parameter"
)
_MISFIT: Final = "ReadRecord failed"

_LOST: Final = frozenset({adbc.AdbcStatusCode.IO, adbc.AdbcStatusCode.TIMEOUT, adbc.AdbcStatusCode.INVALID_STATE})


def _offset_of(cause: BaseException) -> int | None:
    """The character of the sent text, counted from 0, that the server points at."""
    place = _report_of(cause).get("PG_DIAG_STATEMENT_POSITION", "")
    return int(place) - 1 if place.isdigit() else None


def translated(cause: BaseException, sent: PlacedText | None = None, sql: str = "") -> QueryEngineError:
    """`sent` is what the server has of the text `sql` of a user."""
    if isinstance(cause, MemoryError):
        return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
    if isinstance(cause, pa.ArrowInvalid) or _MISFIT in str(cause):
        # The driver met a value that is in no Arrow type, such as an array that starts at 2.
        message = f"a value does not fit its type: {words(cause)}; CAST it in the query"
        return error(Reason.STATEMENT_REJECTED, message)
    state = str(getattr(cause, "sqlstate", None) or "")
    reason = reason_of_state(state)
    if not state and (getattr(cause, "status_code", None) in _LOST or isinstance(cause, psycopg.OperationalError)):
        reason = Reason.ENGINE_UNAVAILABLE
    message, position = words(cause), None
    offset = _offset_of(cause)
    if sent is not None and offset is not None:
        position = sent.position(sql, offset)
        if message.startswith("memory exhausted"):
            # Its parser's own, for what is nested too deeply.
            reason = Reason.STATEMENT_TOO_COMPLEX
        if reason is Reason.SYNTAX_ERROR and (name := sent.placeholder(offset)):
            message = _NO_PLACE.format(name=f"${name}" if name.isdigit() else f":{name}")
    return error(reason, message, sql_state=state, position=position)


def words(cause: BaseException) -> str:
    """What the server says, with its detail and hint; without the query, which the driver repeats."""
    report = _report_of(cause)
    main = report.get("PG_DIAG_MESSAGE_PRIMARY")
    if main is None:
        return str(cause).partition("\n\nQuery was:")[0].strip() or type(cause).__name__
    # The detail of a data error quotes values; those are the user's own rows.
    more = [report[key] for key in ("PG_DIAG_MESSAGE_DETAIL", "PG_DIAG_MESSAGE_HINT") if key in report]
    return ". ".join([main, *more])


def _report_of(cause: BaseException) -> dict[str, str]:
    details = getattr(cause, "details", None) or ()
    return {str(key, "ascii", "replace"): str(value, "utf-8", "replace") for key, value in details}
