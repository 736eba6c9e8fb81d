"""Values for parameters with a declared type: converted where nothing is lost, else refused."""

import datetime as dt
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryengine.codec.declared import WrongTypeError, check_type, fitted
from queryengine.codec.infer import encode_value
from queryengine.codec.types import to_data_type
from queryengine.codec.values import MisfitError, decode_value
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import DataType, Value

INT8, INT64, UINT8, UINT64 = (to_data_type(each) for each in (pa.int8(), pa.int64(), pa.uint8(), pa.uint64()))
INT128 = DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=128)
FLOAT32, FLOAT64 = to_data_type(pa.float32()), to_data_type(pa.float64())
PRICE = to_data_type(pa.decimal128(10, 2))
DATE, TIME = to_data_type(pa.date32()), to_data_type(pa.time64("us"))
WALL, INSTANT = to_data_type(pa.timestamp("us")), to_data_type(pa.timestamp("us", "UTC"))
SECONDS = to_data_type(pa.timestamp("s"))
TEXT, OCTETS, UUID, JSON = (to_data_type(each) for each in (pa.string(), pa.binary(), pa.uuid(), pa.json_()))
BOOL = to_data_type(pa.bool_())
INTS = to_data_type(pa.list_(pa.int64()))
POINT = to_data_type(pa.struct([("x", pa.int64()), ("y", pa.decimal128(10, 2))]))
COUNTS = to_data_type(pa.map_(pa.string(), pa.int8()))
ID = uuid.UUID(int=7)
wall = dt.datetime.fromisoformat


def convert(python: Any, declared: DataType) -> Any:
    value, sent = encode_value(python)
    return decode_value(fitted(value, sent, declared), declared)


@pytest.mark.parametrize(
    ("python", "declared", "expected"),
    [
        (5, INT8, 5),
        (-128, INT8, -128),
        (5.0, INT64, 5),
        (Decimal("5.00"), INT64, 5),
        (2**64 - 1, UINT64, 2**64 - 1),
        (5, INT128, 5),
        (2**100, INT128, 2**100),
        (2**53, FLOAT64, 2.0**53),
        (Decimal("0.5"), FLOAT64, 0.5),
        (0.1, FLOAT32, 0.1),
        (math.inf, FLOAT64, math.inf),
        (7, PRICE, Decimal(7)),
        (0.1, PRICE, Decimal("0.1")),
        (1e2, PRICE, Decimal(100)),
        ("12.50", PRICE, Decimal("12.50")),
        (Decimal("12.5"), PRICE, Decimal("12.5")),
        ("2026-11-28", DATE, dt.date(2026, 11, 28)),
        (dt.date(1, 1, 1), DATE, dt.date(1, 1, 1)),
        ("13:05", TIME, dt.time(13, 5)),
        ("13:05:06.25", TIME, dt.time(13, 5, 6, 250_000)),
        ("2026-11-28T10:00:00", WALL, wall("2026-11-28T10:00")),
        ("2026-11-28 10:00", WALL, wall("2026-11-28T10:00")),
        ("1969-12-31T23:59:59.5", WALL, wall("1969-12-31T23:59:59.5")),
        ("2026-11-28T10:00:00+02:00", INSTANT, dt.datetime(2026, 11, 28, 8, tzinfo=dt.UTC)),
        ("2026-11-28T10:00Z", INSTANT, dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC)),
        (str(ID).upper(), UUID, ID),
        (ID, UUID, ID),
        ('{"a": 1}', JSON, '{"a": 1}'),
        ("é", TEXT, "é"),
        (b"x", OCTETS, b"x"),
        (True, BOOL, True),
        ([], INTS, []),
        ([1, None, 3.0], INTS, [1, None, 3]),
        ([Decimal(4)], INTS, [4]),
        ({"y": 1.5, "x": 2}, POINT, {"x": 2, "y": Decimal("1.5")}),
        (pa.scalar([("a", 1)], pa.map_(pa.string(), pa.int64())), COUNTS, [("a", 1)]),
    ],
)
def test_a_value_is_converted_where_it_stays_what_it_is(python: Any, declared: DataType, expected: Any) -> None:
    assert convert(python, declared) == expected
    assert convert(None, declared) is None


