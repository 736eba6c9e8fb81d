"""Options for the files of a folder, by pattern: each one has the effect that its name says, on the files that fit, and
a wrong one is refused by name before anything runs.
"""

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from queryengine.app.service import Service
from queryengine.engines.base import OptionError
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.file_options import _OPTIONS
from queryengine.settings import SettingsError, load
from tests.unit.lake import failure, parquet, run, tables

D, T = dt.date(2024, 2, 1), dt.datetime(2024, 2, 1, 10, 30)  # noqa: DTZ001 - a TIMESTAMP has no zone

CSV = {
    "delimiter": (b"a,b|c,d\n1|2\n", "|", [{"a,b": 1, "c,d": 2}]),
    "quote": (b"a,b\n^x,y^,1\n", "^", [{"a": "x,y", "b": 1}]),
    "escape": (b'a,b\n"x!"y",1\n', "!", [{"a": 'x"y', "b": 1}]),
    "header": (b"a,b\nc,d\n", False, [{"column0": "a", "column1": "b"}, {"column0": "c", "column1": "d"}]),
    "names": (b"1,2\n", ["x", "y"], [{"x": 1, "y": 2}]),
    "skip": (b"Report of 2024\n\na,b\n1,2\n", 2, [{"a": 1, "b": 2}]),
    "nullstr": (b"a,b\nNA,1\n2,-\n", ["NA", "-"], [{"a": None, "b": 1}, {"a": 2, "b": None}]),
    "types": (
        b"a,b\n007,1.5\n",
        {"a": "VARCHAR", "b": "DECIMAL(9,2)"},
        [{"a": "007", "b": Decimal("1.50")}],
    ),
    "decimal_separator": (b"a;b\n1,5;2\n", ",", [{"a": 1.5, "b": 2}]),
    "encoding": ("a,b\nMüller,1\n".encode("latin-1"), "latin-1", [{"a": "Müller", "b": 1}]),
    "dateformat": (b"a\n01/02/2024\n", "%d/%m/%Y", [{"a": D}]),
    "timestampformat": (b"a\n2024.02.01 10h30\n", "%Y.%m.%d %Hh%M", [{"a": T}]),
    "sample_size": (b"a\n" + b"1\n" * 30_000 + b"x\n", -1, "x"),
    "compression": (gzip.compress(b"a\n1\n"), "gzip", [{"a": 1}]),
}
JSON = {
    "format": (b'[{"a": 1}, {"a": 2}]', "array", [{"a": 1}, {"a": 2}]),
    "columns": (b'{"a": 7, "b": 1}\n', {"a": "VARCHAR"}, [{"a": "7"}]),
    "dateformat": (b'{"a": "01/02/2024"}\n', "%d/%m/%Y", [{"a": D}]),
    "timestampformat": (b'{"a": "2024.02.01 10h30"}\n', "%Y.%m.%d %Hh%M", [{"a": T}]),
    "sample_size": (b'{"a": 1}\n' * 30_000 + b'{"a": "x"}\n', -1, '"x"'),
    "compression": (gzip.compress(b'{"a": 1}\n'), "gzip", [{"a": 1}]),
}


@pytest.mark.parametrize(
    ("kind", "option"), [*(("csv", option) for option in CSV), *(("json", option) for option in JSON)]
)
def test_an_option_has_its_effect(lake: Path, open_lake, kind: str, option: str) -> None:
    content, value, expected = {"csv": CSV, "json": JSON}[kind][option]
    (lake / f"t.{kind}").write_bytes(content)
    engine = open_lake(**{kind: {"t.*": {option: value}}})
    rows = run(engine, "FROM t")
    assert (rows[-1]["a"] if isinstance(expected, str) else rows) == expected


def test_each_option_is_tested() -> None:
    assert set(CSV) == set(_OPTIONS["csv"])
    assert set(JSON) == set(_OPTIONS["json"])


