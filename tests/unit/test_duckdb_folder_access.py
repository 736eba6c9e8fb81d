"""What a DuckDB engine over a folder lets nobody reach: places outside, by links or paths, and where the folder is."""

import os
from pathlib import Path

import duckdb
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.file_names import ENDINGS, file_names
from queryengine.engines.kit.places import missing
from tests.unit.lake import failure, parquet, run, tables

# ---- links


def test_links_that_lead_out_are_refused_by_name(lake: Path, open_lake, caplog, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    parquet(outside / "x.parquet", secret=["hunter2"])
    (lake / "raw").symlink_to(outside)
    (lake / "x.parquet").symlink_to(outside / "x.parquet")
    (lake / "up.parquet").symlink_to("../../outside/x.parquet")
    parquet(lake / "t" / "1.parquet", v=[1])
    (lake / "t" / "2.parquet").symlink_to(outside / "x.parquet")
    parquet(lake / "u" / "1.parquet", v=[1])
    (lake / "u" / "sub").symlink_to(outside)
    (lake / "self").symlink_to(".")
    (lake / "good.csv").write_text("v\n1\n")
    problems = [str(each) for each in DuckDBEngine.warnings({"directory": str(lake)})]
    engine = open_lake()
    assert tables(engine) == ["good"]
    names = ("raw", "x.parquet", "up.parquet", "t/2.parquet", "u/sub", "self")
    for name in names:
        told = failure(engine, f"FROM {name.partition('.')[0].partition('/')[0]}")
        assert told.message.endswith("which is not followed")
        assert name in told.message
        assert "hunter2" not in told.message
        assert any(f"{name} is a link" in problem for problem in problems)
        assert f"{name} is a link" in caplog.text
    assert len(problems) == len(names)


@pytest.mark.usefixtures("still")
def test_a_link_that_comes_later_is_refused_too(lake: Path, open_lake, tmp_path: Path) -> None:
    parquet(tmp_path / "outside" / "x.parquet", secret=["hunter2"])
    parquet(lake / "t" / "1.parquet", v=[1])
    engine = open_lake()
    (lake / "raw").symlink_to(tmp_path / "outside")
    assert "raw is a link to a place outside the folder" in failure(engine, "FROM raw").message
    (lake / "t" / "2.parquet").symlink_to(tmp_path / "outside" / "x.parquet")
    assert failure(engine, "SELECT secret FROM t").message.endswith("which is not followed")


def test_links_within_the_folder_are_read(lake: Path, open_lake) -> None:
    (lake / "..data").mkdir()
    (lake / "..data" / "a.csv").write_text("v\n1\n")
    (lake / "a.csv").symlink_to("..data/a.csv")
    parquet(lake / ".releases" / "42" / "year=1" / "x.parquet", v=[2])
    (lake / "latest").symlink_to(".releases/42")
    engine = open_lake()
    assert run(engine, "FROM a") == [{"v": 1}]
    assert run(engine, "FROM latest") == [{"v": 2, "year": 1}]


def test_a_link_into_another_partition_is_refused(lake: Path, open_lake) -> None:
    parquet(lake / "t" / "year=1" / "x.parquet", v=[1])
    (lake / "t" / "year=2").mkdir()
    (lake / "t" / "year=2" / "x.parquet").symlink_to("../year=1/x.parquet")
    assert "t/year=2/x.parquet is a link into another partition" in failure(open_lake(), "FROM t").message


@pytest.mark.parametrize("target", ["nothing", "loop.csv"])
def test_a_link_to_nothing_is_named(lake: Path, open_lake, target: str) -> None:
    (lake / "loop.csv").symlink_to(target)
    assert "view loop cannot be read: loop.csv: " in failure(open_lake(), "FROM loop").message


def test_a_pipe_is_no_file(lake: Path, open_lake) -> None:
    os.mkfifo(lake / "p.csv")
    assert "p.csv is not a regular file" in failure(open_lake(), "FROM p").message


# ---- files by path


@pytest.mark.parametrize(
    "sql",
    [
        *("FROM 'good.csv'", 'FROM "good.csv"', "FROM `good.csv`", "FROM 'GOOD.CSV'"),
        *("FROM 'raw/x.csv'", "FROM raw.csv", 'FROM "raw/x".csv', 'FROM "raw/x" /* x */ . -- x\n csv', "FROM '*.csv'"),
        *("FROM '{lake}/raw/../secret.csv'", "FROM 'raw/../secret.csv'", "FROM 'good.csv?x'", "FROM 'raw/x.csv.gz'"),
        *("WITH x AS (FROM 'good.csv') FROM x", "SELECT (FROM 'good.csv')", "SELECT 1 IN (TABLE 'good.csv')"),
        *("DESCRIBE 'good.csv'", "SUMMARIZE 'good.csv'", "EXPLAIN FROM 'good.csv'", "EXPLAIN ANALYZE FROM 'good.csv'"),
        *("PIVOT 'good.csv' ON v", "FROM (PIVOT raw . csv ON v)", "FROM (PIVOT 'good.csv' ON v IN (1))"),
        *("UNPIVOT 'good.csv' ON v", "FROM good, 'raw/x.csv' AS b", "FROM good JOIN 'raw/x.parquet' USING (v)"),
        *("FROM 'x.duckdb'", "FROM 'x.json'", 'WITH "z.csv" AS (SELECT 1) FROM "z.csv"'),
    ],
)
def test_no_file_is_read_by_its_path(lake: Path, open_lake, tmp_path: Path, sql: str) -> None:
    (lake / "good.csv").write_text("v\n1\n")
    (tmp_path / "outside").mkdir()
    for name in ("outside/x.csv", "secret.csv"):
        (tmp_path / name).write_text("v\nhunter2\n")
    engine = open_lake()
    (lake / "raw").symlink_to(tmp_path / "outside")
    told = failure(engine, sql.replace("{lake}", str(lake)))
    assert told.reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.SYNTAX_ERROR}
    assert "hunter2" not in told.message


