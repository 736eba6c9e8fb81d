"""What rows look like outside: nothing lost in JSON, the same in every batch."""

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
import typer
from hypothesis import given

from queryengine.cli import hints, jsontext, options
from queryengine.cli.clientconfig import resolve
from queryengine.cli.csvwriter import CsvWriter
from queryengine.cli.exits import ExitCode
from queryengine.cli.failures import pointed
from queryengine.cli.output import ParquetWriter
from queryengine.cli.statuses import byte_text, count_text
from queryengine.cli.tablewriter import TableWriter
from queryengine.cli.visible import visible
from queryengine.cli.writing import write_all
from queryengine.domain.errors import Position
from tests.unit.arrow_strategies import batches


@pytest.mark.parametrize(
    ("array", "written"),
    [
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array([Decimal(5000)], pa.decimal128(5, -3)), "5000"),
        (pa.array([0.1]), 0.1),
        (pa.array([0.5], pa.float16()), 0.5),
        (pa.array([float("nan")]), "NaN"),
        (pa.array([float("-inf")]), "-Infinity"),
        (pa.array([b"\xff"]), "/w=="),
        (pa.array([1], pa.date32()), "1970-01-02"),
        (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
        (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
        (pa.array([0], pa.timestamp("s", "+02:00")), "1970-01-01T02:00:00+02:00"),
        (pa.array([0.1, 0.1], pa.float32())[:1], 0.1),
        (pa.array([-1500], pa.duration("ms")), "-00:00:01.5"),
        (pa.array([-3], pa.duration("s")), "-00:00:03"),
        (pa.array([360_000], pa.duration("s")), "100:00:00"),
        (pa.array([pa.MonthDayNano([1, -2, 3])]), "1 month -2 days 00:00:00.000000003"),
        (pa.array([pa.MonthDayNano([-14, 1, -3_600_000_000_000])]), "-1 year -2 months 1 day -01:00:00"),
        (pa.array([pa.MonthDayNano([24, 0, 0])]), "2 years"),
        (pa.array([pa.MonthDayNano([0, 0, 0])]), "00:00:00"),
        (pa.array([b"\x11" * 16], pa.uuid()), "11111111-1111-1111-1111-111111111111"),
        (pa.array(['{"a":1.10}'], pa.json_()), '{"a":1.10}'),
        (pa.array([[Decimal("1.5"), None]]), ["1.5", None]),
        (pa.array([{"a": b"x", "b": [1]}]), {"a": "eA==", "b": [1]}),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())), [["k", 1]]),
        (pa.array(["x"]).dictionary_encode(), "x"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_json_values(array: pa.Array, written: Any) -> None:
    with_null = pa.chunked_array([array, pa.nulls(1, array.type)]).combine_chunks()

    (line, empty) = jsontext.lines(pa.record_batch({"x": with_null}))

    assert json.loads(line) == {"x": written}
    assert json.loads(empty) == {"x": None}


@given(batches())
def test_every_batch_can_be_written_as_json_and_csv(batch: pa.RecordBatch) -> None:
    lines = [json.loads(line) for line in jsontext.lines(batch)]
    sink = io.BytesIO()
    with CsvWriter(sink) as writer:
        write_all(writer, batch.schema, [batch])

    assert len(lines) == batch.num_rows
    assert all(len(line) == batch.num_columns for line in lines)
    assert sink.getvalue()


INTERVAL = pa.month_day_nano_interval()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([pa.MonthDayNano([1, 2, 3])]),
        pa.array([{"a": pa.MonthDayNano([1, 2, 3])}]),
        pa.array([[pa.MonthDayNano([1, 2, 3])]]),
        pa.array([[("k", pa.MonthDayNano([1, 2, 3]))]], pa.map_(pa.string(), INTERVAL)),
        pa.array([{}], pa.struct([])),
        pa.array([2**62]).view(pa.timestamp("s")),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_names_the_column_that_it_cannot_hold(column: pa.Array, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"id": [1], "took": column})

    with pytest.raises(typer.Exit) as caught, ParquetWriter(io.BytesIO()) as writer:
        write_all(writer, table.schema, table.to_batches())

    assert caught.value.exit_code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.startswith(f"error: the format cannot hold these rows: column 'took' of type {column.type}: ")
    assert said.endswith("; try --format arrows or json\n")


