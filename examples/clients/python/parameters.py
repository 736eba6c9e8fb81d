"""One parameter of every kind, and the value that comes back for it."""

from uuid import UUID

from queryengine.v1.value_pb2 import (
    Column,
    DataType,
    DurationValue,
    IntervalValue,
    ListValue,
    MapValue,
    NullValue,
    Parameter,
    TimestampValue,
    TimeUnit,
    TypeKind,
    Value,
)

TEXT = DataType(kind=TypeKind.TYPE_KIND_STRING)
INT_64 = DataType(kind=TypeKind.TYPE_KIND_INT, bit_width=64)
MOMENT = Value(timestamp_value=TimestampValue(seconds=1769855696, nanos=789000))

VALUES = {
    "flag": Value(bool_value=True),
    "whole": Value(int_value=-9007199254740993),
    "large": Value(uint_value=2**64 - 1),
    "ratio": Value(double_value=0.1),
    # Exact, as text: a binary fraction would not be.
    "price": Value(decimal_value="12345678901234567890.123456789"),
    "name": Value(string_value="größe 🦆"),
    "raw": Value(bytes_value=b"\x00\xff"),
    "day": Value(date_days=20484),
    "clock": Value(time_nanos=45_296_000_789_000),
    "wall": MOMENT,
    "moment": MOMENT,
    "span": Value(interval_value=IntervalValue(months=1, days=-2, nanos=3000)),
    "took": Value(duration_value=DurationValue(seconds=90, nanos=5000)),
    "id": Value(uuid_value=UUID("0f1e2d3c-4b5a-4968-8776-655443322110").bytes),
    "huge": Value(decimal_value="9" * 38),
    "document": Value(string_value='{"a": 1}'),
    "tags": Value(list_value=ListValue(values=[Value(string_value="a"), Value(string_value="b")])),
    "point": Value(list_value=ListValue(values=[Value(int_value=1), Value(string_value="x")])),
    "pairs": Value(map_value=MapValue(keys=[Value(string_value="k")], values=[Value(int_value=7)])),
    "nothing": Value(null_value=NullValue.NULL_VALUE_UNSPECIFIED),
}

# Where no type is given, it follows from the value: int_value binds as INT 64 and so on.
TYPES = {
    "moment": DataType(kind=TypeKind.TYPE_KIND_TIMESTAMP, unit=TimeUnit.TIME_UNIT_MICRO, time_zone="UTC"),
    "huge": DataType(kind=TypeKind.TYPE_KIND_INT, bit_width=128),
    "document": DataType(kind=TypeKind.TYPE_KIND_JSON),
    "point": DataType(
        kind=TypeKind.TYPE_KIND_STRUCT, fields=[Column(name="x", type=INT_64), Column(name="label", type=TEXT)]
    ),
    "pairs": DataType(
        kind=TypeKind.TYPE_KIND_MAP, fields=[Column(name="key", type=TEXT), Column(name="value", type=INT_64)]
    ),
}

# DuckDB has one type for durations and calendar intervals.
RETURNED = {**VALUES, "took": Value(interval_value=IntervalValue(nanos=90_000_005_000))}

PARAMETERS = [
    (Parameter(name=name, type=TYPES.get(name), value=value), RETURNED[name]) for name, value in VALUES.items()
]
