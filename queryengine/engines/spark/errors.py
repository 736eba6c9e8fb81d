"""Spark's errors as failures, in its own words: an error class, a SQLSTATE, and often a place in the text."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.kit.sqltext import position_of_character
from queryengine.engines.spark.client import DeadlinePassedError, Session
from queryengine.engines.spark.conditions import reason_of

_CODES: Final[Mapping[grpc.StatusCode, Reason]] = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: Reason.ENGINE_UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED: Reason.ENGINE_UNAVAILABLE,
        grpc.StatusCode.UNAUTHENTICATED: Reason.ENGINE_UNAVAILABLE,
        grpc.StatusCode.PERMISSION_DENIED: Reason.ENGINE_UNAVAILABLE,
        grpc.StatusCode.CANCELLED: Reason.QUERY_CANCELLED,
    }
)
_RESULT_TOO_LARGE: Final = re.compile(
    r"bigger than (local maxResultSize limit )?spark\.driver\.maxResultSize|maxResultSize"
)
_NO_MEMORY: Final = re.compile(r"OutOfMemoryError|Java heap space|GC overhead limit|UNABLE_TO_ACQUIRE_MEMORY")
_LOST: Final = re.compile(r"SparkContext was (shut down|stopped)|SparkContext has been shutdown|stopped SparkContext")
_END_OF_WORDS: Final = re.compile(
    r"\s*(SQLSTATE: |\n== SQL|\nJVM stacktrace|\n\tat |\n'|\nDriver stacktrace)", re.DOTALL
)
_PLACE: Final = re.compile(r"\(line (\d+), pos (\d+)\)")
_STATEMENT_CLASSES: Final = ("ParseException", "AnalysisException", "SAXParseException", "XPathExpressionException")
"""Java's names of exceptions that blame the statement, or the text that it hands to a function."""


@dataclass(frozen=True, slots=True)
class _Report:
    """What came with a failed call."""

    message: str
    error_class: str = ""
    sql_state: str = ""
    types: str = ""
    offset: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def translated(cause: Exception, sql: str, session: Session | None = None, *, skipped: int = 0) -> QueryEngineError:
    """The failure for whatever came out of a call. `skipped` is how many characters, on a line of their own, stood
    before `sql` in the text that Spark read. May ask the server for what did not fit into the error itself.
    """
    if isinstance(cause, DeadlinePassedError):
        return error(Reason.QUERY_TIMEOUT, "the query has taken longer than it may")
    if isinstance(cause, TimeoutError):
        return error(Reason.ENGINE_UNAVAILABLE, str(cause))
    if isinstance(cause, MemoryError):
        return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
    if not isinstance(cause, grpc.RpcError):
        return error(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")
    report = _report_of(cause, session)
    if cause.code() is grpc.StatusCode.UNKNOWN and not report.message:
        # Its parser or its analyzer has run out of stack, and left the call without a word.
        return error(Reason.STATEMENT_TOO_COMPLEX, "Spark cannot process the statement; it may be nested too deeply")
    reason = _reason(cause.code(), report)
    place = _place(report, sql, skipped) if reason in (Reason.SYNTAX_ERROR, Reason.STATEMENT_REJECTED) else None
    return error(reason, _words(report.message) or str(cause.code()), sql_state=report.sql_state, position=place)


def unavailable(name: str, cause: Exception) -> QueryEngineError:
    """The failure of an engine that cannot be used at all."""
    if isinstance(cause, grpc.RpcError):
        code = cause.code()
        words = _words(_report_of(cause, None).message)
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            words = f"Spark does not accept the credentials: {words}"
    else:
        words = str(cause)
    return error(Reason.ENGINE_UNAVAILABLE, f"Spark cannot be used: {words}", engine=name)


def _report_of(cause: Any, session: Session | None) -> _Report:
    message = str(cause.details() or "")
    try:
        status = rpc_status.from_call(cause)
    except ValueError:
        # The server closed the call with words of its own in place of a status.
        status = None
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            facts = dict(info.metadata)
            report = _Report(
                message, facts.get("errorClass", ""), facts.get("sqlState", ""), facts.get("classes", info.reason)
            )
            if session is not None and "errorId" in facts:
                return _enriched(report, session, facts["errorId"])
            return report
    return _Report(message)


def _enriched(report: _Report, session: Session, error_id: str) -> _Report:
    """With the whole message, and the offset in the text."""
    with suppress(grpc.RpcError):
        details = session.error_details(error_id)
        if details.errors:
            root = details.errors[details.root_error_idx]
            contexts = [each for each in root.spark_throwable.query_contexts if each.fragment]
            return _Report(
                root.message or report.message,
                report.error_class or root.spark_throwable.error_class,
                report.sql_state or root.spark_throwable.sql_state,
                " ".join(name for each in details.errors for name in each.error_type_hierarchy)
                + " ".join(each.message[:500] for each in details.errors),
                contexts[0].start_index if contexts else None,
            )
    return report


def _reason(code: grpc.StatusCode, report: _Report) -> Reason:
    reason = reason_of(report.error_class, report.sql_state)
    if reason is not None:
        return reason
    if code in _CODES:
        return _CODES[code]
    whole = f"{report.message} {report.types}"
    if _RESULT_TOO_LARGE.search(whole):
        return Reason.RESULT_LIMIT
    if _NO_MEMORY.search(whole):
        return Reason.OUT_OF_MEMORY
    if _LOST.search(whole):
        return Reason.ENGINE_UNAVAILABLE
    if any(name in report.types for name in _STATEMENT_CLASSES):
        return Reason.STATEMENT_REJECTED
    return Reason.ENGINE_ERROR


def _words(message: str) -> str:
    """What Spark says, without the plan, the text of the query and the stack that it appends."""
    end = _END_OF_WORDS.search(message.strip())
    return message.strip()[: end.start()] if end else message.strip()


def _place(report: _Report, sql: str, skipped: int) -> Position | None:
    if report.offset is not None:
        return position_of_character(sql, report.offset - skipped) if report.offset >= skipped else None
    found = _PLACE.search(report.message)
    if found is None:
        return None
    # It counts columns from 0, and the lines that stood before count.
    line = int(found[1]) - (1 if skipped else 0)
    return Position(line, int(found[2]) + 1) if 1 <= line <= sql.count("\n") + 1 else None