def test_options_work_together(lake: Path, open_lake) -> None:
    content = "Bericht\nName|Betrag|Tag\n'Mül|ler'|1,50|01.02.2024\nn/a|-|-\n".encode("latin-1")
    (lake / "t.csv.gz").write_bytes(gzip.compress(content))
    options = {
        "delimiter": "|",
        "quote": "'",
        "skip": 1,
        "encoding": "latin-1",
        "nullstr": ["n/a", "-"],
        "decimal_separator": ",",
        "dateformat": "%d.%m.%Y",
        "types": {"Betrag": "DECIMAL(9,2)", "tag": "DATE"},
    }
    engine = open_lake(csv={"T.csv*": options})
    assert run(engine, "FROM t") == [
        {"Name": "Mül|ler", "Betrag": Decimal("1.50"), "Tag": D},
        {"Name": None, "Betrag": None, "Tag": None},
    ]


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("UTF-8", "Müller €", "Müller €"),
        ("utf-16", "Müller €", "Müller €"),
        ("latin-1", "Müller", "Müller"),
        # Characters that DuckDB would read as others, or does not read at all.
        ("utf-16-be", "Müller", "UTF-16 of the big-endian kind"),
        ("utf-16", "𝄞", "not encoded as UTF-16"),
        ("cp1252", "€", "not encoded as Latin-1"),
    ],
)
def test_an_encoding_is_read_exactly_or_refused(lake: Path, open_lake, encoding: str, content: str, expected: str):
    bom = "\ufeff" if "16-be" in encoding else ""
    (lake / "t.csv").write_bytes(f"{bom}a,b\n{content},1\n".encode(encoding))
    option = {"utf-16-be": "utf-16", "cp1252": "latin-1"}.get(encoding, encoding)
    engine = open_lake(csv={"*.csv": {"encoding": option}})
    if expected == content:
        assert run(engine, "SELECT a FROM t") == [{"a": content}]
    else:
        assert expected in failure(engine, "FROM t").message


def test_a_compressed_file_in_utf_16_is_read_exactly_or_refused(lake: Path, open_lake) -> None:
    for name, encoding in (("le", "utf-16"), ("be", "utf-16-be")):
        (lake / f"{name}.csv.gz").write_bytes(
            gzip.compress(
                "\ufeffa,b\nMüller,1\n".removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding)
            )
        )
    (lake / "bad.csv.gz").write_bytes(b"no gzip at all")
    (lake / "z.csv.zst").write_bytes(b"(\xb5/\xfd")
    engine = open_lake(csv={"*": {"encoding": "utf-16"}})
    assert run(engine, "SELECT a FROM le") == [{"a": "Müller"}]
    assert "be.csv.gz is UTF-16 of the big-endian kind" in failure(engine, "FROM be").message
    assert "z.csv.zst is UTF-16 within zstd" in failure(engine, "FROM z").message
    assert "view bad cannot be read: " in failure(engine, "FROM bad").message


# ---- patterns


def test_the_first_pattern_that_fits_decides(lake: Path, open_lake) -> None:
    for name in ("sales_1.csv", "sales_2.CSV", "other.csv", "sales[1].csv"):
        (lake / name).write_text("a;b|c\n1;2|3\n")
    patterns = {"sales[1].csv": {"header": False}, "SALES_*": {"delimiter": ";"}, "*": {"delimiter": "|"}}
    engine = open_lake(csv=patterns)
    assert run(engine, "FROM sales_1") == run(engine, "FROM sales_2") == [{"a": 1, "b|c": "2|3"}]
    assert run(engine, "FROM other") == [{"a;b": "1;2", "c": 3}]
    # A pattern that is the name of a file means it, whatever its characters mean.
    assert len(run(engine, 'FROM "sales[1]"')) == 2
    assert engine.warnings({"directory": str(lake), "csv": patterns}) == []


def test_a_pattern_makes_views_of_files_with_an_ending_that_it_names(lake: Path, open_lake) -> None:
    (lake / "a.txt").write_text("x|y\n1|2\n")
    (lake / "b.TXT.gz").write_bytes(gzip.compress(b"x|y\n3|4\n"))
    (lake / "c.log").write_text('{"x": 5}\n')
    (lake / "README").write_text("read me")
    (lake / "notes.md").write_text("# notes")
    (lake / "d.json").write_text('[{"x": 6}]')
    parquet(lake / "e.parquet", x=[7])
    engine = open_lake(csv={"*.txt": {}, "*.txt.gz": {}, "*": {"delimiter": "|"}}, json={"*.log": {}, "*": {}})
    assert sorted(tables(engine)) == ["a", "b", "c", "d", "e"]
    assert [run(engine, f"SELECT x FROM {name}")[0]["x"] for name in "abcde"] == [1, 3, 5, 6, 7]


