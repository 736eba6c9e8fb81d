"""Parameters as Spark takes them: literals of the protocol, never text."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.engines.kit.arrow_types import is_any_list
from queryengine.engines.kit.moments import DAY_NANOS, check_years, days_of, nanos_of
from queryengine.engines.kit.parameters import bound, check_names
from queryengine.engines.spark.client import Proto, proto
from queryengine.engines.spark.types import proto_type

_DIGITS_MAX: Final = 38
_LONG_MAX: Final = 2**63


def bind(parameters: Sequence[BoundParameter], expected: Collection[str]) -> dict[str, Any]:
    """Fields of the protocol's SQL message, for a statement with placeholders of these names ("1", "2", … when
    positional).

    Raises PARAMETER_MISMATCH, with the names as metadata `missing` and `unexpected`, or with `parameter` for a value
    that Spark cannot hold exactly.
    """
    check_names(parameters, expected)
    literals = bound(parameters, lambda each: _literal(_scalar(each.value, each.type)))
    if not literals:
        return {}
    if parameters[0].name:
        return {"named_arguments": {name: proto.Expression(literal=each) for name, each in literals.items()}}
    # Not pos_arguments, of which Spark 4.1 and 4.2 mix up the order when there are more than four.
    return {"pos_args": list(literals.values())}


def _scalar(value: Any, arrow: pa.DataType | None) -> pa.Scalar:
    if isinstance(value, pa.Scalar):
        return value
    if arrow is None and isinstance(value, int) and not -_LONG_MAX <= value < _LONG_MAX:
        return pa.scalar(Decimal(value))
    return pa.scalar(_with_text(value), arrow and _text_types(arrow))


def _with_text(value: Any) -> Any:
    """With text in place of each UUID, for which Spark has no type."""
    match value:
        case uuid.UUID():
            return str(value)
        case list() | tuple() if not isinstance(value, pa.MonthDayNano):
            return type(value)(map(_with_text, value))
        case dict():
            return {name: _with_text(each) for name, each in value.items()}
        case _:
            return value


def _text_types(arrow: pa.DataType) -> pa.DataType:
    """With text in place of the types of UUIDs and JSON documents, which Arrow makes no nested values of."""
    if isinstance(arrow, pa.UuidType | pa.JsonType):
        return pa.string()
    if pa.types.is_map(arrow):
        return pa.map_(_text_types(arrow.key_type), _text_types(arrow.item_type))
    if pa.types.is_struct(arrow):
        return pa.struct([(member.name, _text_types(member.type)) for member in arrow])
    if is_any_list(arrow):
        return pa.list_(_text_types(arrow.value_type))
    return arrow


def _literal(scalar: pa.Scalar) -> Proto:
    arrow = scalar.type
    literal = proto.Expression.Literal()
    if not scalar.is_valid:
        literal.null.CopyFrom(proto_type(arrow))
        return literal
    kind = proto_type(arrow)
    _WRITERS[kind.WhichOneof("kind")](literal, scalar, kind)
    return literal


def _plain(name: str) -> Callable[[Proto, pa.Scalar, Proto], None]:
    def write(literal: Proto, scalar: pa.Scalar, _: Proto) -> None:
        setattr(literal, name, scalar.as_py())

    return write


def _decimal(literal: Proto, scalar: pa.Scalar, kind: Proto) -> None:
    # An unsigned integer of 64 bits is one, too.
    value = Decimal(scalar.as_py())
    scale = kind.decimal.scale
    digits = len(value.as_tuple().digits)
    if max(digits, scale) > _DIGITS_MAX:
        raise ValueError(f"Spark's decimals have at most {_DIGITS_MAX} digits")
    literal.decimal.value = format(value, "f")
    literal.decimal.precision = max(kind.decimal.precision, digits, scale)
    literal.decimal.scale = scale


def _count(scalar: pa.Scalar, unit: str) -> int:
    """Whole units since the zero of the scalar's type. Raises ValueError when it is between two."""
    nanos = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
    bits = pa.int32() if pa.types.is_time32(scalar.type) or pa.types.is_date32(scalar.type) else pa.int64()
    count, rest = divmod(scalar.cast(bits).as_py() * nanos[scalar.type.unit], nanos[unit])
    if rest:
        raise ValueError("Spark keeps time in microseconds")
    if not -_LONG_MAX <= count < _LONG_MAX:
        raise ValueError("this is beyond what Spark can hold in microseconds")
    return int(count)


def _date(literal: Proto, scalar: pa.Scalar, _: Proto) -> None:
    check_years(days_of(scalar))
    literal.date = scalar.cast(pa.int32()).as_py()


def _time(literal: Proto, scalar: pa.Scalar, _: Proto) -> None:
    literal.time.nano = _count(scalar, "us") * 1000
    literal.time.precision = 6


def _micros(name: str) -> Callable[[Proto, pa.Scalar, Proto], None]:
    def write(literal: Proto, scalar: pa.Scalar, _: Proto) -> None:
        if pa.types.is_timestamp(scalar.type):
            check_years(nanos_of(scalar) // DAY_NANOS)
        setattr(literal, name, _count(scalar, "us"))

    return write


def _interval(literal: Proto, scalar: pa.Scalar, _: Proto) -> None:
    value = scalar.as_py()
    micros, rest = divmod(value.nanoseconds, 1000)
    if rest:
        raise ValueError("Spark's intervals have no nanoseconds")
    if value.months and (value.days or micros):
        raise ValueError("Spark takes an interval of months, or of days and seconds, and not of both")
    literal.calendar_interval.months = value.months
    literal.calendar_interval.days = value.days
    literal.calendar_interval.microseconds = micros


def _array(literal: Proto, scalar: pa.Scalar, kind: Proto) -> None:
    literal.array.element_type.CopyFrom(kind.array.element_type)
    literal.array.elements.extend(_literal(each) for each in scalar.values)


def _map(literal: Proto, scalar: pa.Scalar, kind: Proto) -> None:
    literal.map.key_type.CopyFrom(kind.map.key_type)
    literal.map.value_type.CopyFrom(kind.map.value_type)
    for entry in scalar.values:
        literal.map.keys.append(_literal(entry["key"]))
        literal.map.values.append(_literal(entry["value"]))


def _struct(literal: Proto, scalar: pa.Scalar, kind: Proto) -> None:
    literal.struct.struct_type.CopyFrom(kind)
    literal.struct.elements.extend(_literal(scalar[index]) for index in range(len(scalar.type)))


_WRITERS: Final[Mapping[str, Callable[[Proto, pa.Scalar, Proto], None]]] = MappingProxyType(
    {
        **{name: _plain(name) for name in ("boolean", "byte", "short", "integer", "long", "float", "double")},
        **{name: _plain(name) for name in ("string", "binary")},
        **{name: _micros(name) for name in ("timestamp", "timestamp_ntz")},
        "day_time_interval": _micros("day_time_interval"),
        "decimal": _decimal,
        "date": _date,
        "time": _time,
        "calendar_interval": _interval,
        "array": _array,
        "map": _map,
        "struct": _struct,
    }
)
