"""Unary calls as values: what to send, how long to wait, and what to make of the reply. Both clients run
them.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
from google.protobuf import duration_pb2
from google.protobuf.message import Message

from queryengine.client.arguments import Seconds, choices, day, flag, moment, seconds, text, texts, whole
from queryengine.client.details import QueryDetails, query_details
from queryengine.client.errors import ResultCorrupt
from queryengine.client.explanation import Explanation, explanation
from queryengine.client.model import (
    CancelledQueries,
    CancelOutcome,
    EngineInfo,
    QueryList,
    QueryStatus,
    ResultPage,
    cancel_outcome,
    cancelled_queries,
    engine_list,
    query_list,
    query_status,
)
from queryengine.client.options import QueryOptions, SubmitOptions, checked
from queryengine.client.pages import StoredPages, stored_pages
from queryengine.client.refresh import EngineRefresh, engine_refresh
from queryengine.client.usage import UsageList, usage_list
from queryengine.codec.page import checksum
from queryengine.codec.types import from_result_schema
from queryengine.codec.values import encode_parameters
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.submission import Compression, LimitAction, WideIntegers
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2

ABANDON_SECONDS: Final = 2.0
"""Longest wait for the reply to a cancel by a caller who goes away; without a reply the grace ends the query."""

T_co = TypeVar("T_co", covariant=True)

Parameters = Mapping[str, Any] | Sequence[Any] | None

INLINE_WAIT_SECONDS: Final = 0.1
"""How long `query` lets submit wait: a short query then takes one call, and a long one loses little."""
ATTACHED_GRACE_SECONDS: Final = 10.0
"""How long a query of `query` outlives its reader, who may come back meanwhile."""
REFRESH_SECONDS: Final = 300.0
"""For a look at a large folder, and for one before it that others asked for."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One unary call."""

    method: str
    request: Message
    reply_type: type[Message]
    convert: Callable[[Any], T_co]
    query_id: str = ""
    wait_seconds: float = 0.0
    """How long the server was asked to wait, on top of what a call may take."""


def submit(sql: str, parameters: Parameters, options: SubmitOptions) -> Call[query_service_pb2.SubmitResponse]:
    """Raises TypeError and ValueError that name an option which is none, or its value."""
    return _submit(sql, parameters, checked(options, SubmitOptions))


def query(sql: str, parameters: Parameters, options: QueryOptions) -> Call[query_service_pb2.SubmitResponse]:
    """As submit, for a caller who reads the rows: short queries take one call, and the others end with their reader."""
    chosen = {"wait_timeout": INLINE_WAIT_SECONDS, **checked(options, QueryOptions)}
    if not chosen.get("detach"):
        chosen = {"cancel_on_disconnect": True, "disconnect_grace": ATTACHED_GRACE_SECONDS, **chosen}
    return _submit(sql, parameters, chosen)


def explain(sql: str, parameters: Parameters, options: SubmitOptions) -> Call[Explanation]:
    request = _request(sql, parameters, checked(options, SubmitOptions))
    request.mode = query_service_pb2.SUBMIT_MODE_EXPLAIN
    return Call("Submit", request, query_service_pb2.SubmitResponse, explanation)


def _submit(sql: str, parameters: Parameters, chosen: Mapping[str, Any]) -> Call[query_service_pb2.SubmitResponse]:
    request = _request(sql, parameters, chosen)
    reply = query_service_pb2.SubmitResponse
    return Call("Submit", request, reply, _same, request.query_id, chosen.get("wait_timeout", 0.0))


