"""Checks of what a caller passes, so that a mistake names its argument and says what that takes."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

E = TypeVar("E", bound=StrEnum)

Seconds: TypeAlias = float | dt.timedelta
"""A duration: a number of seconds, or a timedelta."""

_HEADER_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")

SECONDS_MAX: Final = 10_000 * 365.25 * 86_400
"""Of a Duration in protobuf."""


def seconds(name: str, value: Any) -> float:
    """Raises TypeError for what is not a duration, ValueError for one that is negative, endless or not a number."""
    if isinstance(value, dt.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} takes a number of seconds or a timedelta, not {value!r}")
    if not 0 <= value <= SECONDS_MAX or math.isnan(value):
        raise ValueError(f"{name} takes 0 to {SECONDS_MAX:.0f} seconds, not {value!r}")
    return float(value)


def whole(name: str, value: Any, bits: int = 64) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} takes an integer, not {value!r}")
    number = int(value)
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(f"{name} takes an integer of {bits} bits, not {value!r}")
    return number


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} takes True or False, not {value!r}")
    return value


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} takes a string, not {value!r}")
    return value


def texts(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise TypeError(f"{name} takes a mapping of strings to strings, not {value!r}")
    return dict(value)


def pairs(name: str, value: Any) -> None:
    """Raises TypeError for what is not pairs of a string and a string or, for keys that end in -bin, bytes."""
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_sequence or not all(len(each) == 2 and _is_text_or_bytes(*each) for each in value):
        raise TypeError(f'{name} takes pairs of strings, such as (("authorization", "Bearer ..."),)')
    for key, text_or_bytes in value:
        _check_header(name, key, text_or_bytes)


def _check_header(name: str, key: str, value: str | bytes) -> None:
    """Raises ValueError for what gRPC would fail at. The value is not repeated, as it may be a secret."""
    if not key or not _HEADER_CHARACTERS.issuperset(key) or key.startswith("grpc-"):
        expected = "lower-case letters, digits, - _ and ., not beginning with grpc-"
        raise ValueError(f"{name}: {key!r} cannot be a key; expected {expected}")
    if isinstance(value, str) and not (value.isascii() and value.isprintable() and value == value.strip()):
        problem = "a line break, blanks around it or other characters than printable ASCII"
        raise ValueError(f"{name}: the value of {key!r} holds {problem}")


def _is_text_or_bytes(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, bytes if key.endswith("-bin") else str)


def choice(name: str, value: Any, kind: type[E]) -> E:
    """The member of a name or value, in upper or lower case."""
    names = {member.value.lower(): member for member in kind}
    if isinstance(value, str) and value.lower() in names:
        return names[value.lower()]
    known = ", ".join(repr(member.value) for member in kind)
    raise ValueError(f"{name} takes one of {known}, not {value!r}")


def choices(name: str, values: Iterable[Any], kind: type[E]) -> list[E]:
    """Raises TypeError for one name by itself, whose letters would be taken for names."""
    if isinstance(values, str):
        raise TypeError(f"{name} takes a list: [{values!r}]")
    return [choice(name, value, kind) for value in values]


def row_range(start_row: Any, end_row: Any) -> tuple[int, int | None]:
    """Raises ValueError for a range that ends before it begins."""
    start = whole("start_row", start_row)
    if end_row is None:
        return start, None
    end = whole("end_row", end_row)
    if end < start:
        raise ValueError(f"end_row takes start_row, {start}, or a later row, not {end}")
    return start, end


def moment(name: str, value: Any) -> dt.datetime:
    """Raises ValueError for a time without a zone, which may be any of a day."""
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{name} takes a datetime with a zone, not {value!r}")
    if value.tzinfo is None:
        raise ValueError(f"{name} takes a datetime with a zone, such as datetime.now(UTC); {value!r} has none")
    return value


def day(name: str, value: Any) -> str:
    """As the contract has it; empty for None."""
    if value is None:
        return ""
    if not isinstance(value, dt.date):
        raise TypeError(f"{name} takes a date, not {value!r}")
    # A datetime is a date, too.
    return f"{value:%Y-%m-%d}"