def test_a_pattern_without_a_file_is_a_warning(lake: Path, open_lake, caplog: pytest.LogCaptureFixture) -> None:
    (lake / "a.csv").write_text("x\n1\n")
    (lake / "b.json").write_text('{"x": 1}\n')
    options = {"csv": {"*.csv": {}, "a.*": {}, "b.*": {}, "z*": {}}, "json": {"*.json": {}, "a.*": {}}}
    engine = open_lake(**options)
    assert run(engine, "FROM a") == [{"x": 1}]
    found = engine.warnings({"directory": str(lake), **options})
    assert [each.keys for each in found] == [("csv", "a.*"), ("csv", "b.*"), ("csv", "z*"), ("json", "a.*")]
    assert "engine lake: option 'csv > z*': no file has such a name" in caplog.text


def test_a_new_file_gets_the_options_of_its_pattern(lake: Path, open_lake) -> None:
    engine = open_lake(csv={"*.csv": {"types": {"id": "VARCHAR"}}})
    (lake / "new.csv").write_text("id\n007\n")
    assert run(engine, "FROM new") == [{"id": "007"}]


# ---- nothing is left out in silence


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\n1,2\n3,4,5\n", 2),
        ("a,b,c\n1,2,3\n4,5\n", 2),
        ("a,b\n" + "1,2\n" * 100 + "1,2,3\n", 101),
        ("Report of 2024\n\na,b\n1,2\n", 3),
    ],
)
def test_no_line_of_a_ragged_file_is_skipped(lake: Path, open_lake, content: str, rows: int) -> None:
    (lake / "t.csv").write_text(content)
    assert len(run(open_lake(), "FROM t")) == rows


def test_json_of_every_shape_is_read(lake: Path, open_lake) -> None:
    rows = [{"a": 1, "b": {"c": [1, None]}}, {"a": None, "b": None}]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    shapes = {
        "array.json": json.dumps(rows),
        "pretty.json": json.dumps(rows, indent=2),
        "lines.json": lines,
        "spread.json": "\n".join(json.dumps(row, indent=2) for row in rows),
        "l.jsonl": lines,
        "n.ndjson": lines,
    }
    for name, text in shapes.items():
        (lake / name).write_text(text)
        (lake / f"zipped_{name}.gz").write_bytes(gzip.compress(text.encode()))
    engine = open_lake()
    assert len(tables(engine)) == 12
    for name in tables(engine):
        assert run(engine, f'FROM "{name}"') == rows, name


# ---- mistakes

MISTAKES: list[tuple[Any, tuple[str, ...], str]] = [
    ({"csv": 3}, ("csv",), "must be a mapping of file patterns"),
    ({"csv": ["*.csv"]}, ("csv",), "must be a mapping of file patterns"),
    ({"csv": {"*.csv": "x"}}, ("csv", "*.csv"), "must be a mapping of options"),
    ({"csv": {"sub/*.csv": {}}}, ("csv", "sub/*.csv"), "must be a pattern of file names in the folder itself"),
    ({"csv": {"*": {"delim": ","}}}, ("csv", "*", "delim"), "unknown for csv files; known: delimiter"),
    ({"json": {"*": {"delimiter": ","}}}, ("json", "*", "delimiter"), "unknown for json files; known: format"),
    ({"csv": {"*": {"types": {"a": "FOO"}}}}, ("csv", "*", "types"), "'FOO' of column 'a' is not a type of DuckDB"),
    ({"csv": {"*": {"types": {"a": "INT); SELECT (1"}}}}, ("csv", "*", "types"), "is not a type of DuckDB"),
    ({"csv": {"*": {"types": {"a": "DECIMAL(50,2)"}}}}, ("csv", "*", "types"), "is not a type of DuckDB"),
    ({"csv": {"*": {"types": {"a": 3}}}}, ("csv", "*", "types"), "3 of column 'a' is not a type of DuckDB"),
    ({"csv": {"*": {"types": {1: "INT"}}}}, ("csv", "*", "types"), "must be a mapping of column names to types"),
    ({"csv": {"*": {"types": ["INT"]}}}, ("csv", "*", "types"), "must be a mapping of column names to types"),
    ({"json": {"*": {"columns": {"a": "FOO"}}}}, ("json", "*", "columns"), "'FOO' of column 'a' is not a type"),
    ({"json": {"*": {"format": "lines"}}}, ("json", "*", "format"), "must be one of auto, newline_delimited"),
    ({"csv": {"*": {"delimiter": ""}}}, ("csv", "*", "delimiter"), "must be text of at most 4 bytes"),
    ({"csv": {"*": {"delimiter": "\n"}}}, ("csv", "*", "delimiter"), "must be text of at most 4 bytes"),
    ({"csv": {"*": {"quote": "ab"}}}, ("csv", "*", "quote"), "must be text of one byte, or empty for none"),
    ({"csv": {"*": {"quote": "ä"}}}, ("csv", "*", "quote"), "must be text of one byte"),
    ({"csv": {"*": {"quote": ";", "delimiter": ";"}}}, ("csv", "*", "quote"), "must differ from 'delimiter'"),
    ({"csv": {"*": {"header": "yes"}}}, ("csv", "*", "header"), "must be true or false"),
    ({"csv": {"*": {"skip": -1}}}, ("csv", "*", "skip"), "must be a whole number from 0"),
    ({"csv": {"*": {"skip": True}}}, ("csv", "*", "skip"), "must be a whole number from 0"),
    ({"csv": {"*": {"sample_size": 0}}}, ("csv", "*", "sample_size"), "must be a whole number from 1, or -1"),
    ({"csv": {"*": {"nullstr": []}}}, ("csv", "*", "nullstr"), "must be text, or a list of texts"),
    ({"csv": {"*": {"nullstr": [1]}}}, ("csv", "*", "nullstr"), "must be text, or a list of texts"),
    ({"csv": {"*": {"dateformat": "%Q"}}}, ("csv", "*", "dateformat"), "'%Q' is not a format such as %d/%m/%Y"),
    ({"csv": {"*": {"timestampformat": 3}}}, ("csv", "*", "timestampformat"), "must be a format such as"),
    ({"csv": {"*": {"encoding": "cp1252"}}}, ("csv", "*", "encoding"), "must be one of utf-8, utf-16, latin-1"),
    ({"csv": {"*": {"compression": "xz"}}}, ("csv", "*", "compression"), "must be one of none, gzip, zstd"),
]


