import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from queryengine.v1 import query_pb2 as _query_pb2
from queryengine.v1 import result_pb2 as _result_pb2
from queryengine.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBMIT_MODE_UNSPECIFIED: _ClassVar[SubmitMode]
    SUBMIT_MODE_RUN: _ClassVar[SubmitMode]
    SUBMIT_MODE_VALIDATE: _ClassVar[SubmitMode]
    SUBMIT_MODE_EXPLAIN: _ClassVar[SubmitMode]

class QueryView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_VIEW_UNSPECIFIED: _ClassVar[QueryView]
    QUERY_VIEW_BASIC: _ClassVar[QueryView]
    QUERY_VIEW_FULL: _ClassVar[QueryView]

class CancelResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_RESULT_UNSPECIFIED: _ClassVar[CancelResult]
    CANCEL_RESULT_CANCELLED: _ClassVar[CancelResult]
    CANCEL_RESULT_CANCELLING: _ClassVar[CancelResult]
    CANCEL_RESULT_ALREADY_ENDED: _ClassVar[CancelResult]

class EngineCancelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_CANCEL_STATE_UNSPECIFIED: _ClassVar[EngineCancelState]
    ENGINE_CANCEL_STATE_NOT_RUNNING: _ClassVar[EngineCancelState]
    ENGINE_CANCEL_STATE_SENT: _ClassVar[EngineCancelState]
    ENGINE_CANCEL_STATE_CONFIRMED: _ClassVar[EngineCancelState]
    ENGINE_CANCEL_STATE_KILLED: _ClassVar[EngineCancelState]

class ViewChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VIEW_CHANGE_KIND_UNSPECIFIED: _ClassVar[ViewChangeKind]
    VIEW_CHANGE_KIND_ADDED: _ClassVar[ViewChangeKind]
    VIEW_CHANGE_KIND_CHANGED: _ClassVar[ViewChangeKind]
    VIEW_CHANGE_KIND_REMOVED: _ClassVar[ViewChangeKind]
    VIEW_CHANGE_KIND_UNREADABLE: _ClassVar[ViewChangeKind]
SUBMIT_MODE_UNSPECIFIED: SubmitMode
SUBMIT_MODE_RUN: SubmitMode
SUBMIT_MODE_VALIDATE: SubmitMode
SUBMIT_MODE_EXPLAIN: SubmitMode
QUERY_VIEW_UNSPECIFIED: QueryView
QUERY_VIEW_BASIC: QueryView
QUERY_VIEW_FULL: QueryView
CANCEL_RESULT_UNSPECIFIED: CancelResult
CANCEL_RESULT_CANCELLED: CancelResult
CANCEL_RESULT_CANCELLING: CancelResult
CANCEL_RESULT_ALREADY_ENDED: CancelResult
ENGINE_CANCEL_STATE_UNSPECIFIED: EngineCancelState
ENGINE_CANCEL_STATE_NOT_RUNNING: EngineCancelState
ENGINE_CANCEL_STATE_SENT: EngineCancelState
ENGINE_CANCEL_STATE_CONFIRMED: EngineCancelState
ENGINE_CANCEL_STATE_KILLED: EngineCancelState
VIEW_CHANGE_KIND_UNSPECIFIED: ViewChangeKind
VIEW_CHANGE_KIND_ADDED: ViewChangeKind
VIEW_CHANGE_KIND_CHANGED: ViewChangeKind
VIEW_CHANGE_KIND_REMOVED: ViewChangeKind
VIEW_CHANGE_KIND_UNREADABLE: ViewChangeKind

