"""Parameters as ClickHouse binds them: by value, as text that the server reads as the type that a placeholder names.

A named placeholder tells its type itself, as in {day:Date}. A question mark does not, so it gets the type of its
parameter.
"""

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.values import EPOCH, BoundParameter
from queryengine.domain.errors import Reason, error
from queryengine.engines.clickhouse.types import Type, parse

_NAMES: Final[Mapping[pa.DataType, str]] = MappingProxyType(
    {
        pa.null(): "Nothing",
        pa.bool_(): "Bool",
        pa.int8(): "Int8",
        pa.int16(): "Int16",
        pa.int32(): "Int32",
        pa.int64(): "Int64",
        pa.uint8(): "UInt8",
        pa.uint16(): "UInt16",
        pa.uint32(): "UInt32",
        pa.uint64(): "UInt64",
        pa.float16(): "Float32",
        pa.float32(): "Float32",
        pa.float64(): "Float64",
        pa.string(): "String",
        pa.binary(): "String",
        pa.date32(): "Date32",
        pa.time32("s"): "Time",
        pa.time32("ms"): "Time64(3)",
        pa.time64("us"): "Time64(6)",
        pa.time64("ns"): "Time64(9)",
        pa.uuid(): "UUID",
        pa.json_(): "String",
    }
)
_DIGITS: Final = MappingProxyType({"s": 0, "ms": 3, "us": 6, "ns": 9})
_DECIMAL_DIGITS: Final = 76
_WRAPPERS: Final = ("Nullable", "LowCardinality")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'"})


class Encoded:
    """A value as the server reads it. The driver formats every other object once more."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def encode(name: str, parameter: BoundParameter, declared: str) -> Encoded:
    """The value of a parameter for a placeholder of this type.

    Raises PARAMETER_MISMATCH with metadata `parameter` when the type cannot hold the value exactly.
    """
    try:
        return Encoded(_text(parameter.value, parse(declared), nested=False))
    except ValueError as cause:
        raise _mismatch(name, cause) from cause


def type_of(name: str, parameter: BoundParameter) -> str:
    """ClickHouse's type for a positional parameter. Raises PARAMETER_MISMATCH when there is none."""
    try:
        found = _type_of_arrow(parameter.type) if parameter.type is not None else _type_of_value(parameter.value)
    except ValueError as cause:
        raise _mismatch(name, cause) from cause
    return f"Nullable({found})" if parameter.value is None else found


def _mismatch(name: str, cause: ValueError) -> Exception:
    return error(Reason.PARAMETER_MISMATCH, f"parameter {name}: {cause}", parameter=name)


def _type_of_value(value: Any) -> str:
    match value:
        case pa.Scalar():
            return _type_of_arrow(value.type)
        case None:
            return "Nothing"
        case bool():
            return "Bool"
        case int():
            sizes = ((64, "Int64", "UInt64"), (128, "Int128", "UInt128"), (256, "Int256", "UInt256"))
            for bits, signed, unsigned in sizes:
                if -(1 << bits - 1) <= value < 1 << bits - 1:
                    return signed
                if 0 <= value < 1 << bits:
                    return unsigned
        case float():
            return "Float64"
        case Decimal():
            scale = max(0, -int(value.as_tuple().exponent))
            whole = max(0, len(value.as_tuple().digits) + int(value.as_tuple().exponent))
            return _decimal(max(1, whole + scale), scale)
        case str():
            return "String"
        case bytes():
            # Text cannot hold every octet; a FixedString comes back as octets.
            return f"FixedString({len(value)})" if value else "String"
        case dt.datetime():
            return "DateTime64(6, 'UTC')"
        case dt.date():
            return "Date32"
        case dt.time():
            return "Time64(6)"
        case uuid.UUID():
            return "UUID"
        case list():
            return f"Array({_common(value)})"
        case dict():
            members = ", ".join(f"{_quoted_name(key)} {_type_of_value(each)}" for key, each in value.items())
            return f"Tuple({members})"
        case _:
            pass
    raise ValueError(f"ClickHouse has no type for a parameter of the kind {type(value).__name__}")


def _common(values: list[Any]) -> str:
    """The one type that the values have, NULLs aside."""
    kinds = {_type_of_value(value) for value in values if value is not None} or {"Nothing"}
    if len(kinds) > 1:
        raise ValueError("the values of a list have several types; name the parameter's type")
    kind = kinds.pop()
    is_nullable = any(value is None for value in values) and not kind.startswith(("Array", "Tuple", "Map"))
    return f"Nullable({kind})" if is_nullable else kind


def _type_of_arrow(arrow: pa.DataType) -> str:
    if arrow in _NAMES:
        return _NAMES[arrow]
    for matches, name in _NESTED:
        if matches(arrow):
            return name(arrow)
    raise ValueError(f"ClickHouse has no type for a parameter of the type {arrow}")


def _decimal(precision: int, scale: int) -> str:
    if scale < 0 or precision > _DECIMAL_DIGITS:
        raise ValueError(f"ClickHouse's decimals have at most {_DECIMAL_DIGITS} digits and no negative scale")
    return f"Decimal({precision}, {scale})"


