"""A DuckDB engine over a folder: each view reads its own files and no others, one bad file keeps no other from being
read, and what changes in the folder is seen.
"""

import gzip
import os
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryengine.domain.errors import Reason
from queryengine.engines.duckdb import views
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.text import identifier, key_of
from tests.unit.lake import failure, parquet, run, tables

# ---- names

ODD_NAMES = (
    *("sales[2024]", "sales2", "star*", "starX", "what?", "whatX", "[", "]", "[]", "[[", "]]", "[a-z]", "[!x]", "**"),
    *(
        "br{a,b}",
        "bra",
        "quo'te",
        'dq"x',
        "back\\slash",
        "per%cent",
        "%41",
        "new\nline",
        "tab\tx",
        "ünï",
        "日本",
        "a b",
    ),
    *("a=1", "~", "~t", "s3:", "file:", "http:", "md:x", "semi;--", "$x", "comma,y", "a.b", "-x", "#h", "!x", "CON"),
    *("pg_type", "tables", "select", "range", "information_schema.tables", "x" * 200),
)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_view_reads_exactly_its_own_file(lake: Path, open_lake, ending: str) -> None:
    for number, name in enumerate(ODD_NAMES):
        if ending == "csv":
            (lake / f"{name}.csv").write_text(f"v\n{number}\n")
        else:
            parquet(lake / f"{name}.parquet", v=[number])
    engine = open_lake()
    assert sorted(tables(engine)) == sorted(ODD_NAMES)
    for number, name in enumerate(ODD_NAMES):
        assert run(engine, f"FROM {identifier(name)}") == [{"v": number}], name


def test_a_folder_of_an_odd_name_reads_exactly_its_own_files(lake: Path, open_lake) -> None:
    names = [name for name in ODD_NAMES if "\\" not in name and not name.startswith(("~", "file:"))]
    for number, name in enumerate(names):
        for part in ODD_NAMES[:6]:
            parquet(lake / name / f"year={number}" / f"{part}.parquet", v=[part])
    engine = open_lake()
    assert sorted(tables(engine)) == sorted(names)
    for number, name in enumerate(names):
        rows = run(engine, f"SELECT v, year FROM {identifier(name)}")
        assert sorted(row["v"] for row in rows) == sorted(ODD_NAMES[:6]), name
        assert {row["year"] for row in rows} == {number}


def test_what_could_be_the_start_of_an_address_is_none(lake: Path, open_lake) -> None:
    parquet(lake / "a\\b" / "c\\d" / "year=1" / "x\\y.parquet", v=[1])
    parquet(lake / "a" / "b.parquet", v=[2])
    parquet(lake / "~t" / "x.parquet", v=[3])
    parquet(lake / "file:" / "x.parquet", v=[4])
    engine = open_lake()
    assert run(engine, 'FROM "a\\b"') == [{"v": 1, "year": 1}]
    assert run(engine, 'SELECT a.v, b.v AS w FROM "~t" AS a, "file:" AS b') == [{"v": 3, "w": 4}]


NAMES = st.lists(
    st.text("ab*?[]!-^{}\\'\"`%=~:$.,; \n\t_é日🙂#&|()<>@+\x01\x7f\u2028", min_size=1, max_size=5).filter(
        lambda name: not name.startswith((".", "_"))
    ),
    min_size=2,
    max_size=12,
    unique_by=key_of,
)


