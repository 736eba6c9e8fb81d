"""Python values to and from the contract's Value, and parameters as engines get them.

Exactly or not at all. What a Python type cannot hold (nanoseconds, years beyond 9999) is a pa.Scalar on both
sides: give one to send it, get one when it was sent.

| Value | in Python |
|---|---|
| NULL, BOOL, INT, UINT, FLOAT, STRING, BYTES | None, bool, int, int, float, str, bytes |
| DECIMAL; INT and UINT of 128 bits | Decimal; int |
| DATE, TIME, DURATION | date, time, timedelta; a pa.Scalar when that does not fit |
| TIMESTAMP | datetime, aware in UTC for an instant, naive for wall-clock time; a pa.Scalar as above |
| INTERVAL | pa.MonthDayNano |
| UUID, JSON | uuid.UUID, str |
| LIST, STRUCT, MAP | list, dict by member name, list of (key, value) |
"""

import datetime as dt
import math
import re
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
from google.protobuf.message import DecodeError

from queryengine.codec.implied import NEED_A_TYPE, implied
from queryengine.codec.infer import encode_value
from queryengine.codec.rows import PER_SECOND, decimal_array
from queryengine.codec.types import DECIMAL256_DIGITS, from_data_type, unit_of
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import DataType, Parameter, ParameterList, Value

MAX_PARAMETERS: Final = 1000

NANOS: Final = 1_000_000_000
DAY_NANOS: Final = 86_400 * NANOS
EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone
EPOCH_DAY: Final = dt.date(1970, 1, 1)
DECIMAL_TEXT: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
INTEGER_TEXT: Final = re.compile(r"[+-]?[0-9]{1,39}")


class MisfitError(ValueError):
    """A well-formed value that the type it was sent with cannot hold exactly."""

    parameter: str = ""
    """Whose value it is: a name, or a number counted from 1."""


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """One parameter, ready to bind: a Python value, and the Arrow type to bind it as where one was named."""

    name: str
    """Empty for a positional parameter."""
    value: Any
    type: pa.DataType | None = None


def encode_parameters(parameters: Mapping[str, Any] | Sequence[Any] | None) -> ParameterList:
    """Named parameters from a mapping, positional ones from a sequence. A type goes along where the value
    alone does not determine: timestamps, integers beyond 64 bits, nested values, pa.Scalar.

    Raises ValueError that names the parameter when a value has no counterpart or is too large, and TypeError
    for anything but a mapping or a sequence.
    """
    if parameters is None:
        return ParameterList()
    if isinstance(parameters, Mapping):
        pairs = list(parameters.items())
    elif isinstance(parameters, Sequence) and not isinstance(parameters, str | bytes | bytearray):
        pairs = [("", value) for value in parameters]
    else:
        raise TypeError("parameters are a mapping of names to values, or a sequence of values")
    _check_count(len(pairs))
    message = ParameterList()
    for index, (name, python) in enumerate(pairs):
        if isinstance(parameters, Mapping) and (not isinstance(name, str) or not name):
            raise ValueError(f"parameter name {name!r} is not a text of at least one character")
        try:
            value, data_type = encode_value(python)
        except ValueError as error:
            raise ValueError(f"parameter {_label(name, index)}: {error}") from error
        message.parameters.append(Parameter(name=name, type=data_type, value=value))
    return message


def decode_parameters(encoded: bytes) -> tuple[BoundParameter, ...]:
    """The parameters of an encoded ParameterList, in the order sent.

    Raises ValueError that names the parameter: value missing, malformed or of another kind than its type; named and
    positional mixed; a name twice. A value beyond the range or precision of its type is a MisfitError.
    """
    try:
        message = ParameterList.FromString(encoded)
    except DecodeError as error:
        raise ValueError("not an encoded ParameterList") from error
    parameters = message.parameters
    _check_count(len(parameters))
    names = [parameter.name for parameter in parameters if parameter.name]
    if names and len(names) != len(parameters):
        raise ValueError("parameters are all named or all positional")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"parameter {twice!r} is given twice")
    return tuple(_decode_parameter(parameter, index) for index, parameter in enumerate(parameters))


