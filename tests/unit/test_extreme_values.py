"""Values at the ends of their types: one text for people, JSON and CSV, which reads back; typed rows that lose nothing;
and a word on what Python has no value for.
"""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from queryengine.cli import jsontext, temporal
from queryengine.cli.csvwriter import CsvWriter
from queryengine.cli.tablewriter import TableWriter
from queryengine.cli.writing import write_all
from queryengine.client.pylist import python_rows
from queryengine.codec.rows import decode_rows, encode_rows
from queryengine.v1 import result_pb2

INT32, INT64 = (1 << 31) - 1, (1 << 63) - 1
MICRO = 1_000_000


def timestamps(count: int, unit: str = "us", zone: str | None = None) -> pa.Array:
    return pa.array([count], pa.int64()).view(pa.timestamp(unit, zone))


def dates(days: int) -> pa.Array:
    return pa.array([days], pa.int32()).view(pa.date32())


def times(count: int, unit: str = "us") -> pa.Array:
    return pa.array([count], pa.int64()).view(pa.time64(unit))


TEXTS: list[tuple[pa.Array, str, str]] = [
    (dates(0), "1970-01-01", "DATE"),
    (dates(2_932_897), "10000-01-01", "DATE"),
    (dates(-735_160), "-0043-03-15", "DATE"),
    (dates(-719_529), "-0001-12-31", "DATE"),
    (dates(-719_468), "0000-03-01", "DATE"),
    (dates(11_248_738), "32768-01-01", "DATE"),
    (dates(INT32 - 1), "5881580-07-10", "DATE"),
    (dates(1 - INT32), "-5877641-06-25", "DATE"),
    (dates(INT32), "infinity", "DATE"),
    (dates(-INT32), "-infinity", "DATE"),
    (timestamps(INT64), "infinity", "TIMESTAMP"),
    (timestamps(-INT64), "-infinity", "TIMESTAMP"),
    (timestamps(INT64, "s"), "infinity", "TIMESTAMP_S"),
    (timestamps(-INT64, "ms"), "-infinity", "TIMESTAMP_MS"),
    (timestamps(INT64, "us", "UTC"), "infinity", "TIMESTAMPTZ"),
    (timestamps(-INT64, "us", "Europe/Berlin"), "-infinity", "TIMESTAMPTZ"),
    (timestamps(INT64 - 1), "294247-01-10T04:00:54.775806", "TIMESTAMP"),
    (timestamps(-9_223_372_022_400_000_000), "-290308-12-22T00:00:00.000000", "TIMESTAMP"),
    (timestamps(-1), "1969-12-31T23:59:59.999999", "TIMESTAMP"),
    (timestamps(-62_167_219_200 * MICRO - 1), "-0001-12-31T23:59:59.999999", "TIMESTAMP"),
    (timestamps(1_199_145_600_000 * MICRO, "us", "UTC"), "39969-05-31T00:00:00.000000Z", "TIMESTAMPTZ"),
    (timestamps(1_199_145_600_000 * MICRO, "us", "Europe/Berlin"), "39969-05-31T00:00:00.000000Z", "TIMESTAMPTZ"),
    (timestamps(0, "us", "Europe/Berlin"), "1970-01-01T01:00:00.000000+01:00", "TIMESTAMPTZ"),
    (timestamps(-86_400 * MICRO * 40_000, "us", "Asia/Kolkata"), "1860-06-26T00:00:00.000000Z", ""),
    (timestamps(-86_400 * MICRO * 40_000, "us", "-03:30"), "1860-06-25T20:30:00.000000-03:30", "TIMESTAMPTZ"),
    (timestamps(0, "us", "Etc/UTC"), "1970-01-01T00:00:00.000000+00:00", "TIMESTAMPTZ"),
    (timestamps(INT64, "ns"), "2262-04-11T23:47:16.854775807", ""),
    (timestamps(1_199_145_600_000, "s"), "39969-05-31T00:00:00", "TIMESTAMP_S"),
    (times(86_400 * MICRO), "24:00:00.000000", "TIME"),
    (times(86_400 * MICRO - 1), "23:59:59.999999", "TIME"),
    (times(86_400 * 10**9, "ns"), "24:00:00.000000000", "TIME_NS"),
    (pa.array([86_400], pa.int32()).view(pa.time32("s")), "24:00:00", "TIME"),
    (times(-1), "-00:00:00.000001", ""),
]


def at_every_depth(array: pa.Array, text: str) -> list[tuple[pa.Array, Any]]:
    """The value by itself, after NULLs, in a list, a struct and a map, with what JSON has for it."""
    null = pa.nulls(1, array.type)
    offsets = pa.array([0, 1], pa.int32())
    key = pa.array(["k"])
    return [
        (array, text),
        (pa.concat_arrays([null, array]).slice(1), text),
        (pa.ListArray.from_arrays(offsets, array), [text]),
        (pa.StructArray.from_arrays([array], ["m"]), {"m": text}),
        (pa.MapArray.from_arrays(offsets, key, array), [["k", text]]),
        (pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([array], ["m"])), [{"m": text}]),
    ]


def cases() -> list[Any]:
    return [pytest.param(array, text, kind, id=f"{array.type} {text}") for array, text, kind in TEXTS]