@pytest.mark.parametrize(
    ("python", "declared"),
    [
        (True, INT64),
        ("5", INT64),
        (b"5", INT64),
        (5.5, INT64),
        (math.nan, INT64),
        (math.inf, PRICE),
        ("1.5", FLOAT64),
        (True, FLOAT64),
        (1, BOOL),
        (5, TEXT),
        ("abc", OCTETS),
        ("soon", DATE),
        ("20261128", DATE),
        ("2026-11-28T00:00", DATE),
        (wall("2026-01-01"), DATE),
        (5, DATE),
        ("2026-11-28", WALL),
        (dt.date(2026, 1, 1), WALL),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), WALL),
        (wall("2026-01-01"), INSTANT),
        ("12.50 ", PRICE),
        ("1e5", PRICE),
        ("xyz", UUID),
        (b"0123456789abcdef", UUID),
        (5, JSON),
        (5, INTS),
        ({"x": 1}, INTS),
        ([1, 2], POINT),
        ({"x": 1}, POINT),
        ({"x": 1, "z": 2}, POINT),
        ([["a", "b"]], COUNTS),
        (["a"], INTS),
    ],
)
def test_a_value_of_another_type_is_refused(python: Any, declared: DataType) -> None:
    with pytest.raises(WrongTypeError):
        convert(python, declared)


@pytest.mark.parametrize(
    ("python", "declared", "words"),
    [
        (128, INT8, "-128 to 127"),
        (-1, UINT8, "0 to 255"),
        (1e300, INT64, "out of range"),
        (2**127 - 1, INT64, "out of range"),
        (2**53 + 1, FLOAT64, "rounded"),
        (Decimal("0.1"), FLOAT64, "rounded"),
        (1e39, FLOAT32, "out of range"),
        (Decimal("1.234"), PRICE, "does not fit"),
        (0.123, PRICE, "does not fit"),
        (10**9, PRICE, "does not fit"),
        ("9" * 101, PRICE, "at most 100"),
        (1e-300, PRICE, "at most 100"),
        ("2026-02-30", DATE, "day"),
        ("0000-01-01", DATE, "year"),
        ("25:00", TIME, "hour"),
        ("2026-11-28T10:00:00Z", WALL, "must not have an offset"),
        ("2026-11-28T10:00:00", INSTANT, "needs an offset"),
        (wall("2026-01-01T00:00:00.000001"), SECONDS, "more digits"),
        ("2026-11-28T10:00:00.5", SECONDS, "more digits"),
        ("{", JSON, "JSON"),
        ("NaN", JSON, "JSON"),
        ('{"a": [Infinity]}', JSON, "JSON"),
        ("-Infinity", JSON, "JSON"),
        ("[" * 100_000, JSON, "JSON"),
        (pa.scalar([("a", 300)], pa.map_(pa.string(), pa.int64())), COUNTS, "out of range"),
    ],
)
def test_a_value_beyond_its_type_is_refused(python: Any, declared: DataType, words: str) -> None:
    with pytest.raises(MisfitError, match=words):
        convert(python, declared)


def test_a_value_is_what_it_was_sent_as() -> None:
    with pytest.raises(WrongTypeError):
        fitted(Value(int_value=5), TEXT, INT64)
    # Without a type it is taken as it is.
    assert fitted(Value(int_value=5), None, INT64) == Value(int_value=5)
    with pytest.raises(ValueError, match="no value"):
        fitted(Value(), None, INT64)
    unfinished = Value(map_value=value_pb2.MapValue(keys=[Value(string_value="a")]))
    with pytest.raises(WrongTypeError):
        fitted(unfinished, None, COUNTS)
    keyless = value_pb2.MapValue(keys=[Value(null_value=0)], values=[Value(int_value=1)])
    with pytest.raises(MisfitError, match="NULL key"):
        fitted(Value(map_value=keyless), None, COUNTS)


@pytest.mark.parametrize(
    "declared",
    [
        DataType(),
        DataType(kind=value_pb2.TYPE_KIND_NULL),
        DataType(kind=99),  # type: ignore[arg-type]
        to_data_type(pa.list_(pa.null())),
    ],
)
def test_not_every_type_is_one_for_a_parameter(declared: DataType) -> None:
    with pytest.raises(ValueError, match="not a type for a parameter"):
        check_type(declared)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e20, max_value=1e20))
def test_a_float_that_becomes_a_decimal_gives_back_the_same_float(number: float) -> None:
    wide = to_data_type(pa.decimal256(76, 38))
    try:
        found = convert(number, wide)
    except ValueError:
        # With more digits than it has.
        return
    assert float(found) == number


@given(st.integers(-(2**127), 2**127 - 1), st.sampled_from([INT8, UINT8, INT64, UINT64, INT128, FLOAT64, PRICE]))
def test_a_whole_number_is_kept_or_refused(number: int, declared: DataType) -> None:
    try:
        assert convert(number, declared) == number
    except MisfitError:
        assert declared.bit_width != 128