READERS = ("read_text", "read_blob", "read_csv", "read_parquet", "read_json", "glob", "sniff_csv", "parquet_metadata")


@pytest.mark.parametrize("function", READERS)
@pytest.mark.parametrize("path", ["raw/../secret.csv", "raw/x.csv", "raw/../proc/self/environ", "good.csv"])
def test_no_reader_function_takes_a_path(lake: Path, open_lake, tmp_path: Path, function: str, path: str) -> None:
    (lake / "good.csv").write_text("v\n1\n")
    (tmp_path / "outside").mkdir()
    for name in ("outside/x.csv", "secret.csv"):
        (tmp_path / name).write_text("v\nhunter2\n")
    (lake / "raw").symlink_to(tmp_path / "outside")
    engine = open_lake()
    for sql in (f"FROM {function}('{path}')", f"FROM {function}('{lake}/{path}')", f"FROM {function}(['{path}'])"):
        assert failure(engine, sql).reason is Reason.STATEMENT_NOT_ALLOWED


def test_what_only_looks_like_a_file_is_no_file(lake: Path, open_lake) -> None:
    parquet(lake / "a.csv.parquet", v=[1])
    parquet(lake / "csv.parquet", csv=[2])
    engine = open_lake(
        init_sql=["CREATE SCHEMA s", "CREATE TABLE s.json AS SELECT 3 AS v", "CREATE TABLE db AS SELECT 4 AS v"]
    )
    expected = {
        'FROM "a.csv"': 1,
        'FROM "A.CSV"': 1,
        'FROM main."a.csv"': 1,
        "SELECT csv.csv FROM main.csv": 2,
        "SELECT t.csv FROM csv AS t": 2,
        "FROM s.json": 3,
        "FROM memory.s.json": 3,
        "FROM main.db": 4,
        "SELECT json_extract('{\"csv\": 5}', '$.csv')::INTEGER": 5,
        "SELECT 6 WHERE 'good.csv' LIKE '%.csv'": 6,
        "EXPLAIN SELECT 'good.csv'": None,
        "PIVOT db ON v IN (4) USING max('x.csv')": "x.csv",
    }
    for sql, value in expected.items():
        (row,) = run(engine, sql)
        assert value is None or next(iter(row.values())) == value, sql