@pytest.mark.parametrize(("options", "keys", "part"), MISTAKES)
def test_a_mistake_is_refused_with_its_key(lake: Path, options: Any, keys: tuple[str, ...], part: str) -> None:
    with pytest.raises(OptionError) as caught:
        DuckDBEngine.traits({"directory": str(lake), **options})
    assert caught.value.keys == keys
    assert str(caught.value).startswith(f"option {' > '.join(keys)!r}: ")
    assert part in str(caught.value)


def test_options_of_files_need_a_folder() -> None:
    with pytest.raises(OptionError, match="is for the files of 'directory', which is missing"):
        DuckDBEngine.traits({"json": {"*": {}}})


CONFIG = """\
engines:
  lake:
    type: duckdb
    options:
      directory: {folder}
      csv:
        "*.csv":
          delimiter: ";"
          types:
            id: FOO
"""


async def test_a_server_does_not_start_with_a_mistake_and_names_its_line(lake: Path, tmp_path: Path) -> None:
    config = tmp_path / "queryengine.yaml"
    config.write_text(CONFIG.format(folder=json.dumps(str(lake))))
    settings = load(str(config))
    service = Service(settings.model_copy(update={"state": settings.state.model_copy(update={"directory": tmp_path})}))
    with pytest.raises(SettingsError) as caught:
        await service.start()
    expected = "engines.lake.options: option 'csv > *.csv > types': 'FOO' of column 'id' is not a type of DuckDB"
    assert str(caught.value) == f"{config}:9: {expected}"


# ---- what a user reads who cannot set them


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [
        ("t.csv", "a,b\nMüller,1\n".encode("latin-1"), "csv: encoding"),
        ("t.tsv", b"a\tb\n1\t2\n3\t4\t5\n", "csv"),
        ("t.csv", b"a\n" + b"1\n" * 30_000 + b"x\n", "csv: types"),
        ("t.csv", b"\n\na,b\n1,2\n", "skip for lines before the header"),
        ("t.csv", b"a,b\n" + b"1,2\n" * 30_000 + b"1,2,3\n", "csv"),
        ("t.json", b'{"a": 1}\n' * 30_000 + b'{"a": "x"}\n', "json: columns"),
        ("t.json", b'{"a": 1}\n' * 30_000 + b'{"b": 1}\n', "json: columns"),
    ],
)
def test_an_error_names_the_option_that_would_help(lake: Path, open_lake, name: str, content: bytes, option: str):
    (lake / name).write_bytes(content)
    message = failure(open_lake(), "SELECT sum(a) FROM t").message
    assert f"view t cannot be read: {name}" in message.replace("JSON transform error in file ", "").replace('"', "")
    assert "can be set in the configuration (engine option" in message
    assert option in message
    # What DuckDB would have set, which nobody can.
    assert not any(word in message for word in ("types=", "sample_size", "ignore_errors", "strict_mode", "SET "))
