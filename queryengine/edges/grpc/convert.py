"""Domain to contract: records, items and results as messages. Total, and without I/O."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import duration_pb2, timestamp_pb2

from queryengine.accepting.cancelling import CancelResult
from queryengine.accepting.engines import EngineView
from queryengine.accepting.refreshing import EngineRefreshed
from queryengine.domain.errors import Failure
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query, Truncation
from queryengine.domain.routing import RoutingDecision
from queryengine.domain.submission import LimitAction, Submission
from queryengine.domain.views import ViewChangeKind
from queryengine.edges.grpc.fitting import fitting
from queryengine.live.query import EngineCancel, LiveQuery
from queryengine.reading.items import RotateReason
from queryengine.results.segment import ResultTotals
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2

BOUNDS: Final = ("queue_timeout", "execution_timeout", "row_limit", "byte_limit", "scan_row_limit", "scan_byte_limit")
"""Of a query, by their names in the contract."""
POLICIES_SHOWN: Final = 10
"""Of a query, in its status."""
QUERY_STATES: Final[Mapping[QueryState, Any]] = {
    state: query_pb2.QueryState.Value(f"QUERY_STATE_{state}") for state in QueryState
}
RESULT_STATES: Final[Mapping[ResultState, Any]] = {
    state: query_pb2.ResultState.Value(f"RESULT_STATE_{state}") for state in ResultState
}
TRUNCATIONS: Final = {
    Truncation.ROW_LIMIT: result_pb2.TRUNCATION_REASON_ROW_LIMIT,
    Truncation.BYTE_LIMIT: result_pb2.TRUNCATION_REASON_BYTE_LIMIT,
    None: result_pb2.TRUNCATION_REASON_UNSPECIFIED,
}
ROTATIONS: Final = {
    RotateReason.AGE: result_pb2.ROTATE_REASON_AGE,
    RotateReason.BYTES: result_pb2.ROTATE_REASON_BYTES,
    RotateReason.DRAIN: result_pb2.ROTATE_REASON_DRAIN,
}
CANCEL_RESULTS: Final = {
    CancelResult.CANCELLED: query_service_pb2.CANCEL_RESULT_CANCELLED,
    CancelResult.CANCELLING: query_service_pb2.CANCEL_RESULT_CANCELLING,
    CancelResult.ALREADY_ENDED: query_service_pb2.CANCEL_RESULT_ALREADY_ENDED,
}
LIMIT_ACTIONS: Final = {
    LimitAction.TRUNCATE: query_pb2.LIMIT_ACTION_TRUNCATE,
    LimitAction.FAIL: query_pb2.LIMIT_ACTION_FAIL,
}
ENGINE_CANCELS: Final = {
    EngineCancel.NOT_RUNNING: query_service_pb2.ENGINE_CANCEL_STATE_NOT_RUNNING,
    EngineCancel.SENT: query_service_pb2.ENGINE_CANCEL_STATE_SENT,
    EngineCancel.CONFIRMED: query_service_pb2.ENGINE_CANCEL_STATE_CONFIRMED,
    EngineCancel.KILLED: query_service_pb2.ENGINE_CANCEL_STATE_KILLED,
}

VIEW_CHANGES: Final[Mapping[ViewChangeKind, Any]] = {
    kind: query_service_pb2.ViewChangeKind.Value(f"VIEW_CHANGE_KIND_{kind}") for kind in ViewChangeKind
}


def timestamp(microseconds: int | None) -> timestamp_pb2.Timestamp | None:
    if microseconds is None:
        return None
    return timestamp_pb2.Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def duration(microseconds: int | None) -> duration_pb2.Duration | None:
    if microseconds is None:
        return None
    microseconds = max(0, microseconds)
    return duration_pb2.Duration(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def status(live: LiveQuery, now_us: int) -> query_pb2.QueryStatus:
    """The state of a query as the contract has it."""
    query = live.query
    asked, plan = query.submission, query.plan
    return query_pb2.QueryStatus(
        query_id=query.query_id,
        version=live.version,
        state=QUERY_STATES[query.state],
        result_state=RESULT_STATES[query.result_state_at(now_us)],
        engine=plan.engine,
        engine_type=plan.engine_type,
        routing_reason=plan.routing_reason,
        attempt=query.attempt,
        progress=None if query.is_final else _progress(live, now_us),
        stats=_stats(live, now_us),
        error=None if query.failure is None else error(query.failure),
        submit_time=timestamp(query.submit_us),
        start_time=timestamp(query.start_us),
        first_page_time=timestamp(query.first_page_us),
        end_time=timestamp(query.end_us),
        expire_time=timestamp(query.expire_us),
        cancel_request_time=timestamp(query.cancel_us),
        labels=dict(asked.labels),
        sql_preview=plan.named_query or asked.sql_preview(),
        query_hash=query.query_hash,
        priority=asked.priority,
        subject=query.subject,
        row_policies=plan.row_policies[:POLICIES_SHOWN],
        policy_version=plan.policy_version,
        named_query=plan.named_query,
        engine_query_id=live.engine_query_id,
        engine_query_url=live.engine_query_url,
    )


def details(query: Query, *, shows_named: bool) -> query_pb2.QueryDetails:
    """What was submitted and what runs for it; `shows_named`: also the SQL of a named query."""
    found = query_pb2.QueryDetails.FromString(query.submission.parameter_types)
    plan = query.plan
    found.named_query = query.submission.named_query
    if shows_named or not plan.named_query:
        found.sql = query.submission.sql
        # It has the policies in it, with names of columns that its tenant does not see.
        found.executed_sql = "" if plan.policy_version else query.executed_sql
    if plan.routing is not None:
        found.routing.CopyFrom(routing(plan.routing))
    found.limits.CopyFrom(limits(query.submission, plan))
    found.limit_sources.update({name: source for name in BOUNDS if (source := query.limit_source(name))})
    return found


def limits(submission: Submission, plan: Plan) -> query_pb2.Limits:
    """The bounds in force."""
    return query_pb2.Limits(
        queue_timeout=duration(plan.queue_timeout_ms * 1000),
        execution_timeout=duration(plan.execution_timeout_ms * 1000),
        row_limit=plan.row_limit,
        byte_limit=plan.byte_limit,
        on_limit=LIMIT_ACTIONS[submission.on_limit],
        scan_row_limit=plan.scan_row_limit,
        scan_byte_limit=plan.scan_byte_limit,
        interactive=plan.interactive,
    )


def routing(decision: RoutingDecision) -> query_pb2.RoutingDecision:
    return query_pb2.RoutingDecision(
        rule=decision.rule,
        facts=decision.facts,
        translated_from=decision.translated_from,
        passed_over=[query_pb2.PassedOver(engine=each.engine, why=each.why) for each in decision.passed_over],
    )


def engine(view: EngineView) -> query_service_pb2.EngineInfo:
    traits = view.traits
    return query_service_pb2.EngineInfo(
        name=view.name,
        type=view.type,
        is_default=view.is_default,
        slots=view.load.slots,
        running=view.load.running,
        queued=view.queued,
        available=view.load.available,
        detail=view.load.detail,
        confinement=view.load.confinement,
        traits=query_service_pb2.EngineTraits(
            named_parameters=traits.named_parameters,
            positional_parameters=traits.positional_parameters,
            progress=traits.progress,
            scan_statistics=traits.scan_statistics,
            catalog=traits.catalog,
            schema=traits.schema,
            session_settings=traits.session_settings,
            streams=traits.streams,
            back_pressure=traits.back_pressure,
            cancel_confirmed=traits.cancel_confirmed,
            sandbox=traits.sandbox,
            writes=traits.writes,
        ),
    )


def error(failure: Failure) -> query_pb2.QueryError:
    position = failure.position
    return query_pb2.QueryError(
        code=failure.code.value,
        reason=failure.reason.value,
        message=failure.message,
        sql_state=failure.sql_state,
        position=(None if position is None else query_pb2.SourcePosition(line=position.line, column=position.column)),
        retryable=failure.retryable,
        metadata=failure.metadata,
    )


def result_end(ended: query_pb2.QueryStatus, totals: ResultTotals, attempt: int) -> result_pb2.ResultEnd:
    """The end of the result of a completed query, whose status this is."""
    return result_pb2.ResultEnd(
        total_rows=totals.rows,
        total_pages=totals.pages,
        total_bytes=totals.bytes,
        truncated=totals.truncation is not None,
        truncation_reason=TRUNCATIONS[totals.truncation],
        expire_time=ended.expire_time if ended.HasField("expire_time") else None,
        status=ended,
        attempt=attempt,
    )


def refreshed(done: EngineRefreshed) -> query_service_pb2.RefreshEngineResponse:
    found = done.found
    changes = fitting(
        query_service_pb2.ViewChange(view=each.view, kind=VIEW_CHANGES[each.kind], reason=each.reason)
        for each in found.changes
    )
    return query_service_pb2.RefreshEngineResponse(
        engine=done.engine,
        views=found.views,
        workers=done.workers,
        workers_waiting=done.workers_waiting,
        changes=changes,
        changes_left_out=found.left_out + len(found.changes) - len(changes),
    )


def _progress(live: LiveQuery, now_us: int) -> query_pb2.Progress:
    progress = query_pb2.Progress(
        splits_done=live.progress.splits_done,
        splits_total=live.progress.splits_total,
        engine_state=live.progress.engine_state,
    )
    query = live.query
    if query.state is QueryState.QUEUED and live.place is not None:
        progress.queue_position = live.place.position
        progress.queue_depth = live.place.depth
        progress.waiting_reason = live.place.reason
        _set_time(progress.estimated_start_time, live.place.start_us)
        _set_time(progress.estimated_completion_time, live.place.end_us)
    if live.progress.fraction is not None:
        progress.fraction = live.progress.fraction
    if query.state is QueryState.RUNNING:
        _set_time(progress.estimated_completion_time, live.expected_end_us(now_us))
    return progress


def _set_time(field: timestamp_pb2.Timestamp, microseconds: int | None) -> None:
    if microseconds is not None:
        field.FromMicroseconds(microseconds)


def _stats(live: LiveQuery, now_us: int) -> query_pb2.QueryStats:
    query = live.query
    ended_us = query.end_us if query.end_us is not None else now_us
    started_us = query.start_us if query.start_us is not None else ended_us
    scanned = _known(query, live)
    return query_pb2.QueryStats(
        queue_time=duration(started_us - query.submit_us),
        execution_time=duration(ended_us - started_us),
        rows=query.rows,
        pages=query.pages,
        bytes=query.bytes,
        rows_scanned=scanned[0],
        bytes_scanned=scanned[1],
        throttled_time=duration(live.throttled_us()),
    )


def _known(query: Query, live: LiveQuery) -> tuple[int | None, int | None]:
    """Rows and bytes scanned: the final figures, or those of the moment; none where policies hide rows, which they
    would count.
    """
    if query.plan.policy_version:
        return None, None
    if query.is_final:
        return query.rows_scanned, query.bytes_scanned
    return live.progress.rows_scanned, live.progress.bytes_scanned