def _decimal_of_arrow(arrow: pa.DataType) -> str:
    # The contract's whole numbers of 128 bits have one digit more than a decimal of 128 bits.
    return "Int256" if (arrow.precision, arrow.scale) == (39, 0) else _decimal(arrow.precision, arrow.scale)


def _element(field: pa.Field) -> str:
    found = _type_of_arrow(field.type)
    is_plain = not found.startswith(("Array", "Tuple", "Map"))
    return f"Nullable({found})" if field.nullable and is_plain else found


def _members(arrow: pa.DataType) -> str:
    return f"Tuple({', '.join(f'{_quoted_name(field.name)} {_element(field)}' for field in arrow.fields)})"


def _quoted_name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


_NESTED: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], str]], ...]] = (
    (pa.types.is_decimal, _decimal_of_arrow),
    (pa.types.is_timestamp, lambda arrow: f"DateTime64({_DIGITS[arrow.unit]}, 'UTC')"),
    (pa.types.is_list, lambda arrow: f"Array({_element(arrow.value_field)})"),
    (pa.types.is_struct, _members),
    (pa.types.is_map, lambda arrow: f"Map({_type_of_arrow(arrow.key_type)}, {_element(arrow.item_field)})"),
)


def _text(value: Any, declared: Type, *, nested: bool) -> str:
    """A value as ClickHouse writes it: plain outside, quoted where it is part of another."""
    while declared.name in _WRAPPERS and declared.types:
        declared = declared.types[0]
    match value:
        case None:
            return "NULL" if nested else "\\N"
        case bool():
            return str(value).lower() if declared.name in ("Bool", "String") else str(int(value))
        case int():
            return str(value)
        case float():
            return ("-" if value < 0 else "") + "inf" if math.isinf(value) else repr(value)
        case Decimal():
            return _decimal_text(value, declared)
        case str():
            return _quoted(value.translate(_ESCAPES), nested)
        case bytes():
            return _quoted("".join(f"\\x{octet:02x}" for octet in value), nested)
        case dt.datetime():
            return _quoted(_instant(value, declared), nested)
        case dt.date() | dt.time() | uuid.UUID():
            return _quoted(str(value), nested)
        case list() if declared.name == "Map":
            return _mapping(value, declared)
        case list():
            inner = declared.types[0] if declared.types else declared
            return f"[{', '.join(_text(each, inner, nested=True) for each in value)}]"
        case dict() if declared.name == "Map":
            return _mapping(list(value.items()), declared)
        case dict():
            return _tuple(value, declared)
        case pa.Scalar():
            return _scalar(value, declared, nested=nested)
        case _:
            pass
    raise ValueError(f"ClickHouse has no type for a parameter of the kind {type(value).__name__}")


def _quoted(text: str, nested: bool) -> str:
    return f"'{text}'" if nested else text


def _decimal_text(value: Decimal, declared: Type) -> str:
    scale = -int(value.as_tuple().exponent)
    if declared.name == "Decimal" and len(declared.arguments) == 2 and scale > int(declared.arguments[1].name):
        raise ValueError(f"{declared} would cut digits")
    return format(value, "f")


def _instant(value: dt.datetime, declared: Type) -> str:
    """Seconds since 1970 for an instant, as wall-clock text would be read in the placeholder's zone."""
    if declared.name == "DateTime" and value.microsecond:
        raise ValueError("a DateTime has whole seconds; write DateTime64(6)")
    if value.tzinfo is None:
        return str(value)
    micros = (value.astimezone(dt.UTC).replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1)
    return _seconds(micros, 6) if declared.name == "DateTime64" else str(micros // 10**6)


def _seconds(count: int, digits: int) -> str:
    whole, rest = divmod(abs(count), 10**digits)
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{'-' if count < 0 else ''}{whole}{fraction}"


def _mapping(pairs: list[Any], declared: Type) -> str:
    key, item = declared.types
    entries = (f"{_text(k, key, nested=True)}: {_text(v, item, nested=True)}" for k, v in pairs)
    return "{" + ", ".join(entries) + "}"


def _tuple(value: dict[str, Any], declared: Type) -> str:
    members = [argument for argument in declared.arguments if argument.label]
    if [member.label for member in members] != list(value):
        raise ValueError(f"its members are not those of {declared}")
    parts = [_text(value[member.label], member, nested=True) for member in members]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _scalar(scalar: pa.Scalar, declared: Type, *, nested: bool) -> str:
    arrow = scalar.type
    if not scalar.is_valid:
        return _text(None, declared, nested=nested)
    if pa.types.is_timestamp(arrow) and arrow.tz:
        count = scalar.cast(pa.int64()).as_py()
        return _quoted(_seconds(count, _DIGITS[arrow.unit]), nested)
    if pa.types.is_date(arrow) or pa.types.is_time(arrow) or pa.types.is_timestamp(arrow):
        return _quoted(pc.cast(scalar, pa.string()).as_py(), nested)
    if pa.types.is_duration(arrow) or pa.types.is_interval(arrow):
        raise ValueError("ClickHouse has no type for a parameter that is an interval")
    return _text(scalar.as_py(), declared, nested=nested)