def decode_value(value: Value, data_type: DataType | None = None) -> Any:
    """The Python value. Without a type, an instant cannot be distinguished from wall-clock time and reads as the
    latter, and a STRUCT reads as a list.

    Raises ValueError when it is malformed, or not of the type.
    """
    field = value.WhichOneof("kind")
    if field is None:
        raise ValueError("no value is set")
    if field == "null_value":
        return None
    if data_type is not None:
        allowed = field_of(data_type)
        if field != allowed:
            name = value_pb2.TypeKind.Name(data_type.kind).removeprefix("TYPE_KIND_")
            raise ValueError(f"the type is {name}, the value is {field}")
    return _DECODERS[field](getattr(value, field), data_type)


def _check_count(count: int) -> None:
    if count > MAX_PARAMETERS:
        raise ValueError(f"{count} parameters, at most {MAX_PARAMETERS} are allowed")


def _label(name: str, index: int) -> str:
    return repr(name) if name else f"{index + 1}"


def _decode_parameter(parameter: Parameter, index: int) -> BoundParameter:
    value, data_type = parameter.value, parameter.type if parameter.HasField("type") else None
    label = _label(parameter.name, index)
    try:
        if data_type is None and value.WhichOneof("kind") in NEED_A_TYPE:
            value, data_type = _implied(value)
        arrow = None if data_type is None else from_data_type(data_type)
        return BoundParameter(parameter.name, decode_value(value, data_type), arrow)
    except MisfitError as error:
        misfit = MisfitError(f"parameter {label}: {error}")
        misfit.parameter = parameter.name or str(index + 1)
        raise misfit from error
    except (ValueError, OverflowError) as error:
        raise ValueError(f"parameter {label}: {error}") from error


def _implied(value: Value) -> tuple[Value, DataType]:
    """Raises MisfitError where no type follows from the value alone."""
    try:
        return implied(value)
    except ValueError as error:
        raise MisfitError(f"{error}; name the type of the parameter") from error


def field_of(data_type: DataType) -> str:
    """The member of Value that values of a type travel in; empty for what is no type."""
    kind = data_type.kind
    is_wide = kind in (value_pb2.TYPE_KIND_INT, value_pb2.TYPE_KIND_UINT) and data_type.bit_width > 64
    return "decimal_value" if is_wide else _FIELDS.get(kind, "")


def _signed(value: int, data_type: DataType | None) -> int:
    if data_type is None:
        return value
    limit = 1 << data_type.bit_width - 1
    return _between(value, -limit, limit - 1, f"INT {data_type.bit_width}")


def _unsigned(value: int, data_type: DataType | None) -> int:
    if data_type is None:
        return value
    return _between(value, 0, (1 << data_type.bit_width) - 1, f"UINT {data_type.bit_width}")


def _between(value: int, lowest: int, highest: int, kind: str) -> int:
    if not lowest <= value <= highest:
        raise MisfitError(f"{value} is out of range for {kind}, which holds {lowest} to {highest}")
    return value


def _float(value: float, data_type: DataType | None) -> float:
    """The value as it is: the nearest number of its width stands for it, as in every language. Refused is what would
    become infinite or zero.
    """
    width = 64 if data_type is None else data_type.bit_width
    if width == 64 or not math.isfinite(value):
        return value
    code = "<f" if width == 32 else "<e"
    try:
        [nearest] = struct.unpack(code, struct.pack(code, value))
    except OverflowError:
        nearest = math.inf
    if math.isinf(nearest) or (value and not nearest):
        highest = "3.4028235e38" if width == 32 else "65504"
        raise MisfitError(f"{value!r} is out of range for FLOAT {width}, which holds -{highest} to {highest}")
    return value


def _same(value: Any, _: DataType | None) -> Any:
    return value


