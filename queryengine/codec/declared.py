"""Values for parameters that are declared with a type: converted where nothing of them is lost, else refused.

A text stands for a DATE, TIME, TIMESTAMP, UUID or DECIMAL, as in JSON, which has none of these; a float stands for the
DECIMAL of the fewest digits that give back the same float.
"""

import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

from queryengine.codec.type_text import type_text
from queryengine.codec.values import DECIMAL_TEXT, EPOCH, EPOCH_DAY, NANOS, MisfitError, decode_value, field_of
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import DataType, ListValue, MapValue, Value

DIGITS_MAX: Final = 100
"""Of a number in digits; more fit no type, and would take long to read."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_ZONE: Final = re.compile(r"(Z|[+-]\d\d:\d\d)$", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

T = TypeVar("T")


class WrongTypeError(ValueError):
    """A value of another type than the declared one, which has no counterpart in that."""


def fitted(value: Value, sent: DataType | None, declared: DataType) -> Value:
    """The value as one of the declared type; NULL is one of any type. `sent` is the type that it was sent with.

    Raises WrongTypeError, and MisfitError for one that is beyond the range or precision of the type; ValueError for
    what is no value.
    """
    field = value.WhichOneof("kind")
    if field is None:
        raise ValueError("no value is set")
    if field == "null_value":
        return value
    if sent is not None and field != field_of(sent):
        raise WrongTypeError(f"it was sent as {type_text(sent)}, and is a {field}")
    return _FITTERS[declared.kind](value, field, sent, declared)


def check_type(declared: DataType) -> None:
    """Raises ValueError for a type that no parameter can be declared with."""
    if declared.kind not in _FITTERS:
        raise ValueError(f"{type_text(declared)} is not a type for a parameter")
    for member in declared.fields:
        check_type(member.type)


Fitter = Callable[[Value, str, DataType | None, DataType], Value]


def _scalar(read: Callable[[Value, str, DataType | None, DataType], Value | None]) -> Fitter:
    """What `read` makes of a value, which is none of the type where it makes nothing of it."""

    def fit(value: Value, field: str, sent: DataType | None, declared: DataType) -> Value:
        found = read(value, field, sent, declared)
        if found is None:
            raise WrongTypeError(f"it is not of the type {type_text(declared)}")
        # Its range and precision are checked where it is read.
        decode_value(found, declared)
        return found

    return fit


def _same(expected: str) -> Fitter:
    return _scalar(lambda value, field, _, __: value if field == expected else None)


def _any(expected: str) -> Fitter:
    """Of a type without a range."""

    def fit(value: Value, field: str, _: DataType | None, declared: DataType) -> Value:
        if field != expected:
            raise WrongTypeError(f"it is not of the type {type_text(declared)}")
        return value

    return fit


def _whole(value: Value, field: str, _: DataType | None, declared: DataType) -> Value:
    # Long lists are of these.
    if field == "int_value":
        number = int(value.int_value)
    elif field == "uint_value":
        number = int(value.uint_value)
    elif field == "double_value" and value.double_value.is_integer():
        number = int(value.double_value)
    elif field == "decimal_value" and (exact := _digits(value.decimal_value)) == exact.to_integral_value():
        number = int(exact)
    else:
        raise WrongTypeError(f"it is not of the type {type_text(declared)}")
    lowest, highest = _range(declared)
    if not lowest <= number <= highest:
        raise MisfitError(f"{number} is out of range for {type_text(declared)}, which holds {lowest} to {highest}")
    if field == field_of(declared):
        return value
    if declared.bit_width > 64:
        return Value(decimal_value=str(number))
    return Value(int_value=number) if declared.kind == value_pb2.TYPE_KIND_INT else Value(uint_value=number)


def _range(declared: DataType) -> tuple[int, int]:
    if declared.kind == value_pb2.TYPE_KIND_INT:
        return -(1 << declared.bit_width - 1), (1 << declared.bit_width - 1) - 1
    return 0, (1 << declared.bit_width) - 1


def _float(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field == "double_value":
        return value
    if field in ("int_value", "uint_value"):
        exact = Decimal(getattr(value, field))
    elif field == "decimal_value":
        exact = _digits(value.decimal_value)
    else:
        return None
    number = float(exact)
    if math.isinf(number) or Decimal(number) != exact:
        raise MisfitError(f"{exact} would be rounded as a FLOAT")
    return Value(double_value=number)


def _decimal(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field == "decimal_value":
        _digits(value.decimal_value)
        return value
    if field in ("int_value", "uint_value"):
        return Value(decimal_value=str(getattr(value, field)))
    if field == "double_value" and math.isfinite(value.double_value):
        text = format(Decimal(repr(value.double_value)), "f")
        _digits(text)
        return Value(decimal_value=text)
    if field == "string_value" and DECIMAL_TEXT.fullmatch(value.string_value):
        _digits(value.string_value)
        return Value(decimal_value=value.string_value)
    return None


def _digits(text: str) -> Decimal:
    if len(text) > DIGITS_MAX or not DECIMAL_TEXT.fullmatch(text):
        raise MisfitError(f"it is not a number in at most {DIGITS_MAX} decimal digits")
    return Decimal(text)


def _no_constant(word: str) -> None:
    raise ValueError(f"JSON has no {word}")


def _json(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field != "string_value":
        return None
    try:
        json.loads(value.string_value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as cause:
        raise MisfitError("it is not JSON") from cause
    return value


def _date(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field == "date_days":
        return value
    if field != "string_value" or not _DATE.fullmatch(value.string_value):
        return None
    with_range = _iso(dt.date.fromisoformat, value.string_value)
    return Value(date_days=(with_range - EPOCH_DAY).days)


def _time(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field == "time_nanos":
        return value
    if field != "string_value" or not _TIME.fullmatch(value.string_value):
        return None
    found = _iso(dt.time.fromisoformat, value.string_value)
    seconds = found.hour * 3600 + found.minute * 60 + found.second
    return Value(time_nanos=seconds * NANOS + found.microsecond * 1000)


def _timestamp(value: Value, field: str, sent: DataType | None, declared: DataType) -> Value | None:
    """An instant stands for no time on a wall, nor the other way round."""
    is_instant = bool(declared.time_zone)
    if field == "timestamp_value":
        return value if sent is None or bool(sent.time_zone) == is_instant else None
    if field != "string_value":
        return None
    day, time = value.string_value[:10], value.string_value[11:]
    zone = _ZONE.search(time)
    clock = time[: zone.start()] if zone else time
    if not (_DATE.fullmatch(day) and value.string_value[10:11] in ("T", " ") and _TIME.fullmatch(clock)):
        return None
    if bool(zone) != is_instant:
        raise MisfitError("it needs an offset such as Z or +02:00" if is_instant else "it must not have an offset")
    found = _iso(dt.datetime.fromisoformat, value.string_value)
    start = EPOCH.replace(tzinfo=dt.UTC) if is_instant else EPOCH
    seconds, micros = divmod((found - start) // dt.timedelta(microseconds=1), 1_000_000)
    return Value(timestamp_value=value_pb2.TimestampValue(seconds=seconds, nanos=micros * 1000))


def _uuid(value: Value, field: str, _: DataType | None, __: DataType) -> Value | None:
    if field == "uuid_value":
        return value
    if field == "string_value" and _UUID.fullmatch(value.string_value):
        return Value(uuid_value=uuid.UUID(value.string_value).bytes)
    return None


def _iso(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as cause:
        raise MisfitError(str(cause)) from cause


def _list(value: Value, field: str, sent: DataType | None, declared: DataType) -> Value:
    if field != "list_value" or (sent is not None and sent.kind != declared.kind):
        raise WrongTypeError(f"it is not of the type {type_text(declared)}")
    element, wanted = _member(sent, 0), declared.fields[0].type
    if (element is None or element.kind == wanted.kind) and _fit_as_they_are(value.list_value.values, wanted):
        return value
    values = [_inner(each, element, wanted) for each in value.list_value.values]
    return Value(list_value=ListValue(values=values))


def _fit_as_they_are(values: Sequence[Value], declared: DataType) -> bool:
    """Whether elements are of a plain type and need no look at each, as in most long lists."""
    expected = field_of(declared)
    if any(each.WhichOneof("kind") != expected for each in values):
        return False
    if declared.kind in (value_pb2.TYPE_KIND_INT, value_pb2.TYPE_KIND_UINT) and declared.bit_width <= 64:
        lowest, highest = _range(declared)
        return all(lowest <= getattr(each, expected) <= highest for each in values)
    return declared.kind in (value_pb2.TYPE_KIND_BOOL, value_pb2.TYPE_KIND_STRING, value_pb2.TYPE_KIND_BYTES)


def _struct(value: Value, field: str, sent: DataType | None, declared: DataType) -> Value:
    """Members in another order are put in that of the declaration, by the names that they were sent with."""
    if field != "list_value" or (sent is not None and sent.kind != declared.kind):
        raise WrongTypeError(f"it is not of the type {type_text(declared)}")
    names = [member.name for member in declared.fields]
    given = names if sent is None else [member.name for member in sent.fields]
    values = value.list_value.values
    if sorted(given) != sorted(names) or len(values) != len(given):
        raise WrongTypeError(f"its members are not {', '.join(names)}")
    places = {name: number for number, name in enumerate(given)}
    members = [
        _inner(values[places[member.name]], _member(sent, places[member.name]), member.type)
        for member in declared.fields
    ]
    return Value(list_value=ListValue(values=members))


def _map(value: Value, field: str, sent: DataType | None, declared: DataType) -> Value:
    if field != "map_value" or len(value.map_value.keys) != len(value.map_value.values):
        raise WrongTypeError(f"it is not of the type {type_text(declared)}")
    key, item = (member.type for member in declared.fields)
    keys = [_inner(each, _member(sent, 0), key) for each in value.map_value.keys]
    if any(each.HasField("null_value") for each in keys):
        raise MisfitError("a MAP has a NULL key")
    values = [_inner(each, _member(sent, 1), item) for each in value.map_value.values]
    return Value(map_value=MapValue(keys=keys, values=values))


def _member(sent: DataType | None, number: int) -> DataType | None:
    """The type that a member was sent with."""
    members: Sequence[value_pb2.Column] = () if sent is None else sent.fields
    return members[number].type if number < len(members) else None


def _inner(value: Value, sent: DataType | None, declared: DataType) -> Value:
    # A list of nothing was sent as one of NULL.
    return fitted(value, None if sent is not None and sent.kind == value_pb2.TYPE_KIND_NULL else sent, declared)


_FITTERS: Final[Mapping[int, Fitter]] = MappingProxyType(
    {
        value_pb2.TYPE_KIND_BOOL: _any("bool_value"),
        value_pb2.TYPE_KIND_INT: _whole,
        value_pb2.TYPE_KIND_UINT: _whole,
        value_pb2.TYPE_KIND_FLOAT: _scalar(_float),
        value_pb2.TYPE_KIND_DECIMAL: _scalar(_decimal),
        value_pb2.TYPE_KIND_STRING: _any("string_value"),
        value_pb2.TYPE_KIND_BYTES: _any("bytes_value"),
        value_pb2.TYPE_KIND_DATE: _scalar(_date),
        value_pb2.TYPE_KIND_TIME: _scalar(_time),
        value_pb2.TYPE_KIND_TIMESTAMP: _scalar(_timestamp),
        value_pb2.TYPE_KIND_DURATION: _same("duration_value"),
        value_pb2.TYPE_KIND_INTERVAL: _same("interval_value"),
        value_pb2.TYPE_KIND_UUID: _scalar(_uuid),
        value_pb2.TYPE_KIND_JSON: _scalar(_json),
        value_pb2.TYPE_KIND_LIST: _list,
        value_pb2.TYPE_KIND_STRUCT: _struct,
        value_pb2.TYPE_KIND_MAP: _map,
    }
)
