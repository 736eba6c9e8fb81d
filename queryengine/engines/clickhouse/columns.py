"""ClickHouse's columns in the canonical Arrow types: what its Arrow output has lost is put back from the type's name.

It exports a DateTime as a number without a zone, the members of an Enum as their codes, long integers as octets, an
address as a number, most intervals as a count, and text as octets, which may be no text.
"""

import ipaddress
import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.nesting import Convert, Plan, plan_inside
from queryengine.codec.types import is_octets, to_data_type
from queryengine.codec.wide_numbers import INT128, INT256, UINT128, UINT256, carried_type
from queryengine.engines.clickhouse.types import Type

_WIDE: Final[Mapping[str, pa.DataType]] = MappingProxyType(
    {"Int128": INT128, "UInt128": UINT128, "Int256": INT256, "UInt256": UINT256}
)
_SECONDS: Final[Mapping[str, int]] = MappingProxyType({"IntervalMinute": 60, "IntervalHour": 3600})
_CALENDAR: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "IntervalDay": (0, 1),
        "IntervalWeek": (0, 7),
        "IntervalMonth": (1, 0),
        "IntervalQuarter": (3, 0),
        "IntervalYear": (12, 0),
    }
)
"""Months and days of one unit."""
_INNER: Final = frozenset({"Nullable", "LowCardinality", "SimpleAggregateFunction"})


def plan(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    """For a column of this type that arrives as `arrow`. `zone` is the one of a DateTime that names none.

    Raises ValueError for a type that cannot be read.
    """
    target, convert = _plan(kind, arrow, zone)
    to_data_type(carried_type(target))
    return target, convert


def _plan(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    if kind.name in _INNER:
        return _plan(kind.types[-1], arrow, zone)
    if not pa.types.is_nested(arrow):
        return _plain(kind, arrow, zone)
    types = _inside(kind, arrow)
    return plan_inside(arrow, lambda number, part: _plan(types[number], part, zone))


def _plain(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    name = kind.name
    if name in ("DateTime", "DateTime32"):
        target = pa.timestamp("s", kind.arguments[0].name if kind.arguments else zone)
        return target, lambda array: array.cast(pa.int64()).cast(target)
    if name in ("Enum8", "Enum16"):
        return pa.string(), _named(kind)
    if name in _WIDE:
        return _WIDE[name], lambda array: pa.ExtensionArray.from_storage(_WIDE[name], array)
    if name == "IPv4":
        return pa.string(), _each(lambda number: str(ipaddress.IPv4Address(number)))
    if name == "IPv6":
        return pa.string(), _each(_address)
    if name == "BFloat16":
        return pa.float32(), lambda array: pa.array(map(_widened, array.to_pylist()), pa.float32())
    if name.startswith("Interval"):
        return _interval(name, arrow)
    if name == "FixedString":
        return pa.binary(), lambda array: array.cast(pa.binary())
    if name in ("String", "Variant"):
        return pa.string(), lambda array: array.cast(pa.string())
    if is_octets(arrow):
        # Of what it has no Arrow type for ClickHouse sends octets of its memory.
        raise ValueError(f"{kind} has no Arrow type")
    return arrow, None


def _each(write: Callable[[Any], str]) -> Convert:
    return lambda array: pa.array((None if each is None else write(each) for each in array.to_pylist()), pa.string())


def _named(kind: Type) -> Convert:
    codes = pa.array([int(member.label) for member in kind.arguments], pa.int16())
    names = pa.array([member.name for member in kind.arguments], pa.string())
    return lambda array: names.take(pc.index_in(array.cast(pa.int16()), value_set=codes))


def _address(octets: bytes) -> str:
    address = ipaddress.IPv6Address(octets)
    # As ClickHouse writes it.
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)


def _widened(octets: bytes | None) -> float | None:
    return None if octets is None else struct.unpack("<f", b"\0\0" + octets)[0]


def _interval(name: str, arrow: pa.DataType) -> Plan:
    if name in _SECONDS:
        seconds = _SECONDS[name]
        return pa.duration("s"), lambda array: pc.multiply_checked(array, seconds).cast(pa.duration("s"))
    if name in _CALENDAR:
        months, days = _CALENDAR[name]
        target = pa.month_day_nano_interval()
        return target, lambda array: pa.array(
            (None if each is None else pa.MonthDayNano([each * months, each * days, 0]) for each in array.to_pylist()),
            target,
        )
    return arrow, None


def _inside(kind: Type, arrow: pa.DataType) -> Sequence[Type]:
    """The types of what is in a nested one; of no name for one such as Ring, whose parts need nothing."""
    if kind.name == "Nested":
        # An Array of a Tuple with its members.
        return (Type("Tuple", kind.arguments),)
    count = 2 if pa.types.is_map(arrow) else arrow.num_fields
    return kind.types if len(kind.types) == count else (Type(""),) * count
