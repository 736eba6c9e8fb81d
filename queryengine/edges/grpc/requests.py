"""Contract to domain: requests as checked values. Everything wrong in a field is INVALID_FIELD that names it."""

import re
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from queryengine.codec.described import described
from queryengine.domain.errors import Reason, error
from queryengine.domain.named_queries import Reference
from queryengine.domain.routing import DIALECTS
from queryengine.domain.submission import Compression, LimitAction, Submission, WideIntegers
from queryengine.edges.grpc.fields import (
    NAME_CHARACTERS_MAX,
    choice,
    invalid,
    mapping,
    milliseconds,
    not_negative,
    seconds,
    short,
    within,
)
from queryengine.reading.cursor import Cursor
from queryengine.reading.items import ReadRequest
from queryengine.reading.page_listing import PAGES_MAX, ListCursor
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2, value_pb2

PAGE_SIZE_DEFAULT: Final = 1_000
PAGE_SIZE_MAX: Final = 100_000
LIST_SIZE_DEFAULT: Final = 50
LIST_SIZE_MAX: Final = 1_000
LIST_PAGES_DEFAULT: Final = 1_000
TIMEOUT_MAX_SECONDS: Final = 24 * 3600.0
GRACE_DEFAULT_SECONDS: Final = 60.0
GRACE_MAX_SECONDS: Final = 3600.0
HEARTBEAT_MAX_SECONDS: Final = 60.0
REASON_CHARACTERS_MAX: Final = 1_000
PRIORITY_MAX: Final = 9

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_COMPRESSIONS: Final = {
    result_pb2.COMPRESSION_UNSPECIFIED: Compression.NONE,
    result_pb2.COMPRESSION_NONE: Compression.NONE,
    result_pb2.COMPRESSION_LZ4: Compression.LZ4,
    result_pb2.COMPRESSION_ZSTD: Compression.ZSTD,
}
_WIDE_INTEGERS: Final = {
    result_pb2.WIDE_INTEGERS_UNSPECIFIED: WideIntegers.FAIL,
    result_pb2.WIDE_INTEGERS_FAIL: WideIntegers.FAIL,
    result_pb2.WIDE_INTEGERS_STRING: WideIntegers.STRING,
    result_pb2.WIDE_INTEGERS_DECIMAL256: WideIntegers.DECIMAL256,
}
_LIMIT_ACTIONS: Final = {
    query_pb2.LIMIT_ACTION_UNSPECIFIED: LimitAction.TRUNCATE,
    query_pb2.LIMIT_ACTION_TRUNCATE: LimitAction.TRUNCATE,
    query_pb2.LIMIT_ACTION_FAIL: LimitAction.FAIL,
}
_AS_ROWS: Final = {
    result_pb2.PAGE_FORMAT_UNSPECIFIED: False,
    result_pb2.PAGE_FORMAT_ARROW: False,
    result_pb2.PAGE_FORMAT_ROWS: True,
}
_FULL: Final = {
    query_service_pb2.QUERY_VIEW_UNSPECIFIED: False,
    query_service_pb2.QUERY_VIEW_BASIC: False,
    query_service_pb2.QUERY_VIEW_FULL: True,
}


class Mode(Enum):
    """What a Submit does."""

    RUN = query_service_pb2.SUBMIT_MODE_RUN
    VALIDATE = query_service_pb2.SUBMIT_MODE_VALIDATE
    EXPLAIN = query_service_pb2.SUBMIT_MODE_EXPLAIN


