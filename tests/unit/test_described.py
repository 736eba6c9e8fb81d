"""Parameters without their values: every kind has its type, and no value is left."""

import uuid

import pytest

from queryengine.codec.described import DESCRIBED_BYTES_MAX, described
from queryengine.v1.query_pb2 import QueryDetails
from queryengine.v1.value_pb2 import (
    TIME_UNIT_MICRO,
    TIME_UNIT_NANO,
    TYPE_KIND_BOOL,
    TYPE_KIND_BYTES,
    TYPE_KIND_DATE,
    TYPE_KIND_DECIMAL,
    TYPE_KIND_DURATION,
    TYPE_KIND_FLOAT,
    TYPE_KIND_INT,
    TYPE_KIND_INTERVAL,
    TYPE_KIND_JSON,
    TYPE_KIND_LIST,
    TYPE_KIND_MAP,
    TYPE_KIND_NULL,
    TYPE_KIND_STRING,
    TYPE_KIND_TIME,
    TYPE_KIND_TIMESTAMP,
    TYPE_KIND_UINT,
    TYPE_KIND_UUID,
    Column,
    DataType,
    DurationValue,
    IntervalValue,
    ListValue,
    MapValue,
    Parameter,
    TimestampValue,
    Value,
)

SECRET = "s3cret"


def of(*parameters: Parameter) -> QueryDetails:
    return QueryDetails.FromString(described(parameters))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Value(null_value=0), DataType(kind=TYPE_KIND_NULL)),
        (Value(bool_value=True), DataType(kind=TYPE_KIND_BOOL)),
        (Value(int_value=-(1 << 63)), DataType(kind=TYPE_KIND_INT, bit_width=64)),
        (Value(uint_value=1), DataType(kind=TYPE_KIND_UINT, bit_width=64)),
        (Value(double_value=0.5), DataType(kind=TYPE_KIND_FLOAT, bit_width=64)),
        (Value(string_value=SECRET), DataType(kind=TYPE_KIND_STRING)),
        (Value(bytes_value=SECRET.encode()), DataType(kind=TYPE_KIND_BYTES)),
        (Value(decimal_value="-12.50"), DataType(kind=TYPE_KIND_DECIMAL, precision=4, scale=2)),
        (Value(decimal_value=SECRET), None),
        (Value(date_days=1), DataType(kind=TYPE_KIND_DATE)),
        (Value(time_nanos=1_000), DataType(kind=TYPE_KIND_TIME, unit=TIME_UNIT_MICRO)),
        (Value(time_nanos=1), DataType(kind=TYPE_KIND_TIME, unit=TIME_UNIT_NANO)),
        (Value(timestamp_value=TimestampValue(nanos=1)), DataType(kind=TYPE_KIND_TIMESTAMP, unit=TIME_UNIT_NANO)),
        (Value(duration_value=DurationValue()), DataType(kind=TYPE_KIND_DURATION, unit=TIME_UNIT_MICRO)),
        (Value(interval_value=IntervalValue(months=1)), DataType(kind=TYPE_KIND_INTERVAL)),
        (Value(uuid_value=uuid.UUID(int=1).bytes), DataType(kind=TYPE_KIND_UUID)),
        (Value(list_value=ListValue(values=[Value(string_value=SECRET)])), DataType(kind=TYPE_KIND_LIST)),
        (Value(map_value=MapValue(keys=[Value(string_value=SECRET)])), DataType(kind=TYPE_KIND_MAP)),
    ],
)
def test_a_type_follows_from_a_value_that_was_sent_without_one(value: Value, expected: DataType | None) -> None:
    details = of(Parameter(name="p", value=value))
    (info,) = details.parameters
    assert info.name == "p"
    assert info.HasField("type") is (expected is not None)
    assert expected is None or info.type == expected
    assert SECRET.encode() not in details.SerializeToString()


def test_a_declared_type_is_kept_as_it_is() -> None:
    struct = DataType(kind=TYPE_KIND_LIST, fields=[Column(name="item", type=DataType(kind=TYPE_KIND_JSON))])
    details = of(Parameter(type=struct, value=Value(list_value=ListValue(values=[Value(string_value=SECRET)]))))
    (info,) = details.parameters
    assert (info.name, info.type) == ("", struct)
    assert SECRET.encode() not in details.SerializeToString()


def test_nothing_is_kept_of_no_parameters() -> None:
    assert described([]) == b""


@pytest.mark.parametrize("name_bytes", [0, 20, 255])
def test_as_many_are_kept_as_fit_and_the_others_are_counted(name_bytes: int) -> None:
    names = [str(number).ljust(name_bytes, "x")[:name_bytes] for number in range(10_000)]
    encoded = described(Parameter(name=name, value=Value(int_value=1)) for name in names)
    details = QueryDetails.FromString(encoded)
    kept = len(details.parameters)
    assert [info.name for info in details.parameters] == names[:kept]
    assert kept + details.parameters_left_out == 10_000
    assert 0.7 * DESCRIBED_BYTES_MAX < len(encoded) <= DESCRIBED_BYTES_MAX
