"""Arrow types to and from the contract's DataType, Column and ResultSchema.

By Arrow type alone: each kind has one canonical Arrow type, and canonical types survive both ways without
loss. Another Arrow type of the same kind (large_string, fixed_size_list, decimal32, dictionary …) travels as
the canonical one.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from queryengine.v1 import result_pb2, value_pb2
from queryengine.v1.value_pb2 import Column, DataType

ENGINE_TYPE: Final = b"engine_type"
"""Field metadata key under which an engine's own word for a type travels inside Arrow."""

DECIMAL128_DIGITS: Final = 38
DECIMAL256_DIGITS: Final = 76

_TO_UNIT: Final = MappingProxyType(
    {
        "s": value_pb2.TIME_UNIT_SECOND,
        "ms": value_pb2.TIME_UNIT_MILLI,
        "us": value_pb2.TIME_UNIT_MICRO,
        "ns": value_pb2.TIME_UNIT_NANO,
    }
)
_FROM_UNIT: Final = MappingProxyType({number: unit for unit, number in _TO_UNIT.items()})

_PLAIN: Final[Mapping[int, pa.DataType]] = MappingProxyType(
    {
        value_pb2.TYPE_KIND_NULL: pa.null(),
        value_pb2.TYPE_KIND_BOOL: pa.bool_(),
        value_pb2.TYPE_KIND_STRING: pa.string(),
        value_pb2.TYPE_KIND_BYTES: pa.binary(),
        value_pb2.TYPE_KIND_DATE: pa.date32(),
        value_pb2.TYPE_KIND_INTERVAL: pa.month_day_nano_interval(),
        value_pb2.TYPE_KIND_UUID: pa.uuid(),
        value_pb2.TYPE_KIND_JSON: pa.json_(),
    }
)
_NUMBERS: Final[Mapping[tuple[int, int], pa.DataType]] = MappingProxyType(
    {
        (value_pb2.TYPE_KIND_INT, 8): pa.int8(),
        (value_pb2.TYPE_KIND_INT, 16): pa.int16(),
        (value_pb2.TYPE_KIND_INT, 32): pa.int32(),
        (value_pb2.TYPE_KIND_INT, 64): pa.int64(),
        # Arrow has no 128-bit integers. They have 39 digits, one more than a decimal128 holds.
        (value_pb2.TYPE_KIND_INT, 128): pa.decimal256(39, 0),
        (value_pb2.TYPE_KIND_UINT, 8): pa.uint8(),
        (value_pb2.TYPE_KIND_UINT, 16): pa.uint16(),
        (value_pb2.TYPE_KIND_UINT, 32): pa.uint32(),
        (value_pb2.TYPE_KIND_UINT, 64): pa.uint64(),
        (value_pb2.TYPE_KIND_UINT, 128): pa.decimal256(39, 0),
        (value_pb2.TYPE_KIND_FLOAT, 16): pa.float16(),
        (value_pb2.TYPE_KIND_FLOAT, 32): pa.float32(),
        (value_pb2.TYPE_KIND_FLOAT, 64): pa.float64(),
    }
)


def to_result_schema(schema: pa.Schema, *, attempt: int = 0) -> result_pb2.ResultSchema:
    """The columns of a result, with the Arrow schema beside them. Raises ValueError for a type without a
    kind.
    """
    return result_pb2.ResultSchema(
        columns=[to_column(field) for field in schema],
        arrow_schema=schema.serialize().to_pybytes(),
        attempt=attempt,
    )


def encoded_result_schema(schema: bytes) -> bytes:
    """The encoded ResultSchema of an Arrow IPC schema message, without its attempt. Raises as to_result_schema."""
    encoded: bytes = to_result_schema(pa.ipc.read_schema(pa.py_buffer(schema))).SerializeToString()
    return encoded


def encoded_attempt(attempt: int) -> bytes:
    """What sets the attempt of an encoded ResultSchema when it follows that."""
    encoded: bytes = result_pb2.ResultSchema(attempt=attempt).SerializeToString()
    return encoded


