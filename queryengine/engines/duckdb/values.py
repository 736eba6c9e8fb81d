"""Values in what DuckDB's client takes without a loss: what it would round, wrap or refuse goes as text, which DuckDB
casts exactly.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.engines.kit.moments import (
    DAY_NANOS,
    check_digits,
    check_years,
    clock_text,
    days_of,
    is_date,
    is_elapsed,
    is_instant,
    is_moment,
    is_time,
    nanos_of,
)

DIGITS_MAX: Final = 38
"""Of a DECIMAL; whole numbers beyond are HUGEINT or UHUGEINT."""
HUGEINT_MAX: Final = 2**127 - 1
WIDE_INTEGER: Final = pa.decimal256(39, 0)
_INFINITE: Final = 2**63 - 1


def plain(value: Any, arrow_type: pa.DataType | None) -> Any:
    """The value to bind as DuckDB's type for an Arrow type. Raises ValueError for one that it cannot hold."""
    if isinstance(value, pa.Scalar):
        if not value.is_valid:
            return None
        if not pa.types.is_temporal(value.type):
            value = value.as_py()
    match value:
        case Decimal():
            return decimal_text(value) if arrow_type is not None else _client_decimal(value)
        case int() if arrow_type == WIDE_INTEGER and value > HUGEINT_MAX:
            raise ValueError("a whole number beyond 127 bits cannot be part of another value")
        case pa.MonthDayNano():
            return f"{value.months} months {value.days} days {_micros(value.nanoseconds)} microseconds"
        case list() if arrow_type is not None and pa.types.is_map(arrow_type):
            keys = [plain(key, arrow_type.key_type) for key, _ in value]
            return {"key": keys, "value": [plain(item, arrow_type.item_type) for _, item in value]}
        case list():
            inner = arrow_type.value_type if arrow_type is not None else None
            return [plain(each, inner) for each in value]
        case dict():
            types = {field.name: field.type for field in arrow_type.fields} if arrow_type is not None else {}
            return {name: plain(each, types.get(name)) for name, each in value.items()}
        case _:
            return _temporal(value, arrow_type)


def decimal_text(value: Decimal) -> str:
    return format(value, "f")


def digits_of(value: Decimal) -> int:
    """How many a DECIMAL needs to hold it exactly, before and after the point together."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "neither infinite nor NaN: parameters are exact decimals"
    return max(len(digits) + max(exponent, 0), -exponent)


def _client_decimal(value: Decimal) -> Decimal:
    """Inside of a value without a type. DuckDB's client makes a DOUBLE of what it counts to have more digits."""
    exponent = int(value.as_tuple().exponent)
    if max(digits_of(value), 1 - exponent) > DIGITS_MAX:
        raise ValueError(f"DuckDB's decimals have at most {DIGITS_MAX} digits")
    return value


def _temporal(value: Any, arrow_type: pa.DataType | None) -> Any:
    if is_date(value):
        check_years(days_of(value))
        return value if isinstance(value, dt.date) else _text(value)
    if is_moment(value):
        return _moment(value, arrow_type)
    if is_time(value):
        is_plain = isinstance(value, dt.time) and arrow_type in {None, pa.time64("us")}
        return value if is_plain else clock_text(nanos_of(value), 9).rstrip("0").rstrip(".")
    if is_elapsed(value) and isinstance(value, pa.Scalar):
        return f"{_micros(nanos_of(value))} microseconds"
    return value


def _moment(value: dt.datetime | pa.Scalar, arrow_type: pa.DataType | None) -> Any:
    nanos = nanos_of(value)
    check_years(nanos // DAY_NANOS)
    if is_instant(value):
        check_digits(nanos, 6, "TIMESTAMPTZ")
    if isinstance(value, pa.Scalar):
        if value.type.unit == "ns" and abs(nanos) >= _INFINITE:
            raise ValueError("TIMESTAMP_NS holds 64 bits of nanoseconds but for the ends, which stand for infinity")
        return _text(value)
    is_plain = arrow_type is None or arrow_type.unit == "us" or is_instant(value)
    return value if is_plain else value.isoformat(" ")


def _text(value: pa.Scalar) -> str:
    return str(pc.cast(value, pa.string()).as_py())


def _micros(nanos: int) -> int:
    micros, rest = divmod(nanos, 1000)
    if rest:
        raise ValueError("DuckDB's intervals have no nanoseconds")
    if abs(micros) > _INFINITE:
        raise ValueError("an INTERVAL holds microseconds of 64 bits, and the value has more")
    return micros
