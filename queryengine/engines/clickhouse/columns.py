"""ClickHouse's columns in the canonical Arrow types: what its Arrow output has lost is put back from the type's name.

It exports a DateTime as a number without a zone, the members of an Enum as their codes, long integers as octets, an
address as a number, most intervals as a count, and text as octets, which may be no text.
"""

import ipaddress
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from queryengine.codec.types import is_octets, to_data_type
from queryengine.engines.clickhouse.types import Type
from queryengine.engines.wide_integers import WIDE_INTEGER, wide_integers

Convert = Callable[[pa.Array], pa.Array]
Plan = tuple[pa.DataType, Convert | None]
"""The type that a column arrives as, and how to make it so; None when it stays as it is."""

_HIGH_HALF: Final[Mapping[str, pa.DataType]] = MappingProxyType({"Int128": pa.int64(), "UInt128": pa.uint64()})
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
    to_data_type(target)
    return target, convert


def _plan(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    if kind.name in _INNER:
        return _plan(kind.types[-1], arrow, zone)
    if pa.types.is_list(arrow):
        return _list(kind, arrow, zone)
    if pa.types.is_struct(arrow):
        return _struct(kind, arrow, zone)
    if pa.types.is_map(arrow):
        return _map(kind, arrow, zone)
    return _plain(kind, arrow, zone)


def _plain(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    name = kind.name
    if name in ("DateTime", "DateTime32"):
        target = pa.timestamp("s", kind.arguments[0].name if kind.arguments else zone)
        return target, lambda array: array.cast(pa.int64()).cast(target)
    if name in ("Enum8", "Enum16"):
        return pa.string(), _named(kind)
    if name in _HIGH_HALF:
        return WIDE_INTEGER, lambda array: wide_integers(array, _HIGH_HALF[name])
    if name in ("Int256", "UInt256"):
        return pa.string(), _each(lambda octets: _integer(octets, signed=name == "Int256"))
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


def _integer(octets: bytes, *, signed: bool) -> str:
    return str(int.from_bytes(octets, "little", signed=signed))


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


def _list(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    # A Nested is an Array of a Tuple with its members.
    inner = Type("Tuple", kind.arguments) if kind.name == "Nested" else _first(kind)
    value, convert = _plan(inner, arrow.value_type, zone)
    if convert is None:
        return arrow, None
    target = pa.list_(arrow.value_field.with_type(value))
    return target, lambda array: _rebuilt(array, target, [convert(array.values)])


def _struct(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    types = kind.types if len(kind.types) == arrow.num_fields else (Type(""),) * arrow.num_fields
    members = [_plan(each, field.type, zone) for each, field in zip(types, arrow.fields, strict=True)]
    if all(convert is None for _, convert in members):
        return arrow, None
    target = pa.struct([field.with_type(inner) for field, (inner, _) in zip(arrow.fields, members, strict=True)])

    def convert_struct(array: pa.Array) -> pa.Array:
        parts = [array.field(index) for index in range(len(members))]
        converted = [convert(part) if convert else part for part, (_, convert) in zip(parts, members, strict=True)]
        return _rebuilt(array, target, converted)

    return target, convert_struct


def _map(kind: Type, arrow: pa.DataType, zone: str) -> Plan:
    key, convert_key = _plan(kind.types[0], arrow.key_type, zone)
    item, convert_item = _plan(kind.types[1], arrow.item_type, zone)
    if convert_key is None and convert_item is None:
        return arrow, None
    target = pa.map_(arrow.key_field.with_type(key), arrow.item_field.with_type(item))

    def convert_map(array: pa.Array) -> pa.Array:
        keys = convert_key(array.keys) if convert_key else array.keys
        items = convert_item(array.items) if convert_item else array.items
        entries = pa.StructArray.from_arrays([keys, items], fields=[target.key_field, target.item_field])
        return _rebuilt(array, target, [entries])

    return target, convert_map


def _first(kind: Type) -> Type:
    """The element's type; one of no name for a type such as Ring, whose elements need nothing."""
    return kind.types[0] if kind.types else Type("")


def _rebuilt(array: pa.Array, target: pa.DataType, children: list[pa.Array]) -> pa.Array:
    """The same nesting, validity and lengths around other children. Arrays of a stream have no offset."""
    own = 1 if pa.types.is_struct(target) else 2
    return pa.Array.from_buffers(
        target, len(array), array.buffers()[:own], array.null_count, array.offset, children=children
    )