@settings(max_examples=8)
@given(names=NAMES, data=st.data())
def test_any_name_reads_its_own_file_or_is_refused_by_name(names: list[str], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        lake = Path(folder)
        for number, name in enumerate(names):
            match data.draw(st.sampled_from(("csv", "parquet", "folder"))):
                case "csv":
                    (lake / f"{name}.csv").write_text(f"number\n{number}\n")
                case "parquet":
                    parquet(lake / f"{name}.parquet", number=[number])
                case _:
                    parquet(lake / name / names[0] / f"{names[1]}.parquet", number=[number])
        engine = DuckDBEngine("lake", {"directory": folder, "threads": 1})
        try:
            for number, name in enumerate(names):
                sql = f"SELECT number FROM {identifier(name)}"
                if name in set(tables(engine)):
                    assert run(engine, sql) == [{"number": number}]
                else:
                    assert "DuckDB cannot read" in failure(engine, sql).message
        finally:
            engine.close()


def test_a_name_that_begins_with_a_backslash_is_told_apart_from_what_it_disturbs(lake: Path, open_lake) -> None:
    (lake / "\\x.csv").write_text("v\n1\n")
    (lake / "[y].csv").write_text("v\n2\n")
    engine = open_lake()
    assert run(engine, 'FROM "\\x"') == [{"v": 1}]
    message = "view [y] cannot be read: DuckDB cannot read [y].csv beside a name that begins with a backslash"
    assert failure(engine, 'FROM "[y]"').message == message


def test_partitions_with_odd_values_are_columns(lake: Path, open_lake) -> None:
    values = ["a b", "x[1]", "*", "ü", "1", "a%20b", "it's"]
    for value in values:
        parquet(lake / "t" / f"k={value}" / "f.parquet", v=[1])
    parquet(lake / "year=2024" / "f.parquet", v=[1])
    engine = open_lake()
    # DuckDB decodes %20, as Hive encodes it.
    assert {row["k"] for row in run(engine, "SELECT k FROM t")} == {*values, "a b"} - {"a%20b"}
    # The path above the folder has a k=v of its own, which is no column.
    assert run(engine, 'FROM "year=2024"') == [{"v": 1, "year": 2024}]


@pytest.mark.parametrize(
    "name",
    [
        *("b[a\\b.csv", "c\\*.csv", "\\?.csv", "t\\u/[1].parquet", "t/a\\b=1/x.parquet", "k\\l=1/x.parquet"),
        *("~/x.parquet", "~\\x.csv", "~t/[1].parquet", "~[1].csv", "file:/[1].parquet", "file:[1].csv"),
    ],
)
def test_a_name_that_duckdb_cannot_read_is_refused_by_name(lake: Path, open_lake, name: str) -> None:
    parquet(lake / name, v=[1])
    (lake / "good.csv").write_text("v\n2\n")
    engine = open_lake()
    assert tables(engine) == ["good"]
    told = failure(engine, f"FROM {identifier(Path(name.partition('/')[0]).stem)}")
    assert told.reason is Reason.STATEMENT_REJECTED
    assert "DuckDB cannot read a path" in told.message
    assert name in told.message


def test_a_name_that_is_not_utf8_is_left_out(lake: Path, open_lake, caplog) -> None:
    Path(os.fsdecode(os.fsencode(lake) + b"/\xff.csv")).write_text("v\n1\n")
    (lake / "good.csv").write_text("v\n2\n")
    assert tables(open_lake()) == ["good"]
    assert "'\\udcff.csv' is not a name in UTF-8" in caplog.text


def test_a_path_and_a_spill_folder_may_have_any_name(tmp_path: Path) -> None:
    name = "sp[1]* it's a=1 ü"
    path = tmp_path / f"{name}?.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    engine = DuckDBEngine("x", {"path": str(path), "temp_directory": str(tmp_path / name), "memory_limit": "60MB"})
    sql = "SELECT count(*) AS n FROM (FROM range(8000000) ORDER BY hash(range) OFFSET 5)"
    assert run(engine, sql) == [{"n": 7_999_995}]
    assert run(engine, "FROM t") == [{"a": 1}]
    engine.close()
    assert list((tmp_path / name).iterdir()) == []


# ---- kinds of files


def test_text_files_are_views_whatever_their_case_and_compression(lake: Path, open_lake) -> None:
    with duckdb.connect() as connection:
        for kind in ("csv", "json"):
            file = lake / f"zst_{kind}.{kind}.zst"
            connection.execute(f"COPY (SELECT 1 AS a, 'x' AS b) TO '{file}' (FORMAT {kind}, COMPRESSION zstd)")
    record = b'{"a": 1, "b": "x"}\n'
    contents = {
        "upper.CSV": b"a,b\n1,x\n",
        "tabs.tsv": b"a\tb\n1\tx\n",
        "gz_csv.csv.gz": gzip.compress(b"a,b\n1,x\n"),
        "gz_upper.CSV.GZ": gzip.compress(b"a,b\n1,x\n"),
        "gz_tsv.tsv.gz": gzip.compress(b"a\tb\n1\tx\n"),
        "array.json": b"[" + record.strip() + b"]",
        "records.json": record,
        "nd.ndjson": record,
        "jl.jsonl": record,
        "gz_nd.ndjson.gz": gzip.compress(record),
        "gz_json.json.gz": gzip.compress(record),
        "marked.csv": b"\xef\xbb\xbfa,b\n1,x\n",
    }
    for name, content in contents.items():
        (lake / name).write_bytes(content)
    (lake / "notes.txt").write_text("no data")
    (lake / "archive.gz").write_bytes(gzip.compress(b"no data"))
    engine = open_lake()
    expected = {name.partition(".")[0] for name in contents} | {"zst_csv", "zst_json"}
    assert set(tables(engine)) == expected
    for view in expected:
        assert run(engine, f"FROM {identifier(view)}") == [{"a": 1, "b": "x"}], view


def test_a_tab_separated_file_with_commas_is_one_column(lake: Path, open_lake) -> None:
    (lake / "t.tsv").write_text("a,b\n1,2\n")
    assert run(open_lake(), "FROM t") == [{"a,b": "1,2"}]


def test_what_spark_and_hive_skip_is_no_data(lake: Path, open_lake) -> None:
    parquet(lake / "t" / "a.parquet", v=[1])
    parquet(lake / "t" / "_part=x" / "b.parquet", v=[2])
    for hidden in ("_temporary/0/c", ".staging/c", "_SUCCESS", ".hidden", "._a", "_part=x/_metadata"):
        parquet(lake / "t" / f"{hidden}.parquet", v=[99])
    for hidden in ("_temporary", ".staging"):
        parquet(lake / hidden / "x.parquet", v=[99])
    for hidden in ("_x.csv", ".x.csv", "._x.csv"):
        (lake / hidden).write_text("v\n99\n")
    engine = open_lake()
    # The two differ in a partition column.
    assert "_part" in failure(engine, "FROM t").message
    (lake / "t" / "a.parquet").unlink()
    assert run(engine, "FROM t") == [{"v": 2, "_part": "x"}]
    assert tables(engine) == ["t"]


# ---- tables of a format

LOGS = {
    "Delta Lake": ("_delta_log/00000000000000000000.json",),
    "Iceberg": ("metadata/v1.metadata.json",),
    "Iceberg of a catalog": ("metadata/00000-5a5a.metadata.json", "metadata/snap-1.avro"),
    "Iceberg, compressed": ("metadata/00001-5a5a.metadata.json.gz",),
    "Iceberg of Hadoop": ("metadata/version-hint.text",),
    "Hudi": (".hoodie/hoodie.properties",),
    "Spark stream": ("_spark_metadata/0",),
    "Paimon": ("manifest/manifest-1", "schema/schema-0", "snapshot/snapshot-1"),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("table", ["t", "t/db/deep", "t/day=1"])
def test_a_folder_of_a_table_format_is_refused_by_name(lake: Path, open_lake, table: str, log: tuple[str, ...]) -> None:
    """Its files hold rows that were deleted, and only the log says which."""
    parquet(lake / table / "data" / "valid.parquet", v=[1])
    parquet(lake / table / "data" / "deleted.parquet", v=[2])
    parquet(lake / "plain" / "x.parquet", v=[3])
    engine = open_lake()
    assert len(run(engine, "FROM t")) == 2
    for name in log:
        (lake / table / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / table / name).touch()
    # A running engine sees it with its next look.
    engine.views.refresh(now=True)
    for each in (engine, open_lake()):
        refused = failure(each, "FROM t")
        assert refused.reason is Reason.STATEMENT_REJECTED
        assert f"view t cannot be read: {table} is " in refused.message
        assert "only its log says which rows are valid" in refused.message
        assert run(each, "FROM plain") == [{"v": 3}]
    (warning,) = DuckDBEngine.warnings({"directory": str(lake)})
    assert f"{table} is " in str(warning)


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_files_in_the_folder_of_a_table_itself_are_refused(lake: Path, open_lake, log: tuple[str, ...]) -> None:
    parquet(lake / "part-0.parquet", v=[1])
    parquet(lake / "day=1" / "part-1.parquet", v=[2])
    (lake / "notes.csv").write_text("v\n3\n")
    for name in log:
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).touch()
    engine = open_lake()
    for view in ("part-0", "day=1"):
        assert "cannot be read: the folder is " in failure(engine, f"FROM {identifier(view)}").message
    assert run(engine, "FROM notes") == [{"v": 3}]


@pytest.mark.parametrize(
    "name", ["metadata/x.parquet", "metadata.json", "_delta_log", "snapshot/a.parquet", "schema/metadata.json"]
)
def test_a_folder_that_only_looks_like_a_table_format_is_read(lake: Path, open_lake, name: str) -> None:
    parquet(lake / "t" / "x.parquet", v=[1])
    if name.endswith(".parquet"):
        parquet(lake / "t" / name, v=[1])
    else:
        (lake / "t" / name).parent.mkdir(exist_ok=True)
        (lake / "t" / name).touch()
    assert run(open_lake(), "SELECT DISTINCT v FROM t") == [{"v": 1}]


# ---- files of one folder


def test_files_with_other_columns_are_read_by_name(lake: Path, open_lake) -> None:
    parquet(lake / "t" / "1.parquet", a=[1], b=["x"])
    parquet(lake / "t" / "2.parquet", c=[2.5], A=[2])
    assert run(open_lake(), "SELECT * FROM t ORDER BY a") == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": 2.5},
    ]


