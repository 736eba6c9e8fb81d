"""The type that follows from a Value sent without one, as the contract says: an int_value is an INT 64, and so on."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from queryengine.codec.infer import DOUBLE, NULL, common, widened
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import Column, DataType, ListValue, MapValue, Value

NEED_A_TYPE: Final = frozenset({"uint_value", "list_value", "map_value"})
"""The kinds of which a Python value, which is what engines bind, does not keep what they are."""


def implied(value: Value) -> tuple[Value, DataType]:
    """The value and its type. Elements of a list, and keys and values of a map, get the one type that they all fit in,
    so the value may be another one that stands for the same.

    Raises ValueError when there is none, and for an empty map and what is no value.
    """
    field = value.WhichOneof("kind")
    if field == "list_value":
        return _list(value.list_value)
    if field == "map_value":
        return _map(value.map_value)
    if field is None:
        raise ValueError("no value is set")
    return value, _PLAIN[field] if field in _PLAIN else _BY_VALUE[field](value)


def _list(values: ListValue) -> tuple[Value, DataType]:
    elements, element = _alike(values.values, "item")
    return Value(list_value=ListValue(values=elements)), DataType(kind=value_pb2.TYPE_KIND_LIST, fields=[element])


def _map(pairs: MapValue) -> tuple[Value, DataType]:
    if not pairs.keys and not pairs.values:
        raise ValueError("an empty MAP does not say what it maps")
    keys, key = _alike(pairs.keys, "key")
    values, item = _alike(pairs.values, "value")
    data_type = DataType(kind=value_pb2.TYPE_KIND_MAP, fields=[key, item])
    return Value(map_value=MapValue(keys=keys, values=values)), data_type


def _alike(values: Iterable[Value], name: str) -> tuple[list[Value], Column]:
    """Values in the one type that they all fit in, and that as a member of this name."""
    pairs = [implied(each) for each in values]
    found = NULL
    for _, data_type in pairs:
        found = common(found, data_type)
    is_nullable = found == NULL or any(value.HasField("null_value") for value, _ in pairs)
    return [widened(value, found) for value, _ in pairs], Column(name=name, type=found, nullable=is_nullable)


def _decimal(value: Value) -> DataType:
    try:
        _, digits, exponent = Decimal(value.decimal_value).as_tuple()
        scale = max(0, -int(exponent))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"not an exact decimal such as -12.50: {value.decimal_value[:80]!r}") from error
    precision = max(len(digits) + max(0, int(exponent)), scale, 1)
    return DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=precision, scale=scale)


def _timed(kind: value_pb2.TypeKind, nanos_of: Callable[[Value], int]) -> Callable[[Value], DataType]:
    def data_type(value: Value) -> DataType:
        unit = value_pb2.TIME_UNIT_NANO if nanos_of(value) % 1000 else value_pb2.TIME_UNIT_MICRO
        return DataType(kind=kind, unit=unit)

    return data_type


_PLAIN: Final[Mapping[str, DataType]] = MappingProxyType(
    {
        "null_value": NULL,
        "bool_value": DataType(kind=value_pb2.TYPE_KIND_BOOL),
        "int_value": DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=64),
        "uint_value": DataType(kind=value_pb2.TYPE_KIND_UINT, bit_width=64),
        "double_value": DOUBLE,
        "string_value": DataType(kind=value_pb2.TYPE_KIND_STRING),
        "bytes_value": DataType(kind=value_pb2.TYPE_KIND_BYTES),
        "date_days": DataType(kind=value_pb2.TYPE_KIND_DATE),
        "interval_value": DataType(kind=value_pb2.TYPE_KIND_INTERVAL),
        "uuid_value": DataType(kind=value_pb2.TYPE_KIND_UUID),
    }
)
_BY_VALUE: Final[Mapping[str, Callable[[Value], DataType]]] = MappingProxyType(
    {
        "decimal_value": _decimal,
        "time_nanos": _timed(value_pb2.TYPE_KIND_TIME, lambda value: value.time_nanos),
        "timestamp_value": _timed(value_pb2.TYPE_KIND_TIMESTAMP, lambda value: value.timestamp_value.nanos),
        "duration_value": _timed(value_pb2.TYPE_KIND_DURATION, lambda value: value.duration_value.nanos),
    }
)
