"""Spark's types: their names for people, and the Arrow types that their values arrive in."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from queryengine.domain.errors import Reason, error
from queryengine.engines.kit.arrow_types import is_any_list
from queryengine.engines.spark.client import Proto, proto

_PLAIN: Final[Mapping[str, tuple[str, pa.DataType]]] = MappingProxyType(
    {
        "null": ("void", pa.null()),
        "binary": ("binary", pa.binary()),
        "boolean": ("boolean", pa.bool_()),
        "byte": ("tinyint", pa.int8()),
        "short": ("smallint", pa.int16()),
        "integer": ("int", pa.int32()),
        "long": ("bigint", pa.int64()),
        "float": ("float", pa.float32()),
        "double": ("double", pa.float64()),
        "date": ("date", pa.date32()),
        "timestamp_ntz": ("timestamp_ntz", pa.timestamp("us")),
        "calendar_interval": ("interval", pa.month_day_nano_interval()),
        "variant": ("variant", pa.json_()),
    }
)
_DAY_FIELDS: Final = ("day", "hour", "minute", "second")
_YEAR_FIELDS: Final = ("year", "month")
_AS_PLAIN: Final[Mapping[pa.DataType, str]] = MappingProxyType(
    {arrow: kind for kind, (_, arrow) in _PLAIN.items() if kind != "variant"}
)


def type_name(kind: Proto) -> str:
    """Spark's own name, as DESCRIBE shows it."""
    which = kind.WhichOneof("kind")
    if which in _PLAIN:
        return _PLAIN[which][0]
    match str(which):
        case "string":
            collation = kind.string.collation
            return f"string collate {collation}" if collation not in ("", "UTF8_BINARY") else "string"
        case "char":
            return f"char({kind.char.length})"
        case "var_char":
            return f"varchar({kind.var_char.length})"
        case "decimal":
            return f"decimal({kind.decimal.precision},{kind.decimal.scale})"
        case "timestamp":
            return "timestamp"
        case "time":
            return f"time({kind.time.precision})"
        case "day_time_interval":
            return _interval_name(kind.day_time_interval, _DAY_FIELDS)
        case "year_month_interval":
            return _interval_name(kind.year_month_interval, _YEAR_FIELDS)
        case "array":
            return f"array<{type_name(kind.array.element_type)}>"
        case "map":
            return f"map<{type_name(kind.map.key_type)},{type_name(kind.map.value_type)}>"
        case "struct":
            members = (f"{each.name}:{type_name(each.data_type)}" for each in kind.struct.fields)
            return f"struct<{','.join(members)}>"
        case _:
            return str(which)


def _interval_name(kind: Proto, fields: tuple[str, ...]) -> str:
    first = fields[kind.start_field if kind.HasField("start_field") else 0]
    last = fields[kind.end_field if kind.HasField("end_field") else len(fields) - 1]
    return f"interval {first}" if first == last else f"interval {first} to {last}"


def arrow_type(kind: Proto, zone: str) -> pa.DataType:
    """The canonical Arrow type. `zone` is that of the session. Raises UNSUPPORTED for a type without one."""
    which = kind.WhichOneof("kind")
    if which in _PLAIN:
        return _PLAIN[which][1]
    match str(which):
        case "string" | "char" | "var_char":
            return pa.string()
        case "decimal":
            return pa.decimal128(kind.decimal.precision, kind.decimal.scale)
        case "timestamp":
            return pa.timestamp("us", zone)
        case "time":
            return pa.time64("ns")
        case "day_time_interval":
            return pa.duration("us")
        case "year_month_interval":
            return pa.month_day_nano_interval()
        case "array":
            return pa.list_(_field("element", arrow_type(kind.array.element_type, zone), kind.array.contains_null))
        case "map":
            value = _field("value", arrow_type(kind.map.value_type, zone), kind.map.value_contains_null)
            key = arrow_type(kind.map.key_type, zone)
            # A map whose keys have no type is empty, and Arrow allows no such keys.
            return pa.map_(pa.string() if pa.types.is_null(key) else key, value)
        case "struct":
            return pa.struct(
                [_field(each.name, arrow_type(each.data_type, zone), each.nullable) for each in kind.struct.fields]
            )
        case _:
            message = f"columns of type {which} cannot be read; cast it in the query"
            raise error(Reason.UNSUPPORTED, message, feature=f"type.{which}")


def _field(name: str, arrow: pa.DataType, nullable: bool) -> pa.Field:
    """To Spark an empty array has no NULL; to Arrow a value without a type is one."""
    return pa.field(name, arrow, nullable or pa.types.is_null(arrow))


def field_of(column: Proto, zone: str) -> pa.Field:
    metadata = {b"engine_type": type_name(column.data_type).encode()}
    return pa.field(column.name, arrow_type(column.data_type, zone), column.nullable, metadata)


def proto_type(arrow: pa.DataType) -> Proto:
    """Spark's type for the values of an Arrow type. Raises ValueError when there is none that holds them all."""
    kind = proto.DataType()
    if arrow in _AS_PLAIN:
        getattr(kind, _AS_PLAIN[arrow]).SetInParent()
        return kind
    for matches, fill in _FILLS:
        if matches(arrow):
            fill(kind, arrow)
            return kind
    raise ValueError(f"Spark has no type for {arrow}")


def _decimal(kind: Proto, arrow: pa.DataType) -> None:
    if arrow.scale < 0:
        raise ValueError("Spark's decimals have no negative scale")
    # A wider type may come with a value that fits; the value is what is judged.
    kind.decimal.precision = min(arrow.precision, 38)
    kind.decimal.scale = arrow.scale


def _unsigned_long(kind: Proto, _: pa.DataType) -> None:
    kind.decimal.precision = 20
    kind.decimal.scale = 0


def _map(kind: Proto, arrow: pa.DataType) -> None:
    kind.map.key_type.CopyFrom(proto_type(arrow.key_type))
    kind.map.value_type.CopyFrom(proto_type(arrow.item_type))
    kind.map.value_contains_null = True


def _struct(kind: Proto, arrow: pa.DataType) -> None:
    kind.struct.SetInParent()
    for member in arrow.fields:
        kind.struct.fields.add(name=member.name, data_type=proto_type(member.type), nullable=True)


def _array(kind: Proto, arrow: pa.DataType) -> None:
    kind.array.element_type.CopyFrom(proto_type(arrow.value_type))
    kind.array.contains_null = True


def _is_text(arrow: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(arrow) or types.is_large_string(arrow) or isinstance(arrow, pa.UuidType | pa.JsonType))


def _fill(name: str) -> Callable[[Proto, pa.DataType], None]:
    return lambda kind, _: getattr(kind, name).SetInParent()


def _time(kind: Proto, _: pa.DataType) -> None:
    kind.time.precision = 6


_FILLS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[Proto, pa.DataType], None]], ...]] = (
    (_is_text, _fill("string")),
    (pa.types.is_large_binary, _fill("binary")),
    (pa.types.is_fixed_size_binary, _fill("binary")),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_uint8, _fill("short")),
    (pa.types.is_uint16, _fill("integer")),
    (pa.types.is_uint32, _fill("long")),
    (pa.types.is_uint64, _unsigned_long),
    (pa.types.is_float16, _fill("float")),
    (lambda arrow: pa.types.is_timestamp(arrow) and arrow.tz is None, _fill("timestamp_ntz")),
    (pa.types.is_timestamp, _fill("timestamp")),
    (pa.types.is_duration, _fill("day_time_interval")),
    (pa.types.is_time, _time),
    (is_any_list, _array),
    (pa.types.is_map, _map),
    (pa.types.is_struct, _struct),
)
