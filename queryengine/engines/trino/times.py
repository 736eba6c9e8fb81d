"""Trino's texts for dates, times and intervals, as Arrow values."""

import re
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

Values = Sequence[Any]

_MOMENT: Final = re.compile(r"([+-]?\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?")
_DURATION: Final = re.compile(r"(-?)(\d+) (\d+):(\d\d):(\d\d)\.(\d{3})")
_MONTHS: Final = re.compile(r"(-?)(\d+)-(\d+)")
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UTC: Final = "UTC"
_UTC_SUFFIX: Final = f" {UTC}"


def unit_of(digits: int) -> str | None:
    """The coarsest unit that holds so many digits of a fraction of a second; None beyond nanoseconds."""
    return next((unit for unit, most in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9)) if digits <= most), None)


def timestamp_type(digits: int) -> pa.DataType | None:
    unit = unit_of(digits)
    return pa.timestamp(unit) if unit is not None else None


def instant_type(digits: int) -> pa.DataType | None:
    unit = unit_of(digits)
    return pa.timestamp(unit, UTC) if unit is not None else None


def time_type(digits: int) -> pa.DataType | None:
    unit = unit_of(digits)
    return None if unit is None else pa.time64("ns" if unit == "ns" else "us")


def dates(values: Values) -> pa.Array:
    text = pa.array(values, pa.string())
    try:
        return text.cast(pa.date32())
    except pa.ArrowInvalid:
        return pa.array([None if each is None else _days(each) for each in values], pa.int32()).cast(pa.date32())


def times(values: Values, arrow: pa.DataType) -> pa.Array:
    # Arrow parses times of day only behind a day.
    moments = pc.binary_join_element_wise("1970-01-01", pa.array(values, pa.string()), " ")
    return moments.cast(pa.timestamp(arrow.unit)).cast(arrow)


def timestamps(values: Values, arrow: pa.DataType) -> pa.Array:
    return _moments(pa.array(values, pa.string()), arrow)


def instants(values: Values, arrow: pa.DataType) -> pa.Array:
    """Of wall-clock times with a zone each. An hour that a clock shows twice is taken for the first of the two."""
    text = pa.array(values, pa.string())
    wall = pa.timestamp(arrow.unit)
    if pc.all(pc.ends_with(text, _UTC_SUFFIX)).as_py() is not False:
        return _moments(pc.utf8_slice_codeunits(text, 0, -len(_UTC_SUFFIX)), wall).cast(arrow)
    parts = pc.split_pattern(text, " ", max_splits=1, reverse=True)
    local, zones = _moments(pc.list_element(parts, 0), wall), pc.list_element(parts, 1)
    found = pa.nulls(len(text), arrow)
    for zone in pc.unique(zones).drop_null().to_pylist():
        here = pc.equal(zones, zone)
        there = pc.if_else(here, local, pa.scalar(None, wall))
        moments = pc.assume_timezone(there, zone, ambiguous="earliest", nonexistent="latest").cast(arrow)
        found = pc.if_else(here, moments, found)
    return found


def milliseconds(text: str) -> int:
    """Of an interval of days and seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not an interval: {text}")
    days, hours, minutes, seconds, millis = map(int, match.groups()[1:])
    count = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + millis
    return -count if match[1] else count


def months(text: str) -> int:
    """Of an interval of years and months."""
    match = _MONTHS.fullmatch(text)
    if match is None:
        raise ValueError(f"not an interval: {text}")
    count = int(match[2]) * 12 + int(match[3])
    return -count if match[1] else count


def _moments(text: pa.Array, arrow: pa.DataType) -> pa.Array:
    try:
        return text.cast(arrow)
    except pa.ArrowInvalid:
        counts = [None if each is None else _count(each, _PER_SECOND[arrow.unit]) for each in text.to_pylist()]
        return pa.array(counts, pa.int64()).cast(arrow)


def _count(text: str, per_second: int) -> int:
    """Units since 1970 of a moment in any year."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a timestamp: {text}")
    hours, minutes, seconds = (int(each or 0) for each in match.groups()[3:6])
    fraction = int((match[7] or "").ljust(9, "0")) * per_second // 10**9
    return (((_days(text) * 24 + hours) * 60 + minutes) * 60 + seconds) * per_second + fraction


def _days(text: str) -> int:
    """Days since 1970 of a day in the Gregorian calendar, which is taken to reach back for ever."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date: {text}")
    year, month, day = (int(each) for each in match.groups()[:3])
    # Years begin in March here, so that a leap day is the last of its year.
    year -= month <= 2
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - 719_468
