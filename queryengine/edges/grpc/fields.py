"""Checks of single fields. Everything wrong in one is INVALID_FIELD that names it."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from google.protobuf import duration_pb2, timestamp_pb2

from queryengine.domain.errors import QueryEngineError, Reason, error

LABELS_MAX: Final = 32
NAME_CHARACTERS_MAX: Final = 255
"""Of a name that a request gives: a catalog, a schema, an engine, a parameter."""
TIMES_FROM_SECONDS: Final = -62_135_596_800
TIMES_TO_SECONDS: Final = 253_402_300_799
"""The range of a google.protobuf.Timestamp."""
NANOS: Final = 1_000_000_000

Chosen = TypeVar("Chosen")


def invalid(field: str, message: str) -> QueryEngineError:
    return error(Reason.INVALID_FIELD, f"{field} {message}", field=field)


def seconds(message: Any, field: str, default: float, maximum: float, *, minimum: float = 0.0) -> float:
    """The duration in a field, or the default when it is absent. Larger than the maximum is refused, not cut."""
    if not message.HasField(field):
        return default
    value: duration_pb2.Duration = getattr(message, field)
    total = value.seconds + value.nanos / 1e9
    if not minimum <= total <= maximum or abs(value.nanos) > 999_999_999:
        raise invalid(field, f"must be from {minimum:.15g} to {maximum:.15g} seconds, not {total:.15g}")
    return total


def milliseconds(message: Any, field: str, maximum: float, *, minimum: float = 0.0) -> int | None:
    """The duration in a field, or None when it is absent."""
    if not message.HasField(field):
        return None
    return int(seconds(message, field, 0.0, maximum, minimum=minimum) * 1000)


def microseconds(value: timestamp_pb2.Timestamp) -> int:
    return value.seconds * 1_000_000 + value.nanos // 1000


def rounded_up(message: Any, field: str) -> int | None:
    """The first microsecond that is not before the time in a field; None without one."""
    if not message.HasField(field):
        return None
    value: timestamp_pb2.Timestamp = getattr(message, field)
    if not TIMES_FROM_SECONDS <= value.seconds <= TIMES_TO_SECONDS or not 0 <= value.nanos < NANOS:
        raise invalid(field, "is not a time from year 1 to 9999")
    return value.seconds * 1_000_000 - (-value.nanos // 1000)


def mapping(pairs: Any, field: str, key_max: int, value_max: int) -> dict[str, str]:
    if len(pairs) > LABELS_MAX:
        raise invalid(field, f"holds {len(pairs)} entries; at most {LABELS_MAX} are taken")
    for key, value in pairs.items():
        if not key or len(key) > key_max or len(value) > value_max:
            raise invalid(field, f"takes keys of 1 to {key_max} and values of up to {value_max} characters")
    return dict(pairs)


def short(text: str, field: str) -> str:
    if len(text) > NAME_CHARACTERS_MAX:
        raise invalid(field, f"has more than {NAME_CHARACTERS_MAX} characters")
    return text


def not_negative(value: int, field: str) -> int:
    if value < 0:
        raise invalid(field, f"must not be negative, is {value}")
    return value


def within(value: int, maximum: int, field: str) -> int:
    if not 0 <= value <= maximum:
        raise invalid(field, f"must be from 0 to {maximum}, is {value}")
    return value


def choice(choices: Mapping[Any, Chosen], value: int, field: str) -> Chosen:
    if value not in choices:
        raise invalid(field, f"has no value {value}")
    return choices[value]
