"""The Value and DataType that a Python value stands for; nothing is rounded, what does not fit is refused."""

import datetime as dt
import math
import numbers
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.rows import duration_parts, encode_array
from queryengine.codec.types import DECIMAL256_DIGITS, to_data_type
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import Column, DataType, ListValue, MapValue, Value

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_DAY: Final = dt.date(1970, 1, 1)
MICROSECOND: Final = dt.timedelta(microseconds=1)

NULL: Final = DataType(kind=value_pb2.TYPE_KIND_NULL)
DOUBLE: Final = DataType(kind=value_pb2.TYPE_KIND_FLOAT, bit_width=64)


def encode_value(python: Any) -> tuple[Value, DataType | None]:
    """The Value of a Python value, and its type where the value alone does not determine it.

    int, float and their numpy kin, str, bytes, bool, None, Decimal, date, time, datetime (naive is wall-clock
    time, aware an instant), timedelta, UUID, list or tuple, dict with text keys (a STRUCT), and pa.Scalar for
    everything else, such as maps and nanoseconds. Raises ValueError for any other, and for what does not fit.
    """
    value, data_type = _infer(python)
    return value, data_type if _needs_type(python, data_type) else None


def _needs_type(python: Any, data_type: DataType) -> bool:
    if isinstance(python, pa.Scalar):
        return True
    wide = data_type.kind == value_pb2.TYPE_KIND_INT and data_type.bit_width > 64
    return wide or data_type.kind in (
        value_pb2.TYPE_KIND_TIMESTAMP,
        value_pb2.TYPE_KIND_LIST,
        value_pb2.TYPE_KIND_STRUCT,
    )


def _infer(python: Any) -> tuple[Value, DataType]:
    if python is None:
        return Value(null_value=value_pb2.NULL_VALUE_UNSPECIFIED), NULL
    for kind, encode in _ENCODERS:
        if isinstance(python, kind):
            return encode(python)
    raise ValueError(f"a value of type {type(python).__name__} cannot be sent; convert it, or give a pa.scalar")


def _bool(python: bool) -> tuple[Value, DataType]:
    return Value(bool_value=python), DataType(kind=value_pb2.TYPE_KIND_BOOL)


def _int(python: Any) -> tuple[Value, DataType]:
    number = int(python)
    if -(1 << 63) <= number < 1 << 63:
        return Value(int_value=number), DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=64)
    if not -(1 << 127) <= number < 1 << 127:
        raise ValueError("an integer of more than 128 bits cannot be sent")
    return Value(decimal_value=str(number)), DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=128)


def _float(python: Any) -> tuple[Value, DataType]:
    return Value(double_value=float(python)), DOUBLE


def _str(python: str) -> tuple[Value, DataType]:
    try:
        return Value(string_value=python), DataType(kind=value_pb2.TYPE_KIND_STRING)
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError("the text holds code points that UTF-8 cannot carry") from error


def _bytes(python: bytes | bytearray | memoryview) -> tuple[Value, DataType]:
    return Value(bytes_value=bytes(python)), DataType(kind=value_pb2.TYPE_KIND_BYTES)


def _decimal(python: Decimal) -> tuple[Value, DataType]:
    if not python.is_finite():
        raise ValueError(f"{python} is not a decimal; send a float")
    _, digits, exponent = python.as_tuple()
    scale = max(0, -int(exponent))
    precision = max(len(digits) + max(0, int(exponent)), scale, 1)
    if precision > DECIMAL256_DIGITS:
        raise ValueError(f"a decimal has at most {DECIMAL256_DIGITS} digits")
    data_type = DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=precision, scale=scale)
    return Value(decimal_value=format(python, "f")), data_type