def _request(sql: str, parameters: Parameters, chosen: Mapping[str, Any]) -> query_service_pb2.SubmitRequest:
    given = chosen.get
    if sql and given("named"):
        raise ValueError("give one of sql and named, not both")
    return query_service_pb2.SubmitRequest(
        query_id=given("query_id") or str(uuid.uuid4()),
        sql=text("sql", sql),
        parameters=encode_parameters(parameters).parameters,
        named_query=given("named"),
        engine=given("engine"),
        catalog=given("catalog"),
        schema=given("schema"),
        limits=query_pb2.Limits(
            queue_timeout=_duration(given("queue_timeout")),
            execution_timeout=_duration(given("execution_timeout")),
            row_limit=given("row_limit"),
            byte_limit=given("byte_limit"),
            scan_row_limit=given("scan_row_limit"),
            scan_byte_limit=given("scan_byte_limit"),
            interactive=given("interactive"),
            on_limit=f"LIMIT_ACTION_{given('on_limit', LimitAction.TRUNCATE).upper()}",
        ),
        result=result_pb2.ResultOptions(
            ttl=_duration(given("ttl")),
            compression=f"COMPRESSION_{given('compression', Compression.NONE).upper()}",
            wide_integers=f"WIDE_INTEGERS_{given('wide_integers', WideIntegers.FAIL).upper()}",
            inline_format=result_pb2.PAGE_FORMAT_ARROW,
        ),
        wait_timeout=_duration(given("wait_timeout")),
        labels=given("labels"),
        session_settings=given("session_settings"),
        priority=given("priority"),
        disconnect_policy=query_pb2.DISCONNECT_POLICY_CANCEL
        if given("cancel_on_disconnect")
        else query_pb2.DISCONNECT_POLICY_CONTINUE,
        disconnect_grace=_duration(given("disconnect_grace")),
        routing=query_pb2.RoutingOptions(strict=given("strict_routing"), dialect=given("dialect")),
    )


def abandon(query_id: str) -> Call[CancelOutcome]:
    return cancel(query_id, reason="the client that ran it stopped reading", wait_timeout=0.0)


def get_status(query_id: str, *, after_version: int, wait_timeout: Seconds) -> Call[QueryStatus]:
    wait = seconds("wait_for_change", wait_timeout)
    request = query_service_pb2.GetStatusRequest(
        query_id=query_id, after_version=whole("after_version", after_version), wait_timeout=_duration(wait)
    )
    reply = query_service_pb2.GetStatusResponse
    return Call("GetStatus", request, reply, _status_of, query_id, wait)


def details(query_id: str) -> Call[QueryDetails]:
    request = query_service_pb2.GetStatusRequest(query_id=query_id, view=query_service_pb2.QUERY_VIEW_FULL)
    return Call("GetStatus", request, query_service_pb2.GetStatusResponse, _details_of, query_id)


def cancel(query_id: str, *, reason: str, wait_timeout: Seconds) -> Call[CancelOutcome]:
    wait = seconds("wait", wait_timeout)
    request = query_service_pb2.CancelRequest(
        query_id=query_id, reason=text("reason", reason), wait_timeout=_duration(wait)
    )
    reply = query_service_pb2.CancelResponse
    return Call("Cancel", request, reply, cancel_outcome, query_id, wait)


def cancel_queries(
    labels: Mapping[str, str], *, engine: str, subject: str, reason: str, wait_timeout: Seconds
) -> Call[CancelledQueries]:
    """Raises ValueError without a label, as no call is to stop every query by mistake."""
    wait = seconds("wait", wait_timeout)
    request = query_service_pb2.CancelQueriesRequest(
        labels=texts("labels", labels),
        engine=text("engine", engine),
        subject=text("subject", subject),
        reason=text("reason", reason),
        wait_timeout=_duration(wait),
    )
    if not request.labels:
        raise ValueError("labels takes at least one label")
    reply = query_service_pb2.CancelQueriesResponse
    return Call("CancelQueries", request, reply, cancelled_queries, wait_seconds=wait)


def fetch_page(
    query_id: str, *, page: int | None, offset: int | None, page_token: str, page_size: int
) -> Call[ResultPage]:
    """Raises ValueError when more than one of page, offset and page_token is given."""
    if sum((page is not None, offset is not None, bool(page_token))) > 1:
        raise ValueError("give one of page, offset and page_token")
    request = query_service_pb2.FetchPageRequest(
        query_id=query_id, page_size=whole("page_size", page_size, bits=32), format=result_pb2.PAGE_FORMAT_ARROW
    )
    if page is not None:
        request.page = whole("page", page)
    elif offset is not None:
        request.offset = whole("offset", offset)
    elif page_token:
        request.page_token = text("page_token", page_token)
    reply = query_service_pb2.FetchPageResponse
    return Call("FetchPage", request, reply, _result_page, query_id)


def list_pages(query_id: str, *, page_size: int, page_token: str) -> Call[StoredPages]:
    request = query_service_pb2.ListPagesRequest(
        query_id=query_id,
        page_size=whole("page_size", page_size, bits=32),
        page_token=text("page_token", page_token),
    )
    return Call("ListPages", request, query_service_pb2.ListPagesResponse, stored_pages, query_id)


