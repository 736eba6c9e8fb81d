"""Parameter values as literals of Trino, exactly or not at all."""

import datetime as dt
import math
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.values import BoundParameter
from queryengine.engines.kit.arrow_types import TypeTable, is_any_list
from queryengine.engines.kit.moments import DAY_NANOS, check_years, days_of, nanos_of
from queryengine.engines.kit.parameters import bound, check_names
from queryengine.engines.trino.text import quoted

DIGITS_MAX: Final = 38
"""Of a decimal."""
_NO_MEMBERS: Final = "a row of Trino has at least one member"
_BIGINT: Final = range(-(2**63), 2**63)
_UNITS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"s": (0, 1), "ms": (3, 10**3), "us": (6, 10**6), "ns": (9, 10**9)}
)
"""Digits of a fraction of a second, and how many of the unit make a second."""

_NAMES: Final[Mapping[pa.DataType, str]] = MappingProxyType(
    {
        pa.null(): "unknown",
        pa.bool_(): "boolean",
        pa.int8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.uint8(): "smallint",
        pa.uint16(): "integer",
        pa.uint32(): "bigint",
        pa.uint64(): "decimal(20,0)",
        pa.float16(): "real",
        pa.float32(): "real",
        pa.float64(): "double",
        pa.string(): "varchar",
        pa.large_string(): "varchar",
        pa.binary(): "varbinary",
        pa.large_binary(): "varbinary",
        pa.date32(): "date",
        pa.month_day_nano_interval(): "",
        pa.uuid(): "uuid",
        pa.json_(): "json",
    }
)
"""Trino's type for a flat type; no name where the literal alone decides it."""


def literals(parameters: Sequence[BoundParameter], expected: Collection[str]) -> dict[str, str]:
    """A literal for each parameter, by its name or its number.

    Raises PARAMETER_MISMATCH, with the names as metadata `missing` and `unexpected`, or with `parameter` for a value
    that Trino cannot hold exactly.
    """
    check_names(parameters, expected)
    return bound(parameters, _literal)


def _literal(parameter: BoundParameter) -> str:
    value, arrow = parameter.value, parameter.type
    if isinstance(value, pa.Scalar) and arrow is None:
        arrow = value.type
    return typed(value, arrow) if arrow is not None else plain(value)


def typed(value: Any, arrow: pa.DataType) -> str:
    """The literal of a value as Trino's counterpart of an Arrow type. Raises ValueError when there is none."""
    if pa.types.is_null(arrow):
        return "NULL"
    type_name = type_of(arrow)
    if value is None or (isinstance(value, pa.Scalar) and not value.is_valid):
        return f"CAST(NULL AS {type_name})" if type_name else "NULL"
    if isinstance(arrow, pa.JsonType):
        # A cast would make a JSON string of it.
        return f"JSON {_text(value.as_py() if isinstance(value, pa.Scalar) else value)}"
    text = _nested(value, arrow) or plain(value)
    return f"CAST({text} AS {type_name})" if type_name else text


