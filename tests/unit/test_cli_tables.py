"""How rows look for people, and that JSON and CSV read back what was stored, as docs/cli.md says."""

import base64
import csv
import io
import json
import re
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryengine.cli import intervals, jsontext
from queryengine.cli.csvwriter import CsvWriter
from queryengine.cli.options import Expanded
from queryengine.cli.tablewriter import Layout, TableWriter
from queryengine.cli.writing import write_all

I32, I64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
INTERVAL = re.compile(
    r"(?:(-?\d+) years?)? ?(?:(-?\d+) months?)? ?(?:(-?\d+) days?)? ?(?:(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?"
)


def table(batch: pa.RecordBatch, **layout: Any) -> list[str]:
    sink = io.BytesIO()
    with TableWriter(sink, Layout(**layout)) as writer:
        write_all(writer, batch.schema, [batch])
    return sink.getvalue().decode().splitlines()


def as_csv(batch: pa.RecordBatch) -> str:
    sink = io.BytesIO()
    with CsvWriter(sink) as writer:
        write_all(writer, batch.schema, [batch])
    return sink.getvalue().decode()


# records


ROWS = pa.record_batch({"id": [1, 2], "name": ["a\nb", None], "大": ["x", ""]})
RECORDS = [
    "─[ row 5 ]",
    "id   │ 1",
    "name │ a",
    "     │ b",
    "大   │ x",
    "─[ row 6 ]",
    "id   │ 2",
    "name │ NULL",
    "大   │",
]


def test_a_record_has_a_line_for_each_column_and_the_number_that_fetch_takes() -> None:
    assert table(ROWS, expanded=Expanded.ON, first_row=5) == RECORDS


@pytest.mark.parametrize(
    ("width", "expanded", "is_record"),
    [
        (16, Expanded.AUTO, False),
        (15, Expanded.AUTO, True),
        (15, Expanded.OFF, False),
        (200, Expanded.ON, True),
        (None, Expanded.AUTO, False),
        (None, Expanded.ON, True),
    ],
)
def test_rows_wider_than_the_terminal_are_records(width: int | None, expanded: Expanded, is_record: bool) -> None:
    lines = table(ROWS, width=width, expanded=expanded)

    assert lines[0].startswith("─[ row 0 ]") is is_record
    assert is_record or all(len(line) <= (width or 1000) for line in lines)


def test_many_columns_and_no_rows_stay_a_table() -> None:
    assert len(table(pa.record_batch({f"column_{n}": pa.array([], "int64") for n in range(50)}), width=80)) >= 2


# one form of each value


