"""Lengths of time as text: `1 year 2 months -3 days 04:05:06.789`, each part with its own sign, parts of 0 left out.

PostgreSQL and DuckDB read it back. A length without months and days is `04:05:06`, also beyond a day, and zero is
`00:00:00`.
"""

from typing import Any

import pyarrow as pa

from queryengine.codec.rows import PER_SECOND

NANOS = 1_000_000_000


def durations(array: pa.Array) -> list[str | None]:
    """Elapsed times, which Arrow counts in a unit of the column's."""
    per_second = PER_SECOND[array.type.unit]
    counts = array.view(pa.int64()).to_pylist()
    return [None if count is None else text(0, 0, count, per_second) for count in counts]


def interval(value: Any) -> str:
    """Of months, days and nanoseconds."""
    return text(value.months, value.days, value.nanoseconds, NANOS)


def text(months: int, days: int, count: int, per_second: int) -> str:
    """`count` is of so many in a second."""
    years, rest = divmod(abs(months), 12)
    sign = -1 if months < 0 else 1
    amounts = ((years * sign, "year"), (rest * sign, "month"), (days, "day"))
    parts = [f"{amount} {unit}{'' if abs(amount) == 1 else 's'}" for amount, unit in amounts if amount]
    if count or not parts:
        parts.append(_clock(count, per_second))
    return " ".join(parts)


def _clock(count: int, per_second: int) -> str:
    seconds, fraction = divmod(abs(count), per_second)
    digits = len(str(per_second)) - 1
    behind = f".{fraction:0{digits}d}".rstrip("0") if fraction else ""
    return f"{'-' if count < 0 else ''}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{behind}"
