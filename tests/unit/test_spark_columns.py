"""Columns as Spark sends them become the types that were announced, wherever a type stands and a column begins."""

import pyarrow as pa
import pytest

from queryengine.codec.rows import decode_rows, encode_rows
from queryengine.engines.spark.columns import batch_of

MONTHS = pa.month_day_nano_interval()


def months(count: int) -> pa.MonthDayNano:
    return pa.MonthDayNano([count, 0, 0])


CASES = [
    (pa.int32(), MONTHS, [3, None, -15], [months(3), None, months(-15)]),
    (pa.list_(pa.int32()), pa.list_(MONTHS), [[1, None], None, []], [[months(1), None], None, []]),
    (
        pa.map_(pa.int32(), pa.struct([("v", pa.string()), ("n", pa.null())])),
        pa.map_(MONTHS, pa.struct([pa.field("v", pa.json_(), nullable=False), ("n", pa.null())])),
        [[(3, {"v": "[1]", "n": None})], None, []],
        [[(months(3), {"v": "[1]", "n": None})], None, []],
    ),
    (
        pa.list_(pa.list_(pa.string())),
        pa.list_(pa.list_(pa.json_())),
        [[["1"], None], None, [[]]],
        [[["1"], None], None, [[]]],
    ),
    (pa.map_(pa.string(), pa.null()), pa.map_(pa.string(), pa.null()), [[], None, []], [[], None, []]),
    # Parquet has no column without a type.
    (
        pa.list_(pa.string()),
        pa.list_(pa.null()),
        [[None], None, []],
        [[None], None, []],
    ),
]


@pytest.mark.parametrize(("sent", "promised", "given", "wanted"), CASES, ids=[str(case[1])[:60] for case in CASES])
def test_a_column_becomes_what_was_promised(
    sent: pa.DataType, promised: pa.DataType, given: list[object], wanted: list[object]
) -> None:
    schema = pa.schema([("c", promised)])
    column = pa.array(given * 3, sent)
    for begin, end in ((0, 9), (1, 8), (5, 9), (4, 4)):
        batch = batch_of([column.slice(begin, end - begin)], schema)
        batch.validate(full=True)
        assert batch.column(0).to_pylist() == (wanted * 3)[begin:end]
        assert decode_rows(encode_rows(batch), schema).equals(batch)
