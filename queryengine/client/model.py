"""What the service reports, as plain values: enums with names, times with a zone, None for what is not known."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import pyarrow as pa
from google.protobuf.message import Message

from queryengine.client.brief import Brief
from queryengine.client.errors import QueryEngineClientError, QueryFailed, query_failed
from queryengine.domain.errors import Position
from queryengine.domain.lifecycle import FINAL, QueryState, ResultState
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2

E = TypeVar("E", bound=StrEnum)


class CancelResult(StrEnum):
    """What the service did with a cancel."""

    CANCELLED = "CANCELLED"
    CANCELLING = "CANCELLING"
    """The engine was asked to stop; the query ends within 5 seconds."""
    ALREADY_ENDED = "ALREADY_ENDED"
    """The query had completed or failed; its state and result stand."""


class EngineCancel(StrEnum):
    """What is known of the engine's side of a cancel."""

    NOT_RUNNING = "NOT_RUNNING"
    SENT = "SENT"
    """The engine was asked to stop and has not confirmed that it did. Once the query has ended this is final: the
    engine cannot confirm a cancel (its trait `cancel_confirmed` is false) or could not be reached."""
    CONFIRMED = "CONFIRMED"
    """The engine itself confirmed that nothing of the query runs."""
    KILLED = "KILLED"
    """The worker process was killed because the engine did not answer in time, or it died."""


@dataclass(frozen=True, slots=True, repr=False)
class QueryError(Brief):
    """Why a query did not complete."""

    code: int
    reason: str
    message: str
    sql_state: str
    position: Position | None
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueryStatus(Brief):
    """State of one query, as of `version`; the contract's QueryStatus says what each field promises."""

    query_id: str
    version: int
    state: QueryState
    result_state: ResultState
    engine: str
    engine_type: str
    routing_reason: str
    attempt: int
    fraction: float | None
    queue_position: int | None
    queue_depth: int | None
    waiting_reason: str
    estimated_start_time: dt.datetime | None
    estimated_completion_time: dt.datetime | None
    queue_seconds: float
    execution_seconds: float
    rows: int
    pages: int
    bytes: int
    rows_scanned: int | None
    bytes_scanned: int | None
    throttled_seconds: float
    """The part of queue_seconds in which a limit of the tenant, the subject or the API key kept it waiting."""
    splits_done: int | None
    splits_total: int | None
    engine_state: str
    engine_query_id: str
    engine_query_url: str
    error: QueryError | None
    submit_time: dt.datetime | None
    start_time: dt.datetime | None
    first_page_time: dt.datetime | None
    end_time: dt.datetime | None
    expire_time: dt.datetime | None
    cancel_request_time: dt.datetime | None
    labels: Mapping[str, str]
    sql_preview: str
    query_hash: str
    priority: int
    subject: str
    """Who submitted it; empty when no user was named."""
    row_policies: tuple[str, ...]
    """The row and column policies that shaped the rows; empty where none applied."""
    policy_version: str
    """Of what those policies showed; empty on an engine without policies."""
    named_query: str
    """The version of a named query that runs, as `name@version`; empty for SQL text."""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def failure(self) -> QueryFailed | None:
        """The exception for a query that failed or was cancelled; None for every other."""
        if self.error is None:
            return None
        error = self.error
        return query_failed(
            code=error.code,
            reason=error.reason,
            message=error.message,
            retryable=error.retryable,
            position=error.position,
            sql_state=error.sql_state,
            query_id=self.query_id,
        )


@dataclass(frozen=True, slots=True, repr=False)
class CancelOutcome(Brief):
    """Answer to a cancel."""

    result: CancelResult
    engine: EngineCancel
    status: QueryStatus


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelledQueries(Brief):
    """Answer to a cancel of all queries that carry some labels."""

    cancelled: int
    cancelling: int
    """Their engines have been asked to stop; they end within 5 seconds."""
    already_ended: int
    """They completed or failed before the cancel reached them."""
    left: int
    """They match and were left alone, as one call stops so many; call again."""
    query_ids: tuple[str, ...]
    """Of those that were not left."""


@dataclass(frozen=True, slots=True, repr=False)
class ResultPage(Brief):
    """Some stored rows."""

    batch: pa.RecordBatch
    start_row: int
    next_page_token: str
    """Empty at the end of a complete result."""
    prev_page_token: str
    """Empty at row 0."""
    total_rows: int | None
    """None while the query runs."""


