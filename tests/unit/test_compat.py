"""The comparison of what consumers read finds a wrong value, a missing one and a failure."""

from decimal import Decimal

import pyarrow as pa
import pytest

from tests.compat.__main__ import judge
from tests.compat.pages import Sample
from tests.compat.table import label, table


def sample(values: list[object], kind: pa.DataType) -> Sample:
    return Sample("duckdb", "T", pa.chunked_array([pa.array(values, kind)]))


WIDE = sample([Decimal(45), None], pa.decimal128(38, 0))
NESTED = sample([[("k", {"a": 0.5})], None], pa.map_(pa.string(), pa.struct([("a", pa.float64())])))
UUIDS = sample([b"\x01" * 16], pa.uuid())


@pytest.mark.parametrize(
    ("column", "line", "words"),
    [
        (WIDE, '["45", null]', ""),
        (WIDE, '["45.0", null]', ""),
        (WIDE, '["5", null]', "reads 5 for 45"),
        (WIDE, '["45", "0"]', "reads 0 for None"),
        (WIDE, '["45"]', "reads 1 values of 2"),
        (WIDE, "ERROR no such type", "no such type"),
        (NESTED, '[[["k", ["5e-1"]]], null]', ""),
        (NESTED, '[[["k", ["0.25"]]], null]', "reads [['k', ['0.25']]] for [['k', ['0.5']]]"),
        (NESTED, "[[], null]", "reads [] for [['k', ['0.5']]]"),
        (UUIDS, f'["{"01" * 16}"]', ""),
        (UUIDS, f'["{"02" * 16}"]', f"reads {'02' * 16} for {'01' * 16}"),
    ],
)
def test_a_reading_is_judged_by_value(column: Sample, line: str, words: str) -> None:
    assert judge(column, line) == words


def test_a_row_is_yes_only_when_every_page_was_read() -> None:
    made = table([WIDE, WIDE, UUIDS], {"one": ["", "", ""], "two": ["", "wrong", "bad"]})
    assert made.splitlines()[2:] == [
        "| `decimal128` | duckdb | yes | in part (1) |",
        "| `extension<arrow.uuid>` | duckdb | yes | no (2) |",
        "",
        "1. `wrong`",
        "2. `bad`",
    ]


def test_types_are_one_row_whatever_their_digits_and_names() -> None:
    assert label(pa.list_(pa.field("x", pa.decimal128(4, 1)))) == label(pa.list_(pa.decimal128(38, 0)))
    assert label(pa.timestamp("us", "Europe/Berlin")) == "timestamp[us, tz]"