def plain(value: Any) -> str:
    """The literal of a value by itself. Raises ValueError when Trino cannot hold it exactly."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"BIGINT '{value}'" if value in _BIGINT else _decimal(Decimal(value))
        case float():
            return f"DOUBLE '{_float(value)}'"
        case Decimal():
            return _decimal(value)
        case str():
            return _text(value)
        case bytes():
            return f"X'{value.hex()}'"
        case uuid.UUID():
            return f"UUID '{value}'"
        case list():
            return f"ARRAY[{', '.join(map(plain, value))}]"
        case dict():
            return _row(value)
        case _:
            return _temporal(value)


def _temporal(value: Any) -> str:
    match value:
        case dt.datetime():
            text = value.replace(tzinfo=None).isoformat(" ", "microseconds")
            if value.tzinfo is None:
                return f"TIMESTAMP '{text}'"
            text = value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
            return f"TIMESTAMP '{text} UTC'"
        case dt.date():
            return f"DATE '{value.isoformat()}'"
        case dt.time():
            return f"TIME '{value.isoformat('microseconds')}'"
        case dt.timedelta():
            return _seconds(value // dt.timedelta(microseconds=1), 10**6)
        case pa.MonthDayNano():
            return _interval(value)
        case pa.Scalar():
            return _scalar(value)
        case _:
            raise ValueError(f"Trino has no literal for {type(value).__name__}")


def _scalar(scalar: pa.Scalar) -> str:
    kind = scalar.type
    if not scalar.is_valid:
        return "NULL"
    if pa.types.is_duration(kind):
        return _seconds(scalar.cast(pa.int64()).as_py(), _UNITS[kind.unit][1])
    if not pa.types.is_temporal(kind) or pa.types.is_interval(kind):
        return plain(scalar.as_py())
    if not pa.types.is_time(kind):
        check_years(days_of(scalar) if pa.types.is_date(kind) else nanos_of(scalar) // DAY_NANOS)
    if pa.types.is_timestamp(kind) and kind.tz:
        # Text of an instant would be in its zone.
        instant = pc.cast(scalar.cast(pa.timestamp(kind.unit)), pa.string()).as_py()
        return f"TIMESTAMP '{instant} UTC'"
    word = "TIMESTAMP" if pa.types.is_timestamp(kind) else "DATE" if pa.types.is_date(kind) else "TIME"
    return f"{word} '{pc.cast(scalar, pa.string()).as_py()}'"


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half of a surrogate pair has no UTF-8 form") from None
    return quoted(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}Infinity"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("Trino's decimals are finite")
    text = format(value, "f")
    digits = len(text.lstrip("-").replace(".", "").lstrip("0"))
    if max(digits, len(text.partition(".")[2])) > DIGITS_MAX:
        raise ValueError(f"Trino's decimals have at most {DIGITS_MAX} digits")
    return f"DECIMAL '{text}'"


def _interval(value: pa.MonthDayNano) -> str:
    if value.months and (value.days or value.nanoseconds):
        raise ValueError("an interval of Trino has months, or days and seconds, and not both")
    if value.months:
        return f"INTERVAL '{value.months}' MONTH"
    return _seconds(value.days * 86_400 * 10**9 + value.nanoseconds, 10**9)


def _seconds(count: int, per_second: int) -> str:
    """An interval of so many parts of a second."""
    millis, rest = divmod(abs(count) * 1000, per_second)
    if rest:
        raise ValueError("Trino's intervals have whole milliseconds")
    seconds, fraction = divmod(millis, 1000)
    days, seconds = divmod(seconds, 86_400)
    if days >= 2**31:
        raise ValueError("Trino reads intervals of fewer than 2^31 days")
    sign = "-" if count < 0 else ""
    return f"INTERVAL {sign}'{days} {seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}.{fraction:03}' DAY TO SECOND"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _row(value: Mapping[str, Any]) -> str:
    """A row with names. Without types given, those of its members are those of their literals."""
    if not value:
        raise ValueError(_NO_MEMBERS)
    members = ", ".join(f"{identifier(name)} {_type_of_value(each)}" for name, each in value.items())
    return f"CAST(ROW({', '.join(map(plain, value.values()))}) AS ROW({members}))"


def _type_of_value(value: Any) -> str:
    try:
        return type_of(pa.scalar(value).type)
    except (pa.ArrowException, TypeError) as cause:
        raise ValueError(f"a member of type {type(value).__name__} needs a type that is named") from cause


def _nested(value: Any, arrow: pa.DataType) -> str:
    """The literal of a list, a struct or a map with typed members; empty for anything else."""
    if isinstance(value, pa.Scalar):
        value = value.as_py() if pa.types.is_nested(arrow) else value
    if pa.types.is_map(arrow):
        keys = ", ".join(typed(key, arrow.key_type) for key, _ in value)
        items = ", ".join(typed(item, arrow.item_type) for _, item in value)
        return f"MAP(ARRAY[{keys}], ARRAY[{items}])"
    if pa.types.is_struct(arrow):
        return f"ROW({', '.join(typed(value[field.name], field.type) for field in arrow)})"
    if is_any_list(arrow):
        return f"ARRAY[{', '.join(typed(each, arrow.value_type) for each in value)}]"
    return ""


def _decimal_type(arrow: pa.DataType) -> str:
    precision, scale = arrow.precision, arrow.scale
    if scale < 0:
        precision, scale = precision - scale, 0
    # 39 digits are those of a 128-bit integer; its literal shows whether it fits.
    if precision == DIGITS_MAX + 1 and scale == 0:
        precision = DIGITS_MAX
    if precision > DIGITS_MAX or scale > precision:
        raise ValueError(f"Trino's decimals have at most {DIGITS_MAX} digits")
    return f"decimal({precision},{scale})"


def _timestamp_type(arrow: pa.DataType) -> str:
    zone = " with time zone" if arrow.tz else ""
    return f"timestamp({_UNITS[arrow.unit][0]}){zone}"


def _row_type(arrow: pa.DataType) -> str:
    if not arrow.num_fields:
        raise ValueError(_NO_MEMBERS)
    return f"row({', '.join(f'{identifier(field.name)} {_member(field.type)}' for field in arrow)})"


def _member(arrow: pa.DataType) -> str:
    """The type of what stands inside another one, which must have a name."""
    name = type_of(arrow)
    if not name:
        raise ValueError(f"Trino's type for {arrow} depends on the value")
    return name


_TYPES: Final[TypeTable[str]] = TypeTable(
    "Trino",
    _NAMES,
    {
        pa.types.is_decimal: _decimal_type,
        pa.types.is_timestamp: _timestamp_type,
        pa.types.is_time: lambda each: f"time({_UNITS[each.unit][0]})",
        pa.types.is_duration: lambda _: "interval day to second",
        pa.types.is_map: lambda each: f"map({_member(each.key_type)}, {_member(each.item_type)})",
        pa.types.is_struct: _row_type,
        is_any_list: lambda each: f"array({_member(each.value_type)})",
    },
)
type_of: Final[Callable[[pa.DataType], str]] = _TYPES.of
"""Trino's type for an Arrow type. Raises ValueError when there is none."""