@pytest.mark.parametrize(("array", "text", "kind"), cases())
def test_one_text_for_people_json_and_csv(array: pa.Array, text: str, kind: str) -> None:
    for each, value in at_every_depth(array, text):
        batch = pa.record_batch({"x": each})
        (line,) = jsontext.lines(batch)
        assert json.loads(line) == {"x": value}
        plain = value if isinstance(value, str) else jsontext.text(value)
        for kind_of_writer, cells in ((CsvWriter, _csv_cells), (TableWriter, _table_cells)):
            sink = io.BytesIO()
            with kind_of_writer(sink) as writer:
                write_all(writer, batch.schema, [batch])
            assert cells(sink.getvalue().decode()) == [plain]


def _csv_cells(text: str) -> list[str]:
    return [row["x"] for row in csv.DictReader(io.StringIO(text))]


def _table_cells(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()[2:]]


@pytest.mark.parametrize(("array", "text", "kind"), [each for each in cases() if each.values[2]])
def test_the_text_reads_back(array: pa.Array, text: str, kind: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        read = connection.sql(f"SELECT CAST(? AS {kind}) AS x", params=[text]).to_arrow_table()["x"].combine_chunks()
    wide = pa.int32() if pa.types.is_date(array.type) else pa.int64()
    if pa.types.is_time32(array.type):
        assert read.view(wide)[0].as_py() == array.view(pa.int32())[0].as_py() * MICRO
    else:
        assert read.view(wide)[0] == array.view(wide)[0]


@pytest.mark.parametrize(("array", "text", "kind"), cases())
def test_typed_rows_lose_nothing(array: pa.Array, text: str, kind: str) -> None:
    for each, _ in at_every_depth(array, text):
        batch = pa.record_batch({"x": each})
        assert decode_rows(encode_rows(batch), batch.schema).equals(batch)


def test_infinities_have_a_form_of_their_own_in_typed_rows() -> None:
    columns = {
        "date": dates(INT32),
        "second": timestamps(-INT64, "s"),
        "milli": timestamps(INT64, "ms"),
        "micro": timestamps(-INT64),
        "zone": timestamps(INT64, "us", "UTC"),
    }
    (row,) = result_pb2.RowSet.FromString(encode_rows(pa.record_batch(columns))).rows
    date, *moments = row.values
    assert date.date_days == INT32
    assert [(each.timestamp_value.seconds, each.timestamp_value.nanos) for each in moments] == [
        (-INT64, 0),
        (INT64, 0),
        (-INT64, 0),
        (INT64, 0),
    ]
    with pytest.raises(ValueError, match="no infinity"):
        decode_rows(encode_rows(pa.record_batch({"x": columns["micro"]})), pa.schema([("x", pa.timestamp("ns"))]))


def test_arrow_agrees_wherever_it_prints() -> None:
    days = pa.array(range(-11_900_000, 10_900_000, 997), pa.int32())
    assert [temporal._date(day) for day in days.to_pylist()] == days.view(pa.date32()).cast(pa.string()).to_pylist()


FLOATS = {"f": [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308]}


def test_floats_read_back() -> None:
    batch = pa.record_batch({**FLOATS, "half": pa.array([65504, float("nan")] * 3, pa.float16())})
    written = [json.loads(line) for line in jsontext.lines(batch)]
    assert [repr(float(row["f"])) for row in written] == [repr(value) for value in FLOATS["f"]]
    sink = io.BytesIO()
    with CsvWriter(sink) as writer:
        write_all(writer, batch.schema, [batch])
    rows = list(csv.DictReader(io.StringIO(sink.getvalue().decode())))
    assert [repr(float(row["f"])) for row in rows] == [repr(value) for value in FLOATS["f"]]


@pytest.mark.parametrize(
    ("scale", "text"),
    [(6, "0.000001"), (7, "0.0000001"), (10, "0.0000000001"), (-3, "5000"), (30, "0." + "0" * 29 + "1")],
)
def test_decimals_have_no_exponent(scale: int, text: str) -> None:
    batch = pa.record_batch({"x": pa.array([Decimal(text)], pa.decimal128(38, scale))})
    sink = io.BytesIO()
    with CsvWriter(sink) as writer:
        write_all(writer, batch.schema, [batch])
    assert _csv_cells(sink.getvalue().decode()) == [text]
    assert json.loads(next(jsontext.lines(batch))) == {"x": text}


@pytest.mark.parametrize(
    "array",
    [
        dates(INT32),
        dates(2_932_897),
        dates(-719_529),
        timestamps(-INT64),
        timestamps(INT64, "s", "UTC"),
        timestamps(INT64 - 1),
        times(86_400 * MICRO),
        times(-1),
        times(1, "ns"),
        pa.array([INT64], pa.duration("s")),
    ],
    ids=lambda array: f"{array.type} {array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())[0]}",
)
def test_a_value_that_python_cannot_hold_is_named(array: pa.Array) -> None:
    for each, _ in at_every_depth(array, ""):
        fine = pa.nulls(1, each.type)
        table = pa.table({"a": [1, 2, 3], "b": pa.chunked_array([fine, pa.concat_arrays([fine, each])])})
        with pytest.raises(OverflowError, match=r"row 2, column 'b': .*to_arrow\(\)"):
            python_rows(table)


def test_values_that_python_holds_are_its_own() -> None:
    table = pa.table({"t": times(86_400 * MICRO - 1), "n": times(1000, "ns"), "d": dates(2_932_896)})
    assert python_rows(table) == table.to_pylist()
    assert python_rows(pa.table({"t": pa.nulls(2, pa.time64("ns"))})) == [{"t": None}, {"t": None}]
