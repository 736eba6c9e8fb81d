"""Dates and times of parameters as whole numbers, whichever of Python's or Arrow's types holds them."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from queryengine.codec.values import EPOCH, EPOCH_DAY

NANOS_OF: Final[Mapping[str, int]] = MappingProxyType({"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1})
DAY_NANOS: Final = 86_400 * 10**9
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_BEFORE_EPOCH: Final = 719_162
_AFTER_EPOCH: Final = 2_932_896
"""Days of the calendar from 0001-01-01 to 1970-01-01, and from there to 9999-12-31."""
_FIRST_TEXT_DAY: Final = -12_687_428
_LAST_TEXT_DAY: Final = 11_248_737
"""-32767-01-01 and 32767-12-31."""


def is_date(value: object) -> bool:
    return (isinstance(value, dt.date) and not isinstance(value, dt.datetime)) or (
        isinstance(value, pa.Scalar) and pa.types.is_date(value.type)
    )


def is_moment(value: object) -> bool:
    return isinstance(value, dt.datetime) or (isinstance(value, pa.Scalar) and pa.types.is_timestamp(value.type))


def is_time(value: object) -> bool:
    return isinstance(value, dt.time) or (isinstance(value, pa.Scalar) and pa.types.is_time(value.type))


def is_elapsed(value: object) -> bool:
    return isinstance(value, dt.timedelta) or (isinstance(value, pa.Scalar) and pa.types.is_duration(value.type))


def is_instant(value: dt.datetime | pa.Scalar) -> bool:
    """Whether a moment is a point of time; else it is what a clock on some wall shows."""
    return value.tzinfo is not None if isinstance(value, dt.datetime) else value.type.tz is not None


def days_of(value: dt.date | pa.Scalar) -> int:
    """Since 1970-01-01."""
    if isinstance(value, pa.Scalar):
        return int(value.cast(pa.int32()).as_py()) if pa.types.is_date32(value.type) else _count(value) // DAY_NANOS
    return (value - EPOCH_DAY).days


def nanos_of(value: dt.datetime | dt.time | dt.timedelta | pa.Scalar) -> int:
    """Since 1970-01-01 00:00:00, in UTC for an instant; since midnight; or elapsed."""
    match value:
        case pa.Scalar():
            return _count(value)
        case dt.datetime():
            naive = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return (naive - EPOCH) // _MICROSECOND * 1000
        case dt.time():
            return (dt.datetime.combine(EPOCH, value) - EPOCH) // _MICROSECOND * 1000
        case _:
            return int(value // _MICROSECOND) * 1000


def has_years(days: int) -> bool:
    """Whether the day lies in the years 1 to 9999, which have a text that every database reads."""
    return -_BEFORE_EPOCH <= days <= _AFTER_EPOCH


def check_years(days: int) -> None:
    """Raises ValueError for a day that Arrow writes no text for, such as those that stand for infinity."""
    if not _FIRST_TEXT_DAY <= days <= _LAST_TEXT_DAY:
        raise ValueError("it lies outside the years -32767 to 32767")


def date_text(days: int) -> str:
    """YYYY-MM-DD. Raises ValueError for a day outside the years 1 to 9999."""
    if not has_years(days):
        raise ValueError("it lies outside the years 1 to 9999")
    return (EPOCH_DAY + dt.timedelta(days=days)).isoformat()


def moment_text(nanos: int, digits: int) -> str:
    """YYYY-MM-DD hh:mm:ss with so many digits behind the point. Raises ValueError outside the years 1 to 9999."""
    days, rest = divmod(nanos, DAY_NANOS)
    return f"{date_text(days)} {clock_text(rest, digits)}"


def clock_text(nanos: int, digits: int) -> str:
    seconds, fraction = divmod(nanos, 10**9)
    point = f".{fraction:09}"[: digits + 1] if digits else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}"


def check_digits(nanos: int, digits: int, kind: str) -> None:
    """Raises ValueError when so many digits of a second cannot hold the time."""
    if nanos % 10 ** (9 - digits):
        held = f"{digits} digits of a second" if digits else "whole seconds"
        raise ValueError(f"{kind} holds {held}, and the value has more")


def _count(value: pa.Scalar) -> int:
    bits = pa.int32() if pa.types.is_time32(value.type) else pa.int64()
    unit = "ms" if pa.types.is_date64(value.type) else value.type.unit
    return int(value.cast(bits).as_py()) * NANOS_OF[unit]