def test_csv_distinguishes_null_from_an_empty_text_and_loses_no_digit() -> None:
    batch = pa.record_batch(
        {"t": ["", None], "d": pa.array([Decimal("1.50"), None]), "l": [[1, None], None], "b": [b"x", None]}
    )
    sink = io.BytesIO()
    with CsvWriter(sink) as writer:
        write_all(writer, batch.schema, [batch])

    assert sink.getvalue().decode() == '"t","d","l","b"\n"",1.50,"[1, null]","eA=="\n,,,\n'


def test_columns_with_one_name_stay_apart() -> None:
    assert jsontext.unique_names(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_3", "a_2", "a_4"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ("[1, 2]", [1, 2]),
        ("Ann", "Ann"),
        ("2024-01-01", "2024-01-01"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_parameters_read_as_json_or_as_text(text: str, value: Any) -> None:
    assert options.parameters([f"p={text}"]) == {"p": value}
    if text:
        assert options.parameters([text]) == [value]


@pytest.mark.parametrize("name", ["größe", "gro\u0308ße", "размер", "大小", "select", "_a1", "a$b", "ns::a", "ª"])
def test_a_parameter_has_a_name_of_any_script(name: str) -> None:
    assert options.parameters([f"{name}=1", "b=x=y"]) == {name: 1, "b": "x=y"}


@pytest.mark.parametrize("text", ["1=2", "a b=c", "=5", "a-b=1", "größe", "a::=1", "::a=1", "a.b=1", '"a"=1'])
def test_what_has_no_name_before_the_sign_is_a_value(text: str) -> None:
    assert options.parameters([text]) == [text]
    with pytest.raises(typer.BadParameter, match="has no name"):
        options.parameters([text, "b=1"])


@pytest.mark.parametrize(
    ("text", "count"), [("500", 500), ("64KiB", 65_536), ("1.5kb", 1500), ("2 GiB", 2 << 30), ("9000000TB", 9 * 10**18)]
)
def test_sizes(text: str, count: int) -> None:
    assert options.size("--byte-limit", text) == count


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("45s", 45), ("1.5m", 90), ("2h", 7200), ("1d", 86_400)])
def test_durations(text: str, seconds: float) -> None:
    assert options.seconds("--timeout", text) == seconds


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")])
def test_sizes_for_people(count: int, text: str) -> None:
    assert byte_text(count) == text


def test_a_mistake_in_a_long_line_is_shown_with_its_surroundings() -> None:
    text = "SELECT " + "a, " * 1000 + "FORM t"
    shown, caret = pointed(text, Position(1, text.index("FORM") + 1)).plain.splitlines()

    assert len(shown) < 140
    assert shown[caret.index("^")] == "F"


def test_a_place_outside_the_text_is_not_shown() -> None:
    assert pointed("SELECT 1", Position(2, 1)).plain == ""


@pytest.mark.parametrize(
    ("called", "typed"),
    [
        (".venv/bin/queryengine", ".venv/bin/queryengine"),
        ("/usr/lib/queryengine/__main__.py", "queryengine"),
    ],
)
@pytest.mark.parametrize("is_on_the_path", [True, False])
def test_a_command_to_paste_is_called_as_this_one_was(
    called: str, typed: str, is_on_the_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [called])
    monkeypatch.setenv("PATH", str(tmp_path))
    if is_on_the_path:
        (tmp_path / "queryengine").touch(mode=0o755)

    config = resolve({"tenant": "it's"}, {"XDG_CONFIG_HOME": str(tmp_path)})

    expected = "queryengine" if is_on_the_path else typed
    assert hints.command(config, "ps") == f"""{expected} ps --tenant 'it'"'"'s'"""


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_345, "12,345 rows")])
def test_counts_read_as_people_say_them(count: int, text: str) -> None:
    assert count_text(count, "row") == text


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    hostile = "\x1b]0;title\x07\x1b[2Jred\x9b31m"
    shown = "\\x1b]0;title\\x07\\x1b[2Jred\\x9b31m"
    assert visible(f"{hostile}\nline\ttab ü☃") == f"{shown}\nline\ttab ü☃"
    sink = io.BytesIO()
    writer = TableWriter(sink)
    write_all(writer, pa.schema([(hostile, pa.string())]), [pa.record_batch({hostile: [hostile]})])
    writer.finish()
    assert sink.getvalue().decode().count(shown) == 2
    assert b"\x1b" not in sink.getvalue()