def _datetime(python: dt.datetime) -> tuple[Value, DataType]:
    if not python == python:  # noqa: PLR0124 - pandas.NaT is a datetime that equals nothing
        raise ValueError(f"{python} is no moment; send None for NULL")
    zone = "UTC" if python.tzinfo is not None else ""
    moment = python if zone else python.replace(tzinfo=dt.UTC)
    seconds, micros = divmod((moment - EPOCH) // MICROSECOND, 1_000_000)
    # A pandas.Timestamp is a datetime with a nanosecond beside its microsecond.
    nanosecond = getattr(python, "nanosecond", 0)
    unit = value_pb2.TIME_UNIT_NANO if nanosecond else value_pb2.TIME_UNIT_MICRO
    value = value_pb2.TimestampValue(seconds=seconds, nanos=micros * 1000 + nanosecond)
    data_type = DataType(kind=value_pb2.TYPE_KIND_TIMESTAMP, unit=unit, time_zone=zone)
    return Value(timestamp_value=value), data_type


def _date(python: dt.date) -> tuple[Value, DataType]:
    return Value(date_days=(python - EPOCH_DAY).days), DataType(kind=value_pb2.TYPE_KIND_DATE)


def _time(python: dt.time) -> tuple[Value, DataType]:
    if python.tzinfo is not None:
        raise ValueError("a time of day with a zone cannot be sent")
    seconds = python.hour * 3600 + python.minute * 60 + python.second
    nanos = seconds * 1_000_000_000 + python.microsecond * 1000
    return Value(time_nanos=nanos), DataType(kind=value_pb2.TYPE_KIND_TIME, unit=value_pb2.TIME_UNIT_MICRO)


def _timedelta(python: dt.timedelta) -> tuple[Value, DataType]:
    # A pandas.Timedelta is a timedelta with nanoseconds beside its microseconds.
    nanos = python // MICROSECOND * 1000 + getattr(python, "nanoseconds", 0)
    value = value_pb2.DurationValue(**duration_parts(nanos, 1_000_000_000))
    unit = value_pb2.TIME_UNIT_NANO if nanos % 1000 else value_pb2.TIME_UNIT_MICRO
    return Value(duration_value=value), DataType(kind=value_pb2.TYPE_KIND_DURATION, unit=unit)


def _uuid(python: uuid.UUID) -> tuple[Value, DataType]:
    return Value(uuid_value=python.bytes), DataType(kind=value_pb2.TYPE_KIND_UUID)


def _scalar(python: pa.Scalar) -> tuple[Value, DataType]:
    (value,) = encode_array(pa.array([python], type=python.type))
    return value, to_data_type(python.type)


def _list(python: Sequence[Any]) -> tuple[Value, DataType]:
    pairs = [_infer(each) for each in python]
    element = NULL
    for _, data_type in pairs:
        element = common(element, data_type)
    values = [widened(value, element) for value, _ in pairs]
    fields = [Column(name="item", type=element, nullable=True)]
    data_type = DataType(kind=value_pb2.TYPE_KIND_LIST, fields=fields)
    return Value(list_value=ListValue(values=values)), data_type


def _struct(python: Mapping[Any, Any]) -> tuple[Value, DataType]:
    if not all(isinstance(name, str) for name in python):
        raise ValueError("a dict with keys other than text is not a STRUCT; give a pa.scalar of a map type")
    pairs = {name: _infer(each) for name, each in python.items()}
    fields = [Column(name=name, type=data_type, nullable=True) for name, (_, data_type) in pairs.items()]
    values = ListValue(values=[value for value, _ in pairs.values()])
    return Value(list_value=values), DataType(kind=value_pb2.TYPE_KIND_STRUCT, fields=fields)


def common(left: DataType, right: DataType) -> DataType:
    """The one type that elements of both types fit in."""
    if left == right or right.kind == value_pb2.TYPE_KIND_NULL:
        return left
    if left.kind == value_pb2.TYPE_KIND_NULL:
        return right
    if {left.kind, right.kind} == {value_pb2.TYPE_KIND_INT, value_pb2.TYPE_KIND_FLOAT}:
        return DOUBLE
    if left.kind != right.kind or left.time_zone != right.time_zone:
        names = [value_pb2.TypeKind.Name(each.kind).removeprefix("TYPE_KIND_") for each in (left, right)]
        raise ValueError(f"a list holds elements of different kinds: {' and '.join(names)}")
    if left.kind == value_pb2.TYPE_KIND_DECIMAL:
        scale = max(left.scale, right.scale)
        whole = max(left.precision - left.scale, right.precision - right.scale)
        if whole + scale > DECIMAL256_DIGITS:
            raise ValueError(f"no decimal of {DECIMAL256_DIGITS} digits holds every element of a list")
        return DataType(kind=left.kind, precision=whole + scale, scale=scale)
    if [field.name for field in left.fields] != [field.name for field in right.fields]:
        raise ValueError("a list holds STRUCTs with different members")
    fields = [
        Column(name=one.name, type=common(one.type, other.type), nullable=True)
        for one, other in zip(left.fields, right.fields, strict=True)
    ]
    bit_width, unit = max(left.bit_width, right.bit_width), max(left.unit, right.unit)
    return DataType(kind=left.kind, bit_width=bit_width, unit=unit, time_zone=left.time_zone, fields=fields)


def widened(value: Value, data_type: DataType) -> Value:
    """The value as the common type of its list wants it."""
    field = value.WhichOneof("kind")
    if field == "int_value" and data_type == DOUBLE:
        number = float(value.int_value)
        if int(number) != value.int_value or math.isinf(number):
            raise ValueError(f"{value.int_value} among floats would be rounded")
        return Value(double_value=number)
    if field == "int_value" and data_type.bit_width > 64:
        return Value(decimal_value=str(value.int_value))
    if field == "list_value":
        members = data_type.fields
        if data_type.kind == value_pb2.TYPE_KIND_LIST:
            values = [widened(each, members[0].type) for each in value.list_value.values]
        else:
            pairs = zip(value.list_value.values, members, strict=True)
            values = [widened(each, member.type) for each, member in pairs]
        return Value(list_value=ListValue(values=values))
    if field == "map_value":
        key, item = (field.type for field in data_type.fields)
        keys = [widened(each, key) for each in value.map_value.keys]
        return Value(map_value=MapValue(keys=keys, values=[widened(each, item) for each in value.map_value.values]))
    return value


_ENCODERS: Final[tuple[tuple[Any, Callable[[Any], tuple[Value, DataType]]], ...]] = (
    (pa.Scalar, _scalar),
    (bool, _bool),
    (numbers.Integral, _int),
    (str, _str),
    (Decimal, _decimal),
    (numbers.Real, _float),
    (bytes | bytearray | memoryview, _bytes),
    (dt.datetime, _datetime),
    (dt.date, _date),
    (dt.time, _time),
    (dt.timedelta, _timedelta),
    (uuid.UUID, _uuid),
    (Mapping, _struct),
    (list | tuple, _list),
)
"""Order matters: bool is an int, datetime is a date, numpy's float64 is a float."""
