"""Contract to domain: requests as checked values. Everything wrong in a field is INVALID_FIELD that names it."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf import duration_pb2, timestamp_pb2

from queryengine.codec.described import described
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.submission import Compression, LimitAction, Submission, WideIntegers
from queryengine.reading.cursor import Cursor
from queryengine.reading.items import ReadRequest
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2, value_pb2

LABELS_MAX: Final = 32
NAME_CHARACTERS_MAX: Final = 255
"""Of a name that a request gives: a catalog, a schema, an engine, a parameter."""
PAGE_SIZE_DEFAULT: Final = 1_000
PAGE_SIZE_MAX: Final = 100_000
LIST_SIZE_DEFAULT: Final = 50
LIST_SIZE_MAX: Final = 1_000
TIMEOUT_MAX_SECONDS: Final = 24 * 3600.0
GRACE_DEFAULT_SECONDS: Final = 60.0
GRACE_MAX_SECONDS: Final = 3600.0
HEARTBEAT_MAX_SECONDS: Final = 60.0
REASON_CHARACTERS_MAX: Final = 1_000
SUBJECT_CHARACTERS_MAX: Final = 128
POSITION_CHARACTERS_MAX: Final = 64
TIMES_FROM_SECONDS: Final = -62_135_596_800
TIMES_TO_SECONDS: Final = 253_402_300_799
"""The range of a google.protobuf.Timestamp."""
NANOS: Final = 1_000_000_000
PRIORITY_MAX: Final = 9

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUERY_ID_CHARACTERS: Final = 36
QUERY_ID_SIGNS: Final = frozenset("0123456789abcdef-")

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
_CANCELS: Final = {
    query_pb2.DISCONNECT_POLICY_UNSPECIFIED: False,
    query_pb2.DISCONNECT_POLICY_CONTINUE: False,
    query_pb2.DISCONNECT_POLICY_CANCEL: True,
}
_QUERY_STATES: Final = {query_pb2.QueryState.Value(f"QUERY_STATE_{state}"): state for state in QueryState}

Chosen = TypeVar("Chosen")


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


def invalid(field: str, message: str) -> QueryEngineError:
    return error(Reason.INVALID_FIELD, f"{field} {message}", field=field)


def seconds(message: Any, field: str, default: float, maximum: float, *, minimum: float = 0.0) -> float:
    """The duration in a field, or the default when it is absent. Larger than the maximum is refused, not cut."""
    if not message.HasField(field):
        return default
    value: duration_pb2.Duration = getattr(message, field)
    total = value.seconds + value.nanos / 1e9
    if not minimum <= total <= maximum or abs(value.nanos) > 999_999_999:
        raise invalid(field, f"must be from {minimum:g} to {maximum:g} seconds, not {total:g}")
    return total


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


def to_submission(
    request: query_service_pb2.SubmitRequest, tenant: str, subject: str, limits: RequestLimits
) -> Submission:
    """What a Submit asks for, checked."""
    sql_bytes = len(request.sql.encode())
    if sql_bytes > limits.sql_bytes:
        raise invalid(
            "sql",
            f"has {sql_bytes} bytes; at most {limits.sql_bytes} are read. Bind long lists as parameters",
        )
    if not request.sql.strip():
        raise error(Reason.NOT_ONE_STATEMENT, "sql holds no statement", statements=0)
    if "\0" in request.sql:
        raise invalid("sql", "must not hold the character NUL")
    asked = request.limits
    result = request.result
    grace = seconds(request, "disconnect_grace", GRACE_DEFAULT_SECONDS, GRACE_MAX_SECONDS)
    execution_ms = _milliseconds(asked, "execution_timeout", TIMEOUT_MAX_SECONDS)
    if execution_ms == 0 and not (asked.execution_timeout.seconds or asked.execution_timeout.nanos):
        raise invalid("execution_timeout", "must be longer than 0 seconds")
    return Submission(
        tenant=tenant,
        subject=subject,
        sql=request.sql,
        engine_hint=request.engine,
        parameters=_parameters(request, limits.parameters),
        parameter_types=described(request.parameters) if request.parameters else b"",
        catalog=_short(request.catalog, "catalog"),
        schema=_short(request.schema, "schema"),
        session_settings=_mapping(request.session_settings, "session_settings", 63, 255),
        queue_timeout_ms=_milliseconds(asked, "queue_timeout", TIMEOUT_MAX_SECONDS),
        execution_timeout_ms=None if execution_ms is None else max(1, execution_ms),
        row_limit=_not_negative(asked.row_limit, "row_limit"),
        byte_limit=_not_negative(asked.byte_limit, "byte_limit"),
        on_limit=_choice(_LIMIT_ACTIONS, asked.on_limit, "on_limit"),
        ttl_ms=_milliseconds(result, "ttl", limits.ttl_max_seconds, minimum=1.0),
        compression=_choice(_COMPRESSIONS, result.compression, "compression"),
        wide_integers=_choice(_WIDE_INTEGERS, result.wide_integers, "wide_integers"),
        priority=_within(request.priority, PRIORITY_MAX, "priority"),
        cancel_on_disconnect=_choice(_CANCELS, request.disconnect_policy, "disconnect_policy"),
        disconnect_grace_ms=int(grace * 1000),
        labels=_mapping(request.labels, "labels", 63, 255),
    )


def is_full(request: query_service_pb2.GetStatusRequest) -> bool:
    """Whether the reply is to hold the details, too."""
    return _choice(_FULL, request.view, "view")


def as_rows(page_format: int, field: str) -> bool:
    return _choice(_AS_ROWS, page_format, field)


def to_read(request: query_service_pb2.StreamResultsRequest, limits: RequestLimits) -> ReadRequest:
    return ReadRequest(
        start_row=_not_negative(request.start_row, "start_row"),
        attempt=_not_negative(request.attempt, "attempt"),
        as_rows=as_rows(request.format, "format"),
        heartbeat_seconds=heartbeat_seconds(request, limits),
    )


def to_cursor(request: query_service_pb2.FetchPageRequest) -> Cursor:
    """Where a FetchPage begins; a size of its own overrides the one in a token."""
    size = _not_negative(request.page_size, "page_size")
    position = request.WhichOneof("position")
    if position == "page_token":
        cursor = Cursor.of_token(request.page_token)
        return cursor.resized(min(size or cursor.size, PAGE_SIZE_MAX))
    size = min(size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    offset = 0
    if position == "page":
        offset = _not_negative(request.page, "page") * size
    elif position == "offset":
        offset = _not_negative(request.offset, "offset")
    return Cursor(0, offset, size)


def to_filter(request: query_service_pb2.ListQueriesRequest) -> QueryFilter:
    """Which queries to list."""
    submitted_from_us = _rounded_up(request, "submitted_after")
    submitted_before_us = _rounded_up(request, "submitted_before")
    if submitted_from_us is not None and submitted_before_us is not None and submitted_from_us >= submitted_before_us:
        raise invalid("submitted_before", "must be later than submitted_after")
    return QueryFilter(
        states=_states(request.states),
        labels=_mapping(request.labels, "labels", 63, 255),
        engine=_short(request.engine, "engine"),
        subject=_subject(request.subject),
        query_id_prefix=_prefix(request.query_id_prefix),
        submitted_from_us=submitted_from_us,
        submitted_before_us=submitted_before_us,
    )


def to_watched(request: query_service_pb2.WatchQueriesRequest) -> QueryFilter:
    """Changes of which queries to send."""
    return QueryFilter(
        states=_states(request.states),
        labels=_mapping(request.labels, "labels", 63, 255),
        engine=_short(request.engine, "engine"),
        subject=_subject(request.subject),
    )


def to_cancelled(request: query_service_pb2.CancelQueriesRequest) -> QueryFilter:
    """Which queries to cancel."""
    if not request.labels:
        raise invalid("labels", "must hold at least one label, so that no call stops every query by mistake")
    return QueryFilter(
        labels=_mapping(request.labels, "labels", 63, 255),
        engine=_short(request.engine, "engine"),
        subject=_subject(request.subject),
    )


def to_position(request: query_service_pb2.WatchQueriesRequest) -> str:
    if len(request.position) > POSITION_CHARACTERS_MAX:
        raise invalid("position", "is not that of an earlier message")
    return request.position


def to_list_size(request: query_service_pb2.ListQueriesRequest) -> int:
    size = _not_negative(request.page_size, "page_size")
    return min(size or LIST_SIZE_DEFAULT, LIST_SIZE_MAX)


def cancel_reason(request: query_service_pb2.CancelRequest | query_service_pb2.CancelQueriesRequest) -> str:
    if len(request.reason) > REASON_CHARACTERS_MAX:
        raise invalid("reason", f"has more than {REASON_CHARACTERS_MAX} characters")
    return request.reason


def microseconds(value: timestamp_pb2.Timestamp) -> int:
    return value.seconds * 1_000_000 + value.nanos // 1000


def _states(states: Iterable[int]) -> frozenset[QueryState]:
    return frozenset(_choice(_QUERY_STATES, state, "states") for state in set(states))


def _rounded_up(message: Any, field: str) -> int | None:
    """The first microsecond that is not before the time in a field; None without one."""
    if not message.HasField(field):
        return None
    value: timestamp_pb2.Timestamp = getattr(message, field)
    if not TIMES_FROM_SECONDS <= value.seconds <= TIMES_TO_SECONDS or not 0 <= value.nanos < NANOS:
        raise invalid(field, "is not a time from year 1 to 9999")
    return value.seconds * 1_000_000 - (-value.nanos // 1000)


def _prefix(text: str) -> str:
    """The beginning of ids, as they are stored."""
    prefix = text.lower()
    if len(prefix) > QUERY_ID_CHARACTERS or not QUERY_ID_SIGNS.issuperset(prefix):
        raise invalid("query_id_prefix", "is not the beginning of a UUID")
    return prefix


def _subject(text: str) -> str:
    if len(text) > SUBJECT_CHARACTERS_MAX:
        raise invalid("subject", f"has more than {SUBJECT_CHARACTERS_MAX} characters")
    return text


def _milliseconds(message: Any, field: str, maximum: float, *, minimum: float = 0.0) -> int | None:
    """The duration in a field, or None when it is absent."""
    if not message.HasField(field):
        return None
    return int(seconds(message, field, 0.0, maximum, minimum=minimum) * 1000)


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


def _mapping(pairs: Any, field: str, key_max: int, value_max: int) -> dict[str, str]:
    if len(pairs) > LABELS_MAX:
        raise invalid(field, f"holds {len(pairs)} entries; at most {LABELS_MAX} are taken")
    for key, value in pairs.items():
        if not key or len(key) > key_max or len(value) > value_max:
            raise invalid(field, f"takes keys of 1 to {key_max} and values of up to {value_max} characters")
    return dict(pairs)


def _short(text: str, field: str) -> str:
    if len(text) > NAME_CHARACTERS_MAX:
        raise invalid(field, f"has more than {NAME_CHARACTERS_MAX} characters")
    return text


def _not_negative(value: int, field: str) -> int:
    if value < 0:
        raise invalid(field, f"must not be negative, is {value}")
    return value


def _within(value: int, maximum: int, field: str) -> int:
    if not 0 <= value <= maximum:
        raise invalid(field, f"must be from 0 to {maximum}, is {value}")
    return value


def _choice(choices: Mapping[Any, Chosen], value: int, field: str) -> Chosen:
    if value not in choices:
        raise invalid(field, f"has no value {value}")
    return choices[value]
