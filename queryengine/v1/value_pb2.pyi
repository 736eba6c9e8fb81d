from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TypeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TYPE_KIND_UNSPECIFIED: _ClassVar[TypeKind]
    TYPE_KIND_NULL: _ClassVar[TypeKind]
    TYPE_KIND_BOOL: _ClassVar[TypeKind]
    TYPE_KIND_INT: _ClassVar[TypeKind]
    TYPE_KIND_UINT: _ClassVar[TypeKind]
    TYPE_KIND_FLOAT: _ClassVar[TypeKind]
    TYPE_KIND_DECIMAL: _ClassVar[TypeKind]
    TYPE_KIND_STRING: _ClassVar[TypeKind]
    TYPE_KIND_BYTES: _ClassVar[TypeKind]
    TYPE_KIND_DATE: _ClassVar[TypeKind]
    TYPE_KIND_TIME: _ClassVar[TypeKind]
    TYPE_KIND_TIMESTAMP: _ClassVar[TypeKind]
    TYPE_KIND_DURATION: _ClassVar[TypeKind]
    TYPE_KIND_INTERVAL: _ClassVar[TypeKind]
    TYPE_KIND_UUID: _ClassVar[TypeKind]
    TYPE_KIND_JSON: _ClassVar[TypeKind]
    TYPE_KIND_LIST: _ClassVar[TypeKind]
    TYPE_KIND_STRUCT: _ClassVar[TypeKind]
    TYPE_KIND_MAP: _ClassVar[TypeKind]

class TimeUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_UNIT_UNSPECIFIED: _ClassVar[TimeUnit]
    TIME_UNIT_SECOND: _ClassVar[TimeUnit]
    TIME_UNIT_MILLI: _ClassVar[TimeUnit]
    TIME_UNIT_MICRO: _ClassVar[TimeUnit]
    TIME_UNIT_NANO: _ClassVar[TimeUnit]

class NullValue(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NULL_VALUE_UNSPECIFIED: _ClassVar[NullValue]
TYPE_KIND_UNSPECIFIED: TypeKind
TYPE_KIND_NULL: TypeKind
TYPE_KIND_BOOL: TypeKind
TYPE_KIND_INT: TypeKind
TYPE_KIND_UINT: TypeKind
TYPE_KIND_FLOAT: TypeKind
TYPE_KIND_DECIMAL: TypeKind
TYPE_KIND_STRING: TypeKind
TYPE_KIND_BYTES: TypeKind
TYPE_KIND_DATE: TypeKind
TYPE_KIND_TIME: TypeKind
TYPE_KIND_TIMESTAMP: TypeKind
TYPE_KIND_DURATION: TypeKind
TYPE_KIND_INTERVAL: TypeKind
TYPE_KIND_UUID: TypeKind
TYPE_KIND_JSON: TypeKind
TYPE_KIND_LIST: TypeKind
TYPE_KIND_STRUCT: TypeKind
TYPE_KIND_MAP: TypeKind
TIME_UNIT_UNSPECIFIED: TimeUnit
TIME_UNIT_SECOND: TimeUnit
TIME_UNIT_MILLI: TimeUnit
TIME_UNIT_MICRO: TimeUnit
TIME_UNIT_NANO: TimeUnit
NULL_VALUE_UNSPECIFIED: NullValue

class DataType(_message.Message):
    __slots__ = ("kind", "bit_width", "precision", "scale", "unit", "time_zone", "fields")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BIT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    kind: TypeKind
    bit_width: int
    precision: int
    scale: int
    unit: TimeUnit
    time_zone: str
    fields: _containers.RepeatedCompositeFieldContainer[Column]
    def __init__(self, kind: _Optional[_Union[TypeKind, str]] = ..., bit_width: _Optional[int] = ..., precision: _Optional[int] = ..., scale: _Optional[int] = ..., unit: _Optional[_Union[TimeUnit, str]] = ..., time_zone: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[Column, _Mapping]]] = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "type", "nullable", "engine_type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NULLABLE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: DataType
    nullable: bool
    engine_type: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[DataType, _Mapping]] = ..., nullable: _Optional[bool] = ..., engine_type: _Optional[str] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("null_value", "bool_value", "int_value", "uint_value", "double_value", "string_value", "bytes_value", "decimal_value", "timestamp_value", "date_days", "time_nanos", "interval_value", "uuid_value", "list_value", "map_value", "duration_value")
    NULL_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    UINT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    DECIMAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_VALUE_FIELD_NUMBER: _ClassVar[int]
    DATE_DAYS_FIELD_NUMBER: _ClassVar[int]
    TIME_NANOS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    UUID_VALUE_FIELD_NUMBER: _ClassVar[int]
    LIST_VALUE_FIELD_NUMBER: _ClassVar[int]
    MAP_VALUE_FIELD_NUMBER: _ClassVar[int]
    DURATION_VALUE_FIELD_NUMBER: _ClassVar[int]
    null_value: NullValue
    bool_value: bool
    int_value: int
    uint_value: int
    double_value: float
    string_value: str
    bytes_value: bytes
    decimal_value: str
    timestamp_value: TimestampValue
    date_days: int
    time_nanos: int
    interval_value: IntervalValue
    uuid_value: bytes
    list_value: ListValue
    map_value: MapValue
    duration_value: DurationValue
    def __init__(self, null_value: _Optional[_Union[NullValue, str]] = ..., bool_value: _Optional[bool] = ..., int_value: _Optional[int] = ..., uint_value: _Optional[int] = ..., double_value: _Optional[float] = ..., string_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., decimal_value: _Optional[str] = ..., timestamp_value: _Optional[_Union[TimestampValue, _Mapping]] = ..., date_days: _Optional[int] = ..., time_nanos: _Optional[int] = ..., interval_value: _Optional[_Union[IntervalValue, _Mapping]] = ..., uuid_value: _Optional[bytes] = ..., list_value: _Optional[_Union[ListValue, _Mapping]] = ..., map_value: _Optional[_Union[MapValue, _Mapping]] = ..., duration_value: _Optional[_Union[DurationValue, _Mapping]] = ...) -> None: ...

class TimestampValue(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class DurationValue(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class IntervalValue(_message.Message):
    __slots__ = ("months", "days", "nanos")
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    months: int
    days: int
    nanos: int
    def __init__(self, months: _Optional[int] = ..., days: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class ListValue(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class MapValue(_message.Message):
    __slots__ = ("keys", "values")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[Value]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, keys: _Optional[_Iterable[_Union[Value, _Mapping]]] = ..., values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "type", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: DataType
    value: Value
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[DataType, _Mapping]] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class ParameterList(_message.Message):
    __slots__ = ("parameters",)
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    def __init__(self, parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ...) -> None: ...
