"""Dates, times and timestamps as text that reads back, whatever the engine has stored.

Arrow prints years from -32767 to 32767 and times of one day; outside of them it prints "<value out of range>", or a
year that has wrapped around. Engines have more: infinity, 24:00, and years far away.
"""

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.infinity import infinite_count
from queryengine.codec.rows import PER_SECOND

DAY_SECONDS: Final = 86_400
ARROW_DAYS: Final = 10_900_000
"""Days around 1970 whose years Arrow prints, in every zone: some 29,800 years each way."""
EPOCH_DAYS: Final = 719_468
"""From 0000-03-01 to 1970-01-01."""
ERA_DAYS: Final = 146_097
"""In 400 years."""


def moments(array: pa.Array) -> list[str | None]:
    """Timestamps: ISO 8601 with at least four digits of a year and a sign before those up to -1, `infinity` and
    `-infinity`. With a zone, its offset at that moment follows as `+02:00`, or `Z`. Moments beyond Arrow's years are in
    UTC, whatever the zone of the column, and so are those whose offset has seconds, which ISO 8601 cannot write.
    """
    per_second = PER_SECOND[array.type.unit]
    reach = ARROW_DAYS * DAY_SECONDS * per_second
    texts = _texts(array)
    counts = array.view(pa.int64())
    infinite = infinite_count(array.type)
    zone = "Z" if array.type.tz else ""
    for place in _outside(counts, -reach, reach):
        count = counts[place].as_py()
        seconds, fraction = divmod(count, per_second)
        days, second = divmod(seconds, DAY_SECONDS)
        far = f"{_date(days)}T{_time(second, fraction, per_second)}{zone}"
        texts[place] = _infinity(count) if abs(count) == infinite else far
    return texts


def _texts(array: pa.Array) -> list[str | None]:
    """As Arrow prints them, in ISO 8601."""
    texts = [None if each is None else each.replace(" ", "T", 1) for each in array.cast(pa.string()).to_pylist()]
    if not array.type.tz:
        return texts
    texts = [
        text if text is None or text.endswith("Z") else f"{text[:-2]}:{text[-2:]}"  # of +0200
        for text in texts
    ]
    in_utc = array.cast(pa.timestamp(array.type.unit, "UTC"))
    for place in _odd_offsets(array):
        texts[place] = _texts(in_utc[place : place + 1])[0]
    return texts


def _odd_offsets(array: pa.Array) -> list[int]:
    """Places of moments whose offset from UTC is not a whole number of minutes, as before zones had a standard time."""
    counts = array.view(pa.int64())
    minute = 60 * PER_SECOND[array.type.unit]
    offsets = pc.subtract(pc.local_timestamp(array).view(pa.int64()), counts)
    has_seconds = pc.not_equal(pc.multiply(pc.divide(offsets, minute), minute), offsets)
    return pc.indices_nonzero(has_seconds.fill_null(False)).to_pylist()  # type: ignore[no-any-return]


def dates(array: pa.Array) -> list[str | None]:
    """Dates, as `moments` has them."""
    days = array.cast(pa.date32()).view(pa.int32())
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    for place in _outside(days, -ARROW_DAYS, ARROW_DAYS):
        day = days[place].as_py()
        texts[place] = _infinity(day) if abs(day) == infinite_count(pa.date32()) else _date(day)
    return texts


def times(array: pa.Array) -> list[str | None]:
    """Times of day up to 24:00, as some engines have it, and beyond."""
    per_second = PER_SECOND[array.type.unit]
    counts = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    for place in _outside(counts, 0, DAY_SECONDS * per_second - 1):
        count = counts[place].as_py()
        sign = "-" if count < 0 else ""
        seconds, fraction = divmod(abs(count), per_second)
        texts[place] = sign + _time(seconds, fraction, per_second)
    return texts


def _outside(counts: pa.Array, least: int, most: int) -> list[int]:
    """Places of the numbers that are not from least to most."""
    bounds: dict[str, Any] = pc.min_max(counts).as_py()
    if bounds["min"] is None or (bounds["min"] >= least and bounds["max"] <= most):
        return []
    is_outside = pc.or_(pc.less(counts, least), pc.greater(counts, most))
    return pc.indices_nonzero(is_outside.fill_null(False)).to_pylist()  # type: ignore[no-any-return]


def _infinity(count: int) -> str:
    return "infinity" if count > 0 else "-infinity"


def _time(seconds: int, fraction: int, per_second: int) -> str:
    digits = len(str(per_second)) - 1
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:0{digits}}" if digits else text


def _date(days: int) -> str:
    """The date so many days after 1970-01-01 in the Gregorian calendar, also before there was one.

    Counts from 1 March of the year 0, so that a leap day is the last day of a year, in eras of 400 years, which have
    the same number of days each.
    """
    era, day_of_era = divmod(days + EPOCH_DAYS, ERA_DAYS)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * from_march + 2) // 5 + 1
    month = from_march + 3 if from_march < 10 else from_march - 9
    year = era * 400 + year_of_era + (month <= 2)
    return f"{'-' if year < 0 else ''}{abs(year):04}-{month:02}-{day:02}"