EXACT = {
    "integers": (pa.array([255], pa.uint8()), pa.array([-1], pa.int64()), [255, -1]),
    "largest integers": (pa.array([2**64 - 1], pa.uint64()), pa.array([-(2**63)], pa.int64()), [2**64 - 1, -(2**63)]),
    "floats": (pa.array([0.5], pa.float32()), pa.array([1e300], pa.float64()), [0.5, 1e300]),
    "nothing": (pa.nulls(1), pa.array(["x"]), [None, "x"]),
    "nothing at last": (pa.array(["x"]), pa.nulls(1), ["x", None]),
}


@pytest.mark.parametrize("case", EXACT)
def test_a_type_that_holds_both_is_found(lake: Path, open_lake, case: str) -> None:
    first, second, values = EXACT[case]
    parquet(lake / "t" / "1.parquet", a=first)
    parquet(lake / "t" / "2.parquet", a=second)
    assert [row["a"] for row in run(open_lake(), "FROM t")] == values


def test_decimals_are_joined_as_long_as_their_digits_fit(lake: Path, open_lake) -> None:
    with duckdb.connect() as connection:
        for folder, types in {"t": ("DECIMAL(4,1)", "DECIMAL(38,2)"), "u": ("DECIMAL(10,4)", "DECIMAL(38,2)")}.items():
            (lake / folder).mkdir()
            for number, each in enumerate(types):
                connection.execute(f"COPY (SELECT 1.5::{each} AS a) TO '{lake}/{folder}/{number}.parquet'")
    engine = open_lake()
    assert [str(row["a"]) for row in run(engine, "FROM t")] == ["1.50", "1.50"]
    assert (
        "column a is DECIMAL(38,2) in u/1.parquet but DECIMAL(10,4) in u/0.parquet" in failure(engine, "FROM u").message
    )