class SubmitRequest(_message.Message):
    __slots__ = ("query_id", "sql", "parameters", "engine", "catalog", "schema", "limits", "result", "wait_timeout", "labels", "session_settings", "priority", "disconnect_policy", "disconnect_grace", "mode", "named_query", "routing")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SessionSettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SESSION_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DISCONNECT_POLICY_FIELD_NUMBER: _ClassVar[int]
    DISCONNECT_GRACE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    sql: str
    parameters: _containers.RepeatedCompositeFieldContainer[_value_pb2.Parameter]
    engine: str
    catalog: str
    schema: str
    limits: _query_pb2.Limits
    result: _result_pb2.ResultOptions
    wait_timeout: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    session_settings: _containers.ScalarMap[str, str]
    priority: int
    disconnect_policy: _query_pb2.DisconnectPolicy
    disconnect_grace: _duration_pb2.Duration
    mode: SubmitMode
    named_query: str
    routing: _query_pb2.RoutingOptions
    def __init__(self, query_id: _Optional[str] = ..., sql: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[_value_pb2.Parameter, _Mapping]]] = ..., engine: _Optional[str] = ..., catalog: _Optional[str] = ..., schema: _Optional[str] = ..., limits: _Optional[_Union[_query_pb2.Limits, _Mapping]] = ..., result: _Optional[_Union[_result_pb2.ResultOptions, _Mapping]] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., session_settings: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., disconnect_policy: _Optional[_Union[_query_pb2.DisconnectPolicy, str]] = ..., disconnect_grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., mode: _Optional[_Union[SubmitMode, str]] = ..., named_query: _Optional[str] = ..., routing: _Optional[_Union[_query_pb2.RoutingOptions, _Mapping]] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("status", "existing", "schema", "pages", "end", "next_row", "explanation")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    NEXT_ROW_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    status: _query_pb2.QueryStatus
    existing: bool
    schema: _result_pb2.ResultSchema
    pages: _containers.RepeatedCompositeFieldContainer[_result_pb2.Page]
    end: _result_pb2.ResultEnd
    next_row: int
    explanation: Explanation
    def __init__(self, status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., existing: _Optional[bool] = ..., schema: _Optional[_Union[_result_pb2.ResultSchema, _Mapping]] = ..., pages: _Optional[_Iterable[_Union[_result_pb2.Page, _Mapping]]] = ..., end: _Optional[_Union[_result_pb2.ResultEnd, _Mapping]] = ..., next_row: _Optional[int] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("engine", "engine_type", "routing_reason", "routing", "kinds", "tables", "tables_known", "row_policies", "policy_version", "limits", "query_hash", "executed_sql", "estimate", "engine_plan", "engine_plan_withheld")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ROUTING_REASON_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    TABLES_KNOWN_FIELD_NUMBER: _ClassVar[int]
    ROW_POLICIES_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    QUERY_HASH_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_SQL_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_PLAN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_PLAN_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    engine: str
    engine_type: str
    routing_reason: str
    routing: _query_pb2.RoutingDecision
    kinds: _containers.RepeatedScalarFieldContainer[str]
    tables: _containers.RepeatedScalarFieldContainer[str]
    tables_known: bool
    row_policies: _containers.RepeatedScalarFieldContainer[str]
    policy_version: str
    limits: _query_pb2.Limits
    query_hash: str
    executed_sql: str
    estimate: Estimate
    engine_plan: str
    engine_plan_withheld: str
    def __init__(self, engine: _Optional[str] = ..., engine_type: _Optional[str] = ..., routing_reason: _Optional[str] = ..., routing: _Optional[_Union[_query_pb2.RoutingDecision, _Mapping]] = ..., kinds: _Optional[_Iterable[str]] = ..., tables: _Optional[_Iterable[str]] = ..., tables_known: _Optional[bool] = ..., row_policies: _Optional[_Iterable[str]] = ..., policy_version: _Optional[str] = ..., limits: _Optional[_Union[_query_pb2.Limits, _Mapping]] = ..., query_hash: _Optional[str] = ..., executed_sql: _Optional[str] = ..., estimate: _Optional[_Union[Estimate, _Mapping]] = ..., engine_plan: _Optional[str] = ..., engine_plan_withheld: _Optional[str] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("execution_time", "rows", "bytes_scanned")
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_SCANNED_FIELD_NUMBER: _ClassVar[int]
    execution_time: _duration_pb2.Duration
    rows: int
    bytes_scanned: int
    def __init__(self, execution_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rows: _Optional[int] = ..., bytes_scanned: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ("query_id", "after_version", "wait_timeout", "view")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    after_version: int
    wait_timeout: _duration_pb2.Duration
    view: QueryView
    def __init__(self, query_id: _Optional[str] = ..., after_version: _Optional[int] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., view: _Optional[_Union[QueryView, str]] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("status", "details")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    status: _query_pb2.QueryStatus
    details: _query_pb2.QueryDetails
    def __init__(self, status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., details: _Optional[_Union[_query_pb2.QueryDetails, _Mapping]] = ...) -> None: ...

class StreamResultsRequest(_message.Message):
    __slots__ = ("query_id", "start_row", "attempt", "format", "heartbeat_interval", "end_row")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    START_ROW_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    END_ROW_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    start_row: int
    attempt: int
    format: _result_pb2.PageFormat
    heartbeat_interval: _duration_pb2.Duration
    end_row: int
    def __init__(self, query_id: _Optional[str] = ..., start_row: _Optional[int] = ..., attempt: _Optional[int] = ..., format: _Optional[_Union[_result_pb2.PageFormat, str]] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end_row: _Optional[int] = ...) -> None: ...

class StreamResultsResponse(_message.Message):
    __slots__ = ("start", "status", "schema", "page", "heartbeat", "rotate", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ROTATE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: _result_pb2.StreamStart
    status: _query_pb2.QueryStatus
    schema: _result_pb2.ResultSchema
    page: _result_pb2.Page
    heartbeat: _result_pb2.Heartbeat
    rotate: _result_pb2.StreamRotate
    end: _result_pb2.ResultEnd
    def __init__(self, start: _Optional[_Union[_result_pb2.StreamStart, _Mapping]] = ..., status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., schema: _Optional[_Union[_result_pb2.ResultSchema, _Mapping]] = ..., page: _Optional[_Union[_result_pb2.Page, _Mapping]] = ..., heartbeat: _Optional[_Union[_result_pb2.Heartbeat, _Mapping]] = ..., rotate: _Optional[_Union[_result_pb2.StreamRotate, _Mapping]] = ..., end: _Optional[_Union[_result_pb2.ResultEnd, _Mapping]] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("query_id", "reason", "wait_timeout")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    reason: str
    wait_timeout: _duration_pb2.Duration
    def __init__(self, query_id: _Optional[str] = ..., reason: _Optional[str] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CancelQueriesRequest(_message.Message):
    __slots__ = ("labels", "engine", "subject", "reason", "wait_timeout")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.ScalarMap[str, str]
    engine: str
    subject: str
    reason: str
    wait_timeout: _duration_pb2.Duration
    def __init__(self, labels: _Optional[_Mapping[str, str]] = ..., engine: _Optional[str] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ..., wait_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CancelQueriesResponse(_message.Message):
    __slots__ = ("cancelled", "cancelling", "already_ended", "left", "query_ids")
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    CANCELLING_FIELD_NUMBER: _ClassVar[int]
    ALREADY_ENDED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    QUERY_IDS_FIELD_NUMBER: _ClassVar[int]
    cancelled: int
    cancelling: int
    already_ended: int
    left: int
    query_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cancelled: _Optional[int] = ..., cancelling: _Optional[int] = ..., already_ended: _Optional[int] = ..., left: _Optional[int] = ..., query_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelResponse(_message.Message):
    __slots__ = ("result", "engine_cancel", "status")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CANCEL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    result: CancelResult
    engine_cancel: EngineCancelState
    status: _query_pb2.QueryStatus
    def __init__(self, result: _Optional[_Union[CancelResult, str]] = ..., engine_cancel: _Optional[_Union[EngineCancelState, str]] = ..., status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ...) -> None: ...

class WatchStatusRequest(_message.Message):
    __slots__ = ("query_id", "after_version", "heartbeat_interval")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    after_version: int
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, query_id: _Optional[str] = ..., after_version: _Optional[int] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchStatusResponse(_message.Message):
    __slots__ = ("status", "heartbeat", "rotate")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ROTATE_FIELD_NUMBER: _ClassVar[int]
    status: _query_pb2.QueryStatus
    heartbeat: _result_pb2.Heartbeat
    rotate: _result_pb2.StreamRotate
    def __init__(self, status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., heartbeat: _Optional[_Union[_result_pb2.Heartbeat, _Mapping]] = ..., rotate: _Optional[_Union[_result_pb2.StreamRotate, _Mapping]] = ...) -> None: ...

class WatchQueriesRequest(_message.Message):
    __slots__ = ("position", "states", "labels", "engine", "subject", "heartbeat_interval")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    position: str
    states: _containers.RepeatedScalarFieldContainer[_query_pb2.QueryState]
    labels: _containers.ScalarMap[str, str]
    engine: str
    subject: str
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, position: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_query_pb2.QueryState, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., engine: _Optional[str] = ..., subject: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchQueriesResponse(_message.Message):
    __slots__ = ("position", "status", "reset", "heartbeat", "rotate")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ROTATE_FIELD_NUMBER: _ClassVar[int]
    position: str
    status: _query_pb2.QueryStatus
    reset: WatchReset
    heartbeat: _result_pb2.Heartbeat
    rotate: _result_pb2.StreamRotate
    def __init__(self, position: _Optional[str] = ..., status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., reset: _Optional[_Union[WatchReset, _Mapping]] = ..., heartbeat: _Optional[_Union[_result_pb2.Heartbeat, _Mapping]] = ..., rotate: _Optional[_Union[_result_pb2.StreamRotate, _Mapping]] = ...) -> None: ...

class WatchReset(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FetchPageRequest(_message.Message):
    __slots__ = ("query_id", "page", "offset", "page_token", "page_size", "format")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    page: int
    offset: int
    page_token: str
    page_size: int
    format: _result_pb2.PageFormat
    def __init__(self, query_id: _Optional[str] = ..., page: _Optional[int] = ..., offset: _Optional[int] = ..., page_token: _Optional[str] = ..., page_size: _Optional[int] = ..., format: _Optional[_Union[_result_pb2.PageFormat, str]] = ...) -> None: ...

class FetchPageResponse(_message.Message):
    __slots__ = ("page", "schema", "next_page_token", "prev_page_token", "total_rows")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREV_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    page: _result_pb2.Page
    schema: _result_pb2.ResultSchema
    next_page_token: str
    prev_page_token: str
    total_rows: int
    def __init__(self, page: _Optional[_Union[_result_pb2.Page, _Mapping]] = ..., schema: _Optional[_Union[_result_pb2.ResultSchema, _Mapping]] = ..., next_page_token: _Optional[str] = ..., prev_page_token: _Optional[str] = ..., total_rows: _Optional[int] = ...) -> None: ...

class ListPagesRequest(_message.Message):
    __slots__ = ("query_id", "page_size", "page_token")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    page_size: int
    page_token: str
    def __init__(self, query_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPagesResponse(_message.Message):
    __slots__ = ("pages", "next_page_token", "attempt", "total_rows")
    PAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    pages: _containers.RepeatedCompositeFieldContainer[_result_pb2.StoredPage]
    next_page_token: str
    attempt: int
    total_rows: int
    def __init__(self, pages: _Optional[_Iterable[_Union[_result_pb2.StoredPage, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., attempt: _Optional[int] = ..., total_rows: _Optional[int] = ...) -> None: ...

class ListQueriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states", "labels", "engine", "query_id_prefix", "subject", "submitted_after", "submitted_before", "named_query")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    QUERY_ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AFTER_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[_query_pb2.QueryState]
    labels: _containers.ScalarMap[str, str]
    engine: str
    query_id_prefix: str
    subject: str
    submitted_after: _timestamp_pb2.Timestamp
    submitted_before: _timestamp_pb2.Timestamp
    named_query: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_query_pb2.QueryState, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., engine: _Optional[str] = ..., query_id_prefix: _Optional[str] = ..., subject: _Optional[str] = ..., submitted_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., submitted_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., named_query: _Optional[str] = ...) -> None: ...

class ListQueriesResponse(_message.Message):
    __slots__ = ("queries", "next_page_token")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[_query_pb2.QueryStatus]
    next_page_token: str
    def __init__(self, queries: _Optional[_Iterable[_Union[_query_pb2.QueryStatus, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReleaseResultsRequest(_message.Message):
    __slots__ = ("query_id", "extend_to")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    EXTEND_TO_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    extend_to: _timestamp_pb2.Timestamp
    def __init__(self, query_id: _Optional[str] = ..., extend_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReleaseResultsResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: _query_pb2.QueryStatus
    def __init__(self, status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("from_date", "to_date", "subject", "all_tenants", "page_size", "page_token")
    FROM_DATE_FIELD_NUMBER: _ClassVar[int]
    TO_DATE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ALL_TENANTS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    from_date: str
    to_date: str
    subject: str
    all_tenants: bool
    page_size: int
    page_token: str
    def __init__(self, from_date: _Optional[str] = ..., to_date: _Optional[str] = ..., subject: _Optional[str] = ..., all_tenants: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("usage", "next_page_token")
    USAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    usage: _containers.RepeatedCompositeFieldContainer[DailyUsage]
    next_page_token: str
    def __init__(self, usage: _Optional[_Iterable[_Union[DailyUsage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DailyUsage(_message.Message):
    __slots__ = ("date", "tenant", "subject", "engine", "queries", "failed", "cancelled", "cache_hits", "engine_time", "rows", "bytes_stored", "bytes_scanned")
    DATE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_STORED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SCANNED_FIELD_NUMBER: _ClassVar[int]
    date: str
    tenant: str
    subject: str
    engine: str
    queries: int
    failed: int
    cancelled: int
    cache_hits: int
    engine_time: _duration_pb2.Duration
    rows: int
    bytes_stored: int
    bytes_scanned: int
    def __init__(self, date: _Optional[str] = ..., tenant: _Optional[str] = ..., subject: _Optional[str] = ..., engine: _Optional[str] = ..., queries: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., cache_hits: _Optional[int] = ..., engine_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rows: _Optional[int] = ..., bytes_stored: _Optional[int] = ..., bytes_scanned: _Optional[int] = ...) -> None: ...

class ListEnginesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEnginesResponse(_message.Message):
    __slots__ = ("engines",)
    ENGINES_FIELD_NUMBER: _ClassVar[int]
    engines: _containers.RepeatedCompositeFieldContainer[EngineInfo]
    def __init__(self, engines: _Optional[_Iterable[_Union[EngineInfo, _Mapping]]] = ...) -> None: ...

class EngineInfo(_message.Message):
    __slots__ = ("name", "type", "is_default", "slots", "running", "queued", "available", "detail", "traits", "confinement")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRAITS_FIELD_NUMBER: _ClassVar[int]
    CONFINEMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    is_default: bool
    slots: int
    running: int
    queued: int
    available: bool
    detail: str
    traits: EngineTraits
    confinement: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., is_default: _Optional[bool] = ..., slots: _Optional[int] = ..., running: _Optional[int] = ..., queued: _Optional[int] = ..., available: _Optional[bool] = ..., detail: _Optional[str] = ..., traits: _Optional[_Union[EngineTraits, _Mapping]] = ..., confinement: _Optional[_Iterable[str]] = ...) -> None: ...

class RefreshEngineRequest(_message.Message):
    __slots__ = ("engine",)
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: str
    def __init__(self, engine: _Optional[str] = ...) -> None: ...

class RefreshEngineResponse(_message.Message):
    __slots__ = ("engine", "views", "workers", "workers_waiting", "changes", "changes_left_out")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_WAITING_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CHANGES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    engine: str
    views: int
    workers: int
    workers_waiting: int
    changes: _containers.RepeatedCompositeFieldContainer[ViewChange]
    changes_left_out: int
    def __init__(self, engine: _Optional[str] = ..., views: _Optional[int] = ..., workers: _Optional[int] = ..., workers_waiting: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[ViewChange, _Mapping]]] = ..., changes_left_out: _Optional[int] = ...) -> None: ...

class ViewChange(_message.Message):
    __slots__ = ("view", "kind", "reason")
    VIEW_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    view: str
    kind: ViewChangeKind
    reason: str
    def __init__(self, view: _Optional[str] = ..., kind: _Optional[_Union[ViewChangeKind, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class EngineTraits(_message.Message):
    __slots__ = ("named_parameters", "positional_parameters", "progress", "scan_statistics", "catalog", "schema", "session_settings", "streams", "back_pressure", "cancel_confirmed", "sandbox", "writes")
    NAMED_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    POSITIONAL_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    SCAN_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SESSION_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    BACK_PRESSURE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    named_parameters: bool
    positional_parameters: bool
    progress: bool
    scan_statistics: bool
    catalog: bool
    schema: bool
    session_settings: _containers.RepeatedScalarFieldContainer[str]
    streams: bool
    back_pressure: bool
    cancel_confirmed: bool
    sandbox: bool
    writes: bool
    def __init__(self, named_parameters: _Optional[bool] = ..., positional_parameters: _Optional[bool] = ..., progress: _Optional[bool] = ..., scan_statistics: _Optional[bool] = ..., catalog: _Optional[bool] = ..., schema: _Optional[bool] = ..., session_settings: _Optional[_Iterable[str]] = ..., streams: _Optional[bool] = ..., back_pressure: _Optional[bool] = ..., cancel_confirmed: _Optional[bool] = ..., sandbox: _Optional[bool] = ..., writes: _Optional[bool] = ...) -> None: ...