@pytest.mark.parametrize(
    ("array", "people", "exact"),
    [
        (pa.array([b"hello"]), "\\x68656c6c6f", "aGVsbG8="),
        (pa.array([b""]), "\\x", ""),
        (pa.array([b"\0" * 33]), "\\x" + "00" * 32 + "… (33 bytes)", base64.b64encode(b"\0" * 33).decode()),
        (pa.array([[b"a"]]), '["\\\\x61"]', '["YQ=="]'),
        (pa.array([{"a": b"a"}]), '{"a": "\\\\x61"}', '{"a": "YQ=="}'),
        (pa.array([float("nan")]), "NaN", "NaN"),
        (pa.array([float("inf")], pa.float32()), "Infinity", "Infinity"),
        (pa.array([float("-inf")], pa.float16()), "-Infinity", "-Infinity"),
        (pa.array([0.1], pa.float32()), "0.1", "0.1"),
        (pa.array([pa.MonthDayNano([14, 3, 14_400_000_000_000])]), *["1 year 2 months 3 days 04:00:00"] * 2),
        (pa.array([[pa.MonthDayNano([0, 1, 0])]]), *['["1 day"]'] * 2),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_people_read_one_form_and_json_and_csv_have_one(array: pa.Array, people: str, exact: str) -> None:
    batch = pa.record_batch({"x": array})
    (line,) = jsontext.lines(batch)
    value = json.loads(line)["x"]

    assert [each.strip() for each in table(batch)[2:]] == [people]
    assert (value if isinstance(value, str) else json.dumps(value)) == exact
    assert [row["x"] for row in csv.DictReader(io.StringIO(as_csv(batch)))] == [exact]


def test_a_float_without_digits_does_not_change_how_its_row_is_written() -> None:
    columns = {"f": [1.5, float("nan"), None], "t": ['a"b', "", None], "i": [1, None, 3], "b": [True, False, None]}
    assert as_csv(pa.record_batch(columns)) == '"f","t","i","b"\n1.5,"a""b",1,true\nNaN,"",,false\n,,3,\n'


# reading back


def months_days_nanos(text: str) -> tuple[int, int, int]:
    match = INTERVAL.fullmatch(text)
    assert match is not None, text
    years, months, days = (int(part or 0) for part in match.group(1, 2, 3))
    hours, minutes, seconds = (int(part or 0) for part in match.group(5, 6, 7))
    nanos = (hours * 3600 + minutes * 60 + seconds) * 10**9 + int((match[8] or "").ljust(9, "0"))
    return years * 12 + months, days, -nanos if match[4] else nanos


@given(I32, I32, I64)
def test_every_interval_reads_back(months: int, days: int, nanos: int) -> None:
    text = intervals.text(months, days, nanos, intervals.NANOS)
    assert months_days_nanos(text) == (months, days, nanos)


@pytest.mark.parametrize(
    "parts", [(14, 3, 5_000_000), (-14, 3, -5_000_000), (0, -1, 0), (0, 0, 0), (1, -31, 90_061_000_000_000)]
)
def test_duckdb_reads_intervals_back(parts: tuple[int, int, int]) -> None:
    months, days, nanos = parts
    text = intervals.text(months, days, nanos, intervals.NANOS)
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT datepart('year', i) * 12 + datepart('month', i), datepart('day', i), "
            "datepart('hour', i) * 3600000000 + datepart('minute', i) * 60000000 + datepart('us', i) "
            "FROM (SELECT CAST(? AS INTERVAL) AS i)",
            [text],
        ).fetchone()
    assert found == (months, days, nanos // 1000)


VALUES = {
    "blob": (pa.array([b"\x00\xff", b"", None]), base64.b64decode),
    "uuid": (pa.array([b"\x11" * 16, None], pa.uuid()), uuid.UUID),
    "decimal": (pa.array([Decimal("-1.50"), None], pa.decimal128(38, 20)), Decimal),
    "double": (pa.array([0.1, -0.0, 5e-324, 1.7e308, float("inf"), float("-inf"), None]), float),
    "float": (pa.array([0.1, 3.4e38, 1e-45, None], pa.float32()), float),
    "integer": (pa.array([2**64 - 1, 0, None], pa.uint64()), int),
}


@pytest.mark.parametrize(("array", "read"), VALUES.values(), ids=VALUES)
def test_json_and_csv_read_back(array: pa.Array, read: Any) -> None:
    batch = pa.record_batch({"x": array, "end": ["."] * len(array)})
    from_json = [json.loads(line)["x"] for line in jsontext.lines(batch)]
    # The csv module does not distinguish an empty field, which is NULL, from an empty text.
    from_csv = [row["x"] for row in csv.DictReader(io.StringIO(as_csv(batch)))]

    stored = array.storage.to_pylist() if isinstance(array, pa.ExtensionArray) else array.to_pylist()
    expected = [None if each is None else uuid.UUID(bytes=each) if read is uuid.UUID else each for each in stored]
    narrow = pa.float32() if array.type == pa.float32() else None
    for found in (from_json, from_csv):
        values = [
            None if each is None or (each == "" and stored[at] is None) else read(each) for at, each in enumerate(found)
        ]
        assert (pa.array(values, narrow).to_pylist() if narrow else values) == expected