def from_result_schema(message: result_pb2.ResultSchema) -> pa.Schema:
    """The Arrow schema inside, else one made from the columns. Raises ValueError when damaged."""
    if message.arrow_schema:
        try:
            return pa.ipc.read_schema(pa.py_buffer(message.arrow_schema))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"damaged Arrow schema: {error}") from error
    return pa.schema([from_column(column) for column in message.columns])


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that typed rows of this schema come back in; of its metadata only the engine's type names
    stay.
    """
    return pa.schema([from_column(to_column(field)) for field in schema])


def to_column(field: pa.Field) -> Column:
    metadata = field.metadata or {}
    return Column(
        name=field.name,
        type=to_data_type(field.type),
        nullable=field.nullable,
        engine_type=metadata.get(ENGINE_TYPE, b"").decode("utf-8", "replace"),
    )


def from_column(column: Column) -> pa.Field:
    metadata = {ENGINE_TYPE: column.engine_type.encode()} if column.engine_type else None
    return pa.field(column.name, from_data_type(column.type), nullable=column.nullable, metadata=metadata)


def to_data_type(arrow: pa.DataType) -> DataType:
    """Raises ValueError for an Arrow type that the contract has no kind for, such as a union."""
    types = pa.types
    if types.is_dictionary(arrow) or types.is_run_end_encoded(arrow):
        return to_data_type(arrow.value_type)
    for test, build in _KINDS:
        if test(arrow):
            return build(arrow)
    raise ValueError(f"no kind for the Arrow type {arrow}")


def from_data_type(message: DataType) -> pa.DataType:
    """The canonical Arrow type. Raises ValueError for a message that names none."""
    kind, width = message.kind, message.bit_width
    if kind in _PLAIN:
        return _PLAIN[kind]
    if (kind, width) in _NUMBERS:
        return _NUMBERS[kind, width]
    match kind:
        case value_pb2.TYPE_KIND_DECIMAL:
            return _decimal(message.precision, message.scale)
        case value_pb2.TYPE_KIND_TIME:
            unit = unit_of(message)
            return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
        case value_pb2.TYPE_KIND_TIMESTAMP:
            return pa.timestamp(unit_of(message), message.time_zone or None)
        case value_pb2.TYPE_KIND_DURATION:
            return pa.duration(unit_of(message))
        case value_pb2.TYPE_KIND_LIST if len(message.fields) == 1:
            return pa.list_(from_column(message.fields[0]))
        case value_pb2.TYPE_KIND_STRUCT:
            return pa.struct([from_column(column) for column in message.fields])
        case value_pb2.TYPE_KIND_MAP if len(message.fields) == 2:
            key, item = (from_column(column) for column in message.fields)
            # Arrow insists on keys that cannot be null.
            return pa.map_(key.with_nullable(False), item)
    name = value_pb2.TypeKind.Name(kind) if kind in value_pb2.TypeKind.values() else str(kind)
    raise ValueError(f"no such type: {name} with bit_width {width} and {len(message.fields)} fields")


def _decimal(precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= DECIMAL256_DIGITS:
        raise ValueError(f"decimal precision {precision} is outside 1 to {DECIMAL256_DIGITS}")
    if abs(scale) > DECIMAL256_DIGITS:
        raise ValueError(f"decimal scale {scale} is outside -{DECIMAL256_DIGITS} to {DECIMAL256_DIGITS}")
    make = pa.decimal128 if precision <= DECIMAL128_DIGITS else pa.decimal256
    return make(precision, scale)


def unit_of(message: DataType) -> str:
    """The resolution; microseconds when the message does not say."""
    return _FROM_UNIT.get(message.unit, "us")


def _sized(kind: value_pb2.TypeKind) -> Callable[[pa.DataType], DataType]:
    return lambda arrow: DataType(kind=kind, bit_width=arrow.bit_width)


def _timed(kind: value_pb2.TypeKind) -> Callable[[pa.DataType], DataType]:
    return lambda arrow: DataType(kind=kind, unit=_TO_UNIT[arrow.unit], time_zone=getattr(arrow, "tz", None) or "")


def _plain(kind: value_pb2.TypeKind) -> Callable[[pa.DataType], DataType]:
    return lambda _: DataType(kind=kind)


def _decimal_message(arrow: pa.DataType) -> DataType:
    return DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=arrow.precision, scale=arrow.scale)


def _list_message(arrow: pa.DataType) -> DataType:
    return DataType(kind=value_pb2.TYPE_KIND_LIST, fields=[to_column(arrow.value_field)])


def _struct_message(arrow: pa.DataType) -> DataType:
    return DataType(
        kind=value_pb2.TYPE_KIND_STRUCT, fields=[to_column(arrow.field(i)) for i in range(arrow.num_fields)]
    )


def _map_message(arrow: pa.DataType) -> DataType:
    return DataType(kind=value_pb2.TYPE_KIND_MAP, fields=[to_column(arrow.key_field), to_column(arrow.item_field)])


def is_text(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow))


def is_octets(arrow: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(arrow)
        or types.is_large_binary(arrow)
        or types.is_binary_view(arrow)
        or types.is_fixed_size_binary(arrow)
    )


def is_list(arrow: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(arrow)
        or types.is_large_list(arrow)
        or types.is_fixed_size_list(arrow)
        or types.is_list_view(arrow)
        or types.is_large_list_view(arrow)
    )


def is_uuid(arrow: pa.DataType) -> bool:
    return isinstance(arrow, pa.UuidType)


def is_json(arrow: pa.DataType) -> bool:
    return isinstance(arrow, pa.JsonType)


_KINDS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], DataType]], ...]] = (
    (is_uuid, _plain(value_pb2.TYPE_KIND_UUID)),
    (is_json, _plain(value_pb2.TYPE_KIND_JSON)),
    (pa.types.is_null, _plain(value_pb2.TYPE_KIND_NULL)),
    (pa.types.is_boolean, _plain(value_pb2.TYPE_KIND_BOOL)),
    (pa.types.is_signed_integer, _sized(value_pb2.TYPE_KIND_INT)),
    (pa.types.is_unsigned_integer, _sized(value_pb2.TYPE_KIND_UINT)),
    (pa.types.is_floating, _sized(value_pb2.TYPE_KIND_FLOAT)),
    (pa.types.is_decimal, _decimal_message),
    (is_text, _plain(value_pb2.TYPE_KIND_STRING)),
    (is_octets, _plain(value_pb2.TYPE_KIND_BYTES)),
    (pa.types.is_date, _plain(value_pb2.TYPE_KIND_DATE)),
    (pa.types.is_time, _timed(value_pb2.TYPE_KIND_TIME)),
    (pa.types.is_timestamp, _timed(value_pb2.TYPE_KIND_TIMESTAMP)),
    (pa.types.is_duration, _timed(value_pb2.TYPE_KIND_DURATION)),
    (pa.types.is_interval, _plain(value_pb2.TYPE_KIND_INTERVAL)),
    (is_list, _list_message),
    (pa.types.is_map, _map_message),
    (pa.types.is_struct, _struct_message),
)
