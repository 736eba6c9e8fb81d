"""Whether the value that arrived is the one that was sent, whatever the engine's type for it."""

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa

from queryengine.engines.kit.moments import days_of, is_instant, nanos_of

DAY = 86_400


def number_of(scalar: pa.Scalar) -> Any:
    """A value that can be shown and compared whatever its range."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_date(kind):
        return ("day", days_of(scalar))
    if pa.types.is_timestamp(kind):
        return ("instant" if is_instant(scalar) else "wall", nanos_of(scalar))
    if pa.types.is_time(kind):
        return ("time", nanos_of(scalar))
    if pa.types.is_duration(kind):
        return ("interval", 0, 0, nanos_of(scalar))
    if pa.types.is_interval(kind):
        return ("interval", *scalar.as_py())
    if pa.types.is_map(kind):
        return [(number_of(each["key"]), number_of(each["value"])) for each in scalar.values]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [number_of(each) for each in scalar.values]
    if pa.types.is_struct(kind):
        return [number_of(scalar[index]) for index in range(kind.num_fields)]
    if isinstance(kind, pa.JsonType):
        return ("json", json.loads(scalar.as_py()))
    return scalar.as_py()


def same(sent: pa.Scalar, arrived: pa.Scalar) -> bool:
    return equal(number_of(sent), number_of(arrived))


def equal(sent: Any, arrived: Any) -> bool:
    """Numbers by value, whatever type they came back in; and times by what they stand for."""
    match sent, arrived:
        case float(), float():
            return (math.isnan(sent) and math.isnan(arrived)) or (
                sent == arrived and math.copysign(1, sent) == math.copysign(1, arrived)
            )
        case bool(), _:
            # SQLite has no truth values.
            return arrived == sent
        case int() | Decimal(), int() | Decimal():
            return sent == arrived
        case int() | Decimal(), str():
            # An Int256 of ClickHouse.
            return str(sent) == arrived
        case uuid.UUID(), str():
            return str(sent) == arrived
        case float(), Decimal():
            # A driver of the generic kind writes a float as digits.
            return sent == float(arrived)
        case bytes(), str():
            # ClickHouse has no type of its own for octets of any number.
            return sent == arrived.encode()
        case ("wall", int()), ("instant", int()):
            # Nor one for wall-clock time; it is in UTC there.
            return sent[1] == arrived[1]
        case list(), list():
            return len(sent) == len(arrived) and all(map(equal, sent, arrived))
        case ("interval", 0, int() as days, int() as nanos), ("interval", 0, int() as found, int() as rest):
            # Elapsed time in days and nanoseconds, where a day has 24 hours.
            return days * DAY * 10**9 + nanos == found * DAY * 10**9 + rest
        case ("json", found), str():
            return found == json.loads(arrived)
        case tuple(), str():
            return text_of(sent) == arrived
        case tuple(), tuple():
            return len(sent) == len(arrived) and all(map(equal, sent, arrived))
        case _:
            return type(sent) is type(arrived) and sent == arrived


def text_of(sent: tuple[Any, ...]) -> str:
    """ISO text, which is how SQLite keeps a time."""
    word, number = sent[0], sent[1]
    epoch = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock time has no zone
    if word == "day":
        return (epoch + dt.timedelta(days=number)).date().isoformat()
    moment = epoch + dt.timedelta(microseconds=number // 1000)
    if word == "time":
        return moment.time().isoformat()
    return (moment.replace(tzinfo=dt.UTC) if word == "instant" else moment).isoformat(sep=" ")
