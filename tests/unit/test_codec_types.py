"""Types: Arrow to the contract and back, for every type there is."""

import pyarrow as pa
import pytest
from hypothesis import given

from queryengine.codec.types import (
    canonical_schema,
    from_column,
    from_data_type,
    from_result_schema,
    to_column,
    to_data_type,
    to_result_schema,
)
from queryengine.v1 import result_pb2, value_pb2
from queryengine.v1.value_pb2 import Column, DataType
from tests.unit.arrow_strategies import schemas


@given(schemas)
def test_columns_carry_every_canonical_schema_without_loss(schema: pa.Schema) -> None:
    message = to_result_schema(schema, attempt=3)
    columns_only = result_pb2.ResultSchema(columns=message.columns)

    assert message.attempt == 3
    assert from_result_schema(message).equals(schema, check_metadata=True)
    assert from_result_schema(columns_only).equals(schema, check_metadata=True)
    assert canonical_schema(schema).equals(schema, check_metadata=True)


@pytest.mark.parametrize(
    ("arrow", "canonical"),
    [
        (pa.large_string(), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.large_binary(), pa.binary()),
        (pa.binary(4), pa.binary()),
        (pa.date64(), pa.date32()),
        (pa.decimal32(5, 2), pa.decimal128(5, 2)),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.run_end_encoded(pa.int32(), pa.int64()), pa.int64()),
        (pa.large_list(pa.int8()), pa.list_(pa.int8())),
        (pa.list_(pa.int8(), 3), pa.list_(pa.int8())),
        (pa.list_view(pa.int8()), pa.list_(pa.int8())),
    ],
)
def test_other_types_of_a_kind_become_the_canonical_one(arrow: pa.DataType, canonical: pa.DataType) -> None:
    assert from_data_type(to_data_type(arrow)).equals(canonical)


def test_engine_type_and_nullability_travel_with_a_column() -> None:
    field = pa.field("n", pa.decimal256(39, 0), nullable=False, metadata={b"engine_type": b"HUGEINT"})

    column = to_column(field)

    assert column.engine_type == "HUGEINT"
    assert not column.nullable
    assert from_column(column).equals(field, check_metadata=True)


@pytest.mark.parametrize("kind", [value_pb2.TYPE_KIND_INT, value_pb2.TYPE_KIND_UINT])
def test_wide_integers_are_decimals_of_39_digits(kind: value_pb2.TypeKind) -> None:
    assert from_data_type(DataType(kind=kind, bit_width=128)) == pa.decimal256(39, 0)


def test_a_union_has_no_kind() -> None:
    with pytest.raises(ValueError, match="no kind for the Arrow type"):
        to_data_type(pa.sparse_union([pa.field("a", pa.int8())]))


@pytest.mark.parametrize(
    "message",
    [
        DataType(),
        DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=7),
        DataType(kind=value_pb2.TYPE_KIND_LIST),
        DataType(kind=value_pb2.TYPE_KIND_MAP, fields=[Column()]),
        DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=77),
        DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=5, scale=99),
        DataType(kind=99),  # type: ignore[arg-type]
    ],
)
def test_a_message_that_names_no_type_is_refused(message: DataType) -> None:
    with pytest.raises(ValueError, match=r"no such type|decimal"):
        from_data_type(message)


def test_a_damaged_arrow_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        from_result_schema(result_pb2.ResultSchema(arrow_schema=b"not a schema"))
