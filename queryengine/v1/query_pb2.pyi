import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from queryengine.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QueryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY_STATE_UNSPECIFIED: _ClassVar[QueryState]
    QUERY_STATE_QUEUED: _ClassVar[QueryState]
    QUERY_STATE_RUNNING: _ClassVar[QueryState]
    QUERY_STATE_COMPLETED: _ClassVar[QueryState]
    QUERY_STATE_FAILED: _ClassVar[QueryState]
    QUERY_STATE_CANCELLED: _ClassVar[QueryState]

class ResultState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_STATE_UNSPECIFIED: _ClassVar[ResultState]
    RESULT_STATE_NONE: _ClassVar[ResultState]
    RESULT_STATE_PARTIAL: _ClassVar[ResultState]
    RESULT_STATE_READY: _ClassVar[ResultState]
    RESULT_STATE_RELEASED: _ClassVar[ResultState]
    RESULT_STATE_EXPIRED: _ClassVar[ResultState]
    RESULT_STATE_LOST: _ClassVar[ResultState]

class LimitAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIMIT_ACTION_UNSPECIFIED: _ClassVar[LimitAction]
    LIMIT_ACTION_TRUNCATE: _ClassVar[LimitAction]
    LIMIT_ACTION_FAIL: _ClassVar[LimitAction]

class DisconnectPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCONNECT_POLICY_UNSPECIFIED: _ClassVar[DisconnectPolicy]
    DISCONNECT_POLICY_CONTINUE: _ClassVar[DisconnectPolicy]
    DISCONNECT_POLICY_CANCEL: _ClassVar[DisconnectPolicy]
QUERY_STATE_UNSPECIFIED: QueryState
QUERY_STATE_QUEUED: QueryState
QUERY_STATE_RUNNING: QueryState
QUERY_STATE_COMPLETED: QueryState
QUERY_STATE_FAILED: QueryState
QUERY_STATE_CANCELLED: QueryState
RESULT_STATE_UNSPECIFIED: ResultState
RESULT_STATE_NONE: ResultState
RESULT_STATE_PARTIAL: ResultState
RESULT_STATE_READY: ResultState
RESULT_STATE_RELEASED: ResultState
RESULT_STATE_EXPIRED: ResultState
RESULT_STATE_LOST: ResultState
LIMIT_ACTION_UNSPECIFIED: LimitAction
LIMIT_ACTION_TRUNCATE: LimitAction
LIMIT_ACTION_FAIL: LimitAction
DISCONNECT_POLICY_UNSPECIFIED: DisconnectPolicy
DISCONNECT_POLICY_CONTINUE: DisconnectPolicy
DISCONNECT_POLICY_CANCEL: DisconnectPolicy

class Limits(_message.Message):
    __slots__ = ("queue_timeout", "execution_timeout", "row_limit", "byte_limit", "on_limit", "scan_byte_limit", "scan_row_limit", "interactive")
    QUEUE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ROW_LIMIT_FIELD_NUMBER: _ClassVar[int]
    BYTE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ON_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCAN_BYTE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    SCAN_ROW_LIMIT_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    queue_timeout: _duration_pb2.Duration
    execution_timeout: _duration_pb2.Duration
    row_limit: int
    byte_limit: int
    on_limit: LimitAction
    scan_byte_limit: int
    scan_row_limit: int
    interactive: bool
    def __init__(self, queue_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., execution_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., row_limit: _Optional[int] = ..., byte_limit: _Optional[int] = ..., on_limit: _Optional[_Union[LimitAction, str]] = ..., scan_byte_limit: _Optional[int] = ..., scan_row_limit: _Optional[int] = ..., interactive: _Optional[bool] = ...) -> None: ...

class QueryStatus(_message.Message):
    __slots__ = ("query_id", "version", "state", "result_state", "engine", "engine_type", "routing_reason", "attempt", "progress", "stats", "error", "submit_time", "start_time", "first_page_time", "end_time", "expire_time", "cancel_request_time", "labels", "sql_preview", "query_hash", "priority", "engine_query_id", "engine_query_url", "subject", "row_policies", "policy_version", "named_query")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RESULT_STATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ROUTING_REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRST_PAGE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUEST_TIME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SQL_PREVIEW_FIELD_NUMBER: _ClassVar[int]
    QUERY_HASH_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_QUERY_URL_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ROW_POLICIES_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    version: int
    state: QueryState
    result_state: ResultState
    engine: str
    engine_type: str
    routing_reason: str
    attempt: int
    progress: Progress
    stats: QueryStats
    error: QueryError
    submit_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    first_page_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    cancel_request_time: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    sql_preview: str
    query_hash: str
    priority: int
    engine_query_id: str
    engine_query_url: str
    subject: str
    row_policies: _containers.RepeatedScalarFieldContainer[str]
    policy_version: str
    named_query: str
    def __init__(self, query_id: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[QueryState, str]] = ..., result_state: _Optional[_Union[ResultState, str]] = ..., engine: _Optional[str] = ..., engine_type: _Optional[str] = ..., routing_reason: _Optional[str] = ..., attempt: _Optional[int] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., stats: _Optional[_Union[QueryStats, _Mapping]] = ..., error: _Optional[_Union[QueryError, _Mapping]] = ..., submit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., first_page_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_request_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., sql_preview: _Optional[str] = ..., query_hash: _Optional[str] = ..., priority: _Optional[int] = ..., engine_query_id: _Optional[str] = ..., engine_query_url: _Optional[str] = ..., subject: _Optional[str] = ..., row_policies: _Optional[_Iterable[str]] = ..., policy_version: _Optional[str] = ..., named_query: _Optional[str] = ...) -> None: ...

