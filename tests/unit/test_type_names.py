"""Types as one writes them."""

import pyarrow as pa
import pytest

from queryengine.codec.type_names import TYPES, data_type, type_name
from queryengine.codec.types import to_data_type
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import DataType


@pytest.mark.parametrize("name", TYPES)
def test_a_word_is_read_and_written(name: str) -> None:
    assert type_name(data_type(name)) == name
    assert data_type(f" {name.upper()} ") == data_type(name)


@pytest.mark.parametrize(
    ("text", "arrow"),
    [
        ("decimal(10, 2)", pa.decimal128(10, 2)),
        ("timestamp(ns)", pa.timestamp("ns")),
        ("timestamptz(s)", pa.timestamp("s", "UTC")),
        ("timestamptz(us, Europe/Berlin)", pa.timestamp("us", "Europe/Berlin")),
        ("time(ns)", pa.time64("ns")),
        ("duration(ms)", pa.duration("ms")),
        ("list(int64)", pa.list_(pa.int64())),
        ("list(decimal(4, 1))", pa.list_(pa.decimal128(4, 1))),
        ("map(string, list(date))", pa.map_(pa.string(), pa.list_(pa.date32()))),
        ("struct(x int64, y decimal(4, 1))", pa.struct([("x", pa.int64()), ("y", pa.decimal128(4, 1))])),
    ],
)
def test_a_type_with_parts_is_read_and_written(text: str, arrow: pa.DataType) -> None:
    assert type_name(to_data_type(arrow)) == text
    assert type_name(data_type(text)) == text
    assert data_type(text).kind == to_data_type(arrow).kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "int64()x",
        "decimal",
        "decimal(10)",
        "decimal(x, 2)",
        "decimal(0, 0)",
        "timestamp(h)",
        "timestamp(us, UTC)",
        "list",
        "list()",
        "list(int64, int64)",
        "map(int64)",
        "struct(int64)",
        "list(strin)",
        "null",
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no type|takes|precision|names and types"):
        data_type(text)


def test_a_kind_of_a_newer_contract_has_a_number() -> None:
    assert type_name(DataType(kind=99)) == "99"  # type: ignore[arg-type]
    assert type_name(DataType(kind=value_pb2.TYPE_KIND_NULL)) == "TYPE_KIND_NULL"
