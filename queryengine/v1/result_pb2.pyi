import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from queryengine.v1 import query_pb2 as _query_pb2
from queryengine.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PageFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGE_FORMAT_UNSPECIFIED: _ClassVar[PageFormat]
    PAGE_FORMAT_ARROW: _ClassVar[PageFormat]
    PAGE_FORMAT_ROWS: _ClassVar[PageFormat]

class Compression(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPRESSION_UNSPECIFIED: _ClassVar[Compression]
    COMPRESSION_NONE: _ClassVar[Compression]
    COMPRESSION_LZ4: _ClassVar[Compression]
    COMPRESSION_ZSTD: _ClassVar[Compression]

class WideIntegers(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WIDE_INTEGERS_UNSPECIFIED: _ClassVar[WideIntegers]
    WIDE_INTEGERS_FAIL: _ClassVar[WideIntegers]
    WIDE_INTEGERS_STRING: _ClassVar[WideIntegers]
    WIDE_INTEGERS_DECIMAL256: _ClassVar[WideIntegers]

class TruncationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUNCATION_REASON_UNSPECIFIED: _ClassVar[TruncationReason]
    TRUNCATION_REASON_ROW_LIMIT: _ClassVar[TruncationReason]
    TRUNCATION_REASON_BYTE_LIMIT: _ClassVar[TruncationReason]

class RotateReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROTATE_REASON_UNSPECIFIED: _ClassVar[RotateReason]
    ROTATE_REASON_AGE: _ClassVar[RotateReason]
    ROTATE_REASON_BYTES: _ClassVar[RotateReason]
    ROTATE_REASON_DRAIN: _ClassVar[RotateReason]
PAGE_FORMAT_UNSPECIFIED: PageFormat
PAGE_FORMAT_ARROW: PageFormat
PAGE_FORMAT_ROWS: PageFormat
COMPRESSION_UNSPECIFIED: Compression
COMPRESSION_NONE: Compression
COMPRESSION_LZ4: Compression
COMPRESSION_ZSTD: Compression
WIDE_INTEGERS_UNSPECIFIED: WideIntegers
WIDE_INTEGERS_FAIL: WideIntegers
WIDE_INTEGERS_STRING: WideIntegers
WIDE_INTEGERS_DECIMAL256: WideIntegers
TRUNCATION_REASON_UNSPECIFIED: TruncationReason
TRUNCATION_REASON_ROW_LIMIT: TruncationReason
TRUNCATION_REASON_BYTE_LIMIT: TruncationReason
ROTATE_REASON_UNSPECIFIED: RotateReason
ROTATE_REASON_AGE: RotateReason
ROTATE_REASON_BYTES: RotateReason
ROTATE_REASON_DRAIN: RotateReason

class ResultOptions(_message.Message):
    __slots__ = ("ttl", "compression", "inline_format", "wide_integers")
    TTL_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    INLINE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    WIDE_INTEGERS_FIELD_NUMBER: _ClassVar[int]
    ttl: _duration_pb2.Duration
    compression: Compression
    inline_format: PageFormat
    wide_integers: WideIntegers
    def __init__(self, ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., compression: _Optional[_Union[Compression, str]] = ..., inline_format: _Optional[_Union[PageFormat, str]] = ..., wide_integers: _Optional[_Union[WideIntegers, str]] = ...) -> None: ...

class ResultSchema(_message.Message):
    __slots__ = ("columns", "arrow_schema", "attempt", "chunk_index", "chunk_count", "chunk")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ARROW_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[_value_pb2.Column]
    arrow_schema: bytes
    attempt: int
    chunk_index: int
    chunk_count: int
    chunk: bytes
    def __init__(self, columns: _Optional[_Iterable[_Union[_value_pb2.Column, _Mapping]]] = ..., arrow_schema: _Optional[bytes] = ..., attempt: _Optional[int] = ..., chunk_index: _Optional[int] = ..., chunk_count: _Optional[int] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("start_row", "row_count", "crc32c", "chunk_index", "chunk_count", "arrow", "rows", "rows_chunk")
    START_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    CHUNK_INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_COUNT_FIELD_NUMBER: _ClassVar[int]
    ARROW_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROWS_CHUNK_FIELD_NUMBER: _ClassVar[int]
    start_row: int
    row_count: int
    crc32c: int
    chunk_index: int
    chunk_count: int
    arrow: bytes
    rows: RowSet
    rows_chunk: bytes
    def __init__(self, start_row: _Optional[int] = ..., row_count: _Optional[int] = ..., crc32c: _Optional[int] = ..., chunk_index: _Optional[int] = ..., chunk_count: _Optional[int] = ..., arrow: _Optional[bytes] = ..., rows: _Optional[_Union[RowSet, _Mapping]] = ..., rows_chunk: _Optional[bytes] = ...) -> None: ...

class StoredPage(_message.Message):
    __slots__ = ("start_row", "row_count", "bytes", "crc32c")
    START_ROW_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    start_row: int
    row_count: int
    bytes: int
    crc32c: int
    def __init__(self, start_row: _Optional[int] = ..., row_count: _Optional[int] = ..., bytes: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...

class RowSet(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[Row]
    def __init__(self, rows: _Optional[_Iterable[_Union[Row, _Mapping]]] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[_value_pb2.Value]
    def __init__(self, values: _Optional[_Iterable[_Union[_value_pb2.Value, _Mapping]]] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("query_id", "attempt", "format", "next_row")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    NEXT_ROW_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    attempt: int
    format: PageFormat
    next_row: int
    def __init__(self, query_id: _Optional[str] = ..., attempt: _Optional[int] = ..., format: _Optional[_Union[PageFormat, str]] = ..., next_row: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("server_time", "version")
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    server_time: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class StreamRotate(_message.Message):
    __slots__ = ("next_row", "attempt", "reason")
    NEXT_ROW_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    next_row: int
    attempt: int
    reason: RotateReason
    def __init__(self, next_row: _Optional[int] = ..., attempt: _Optional[int] = ..., reason: _Optional[_Union[RotateReason, str]] = ...) -> None: ...

class ResultEnd(_message.Message):
    __slots__ = ("total_rows", "total_pages", "total_bytes", "truncated", "truncation_reason", "expire_time", "status", "attempt")
    TOTAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_PAGES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    total_rows: int
    total_pages: int
    total_bytes: int
    truncated: bool
    truncation_reason: TruncationReason
    expire_time: _timestamp_pb2.Timestamp
    status: _query_pb2.QueryStatus
    attempt: int
    def __init__(self, total_rows: _Optional[int] = ..., total_pages: _Optional[int] = ..., total_bytes: _Optional[int] = ..., truncated: _Optional[bool] = ..., truncation_reason: _Optional[_Union[TruncationReason, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[_query_pb2.QueryStatus, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...