class QueryDetails(_message.Message):
    __slots__ = ("sql", "executed_sql", "parameters", "parameters_left_out", "limits", "named_query", "routing", "limit_sources")
    class LimitSourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SQL_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_SQL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    LIMIT_SOURCES_FIELD_NUMBER: _ClassVar[int]
    sql: str
    executed_sql: str
    parameters: _containers.RepeatedCompositeFieldContainer[ParameterInfo]
    parameters_left_out: int
    limits: Limits
    named_query: str
    routing: RoutingDecision
    limit_sources: _containers.ScalarMap[str, str]
    def __init__(self, sql: _Optional[str] = ..., executed_sql: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[ParameterInfo, _Mapping]]] = ..., parameters_left_out: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., named_query: _Optional[str] = ..., routing: _Optional[_Union[RoutingDecision, _Mapping]] = ..., limit_sources: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RoutingDecision(_message.Message):
    __slots__ = ("rule", "facts", "passed_over", "translated_from")
    RULE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    PASSED_OVER_FIELD_NUMBER: _ClassVar[int]
    TRANSLATED_FROM_FIELD_NUMBER: _ClassVar[int]
    rule: str
    facts: _containers.RepeatedScalarFieldContainer[str]
    passed_over: _containers.RepeatedCompositeFieldContainer[PassedOver]
    translated_from: str
    def __init__(self, rule: _Optional[str] = ..., facts: _Optional[_Iterable[str]] = ..., passed_over: _Optional[_Iterable[_Union[PassedOver, _Mapping]]] = ..., translated_from: _Optional[str] = ...) -> None: ...

class PassedOver(_message.Message):
    __slots__ = ("engine", "why")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    engine: str
    why: str
    def __init__(self, engine: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class RoutingOptions(_message.Message):
    __slots__ = ("strict", "dialect")
    STRICT_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    strict: bool
    dialect: str
    def __init__(self, strict: _Optional[bool] = ..., dialect: _Optional[str] = ...) -> None: ...

class ParameterInfo(_message.Message):
    __slots__ = ("name", "type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: _value_pb2.DataType
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[_value_pb2.DataType, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("fraction", "queue_position", "queue_depth", "estimated_start_time", "estimated_completion_time", "splits_done", "splits_total", "engine_state", "waiting_reason")
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_START_TIME_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COMPLETION_TIME_FIELD_NUMBER: _ClassVar[int]
    SPLITS_DONE_FIELD_NUMBER: _ClassVar[int]
    SPLITS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_STATE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    fraction: float
    queue_position: int
    queue_depth: int
    estimated_start_time: _timestamp_pb2.Timestamp
    estimated_completion_time: _timestamp_pb2.Timestamp
    splits_done: int
    splits_total: int
    engine_state: str
    waiting_reason: str
    def __init__(self, fraction: _Optional[float] = ..., queue_position: _Optional[int] = ..., queue_depth: _Optional[int] = ..., estimated_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., estimated_completion_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., splits_done: _Optional[int] = ..., splits_total: _Optional[int] = ..., engine_state: _Optional[str] = ..., waiting_reason: _Optional[str] = ...) -> None: ...

class QueryStats(_message.Message):
    __slots__ = ("queue_time", "execution_time", "rows", "pages", "bytes", "rows_scanned", "bytes_scanned", "throttled_time")
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_SCANNED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SCANNED_FIELD_NUMBER: _ClassVar[int]
    THROTTLED_TIME_FIELD_NUMBER: _ClassVar[int]
    queue_time: _duration_pb2.Duration
    execution_time: _duration_pb2.Duration
    rows: int
    pages: int
    bytes: int
    rows_scanned: int
    bytes_scanned: int
    throttled_time: _duration_pb2.Duration
    def __init__(self, queue_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., execution_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rows: _Optional[int] = ..., pages: _Optional[int] = ..., bytes: _Optional[int] = ..., rows_scanned: _Optional[int] = ..., bytes_scanned: _Optional[int] = ..., throttled_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QueryError(_message.Message):
    __slots__ = ("code", "reason", "message", "sql_state", "position", "retryable", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SQL_STATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    sql_state: str
    position: SourcePosition
    retryable: bool
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., sql_state: _Optional[str] = ..., position: _Optional[_Union[SourcePosition, _Mapping]] = ..., retryable: _Optional[bool] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SourcePosition(_message.Message):
    __slots__ = ("line", "column")
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    line: int
    column: int
    def __init__(self, line: _Optional[int] = ..., column: _Optional[int] = ...) -> None: ...