def _decimal(text: str, data_type: DataType | None) -> Decimal | int:
    if data_type is not None and data_type.kind != value_pb2.TYPE_KIND_DECIMAL:
        if not INTEGER_TEXT.fullmatch(text):
            raise ValueError(f"not a whole number of at most 39 digits: {text[:80]!r}")
        check = _signed if data_type.kind == value_pb2.TYPE_KIND_INT else _unsigned
        return check(int(text), data_type)
    if not DECIMAL_TEXT.fullmatch(text):
        raise ValueError(f"not an exact decimal such as -12.50: {text[:80]!r}")
    value = Decimal(text)
    digits, scale = len(value.as_tuple().digits), -int(value.as_tuple().exponent)
    if max(digits, scale) > DECIMAL256_DIGITS:
        raise ValueError(f"a decimal has at most {DECIMAL256_DIGITS} digits")
    if data_type is not None:
        # Arrow refuses a value that would lose digits, and knows negative scales.
        try:
            decimal_array([value], from_data_type(data_type))
        except ValueError as error:
            raise MisfitError(f"does not fit DECIMAL({data_type.precision}, {data_type.scale}): {error}") from error
    return value


def _whole_units(seconds: int, nanos: int, data_type: DataType | None) -> None:
    """Raises MisfitError for a time with more digits than the resolution of its type, or beyond its 64 bits."""
    if data_type is None:
        return
    unit = unit_of(data_type)
    count, rest = divmod(seconds * NANOS + nanos, NANOS // PER_SECOND[unit])
    name = value_pb2.TypeKind.Name(data_type.kind).removeprefix("TYPE_KIND_")
    if rest:
        raise MisfitError(f"it has more digits than a {name} in units of {unit} holds; name a finer unit")
    # Elapsed time travels on as Python's own or in a coarser unit.
    if data_type.kind != value_pb2.TYPE_KIND_DURATION and not -(1 << 63) <= count < 1 << 63:
        raise MisfitError(f"it is beyond what a {name} in units of {unit} holds")


def _timestamp(value: value_pb2.TimestampValue, data_type: DataType | None) -> dt.datetime | pa.Scalar:
    if not 0 <= value.nanos < NANOS:
        raise ValueError(f"nanos {value.nanos} of a timestamp is outside 0 to 999,999,999")
    _whole_units(value.seconds, value.nanos, data_type)
    zone = data_type.time_zone if data_type is not None else ""
    if value.nanos % 1000 == 0:
        try:
            naive = EPOCH + dt.timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
        except OverflowError:
            pass
        else:
            return naive.replace(tzinfo=dt.UTC) if zone else naive
    return _scalar(value.seconds, value.nanos, lambda unit: pa.timestamp(unit, zone or None))


def _scalar(seconds: int, nanos: int, make: Callable[[str], pa.DataType]) -> pa.Scalar:
    """In the coarsest unit that is exact, which reaches farthest."""
    for unit, factor in (("s", NANOS), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)):
        count, rest = divmod(seconds * NANOS + nanos, factor)
        if rest == 0 and -(1 << 63) <= count < 1 << 63:
            return pa.scalar(count, pa.int64()).cast(make(unit))
    raise MisfitError("it has more digits, so far from zero, than 64 bits of any unit hold")


def _date(days: int, _: DataType | None) -> dt.date | pa.Scalar:
    try:
        return EPOCH_DAY + dt.timedelta(days=days)
    except OverflowError:
        return pa.scalar(days, pa.int32()).cast(pa.date32())


