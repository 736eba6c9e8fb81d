"""PostgreSQL's errors as failures: by SQLSTATE, in the server's words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import adbc_driver_manager as adbc
import psycopg
import pyarrow as pa

from queryengine.domain.errors import Position, QueryEngineError, Reason, error

QUERY_CANCELED: Final = "57014"

_STATES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "25006": Reason.STATEMENT_NOT_ALLOWED,
        "42601": Reason.SYNTAX_ERROR,
        "53200": Reason.OUT_OF_MEMORY,
        "53300": Reason.ENGINE_UNAVAILABLE,
        "54000": Reason.ROW_TOO_LARGE,
        "54001": Reason.STATEMENT_TOO_COMPLEX,
        QUERY_CANCELED: Reason.ENGINE_ERROR,
    }
)
_CLASSES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "08": Reason.ENGINE_UNAVAILABLE,
        "0A": Reason.STATEMENT_REJECTED,
        "20": Reason.STATEMENT_REJECTED,
        "21": Reason.STATEMENT_REJECTED,
        "22": Reason.STATEMENT_REJECTED,
        "28": Reason.ENGINE_UNAVAILABLE,
        "2F": Reason.STATEMENT_REJECTED,
        "38": Reason.STATEMENT_REJECTED,
        "39": Reason.STATEMENT_REJECTED,
        "3D": Reason.ENGINE_UNAVAILABLE,
        "3F": Reason.STATEMENT_REJECTED,
        "40": Reason.ENGINE_UNAVAILABLE,
        "42": Reason.STATEMENT_REJECTED,
        "54": Reason.STATEMENT_REJECTED,
        "57": Reason.ENGINE_UNAVAILABLE,
        "P0": Reason.STATEMENT_REJECTED,
    }
)
"""By the first two characters of the SQLSTATE. What is in neither table is the server's own trouble: ENGINE_ERROR."""

_LOST: Final = frozenset({adbc.AdbcStatusCode.IO, adbc.AdbcStatusCode.TIMEOUT, adbc.AdbcStatusCode.INVALID_STATE})


def offset_of(cause: BaseException) -> int | None:
    """The character of the sent text, counted from 0, that the server points at."""
    place = _told(cause).get("PG_DIAG_STATEMENT_POSITION", "")
    return int(place) - 1 if place.isdigit() else None


def translated(cause: BaseException, position: Position | None = None) -> QueryEngineError:
    if isinstance(cause, MemoryError):
        return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
    if isinstance(cause, pa.ArrowInvalid):
        # The driver met a value that is in no Arrow type, such as an array that starts at 2.
        message = f"a value does not fit its type: {cause}; CAST it in the query"
        return error(Reason.STATEMENT_REJECTED, message)
    state = str(getattr(cause, "sqlstate", None) or "")
    reason = _STATES.get(state) or _CLASSES.get(state[:2], Reason.ENGINE_ERROR)
    if not state and (getattr(cause, "status_code", None) in _LOST or isinstance(cause, psycopg.OperationalError)):
        reason = Reason.ENGINE_UNAVAILABLE
    return error(reason, words(cause), sql_state=state, position=position)


def words(cause: BaseException) -> str:
    """What the server says, with its detail and hint; without the query, which the driver repeats."""
    told = _told(cause)
    main = told.get("PG_DIAG_MESSAGE_PRIMARY")
    if main is None:
        return str(cause).partition("\n\nQuery was:")[0].strip() or type(cause).__name__
    # The detail of a data error quotes values; those are the user's own rows.
    more = [told[key] for key in ("PG_DIAG_MESSAGE_DETAIL", "PG_DIAG_MESSAGE_HINT") if key in told]
    return ". ".join([main, *more])


def _told(cause: BaseException) -> dict[str, str]:
    details = getattr(cause, "details", None) or ()
    return {str(key, "ascii", "replace"): str(value, "utf-8", "replace") for key, value in details}
