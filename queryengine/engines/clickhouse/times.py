"""Dates and times as ClickHouse reads them. It clamps or cuts what does not fit, so each is compared with its type
first.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clickhouse_connect.driver.httpclient import HttpClient

from queryengine.codec.values import EPOCH
from queryengine.engines.clickhouse.types import Type
from queryengine.engines.kit.moments import (
    DAY_NANOS,
    check_digits,
    clock_text,
    date_text,
    days_of,
    has_years,
    is_date,
    is_instant,
    is_moment,
    is_time,
    moment_text,
    nanos_of,
)

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?")
_MOMENT: Final = re.compile(rf"({_DATE.pattern})(?:[ T]({_CLOCK.pattern}))?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?")
_SECONDS: Final = re.compile(r"(-?[0-9]{1,12})")
_EARLIEST: Final = {True: -719_162, False: -25_567}
_LATEST: Final = {True: 2_932_896, False: 120_529}
"""Days of Date32 and DateTime64: the years 1 to 9999 since ClickHouse 26, 1900 to 2299 before."""
_DATE_LATEST: Final = 65_535
_DATETIME_LATEST: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a server makes of dates and times."""

    zone: str
    """Of a time that names none."""
    wide: bool
    """Whether Date32 and DateTime64 hold the years 1 to 9999."""


def holds_all_years(client: HttpClient) -> bool:
    """Asks the server whether its Date32 and DateTime64 are the wide ones."""
    ends = {"first": date_text(_EARLIEST[True]), "last": date_text(_LATEST[True])}
    sql = "SELECT toString({first:Date32}), toString({last:Date32})"
    answer = client.raw_query(sql, parameters=ends, fmt="TSV").decode("utf-8", "replace")
    return bool(answer.split() == list(ends.values()))


def date(value: Any, declared: Type, calendar: Calendar) -> str:
    days = _days(value)
    wide = calendar.wide
    lowest, highest = (0, _DATE_LATEST) if declared.name == "Date" else (_EARLIEST[wide], _LATEST[wide])
    if not lowest <= days <= highest:
        held = f"{date_text(lowest)} to {date_text(highest)}"
        raise ValueError(f"it is out of range for {declared.name}, which holds {held}")
    return date_text(days)


def moment(value: Any, declared: Type, calendar: Calendar) -> str:
    """Seconds since 1970 for an instant, as text would be read in a zone; text for wall-clock time."""
    nanos, instant = _nanos(value)
    digits = _digits(declared)
    check_digits(nanos, digits, str(declared))
    zone = _zone(declared, calendar)
    if not instant:
        text = moment_text(nanos, digits)
        _check_range(_instant_of(nanos, zone), declared, digits, calendar)
        return text
    _check_range(nanos, declared, digits, calendar)
    if -(10**9) < nanos < 0:
        # As a number this would be -0.5, of which ClickHouse loses the sign.
        if zone is None:
            raise ValueError("the last second before 1970 needs a type with a zone that this machine knows")
        local = EPOCH.replace(tzinfo=dt.UTC) + dt.timedelta(seconds=-1)
        offset = local.astimezone(zone).utcoffset() or dt.timedelta()
        return moment_text(nanos + int(offset.total_seconds()) * 10**9, digits)
    whole, fraction = divmod(abs(nanos), 10**9)
    point = f".{fraction:09}"[: digits + 1] if digits else ""
    # A number of four digits or fewer ClickHouse does not read as one.
    return f"{'-' if nanos < 0 else ''}{whole:010}{point}"


def clock(value: Any, declared: Type) -> str:
    if isinstance(value, str) and (found := _CLOCK.fullmatch(value)):
        hours, minutes, seconds, fraction = found.groups()
        if int(minutes) > 59 or int(seconds) > 59:
            raise ValueError("it is not a time of day")
        nanos = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 10**9 + int(f"{fraction or '':0<9}")
    elif is_time(value):
        nanos = nanos_of(value)
    else:
        raise ValueError("it is not a time of day")
    digits = _digits(declared)
    check_digits(nanos, digits, str(declared))
    return clock_text(nanos, digits)


def _days(value: Any) -> int:
    if is_date(value):
        return days_of(value)
    if isinstance(value, str) and _DATE.fullmatch(value):
        return days_of(dt.date.fromisoformat(value))
    raise ValueError("it is not a date")


def _nanos(value: Any) -> tuple[int, bool]:
    """Nanoseconds, and whether they count from an instant."""
    if is_moment(value):
        return nanos_of(value), is_instant(value)
    if is_date(value):
        return days_of(value) * DAY_NANOS, False
    if isinstance(value, str) and (found := _SECONDS.fullmatch(value)):
        return int(found[1]) * 10**9, True
    if isinstance(value, str) and (found := _MOMENT.fullmatch(value)):
        day, time, fraction, zone = found[1], found[2] or "00:00:00", found[6] or "", found[7] or ""
        whole = dt.datetime.fromisoformat(f"{day}T{time.partition('.')[0].zfill(8)}{zone}")
        return nanos_of(whole) + int(f"{fraction:0<9}"), bool(zone)
    raise ValueError("it is not a date and time")


def _digits(declared: Type) -> int:
    if declared.name in {"DateTime64", "Time64"}:
        return int(declared.arguments[0].name) if declared.arguments else 3
    return 0


def _zone(declared: Type, calendar: Calendar) -> ZoneInfo | None:
    """None for one that this machine does not know."""
    named = [each.name for each in declared.arguments if each.text]
    try:
        return ZoneInfo(named[0] if named else calendar.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _instant_of(nanos: int, zone: ZoneInfo | None) -> int:
    """Of wall-clock time in the zone. Raises ValueError for a time that its clocks skip."""
    seconds, fraction = divmod(nanos, 10**9)
    if zone is None:
        return nanos
    wall = EPOCH + dt.timedelta(seconds=seconds)
    try:
        instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
        again = instant.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return nanos
    if again != wall:
        raise ValueError(f"the clocks of {zone.key} skip this time; send an instant, with a zone")
    return nanos_of(instant) + fraction


def _check_range(nanos: int, declared: Type, digits: int, calendar: Calendar) -> None:
    if declared.name in {"DateTime", "DateTime32"}:
        if not 0 <= nanos // 10**9 <= _DATETIME_LATEST:
            held = "1970-01-01 00:00:00 to 2106-02-07 06:28:15 UTC"
            raise ValueError(f"it is out of range for {declared.name}, which holds {held}")
        return
    days, wide = nanos // DAY_NANOS, calendar.wide
    fits = -(2**63) <= nanos // 10 ** (9 - digits) < 2**63
    if not fits or not _EARLIEST[wide] <= days <= _LATEST[wide] or not has_years(days):
        held = (
            "the years 1677 to 2262" if digits == 9 else f"{date_text(_EARLIEST[wide])} to {date_text(_LATEST[wide])}"
        )
        raise ValueError(f"it is out of range for {declared}, which holds {held}")
