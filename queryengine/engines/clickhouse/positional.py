"""ClickHouse's type for a parameter of a question mark, which names none."""

import datetime as dt
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.engines.kit.arrow_types import TypeTable
from queryengine.engines.kit.parameters import word_of

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
_NEVER_NULL: Final = ("Array", "Tuple", "Map")


def type_of(parameter: BoundParameter) -> str:
    """Raises ValueError when there is none."""
    # A text cannot hold every octet, so octets get a type of their length with a type and without.
    is_typed = parameter.type is not None and not isinstance(parameter.value, bytes)
    found = _TYPES.of(parameter.type) if is_typed else _type_of_value(parameter.value)
    is_null = parameter.value is None or (isinstance(parameter.value, pa.Scalar) and not parameter.value.is_valid)
    return f"Nullable({found})" if is_null and not found.startswith(_NEVER_NULL) else found


def _type_of_value(value: Any) -> str:
    match value:
        case pa.Scalar():
            return _TYPES.of(value.type)
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
    raise ValueError(f"ClickHouse has no type for a parameter of the kind {word_of(value)}")


def _common(values: list[Any]) -> str:
    """The one type that the values have, NULLs aside."""
    kinds = {_type_of_value(value) for value in values if value is not None} or {"Nothing"}
    if len(kinds) > 1:
        raise ValueError("the values of a list have several types; name the parameter's type")
    kind = kinds.pop()
    is_nullable = any(value is None for value in values) and not kind.startswith(_NEVER_NULL)
    return f"Nullable({kind})" if is_nullable else kind


def _decimal(precision: int, scale: int) -> str:
    if scale < 0 or precision > _DECIMAL_DIGITS:
        raise ValueError(f"ClickHouse's decimals have at most {_DECIMAL_DIGITS} digits and no negative scale")
    return f"Decimal({precision}, {scale})"


def _decimal_of_arrow(arrow: pa.DataType) -> str:
    # The contract's whole numbers of 128 bits have one digit more than a decimal of 128 bits.
    return "Int256" if (arrow.precision, arrow.scale) == (39, 0) else _decimal(arrow.precision, arrow.scale)


def _element(field: pa.Field) -> str:
    found = _TYPES.of(field.type)
    is_plain = not found.startswith(_NEVER_NULL)
    return f"Nullable({found})" if field.nullable and is_plain else found


def _members(arrow: pa.DataType) -> str:
    return f"Tuple({', '.join(f'{_quoted_name(field.name)} {_element(field)}' for field in arrow.fields)})"


def _quoted_name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


_TYPES: Final[TypeTable[str]] = TypeTable(
    "ClickHouse",
    _NAMES,
    {
        pa.types.is_decimal: _decimal_of_arrow,
        pa.types.is_timestamp: lambda arrow: f"DateTime64({_DIGITS[arrow.unit]}, 'UTC')",
        pa.types.is_list: lambda arrow: f"Array({_element(arrow.value_field)})",
        pa.types.is_struct: _members,
        pa.types.is_map: lambda arrow: f"Map({_TYPES.of(arrow.key_type)}, {_element(arrow.item_field)})",
    },
)