@dataclass(frozen=True, slots=True, repr=False)
class QueryList(Brief):
    """Some queries, newest first."""

    queries: tuple[QueryStatus, ...]
    next_page_token: str
    """Empty at the end."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EngineInfo(Brief):
    """One configured engine and what it can do."""

    name: str
    type: str
    is_default: bool
    slots: int
    running: int
    queued: int
    available: bool
    detail: str
    named_parameters: bool
    positional_parameters: bool
    progress: bool
    scan_statistics: bool
    catalog: bool
    schema: bool
    session_settings: tuple[str, ...]
    streams: bool
    back_pressure: bool
    cancel_confirmed: bool
    sandbox: bool
    writes: bool
    confinement: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ResultEnd(Brief):
    """The totals of a whole result."""

    total_rows: int
    total_pages: int
    total_bytes: int
    truncated: bool
    truncation_reason: str
    """"ROW_LIMIT" or "BYTE_LIMIT"; empty when not truncated."""
    expire_time: dt.datetime | None


def query_status(message: query_pb2.QueryStatus) -> QueryStatus:
    progress, stats = message.progress, message.stats
    return QueryStatus(
        query_id=message.query_id,
        version=message.version,
        state=_named(QueryState, query_pb2.QueryState, message.state, "QUERY_STATE_"),
        result_state=_named(ResultState, query_pb2.ResultState, message.result_state, "RESULT_STATE_"),
        engine=message.engine,
        engine_type=message.engine_type,
        routing_reason=message.routing_reason,
        attempt=message.attempt,
        fraction=_optional(progress, "fraction"),
        queue_position=_optional(progress, "queue_position"),
        queue_depth=_optional(progress, "queue_depth"),
        waiting_reason=progress.waiting_reason,
        estimated_start_time=_time(progress, "estimated_start_time"),
        estimated_completion_time=_time(progress, "estimated_completion_time"),
        queue_seconds=stats.queue_time.ToTimedelta().total_seconds(),
        execution_seconds=stats.execution_time.ToTimedelta().total_seconds(),
        rows=stats.rows,
        pages=stats.pages,
        bytes=stats.bytes,
        rows_scanned=_optional(stats, "rows_scanned"),
        bytes_scanned=_optional(stats, "bytes_scanned"),
        throttled_seconds=stats.throttled_time.ToMicroseconds() / 1e6,
        splits_done=_optional(progress, "splits_done"),
        splits_total=_optional(progress, "splits_total"),
        engine_state=progress.engine_state,
        engine_query_id=message.engine_query_id,
        engine_query_url=message.engine_query_url,
        error=_query_error(message.error) if message.HasField("error") else None,
        submit_time=_time(message, "submit_time"),
        start_time=_time(message, "start_time"),
        first_page_time=_time(message, "first_page_time"),
        end_time=_time(message, "end_time"),
        expire_time=_time(message, "expire_time"),
        cancel_request_time=_time(message, "cancel_request_time"),
        labels=dict(message.labels),
        sql_preview=message.sql_preview,
        query_hash=message.query_hash,
        priority=message.priority,
        subject=message.subject,
        row_policies=tuple(message.row_policies),
        policy_version=message.policy_version,
        named_query=message.named_query,
    )


def cancel_outcome(message: query_service_pb2.CancelResponse) -> CancelOutcome:
    service = query_service_pb2
    return CancelOutcome(
        _named(CancelResult, service.CancelResult, message.result, "CANCEL_RESULT_"),
        _named(EngineCancel, service.EngineCancelState, message.engine_cancel, "ENGINE_CANCEL_STATE_"),
        query_status(message.status),
    )


def cancelled_queries(message: query_service_pb2.CancelQueriesResponse) -> CancelledQueries:
    return CancelledQueries(
        cancelled=message.cancelled,
        cancelling=message.cancelling,
        already_ended=message.already_ended,
        left=message.left,
        query_ids=tuple(message.query_ids),
    )


def query_list(message: query_service_pb2.ListQueriesResponse) -> QueryList:
    return QueryList(tuple(query_status(each) for each in message.queries), message.next_page_token)


def engine_list(message: query_service_pb2.ListEnginesResponse) -> tuple[EngineInfo, ...]:
    return tuple(_engine(each) for each in message.engines)


def result_end(message: result_pb2.ResultEnd) -> ResultEnd:
    names = result_pb2.TruncationReason
    known = message.truncated and message.truncation_reason in names.values()
    reason = names.Name(message.truncation_reason).removeprefix("TRUNCATION_REASON_") if known else ""
    return ResultEnd(
        message.total_rows,
        message.total_pages,
        message.total_bytes,
        message.truncated,
        reason,
        _time(message, "expire_time"),
    )


def _engine(message: query_service_pb2.EngineInfo) -> EngineInfo:
    traits = message.traits
    return EngineInfo(
        name=message.name,
        type=message.type,
        is_default=message.is_default,
        slots=message.slots,
        running=message.running,
        queued=message.queued,
        available=message.available,
        detail=message.detail,
        named_parameters=traits.named_parameters,
        positional_parameters=traits.positional_parameters,
        progress=traits.progress,
        scan_statistics=traits.scan_statistics,
        catalog=traits.catalog,
        schema=traits.schema,
        session_settings=tuple(traits.session_settings),
        streams=traits.streams,
        back_pressure=traits.back_pressure,
        cancel_confirmed=traits.cancel_confirmed,
        sandbox=traits.sandbox,
        writes=traits.writes,
        confinement=tuple(message.confinement),
    )


def _query_error(message: query_pb2.QueryError) -> QueryError:
    position = message.position
    return QueryError(
        code=message.code,
        reason=message.reason,
        message=message.message,
        sql_state=message.sql_state,
        position=Position(position.line, position.column) if message.HasField("position") else None,
        retryable=message.retryable,
    )


def _named(kind: type[E], names: Any, number: int, prefix: str) -> E:
    """The enum member of a number on the wire; zero and numbers of a newer contract are refused."""
    text = names.Name(number).removeprefix(prefix) if number in names.values() else str(number)
    if text not in kind.__members__:
        raise QueryEngineClientError(f"the server sent {prefix}{text}, which this client does not know")
    return kind[text]


def _optional(message: Message, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _time(message: Message, field: str) -> dt.datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=dt.UTC) if message.HasField(field) else None