_MODES: Final = {query_service_pb2.SUBMIT_MODE_UNSPECIFIED: Mode.RUN, **{mode.value: mode for mode in Mode}}
_CANCELS: Final = {
    query_pb2.DISCONNECT_POLICY_UNSPECIFIED: False,
    query_pb2.DISCONNECT_POLICY_CONTINUE: False,
    query_pb2.DISCONNECT_POLICY_CANCEL: True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Bounds on requests."""

    request_bytes: int
    sql_bytes: int
    parameters: int
    wait_timeout_max_seconds: float
    ttl_max_seconds: float
    heartbeat_seconds: float


@dataclass(slots=True)
class LimitsInForce:
    """The limits for requests that come now; settings that are read again replace them."""

    now: RequestLimits


def wait_seconds(message: Any, limits: RequestLimits) -> float:
    return seconds(message, "wait_timeout", 0.0, limits.wait_timeout_max_seconds)


def heartbeat_seconds(message: Any, limits: RequestLimits) -> float:
    default = limits.heartbeat_seconds
    return seconds(message, "heartbeat_interval", default, HEARTBEAT_MAX_SECONDS, minimum=1.0)


def submitted_id(text: str) -> str:
    """The query id a client chose, in the one form ids have; empty when it chose none."""
    if not text:
        return ""
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise invalid("query_id", f"must be a UUID of 36 characters, such as {uuid.UUID(int=0)}")
    return lowered


def check_sql(sql: str, limits: RequestLimits, field: str = "sql") -> None:
    sql_bytes = len(sql.encode())
    if sql_bytes > limits.sql_bytes:
        raise invalid(
            field, f"has {sql_bytes} bytes; at most {limits.sql_bytes} are read. Bind long lists as parameters"
        )
    if not sql.strip():
        raise error(Reason.NOT_ONE_STATEMENT, f"{field} holds no statement", statements=0)
    if "\0" in sql:
        raise invalid(field, "must not hold the character NUL")


def to_reference(text: str, field: str = "named_query") -> Reference:
    found = Reference.of(text)
    if found is None:
        raise invalid(field, "must be a name, name@version or name@tag, such as report@7 or report@prod")
    return found


def _check_text(request: query_service_pb2.SubmitRequest, limits: RequestLimits) -> None:
    if not request.named_query:
        check_sql(request.sql, limits)
    elif request.sql:
        raise invalid("named_query", "stands in the place of sql; give one of the two")
    else:
        to_reference(request.named_query)


def to_submission(
    request: query_service_pb2.SubmitRequest, tenant: str, subject: str, limits: RequestLimits, *, api_key: str = ""
) -> Submission:
    """What a Submit asks for, checked."""
    _check_text(request, limits)
    asked = request.limits
    result = request.result
    grace = seconds(request, "disconnect_grace", GRACE_DEFAULT_SECONDS, GRACE_MAX_SECONDS)
    execution_ms = milliseconds(asked, "execution_timeout", TIMEOUT_MAX_SECONDS)
    if execution_ms == 0 and not (asked.execution_timeout.seconds or asked.execution_timeout.nanos):
        raise invalid("execution_timeout", "must be longer than 0 seconds")
    return Submission(
        tenant=tenant,
        subject=subject,
        api_key=api_key,
        sql=request.sql,
        named_query=request.named_query,
        engine_hint=request.engine,
        parameters=_parameters(request, limits.parameters),
        parameter_types=described(request.parameters) if request.parameters else b"",
        catalog=short(request.catalog, "catalog"),
        schema=short(request.schema, "schema"),
        session_settings=mapping(request.session_settings, "session_settings", 63, 255),
        queue_timeout_ms=milliseconds(asked, "queue_timeout", TIMEOUT_MAX_SECONDS),
        execution_timeout_ms=None if execution_ms is None else max(1, execution_ms),
        row_limit=not_negative(asked.row_limit, "row_limit"),
        byte_limit=not_negative(asked.byte_limit, "byte_limit"),
        scan_row_limit=not_negative(asked.scan_row_limit, "scan_row_limit"),
        scan_byte_limit=not_negative(asked.scan_byte_limit, "scan_byte_limit"),
        interactive=asked.interactive,
        on_limit=choice(_LIMIT_ACTIONS, asked.on_limit, "on_limit"),
        ttl_ms=milliseconds(result, "ttl", limits.ttl_max_seconds, minimum=1.0),
        compression=choice(_COMPRESSIONS, result.compression, "compression"),
        wide_integers=choice(_WIDE_INTEGERS, result.wide_integers, "wide_integers"),
        priority=within(request.priority, PRIORITY_MAX, "priority"),
        cancel_on_disconnect=choice(_CANCELS, request.disconnect_policy, "disconnect_policy"),
        disconnect_grace_ms=int(grace * 1000),
        labels=mapping(request.labels, "labels", 63, 255),
        dialect=_dialect(request.routing.dialect),
        strict_routing=request.routing.strict,
    )


def to_mode(request: query_service_pb2.SubmitRequest) -> Mode:
    return choice(_MODES, request.mode, "mode")


def _dialect(name: str) -> str:
    if name and name not in DIALECTS:
        raise invalid("dialect", f"must be one of {', '.join(DIALECTS)}, is {name[:NAME_CHARACTERS_MAX]!r}")
    return name


def is_full(request: query_service_pb2.GetStatusRequest) -> bool:
    """Whether the reply is to hold the details, too."""
    return choice(_FULL, request.view, "view")


def as_rows(page_format: int, field: str) -> bool:
    return choice(_AS_ROWS, page_format, field)


def to_read(request: query_service_pb2.StreamResultsRequest, limits: RequestLimits) -> ReadRequest:
    return ReadRequest(
        start_row=not_negative(request.start_row, "start_row"),
        end_row=_end_row(request),
        attempt=not_negative(request.attempt, "attempt"),
        as_rows=as_rows(request.format, "format"),
        heartbeat_seconds=heartbeat_seconds(request, limits),
    )


def to_list_pages(request: query_service_pb2.ListPagesRequest) -> tuple[ListCursor, int]:
    """Where to go on, and how many pages are wanted."""
    size = not_negative(request.page_size, "page_size")
    return ListCursor.of_token(request.page_token), min(size or LIST_PAGES_DEFAULT, PAGES_MAX)


def to_cursor(request: query_service_pb2.FetchPageRequest) -> Cursor:
    """Where a FetchPage begins; a size of its own overrides the one in a token."""
    size = not_negative(request.page_size, "page_size")
    position = request.WhichOneof("position")
    if position == "page_token":
        cursor = Cursor.of_token(request.page_token)
        return cursor.resized(min(size or cursor.size, PAGE_SIZE_MAX))
    size = min(size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    offset = 0
    if position == "page":
        offset = not_negative(request.page, "page") * size
    elif position == "offset":
        offset = not_negative(request.offset, "offset")
    return Cursor(0, offset, size)


def to_list_size(request: query_service_pb2.ListQueriesRequest) -> int:
    size = not_negative(request.page_size, "page_size")
    return min(size or LIST_SIZE_DEFAULT, LIST_SIZE_MAX)


def cancel_reason(request: query_service_pb2.CancelRequest | query_service_pb2.CancelQueriesRequest) -> str:
    if len(request.reason) > REASON_CHARACTERS_MAX:
        raise invalid("reason", f"has more than {REASON_CHARACTERS_MAX} characters")
    return request.reason


def _end_row(request: query_service_pb2.StreamResultsRequest) -> int | None:
    if not request.HasField("end_row"):
        return None
    if request.end_row < request.start_row:
        raise invalid("end_row", f"must not be smaller than start_row, {request.start_row}, is {request.end_row}")
    return request.end_row


def _parameters(request: query_service_pb2.SubmitRequest, maximum: int) -> bytes:
    parameters = request.parameters
    if not parameters:
        return b""
    if len(parameters) > maximum:
        raise invalid("parameters", f"holds {len(parameters)} values; at most {maximum} are taken")
    names = [parameter.name for parameter in parameters]
    if any(names):
        if not all(names):
            raise invalid("parameters", "must be all named or all positional")
        if len(set(names)) < len(names):
            raise invalid("parameters", "names one placeholder twice")
        if any(len(name) > NAME_CHARACTERS_MAX for name in names):
            raise invalid("parameters", f"has a name of more than {NAME_CHARACTERS_MAX} characters")
    for number, parameter in enumerate(parameters):
        if parameter.value.WhichOneof("kind") is None:
            raise invalid(f"parameters[{number}].value", "is missing; NULL is null_value")
    encoded: bytes = value_pb2.ParameterList(parameters=parameters).SerializeToString(deterministic=True)
    return encoded
