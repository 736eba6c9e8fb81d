"""Typed rows: what goes in as Arrow comes out the same."""

import math
from decimal import Decimal
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given

from queryengine.codec.rows import decode_rows, encode_array, encode_rows
from queryengine.codec.types import canonical_schema
from queryengine.v1 import result_pb2, value_pb2
from queryengine.v1.value_pb2 import Value
from tests.unit.arrow_strategies import batches

NULL = Value(null_value=value_pb2.NULL_VALUE_UNSPECIFIED)


@given(batches())
def test_rows_carry_every_batch_without_loss(batch: pa.RecordBatch) -> None:
    decoded = decode_rows(encode_rows(batch), batch.schema)

    decoded.validate(full=True)
    assert decoded.equals(batch)
    assert decoded.schema.equals(batch.schema, check_metadata=True)


def rows_of(*columns: list[Value]) -> bytes:
    rows = [result_pb2.Row(values=values) for values in zip(*columns, strict=True)]
    encoded: bytes = result_pb2.RowSet(rows=rows).SerializeToString()
    return encoded


def test_what_travels_is_what_the_contract_says() -> None:
    batch = pa.record_batch(
        {
            "moment": pa.array([-1], pa.timestamp("ns", "Europe/Vienna")),
            "price": pa.array([Decimal("1.50")], pa.decimal128(9, 2)),
            "thousands": pa.array([Decimal(5000)], pa.decimal128(5, -3)),
            "elapsed": pa.array([-1_500], pa.duration("ms")),
            "at": pa.array([1], pa.time32("s")),
        }
    )

    (row,) = result_pb2.RowSet.FromString(encode_rows(batch)).rows

    moment, price, thousands, elapsed, at = row.values
    assert (moment.timestamp_value.seconds, moment.timestamp_value.nanos) == (-1, 999_999_999)
    assert price.decimal_value == "1.50"
    assert thousands.decimal_value == "5000"
    assert (elapsed.duration_value.seconds, elapsed.duration_value.nanos) == (-1, -500_000_000)
    assert at.time_nanos == 1_000_000_000


@pytest.mark.parametrize("width", [pa.float16(), pa.float32(), pa.float64()])
def test_nan_and_infinities_survive(width: pa.DataType) -> None:
    batch = pa.record_batch({"x": pa.array([math.nan, math.inf, -math.inf, -0.0], width)})

    nan, up, down, zero = decode_rows(encode_rows(batch), batch.schema)["x"].to_pylist()

    assert math.isnan(nan)
    assert (up, down) == (math.inf, -math.inf)
    assert math.copysign(1, zero) == -1


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", None, "b"], pa.large_string()),
        pa.array(["a", None, "b"], pa.string_view()),
        pa.array(["a", None, "b"]).dictionary_encode(),
        pa.array([[1, 2], None, [3, None]], pa.list_(pa.int8(), 2)),
        pa.array([[1, 2], None, []], pa.large_list(pa.int8())),
        pa.array([[1, 2], None, []], pa.list_view(pa.int8())),
        pa.array([0, None, 86_400_000], pa.date64()),
    ],
    ids=lambda array: str(array.type),
)
def test_other_types_of_a_kind_keep_their_values(array: pa.Array) -> None:
    batch = pa.record_batch({"x": array}).slice(1)

    decoded = decode_rows(encode_rows(batch), canonical_schema(batch.schema))

    assert decoded["x"].to_pylist() == array.to_pylist()[1:]


@pytest.mark.parametrize(
    ("value", "arrow", "message"),
    [
        (Value(string_value="1"), pa.int64(), "expected int_value, got string_value"),
        (Value(), pa.int64(), "got no value"),
        (Value(int_value=128), pa.int8(), "too large"),
        (Value(decimal_value="1.505"), pa.decimal128(9, 2), "data loss"),
        (Value(decimal_value="NaN"), pa.decimal128(9, 2), "not a decimal"),
        (Value(decimal_value="x"), pa.decimal128(9, 2), "not a decimal"),
        (Value(time_nanos=1), pa.time64("us"), "finer than its type"),
        (Value(timestamp_value={"seconds": 1, "nanos": 1}), pa.timestamp("ms"), "finer than its type"),
        (Value(uuid_value=b"short"), pa.uuid(), "length 16"),
        (Value(list_value={}), pa.struct([("a", pa.int8())]), "1 members"),
        (Value(map_value={"keys": [Value(int_value=1)]}), pa.map_(pa.int8(), pa.int8()), "as many values"),
        (
            Value(map_value={"keys": [NULL], "values": [NULL]}),
            pa.map_(pa.int8(), pa.int8()),
            "NULL key",
        ),
    ],
)
def test_rows_that_do_not_fit_the_schema_are_refused(value: Value, arrow: pa.DataType, message: str) -> None:
    with pytest.raises(ValueError, match=f"column 'x': .*{message}"):
        decode_rows(rows_of([value]), pa.schema([("x", arrow)]))


@pytest.mark.parametrize(
    ("value", "arrow"),
    [(Decimal(99_000), pa.decimal128(2, -3)), (Decimal("0.009"), pa.decimal128(1, 3))],
)
def test_the_largest_decimal_of_an_odd_scale_survives(value: Decimal, arrow: pa.DataType) -> None:
    array = pa.array([value], pa.decimal256(76, 3)).cast(arrow)
    batch = pa.record_batch({"x": array})

    assert decode_rows(encode_rows(batch), batch.schema).equals(batch)


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values of its schema"):
        decode_rows(rows_of([NULL]), pa.schema([("a", pa.int8()), ("b", pa.int8())]))


def test_bytes_that_are_no_row_set_are_refused() -> None:
    with pytest.raises(ValueError, match="not an encoded RowSet"):
        decode_rows(b"\xff\xff", pa.schema([("a", pa.int8())]))


def test_a_type_without_a_kind_is_refused() -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])

    with pytest.raises(ValueError, match="no kind"):
        encode_array(union)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("count", [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 2, 2**63 - 1])
def test_the_ends_of_the_range_of_timestamps_survive(unit: Literal["s", "ms", "us", "ns"], count: int) -> None:
    batch = pa.record_batch([pa.array([count], pa.int64()).cast(pa.timestamp(unit))], names=["t"])

    assert decode_rows(encode_rows(batch), batch.schema).equals(batch)