@pytest.mark.parametrize("sql", ["SELECT " + "1.5, " * 20_000 + "2", "SELECT '" + "x" * 120_000 + ".csv'"])
def test_a_long_text_is_looked_through_at_once(sql: str) -> None:
    with duckdb.connect() as connection:
        assert file_names(connection, sql) == frozenset()


@pytest.mark.usefixtures("still")
def test_a_new_view_with_the_name_of_a_file_is_seen(lake: Path, open_lake) -> None:
    engine = open_lake()
    parquet(lake / "a.csv.parquet", v=[1])
    assert run(engine, 'FROM "a.csv"') == [{"v": 1}]
    (lake / "b.csv.parquet").write_bytes(b"half")
    told = failure(engine, 'FROM "b.csv"')
    assert told.message.startswith("view b.csv cannot be read: b.csv.parquet is not a whole Parquet file")


FORMATS = """
    arrow arrows avro bin csv csv2 dat db db3 ddb delta duckdb feather fgb geojson geojsonl geojsons gpkg hdf ipc json
    json5 jsonl kml lance log mdb ndjson orc parq parquet pq psv shp sqlite sqlite3 ssv tab tbl text tsv txt vortex wal
    xls xlsx xml yaml
"""


def test_every_ending_that_duckdb_takes_for_a_file_is_known() -> None:
    with duckdb.connect(config={"autoload_known_extensions": "false"}) as connection:
        functions = connection.execute("SELECT function_name FROM duckdb_functions()").fetchall()
        endings = {word for (name,) in functions for word in name.lower().split("_") if word.isalnum()}
        found = set()
        for ending in endings | set(FORMATS.split()):
            with pytest.raises(duckdb.Error) as caught:
                connection.execute(f'FROM "nothing.{ending}"')
            if not str(caught.value).startswith("Catalog Error: Table with name"):
                found.add(ending)
    assert found == ENDINGS


# ---- the folder and the process


def test_nothing_shows_where_the_folder_is(lake: Path, open_lake) -> None:
    parquet(lake / "t" / "k=1" / "x.parquet", v=[1])
    engine = open_lake()
    (view,) = run(engine, "SELECT sql FROM duckdb_views() WHERE NOT internal")
    assert "t/k=1/x.parquet" in view["sql"]
    assert str(lake) not in view["sql"]


def test_what_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = [
        ("there is no folder", "directory", tmp_path / "nope"),
        ("is not a folder", "directory", tmp_path / "file"),
        ("there is no file", "path", tmp_path / "nope.db"),
        ("is not a file", "path", tmp_path),
        ("is not a folder", "temp_directory", tmp_path / "file"),
    ]
    for words, key, path in found:
        options = {key: str(path)}
        (problem,) = missing("duckdb", options)
        assert words in str(problem)
        assert problem.keys == (key,)
        with pytest.raises(QueryEngineError) as caught:
            DuckDBEngine("lake", options)
        told = caught.value.failure
        assert told.reason is Reason.ENGINE_UNAVAILABLE
        assert told.message == f"DuckDB engine 'lake' cannot start: {problem}"


def test_a_closed_engine_leaves_the_process_where_it_was(lake: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    engine = DuckDBEngine("lake", {"directory": str(lake)})
    assert Path.cwd() == lake
    engine.close()
    engine.close()
    assert Path.cwd() == before


def test_a_new_instance_has_the_same_views(lake: Path, open_lake) -> None:
    (lake / "a.csv").write_text("v\n1\n")
    (lake / "bad.csv").write_bytes(b"")
    engine = open_lake()
    assert run(engine, "FROM a") == [{"v": 1}]
    engine.sessions.instance.close()
    engine.sessions.suspect()
    (lake / "b.csv").write_text("v\n2\n")
    assert run(engine, "SELECT a.v, b.v AS w FROM a JOIN b ON a.v + 1 = b.v") == [{"v": 1, "w": 2}]
    assert "bad.csv is empty" in failure(engine, "FROM bad").message
