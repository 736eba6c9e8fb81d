"""Numbers as ClickHouse reads them. It wraps or cuts what does not fit, so each is compared with its type first."""

import decimal as decimals
import math
import re
import struct
from decimal import Decimal
from typing import Any, Final

from queryengine.engines.clickhouse.types import Type

_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_BITS: Final = (8, 16, 32, 64, 128, 256)
_RANGES: Final = {
    **{f"Int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in _BITS},
    **{f"UInt{bits}": (0, (1 << bits) - 1) for bits in _BITS},
}
INTEGERS: Final = tuple(_RANGES)
_LARGEST: Final = {
    "BFloat16": 3.3895313892515355e38,
    "Float32": 3.4028234663852886e38,
    "Float64": 1.7976931348623157e308,
}
FLOATS: Final = tuple(_LARGEST)
_DIGITS: Final = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
DECIMALS: Final = ("Decimal", *_DIGITS)
_EXACTLY: Final = decimals.Context(prec=400, Emin=-decimals.MAX_EMAX, Emax=decimals.MAX_EMAX, traps=[decimals.Inexact])


def integer(value: Any, declared: Type) -> str:
    number = _whole(value)
    lowest, highest = _RANGES[declared.name]
    if not lowest <= number <= highest:
        raise ValueError(f"it is out of range for {declared.name}, which holds {lowest} to {highest}")
    return str(number)


def floating(value: Any, declared: Type) -> str:
    """A fraction is rounded to the nearest number of the type, a whole number never."""
    number = _float(value, declared.name)
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    largest = _LARGEST[declared.name]
    if abs(number) > largest:
        raise ValueError(f"it is out of range for {declared.name}, which holds {-largest!r} to {largest!r}")
    nearest = number if declared.name == "Float64" else struct.unpack("<f", struct.pack("<f", number))[0]
    if number and not nearest:
        raise ValueError(f"{declared.name} would make it zero")
    return repr(number)


def decimal(value: Any, declared: Type) -> str:
    number = _decimal(value)
    precision, scale = _precision_and_scale(declared)
    _, digits, exponent = number.normalize(_EXACTLY).as_tuple()
    if -int(exponent) > scale:
        raise ValueError(f"{declared} holds {scale} digits behind the point, and the value has more")
    if number and len(digits) + int(exponent) > precision - scale:
        raise ValueError(f"{declared} holds {precision - scale} digits before the point, and the value has more")
    return format(number.quantize(Decimal(1).scaleb(-scale), context=_EXACTLY), "f") if scale else str(int(number))


def boolean(value: Any, declared: Type) -> str:
    word = {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())
    if word is None or not isinstance(value, bool | int | str):
        raise ValueError(f"{declared.name} holds true and false")
    return str(word).lower()


def _whole(value: Any) -> int:
    match value:
        case bool() | int():
            return int(value)
        case float() | Decimal() if math.isfinite(value) and value == int(value):
            return int(value)
        case str() if _WHOLE.fullmatch(value) and len(value) < 100:
            return int(value)
        case _:
            raise ValueError("it is not a whole number")


def _float(value: Any, kind: str) -> float:
    match value:
        case int():
            return _exact_float(int(value), kind)
        case float():
            return value
        case Decimal():
            return _finite(float(value))
        case str() if value.lower() in {"nan", "inf", "-inf"}:
            return float(value)
        case str() if _NUMBER.fullmatch(value):
            return _finite(float(value))
        case _:
            raise ValueError("it is not a number")


def _exact_float(value: int, kind: str) -> float:
    bits = {"BFloat16": 8, "Float32": 24, "Float64": 53}[kind]
    significant = abs(value) >> (value & -value).bit_length() - 1 if value else 0
    if significant.bit_length() > bits:
        raise ValueError(f"{kind} holds whole numbers of {bits} bits, and would round this one")
    if value.bit_length() > 1024:
        raise ValueError(f"it is out of range for {kind}")
    return float(value)


def _finite(value: float) -> float:
    if math.isinf(value):
        raise ValueError("it is out of range for a floating-point number")
    return value


def _decimal(value: Any) -> Decimal:
    match value:
        case bool():
            return Decimal(int(value))
        case int() | Decimal():
            return Decimal(value)
        case float() if math.isfinite(value):
            return Decimal(repr(value))
        case str() if _NUMBER.fullmatch(value) and len(value) < 200:
            return Decimal(value)
        case _:
            raise ValueError("it is not an exact number")


def _precision_and_scale(declared: Type) -> tuple[int, int]:
    arguments = [int(each.name) for each in declared.arguments]
    if declared.name in _DIGITS:
        return _DIGITS[declared.name], arguments[0]
    precision, scale = (*arguments, *(10, 0)[len(arguments) :])
    return precision, scale