def _time(nanos: int, data_type: DataType | None) -> dt.time | pa.Scalar:
    if not 0 <= nanos < DAY_NANOS:
        raise MisfitError(f"{nanos} nanoseconds since midnight is not a time of day")
    _whole_units(0, nanos, data_type)
    if nanos % 1000:
        return pa.scalar(nanos, pa.time64("ns"))
    return (EPOCH + dt.timedelta(microseconds=nanos // 1000)).time()


def _duration(value: value_pb2.DurationValue, data_type: DataType | None) -> dt.timedelta | pa.Scalar:
    seconds, nanos = value.seconds, value.nanos
    if not -NANOS < nanos < NANOS or seconds * nanos < 0:
        raise MisfitError("seconds and nanos of a duration have one sign, nanos below a second")
    _whole_units(seconds, nanos, data_type)
    if nanos % 1000 == 0:
        try:
            return dt.timedelta(seconds=seconds, microseconds=nanos // 1000)
        except OverflowError:
            pass
    return _scalar(seconds, nanos, pa.duration)


def _interval(value: value_pb2.IntervalValue, _: DataType | None) -> pa.MonthDayNano:
    return pa.MonthDayNano([value.months, value.days, value.nanos])


def _uuid(value: bytes, _: DataType | None) -> uuid.UUID:
    if len(value) != 16:
        raise ValueError(f"a UUID has 16 octets, not {len(value)}")
    return uuid.UUID(bytes=value)


def _list(value: value_pb2.ListValue, data_type: DataType | None) -> list[Any] | dict[str, Any]:
    if data_type is None:
        return [decode_value(each) for each in value.values]
    if data_type.kind == value_pb2.TYPE_KIND_LIST:
        return [decode_value(each, data_type.fields[0].type) for each in value.values]
    members = data_type.fields
    if len(members) != len(value.values):
        raise ValueError(f"a STRUCT of {len(members)} members has {len(value.values)} values")
    if len({member.name for member in members}) != len(members):
        raise ValueError("a STRUCT has a member name twice")
    pairs = zip(members, value.values, strict=True)
    return {member.name: decode_value(each, member.type) for member, each in pairs}


def _map(value: value_pb2.MapValue, data_type: DataType | None) -> list[tuple[Any, Any]]:
    if len(value.keys) != len(value.values):
        raise ValueError(f"a MAP of {len(value.keys)} keys has {len(value.values)} values")
    if any(key.HasField("null_value") for key in value.keys):
        raise ValueError("a MAP has a NULL key")
    key_type, item_type = (field.type for field in data_type.fields) if data_type is not None else (None, None)
    pairs = zip(value.keys, value.values, strict=True)
    return [(decode_value(key, key_type), decode_value(item, item_type)) for key, item in pairs]


_FIELDS: Final = MappingProxyType(
    {
        value_pb2.TYPE_KIND_BOOL: "bool_value",
        value_pb2.TYPE_KIND_INT: "int_value",
        value_pb2.TYPE_KIND_UINT: "uint_value",
        value_pb2.TYPE_KIND_FLOAT: "double_value",
        value_pb2.TYPE_KIND_DECIMAL: "decimal_value",
        value_pb2.TYPE_KIND_STRING: "string_value",
        value_pb2.TYPE_KIND_BYTES: "bytes_value",
        value_pb2.TYPE_KIND_DATE: "date_days",
        value_pb2.TYPE_KIND_TIME: "time_nanos",
        value_pb2.TYPE_KIND_TIMESTAMP: "timestamp_value",
        value_pb2.TYPE_KIND_DURATION: "duration_value",
        value_pb2.TYPE_KIND_INTERVAL: "interval_value",
        value_pb2.TYPE_KIND_UUID: "uuid_value",
        value_pb2.TYPE_KIND_JSON: "string_value",
        value_pb2.TYPE_KIND_LIST: "list_value",
        value_pb2.TYPE_KIND_STRUCT: "list_value",
        value_pb2.TYPE_KIND_MAP: "map_value",
    }
)
"""The member of Value that a kind travels in."""

_DECODERS: Final[Mapping[str, Callable[[Any, DataType | None], Any]]] = MappingProxyType(
    {
        "bool_value": _same,
        "int_value": _signed,
        "uint_value": _unsigned,
        "double_value": _float,
        "string_value": _same,
        "bytes_value": _same,
        "decimal_value": _decimal,
        "timestamp_value": _timestamp,
        "date_days": _date,
        "time_nanos": _time,
        "interval_value": _interval,
        "uuid_value": _uuid,
        "list_value": _list,
        "map_value": _map,
        "duration_value": _duration,
    }
)