def release(query_id: str, *, extend_to: dt.datetime | None = None) -> Call[QueryStatus]:
    request = query_service_pb2.ReleaseResultsRequest(query_id=query_id)
    if extend_to is not None:
        request.extend_to.FromDatetime(moment("until", extend_to))
    return Call("ReleaseResults", request, query_service_pb2.ReleaseResultsResponse, _status_of, query_id)


def list_queries(
    *,
    states: Iterable[QueryState | str] = (),
    labels: Mapping[str, str] | None = None,
    engine: str = "",
    subject: str = "",
    query_id_prefix: str = "",
    named: str = "",
    submitted_after: dt.datetime | None = None,
    submitted_before: dt.datetime | None = None,
    page_size: int,
    page_token: str,
) -> Call[QueryList]:
    """Raises ValueError and TypeError that name an argument and what it takes."""
    request = query_service_pb2.ListQueriesRequest(
        page_size=whole("page_size", page_size, bits=32),
        page_token=text("page_token", page_token),
        states=[f"QUERY_STATE_{state}" for state in choices("states", states, QueryState)],
        labels=texts("labels", labels or {}),
        engine=text("engine", engine),
        subject=text("subject", subject),
        query_id_prefix=text("query_id_prefix", query_id_prefix),
        named_query=text("named", named),
    )
    if submitted_after is not None:
        request.submitted_after.FromDatetime(moment("submitted_after", submitted_after))
    if submitted_before is not None:
        request.submitted_before.FromDatetime(moment("submitted_before", submitted_before))
    return Call("ListQueries", request, query_service_pb2.ListQueriesResponse, query_list)


def usage(
    *, from_date: dt.date | None, to_date: dt.date | None, subject: str, all_tenants: bool, page_token: str
) -> Call[UsageList]:
    request = query_service_pb2.GetUsageRequest(
        from_date=day("from_date", from_date),
        to_date=day("to_date", to_date),
        subject=text("subject", subject),
        all_tenants=flag("all_tenants", all_tenants),
        page_token=text("page_token", page_token),
    )
    return Call("GetUsage", request, query_service_pb2.GetUsageResponse, usage_list)


def list_engines() -> Call[tuple[EngineInfo, ...]]:
    request = query_service_pb2.ListEnginesRequest()
    return Call("ListEngines", request, query_service_pb2.ListEnginesResponse, engine_list)


def refresh_engine(name: str) -> Call[EngineRefresh]:
    request = query_service_pb2.RefreshEngineRequest(engine=text("name", name))
    reply_type = query_service_pb2.RefreshEngineResponse
    return Call("RefreshEngine", request, reply_type, engine_refresh, wait_seconds=REFRESH_SECONDS)


def _same(reply: query_service_pb2.SubmitResponse) -> query_service_pb2.SubmitResponse:
    return reply


def _status_of(reply: Any) -> QueryStatus:
    return query_status(reply.status)


def _details_of(reply: query_service_pb2.GetStatusResponse) -> QueryDetails:
    return query_details(reply.details)


def _result_page(reply: query_service_pb2.FetchPageResponse) -> ResultPage:
    page = reply.page
    return ResultPage(
        _rows(page) if reply.HasField("page") else _no_rows(reply.schema),
        page.start_row,
        reply.next_page_token,
        reply.prev_page_token,
        reply.total_rows if reply.HasField("total_rows") else None,
    )


def _rows(page: result_pb2.Page) -> pa.RecordBatch:
    if checksum(page.arrow) != page.crc32c:
        raise ResultCorrupt(f"the page at row {page.start_row} is damaged: its checksum does not match")
    try:
        table = pa.ipc.open_stream(pa.py_buffer(page.arrow)).read_all()
    except (pa.ArrowException, OSError) as error:
        raise ResultCorrupt(f"the page at row {page.start_row} cannot be read: {error}") from error
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else _empty(table.schema)


def _no_rows(columns: result_pb2.ResultSchema) -> pa.RecordBatch:
    """An empty result, which has columns and no page."""
    try:
        schema = from_result_schema(columns)
    except ValueError as error:
        raise ResultCorrupt(f"the columns cannot be read: {error}") from error
    if not len(schema):
        raise ResultCorrupt("the reply has neither rows nor columns")
    return _empty(schema)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    # Not pa.array: it makes no list, map or struct of an extension type.
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _duration(seconds: float | None) -> duration_pb2.Duration | None:
    """None stays unset, which means the default."""
    if seconds is None:
        return None
    whole_seconds, nanos = divmod(round(seconds * 1e9), 1_000_000_000)
    return duration_pb2.Duration(seconds=whole_seconds, nanos=nanos)