CONFLICTS = {
    "text and number": (pa.array(["x"]), pa.array([1])),
    "number and float": (pa.array([2**53 + 1]), pa.array([0.5])),
    "time with and without zone": (pa.array([0], pa.timestamp("us")), pa.array([0], pa.timestamp("us", "UTC"))),
    "date and time": (pa.array([0], pa.date32()), pa.array([0], pa.timestamp("us"))),
    "units of time": (pa.array([0], pa.timestamp("ns")), pa.array([0], pa.timestamp("us"))),
    "members": (pa.array([{"x": 1}]), pa.array([{"x": "y"}])),
    "list and value": (pa.array([[1]]), pa.array([1])),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_types_that_conflict_are_refused_by_file_and_column(lake: Path, open_lake, case: str) -> None:
    first, second = CONFLICTS[case]
    parquet(lake / "t" / "1.parquet", a=first)
    parquet(lake / "t" / "2.parquet", a=second)
    parquet(lake / "good" / "1.parquet", a=first)
    engine = open_lake()
    told = failure(engine, "FROM t")
    assert told.reason is Reason.STATEMENT_REJECTED
    for word in ("view t", "column a", "t/1.parquet", "t/2.parquet"):
        assert word in told.message
    assert run(engine, "SELECT count(*) AS n FROM good") == [{"n": 1}]


def test_columns_that_differ_in_case_only_need_files_that_are_alike(lake: Path, open_lake) -> None:
    for number in (1, 2):
        parquet(lake / "t" / f"{number}.parquet", a=[number], A=["x"])
    engine = open_lake()
    assert run(engine, "SELECT * FROM t ORDER BY a") == [{"a": 1, "A_1": "x"}, {"a": 2, "A_1": "x"}]
    parquet(lake / "t" / "3.parquet", a=[3])
    engine.close()
    engine = open_lake()
    assert "t/1.parquet has two columns whose names differ in case only" in failure(engine, "FROM t").message


def test_columns_within_columns_are_none_of_the_table(lake: Path, open_lake) -> None:
    nested = {"s": [{"x": [{"y": 1}], "z": {"k": "v"}}], "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}
    parquet(lake / "t" / "1.parquet", **nested, z=[1])
    parquet(lake / "t" / "2.parquet", x=["text"], y=["text"], **nested)
    rows = run(open_lake(), "SELECT s.x[1].y AS inner, x, y, z FROM t ORDER BY x NULLS FIRST")
    assert rows == [{"inner": 1, "x": None, "y": None, "z": 1}, {"inner": 1, "x": "text", "y": "text", "z": None}]


# ---- bad files


def _bad_files() -> dict[str, tuple[bytes, str]]:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": list(range(100_000))}), sink, compression="snappy")
    whole = sink.getvalue().to_pybytes()
    damaged = whole[:1000] + b"\xff" * 3000 + whole[4000:]
    return {
        "zero.parquet": (b"", "zero.parquet is empty (0 bytes)"),
        "half.parquet": (whole[: len(whole) // 2], "half.parquet is not a whole Parquet file"),
        "text.parquet": (b"hello,world\n1,2\n", "text.parquet is not a whole Parquet file"),
        "short.parquet": (b"PAR1", "short.parquet is not a whole Parquet file"),
        "damaged.parquet": (damaged, "damaged.parquet"),
        "zero.csv": (b"", "zero.csv is empty (0 bytes)"),
        "latin.csv": ("name,v\nMüller,1\n".encode("latin-1"), "latin.csv is not encoded as UTF-8"),
        "late.csv": (b"name,v\n" + b"M,1\n" * 50_000 + b"Jos\xe9,2\n", "late.csv is not encoded as UTF-8"),
        "wide.csv": ("name,v\nMüller,1\n".encode("utf-16"), "wide.csv is not encoded as UTF-8"),
        "widele.csv": ("name,v\nMüller,1\n".encode("utf-16-le"), "widele.csv is not encoded as UTF-8"),
        "binary.csv": (random.Random(1).randbytes(5000), "binary.csv does not look like delimited text"),
        "types.csv": (b"a,b\n" + b"1,2\n" * 50_000 + b"x,3\n", "by the first 20,480 lines"),
        "types.ndjson": (b'{"a":1}\n' * 50_000 + b'{"a":"x"}\n', "by the first 20,480 lines"),
        "not.csv.gz": (b"a,b\n1,2\n", "Input is not a GZIP stream: not.csv.gz"),
        "cut.csv.gz": (gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:60], "cut.csv.gz"),
        "not.json": (b"hello", "not.json"),
        "half.json": (b'{"a":1}\n{"a":\n', "half.json"),
    }


BAD_FILES = _bad_files()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_fails_alone_with_its_own_error(lake: Path, open_lake, name: str) -> None:
    content, words = BAD_FILES[name]
    (lake / name).write_bytes(content)
    (lake / "good.csv").write_text("v\n1\n")
    engine = open_lake()
    assert run(engine, "FROM good") == [{"v": 1}]
    view = name.partition(".")[0]
    told = failure(engine, f"FROM {identifier(view)}")
    assert told.reason is Reason.STATEMENT_REJECTED
    assert told.message.startswith(f"view {view} cannot be read: ")
    assert words in told.message
    assert told.position is None
    for advice in ("=", "Possible", "SET ", "sample_size", "Auto-Detected", str(lake), "\n"):
        assert advice not in told.message.replace("Error when converting", "")
    assert run(engine, "FROM good") == [{"v": 1}]


def test_one_bad_file_of_many_is_named(lake: Path, open_lake) -> None:
    parquet(lake / "t" / "1.parquet", a=[1])
    (lake / "t" / "2.parquet").write_bytes(b"PAR1 half")
    parquet(lake / "u" / "1.parquet", a=[1])
    engine = open_lake()
    assert "t/2.parquet is not a whole Parquet file" in failure(engine, "FROM t").message
    assert run(engine, "FROM u") == [{"a": 1}]


@pytest.mark.parametrize(
    "names",
    [("Orders.csv", "orders.parquet"), ("a.tsv", "A.parquet"), ("b.CSV.gz", "b.parquet"), ("c.json", "c/x.parquet")],
)
def test_two_of_one_name_are_reported_by_name(lake: Path, open_lake, caplog, names: tuple[str, str]) -> None:
    for name in names:
        parquet(lake / name, v=[1])
    (lake / "good.csv").write_text("v\n1\n")
    (warning,) = DuckDBEngine.warnings({"directory": str(lake)})
    engine = open_lake()
    view = names[0].partition(".")[0]
    told = failure(engine, f"FROM {view}")
    for text in (str(warning), caplog.text, told.message):
        for name in names:
            assert name.partition("/")[0] in text
        assert "would both be the view" in text
    assert run(engine, "FROM good") == [{"v": 1}]
    (lake / names[0]).unlink()
    assert run(engine, f"FROM {view}") == [{"v": 1}]


def test_names_that_differ_beyond_ascii_case_are_two(lake: Path, open_lake) -> None:
    (lake / "Ü.csv").write_text("v\n1\n")
    (lake / "ü.csv").write_text("v\n2\n")
    engine = open_lake()
    assert run(engine, "FROM Ü") == [{"v": 1}]
    assert run(engine, "FROM ü") == [{"v": 2}]


def test_a_name_that_something_else_has_is_reported(lake: Path, open_lake, caplog) -> None:
    for name in ("duckdb_tables", "SQLITE_MASTER"):
        (lake / f"{name}.csv").write_text("v\n1\n")
    (lake / "T.csv").write_text("v\n1\n")
    (lake / "w.csv").write_text("v\n1\n")
    engine = open_lake(init_sql=["CREATE TABLE t AS SELECT 2 AS v", "CREATE VIEW W AS SELECT 3 AS v"])
    assert run(engine, "FROM t") == [{"v": 2}]
    assert run(engine, "FROM w") == [{"v": 3}]
    assert sorted(tables(engine)) == ["W", "t"]
    for name in ("T", "w", "duckdb_tables", "SQLITE_MASTER"):
        assert f"{name}.csv has the name of a table or view of init_sql or of DuckDB itself" in caplog.text


# ---- changes


@pytest.mark.usefixtures("still")
def test_a_new_a_mended_and_a_deleted_file_are_seen_at_once(lake: Path, open_lake) -> None:
    (lake / "bad.csv").write_bytes(b"")
    parquet(lake / "t" / "1.parquet", v=[1])
    engine = open_lake()
    (lake / "new.csv").write_text("v\n7\n")
    assert run(engine, "FROM new") == [{"v": 7}]
    assert "empty" in failure(engine, "FROM bad").message
    (lake / "bad.csv").write_text("v\n8\n")
    assert run(engine, "SELECT bad.v FROM bad JOIN new ON bad.v = new.v + 1") == [{"v": 8}]
    (lake / "new.csv").unlink()
    gone = failure(engine, "SELECT 'é', v FROM new")
    assert gone.reason is Reason.STATEMENT_REJECTED
    assert "Table with name new does not exist" in gone.message
    parquet(lake / "t" / "2.parquet", v=[2], w=["x"])
    assert run(engine, "SELECT v, w FROM t WHERE w = 'x'") == [{"v": 2, "w": "x"}]
    (lake / "t" / "1.parquet").unlink()
    assert run(engine, "FROM t") == [{"v": 2, "w": "x"}]


@pytest.mark.usefixtures("still")
def test_a_replaced_file_is_read_as_it_is(lake: Path, open_lake) -> None:
    parquet(lake / "a.parquet", v=[1])
    (lake / "c.csv").write_text("x\n1\n")
    engine = open_lake()
    assert run(engine, "FROM a, c") == [{"v": 1, "x": 1}]
    parquet(lake / "new", w=["text"], z=[2])
    (lake / "new").replace(lake / "a.parquet")
    (lake / "c.csv").write_text("y;z\nfoo;3\n")
    assert run(engine, "FROM a") == [{"w": "text", "z": 2}]
    assert run(engine, "FROM c") == [{"y": "foo", "z": 3}]
    (lake / "a.parquet").write_bytes(b"half")
    assert "a.parquet is not a whole Parquet file" in failure(engine, "FROM a").message


def test_after_a_while_lists_of_tables_show_what_is_new(lake: Path, open_lake, monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("queryengine.engines.duckdb.views.time.monotonic", lambda: now[0])
    engine = open_lake()
    (lake / "new.csv").write_text("v\n7\n")
    assert tables(engine) == []
    now[0] += views.REFRESH_SECONDS
    assert tables(engine) == ["new"]
    (lake / "new.csv").unlink()
    now[0] += views.REFRESH_SECONDS
    assert tables(engine) == []


def test_a_file_that_changes_the_case_of_its_name_stays_one_view(lake: Path, open_lake) -> None:
    (lake / "Orders.csv").write_text("v\n1\n")
    engine = open_lake()
    (lake / "Orders.csv").rename(lake / "orders.csv")
    assert failure(engine, "FROM nothing").reason is Reason.STATEMENT_REJECTED
    assert tables(engine) == ["orders"]
    assert run(engine, "FROM ORDERS") == [{"v": 1}]


def test_a_folder_that_was_replaced_is_read_anew(lake: Path, open_lake) -> None:
    (lake / "a.csv").write_text("v\n1\n")
    engine = open_lake()
    lake.rename(lake.with_name("former"))
    lake.mkdir()
    (lake / "b.csv").write_text("v\n2\n")
    assert run(engine, "FROM b") == [{"v": 2}]
    (lake / "b.csv").unlink()
    lake.rmdir()
    gone = failure(engine, "FROM b")
    assert gone.reason is Reason.ENGINE_UNAVAILABLE
    assert "the folder of engine 'lake' cannot be read: No such file or directory" in gone.message
