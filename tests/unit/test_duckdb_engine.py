"""What is DuckDB's own: options, lock-down, data folders, settings, statistics, and results equal to
DuckDB's.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.engines.base import Execution, Progress, Statement
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.errors import facts_of
from queryengine.engines.duckdb.parameters import type_of
from queryengine.engines.duckdb.types import ROWS_MAX, ROWS_MIN, plan


@pytest.fixture
def start() -> Iterator[Callable[..., DuckDBEngine]]:
    opened = []

    def open_engine(**options) -> DuckDBEngine:
        opened.append(DuckDBEngine("test", options))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


def drain(execution: Execution) -> pa.Table:
    schema = execution.start()
    return pa.Table.from_batches(execution.batches(), schema)


def run(engine: DuckDBEngine, sql: str, **fields) -> pa.Table:
    with engine.open(Statement(sql=sql, query_id="q", **fields)) as execution:
        return drain(execution)


def failure(engine: DuckDBEngine, sql: str, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        run(engine, sql, **fields)
    return caught.value.failure


def test_an_error_that_comes_as_json_alone_is_told_in_words() -> None:
    cause = duckdb.Error('{"exception_type":"Invalid Configuration","exception_message":"already registered"}')
    facts = facts_of(cause)
    assert (facts.kind, facts.message) == ("Invalid Configuration", "Invalid Configuration Error: already registered")


# ---- options


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"threads": 0}, "'threads'"),
        ({"threads": "many"}, "'threads'"),
        ({"threads": True}, "'threads'"),
        ({"path": 1}, "'path'"),
        ({"init_sql": "SELECT 1"}, "'init_sql'"),
        ({"init_sql": [1]}, "'init_sql'"),
        ({"directory": "relative/path"}, "'directory'"),
        ({"path": "/x.db", "directory": "/x"}, "'path'"),
        ({"path": "/x.db", "init_sql": ["SELECT 1"]}, "'path'"),
    ],
)
def test_a_wrong_option_is_named(options: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        DuckDBEngine.traits(options)


def test_bad_init_sql_makes_the_engine_unusable() -> None:
    with pytest.raises(QueryEngineError, match="nope") as caught:
        DuckDBEngine("test", {"init_sql": ["SELECT * FROM nope"]})
    assert caught.value.failure.reason is Reason.ENGINE_UNAVAILABLE


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELEC 'canary'", "Parser Error"),
        ("SELECT 'canary'::INTEGER", "Conversion Error"),
        ("SELECT $$canary$$::INTEGER", "Conversion Error"),
        ("SELECT $tag$canary$tag$::INTEGER", "Conversion Error"),
        ("SELECT E'canary'::INTEGER", "Conversion Error"),
        ("SELECT 'it''s canary'::INTEGER", "Conversion Error"),
        ("ATTACH '/none/canary.db' AS x (READ_ONLY)", "IO Error"),
        ("SELECT * FROM read_csv('/none/canary.csv')", "IO Error"),
        ("CREATE SECRET s (TYPE nope, SECRET 'canary')", "nope"),
        ("SET memory_limit = 'canary'", "Error"),
    ],
)
def test_why_init_sql_fails_is_said_without_its_literals(sql: str, word: str) -> None:
    with pytest.raises(QueryEngineError, match=word) as caught:
        DuckDBEngine("test", {"init_sql": ["SELECT 1", sql]})
    message = caught.value.failure.message
    assert "canary" not in message
    assert "statement 2 of option 'init_sql'" in message


# ---- data


def test_a_database_file_is_read_and_never_written(start, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS a")
    before = path.read_bytes()
    engine = start(path=str(path))
    assert run(engine, "SELECT a FROM t").to_pylist() == [{"a": 42}]
    engine.close()
    assert path.read_bytes() == before


def test_a_closed_engine_lets_go_of_its_file(start, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000000)")
    engine = start(path=str(path))
    left = engine.open(Statement(sql="FROM t", query_id="q"))
    left.start()
    batches = left.batches()
    next(batches)
    engine.close()
    # DuckDB refuses a second way of opening a file that something in the process still holds.
    with duckdb.connect(str(path)) as connection:
        connection.execute("DROP TABLE t")
    with pytest.raises(QueryEngineError):
        next(batches)


def test_a_folder_shows_files_and_folders_as_views(start, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/it''s one.parquet'")
        connection.execute(f"COPY (SELECT 'x' AS s) TO '{tmp_path}/two.csv'")
        for year in (2023, 2024):
            folder = tmp_path / "parts" / f"year={year}"
            folder.mkdir(parents=True)
            connection.execute(f"COPY (SELECT {year} % 100 AS n) TO '{folder}/data.parquet'")
    (tmp_path / "notes.txt").write_text("no data")
    (tmp_path / "empty").mkdir()
    engine = start(directory=str(tmp_path))
    assert run(engine, "SHOW TABLES").column(0).to_pylist() == ["it's one", "parts", "two"]
    assert run(engine, 'SELECT a FROM "it\'s one"').to_pylist() == [{"a": 1}]
    assert run(engine, "SELECT s FROM two").to_pylist() == [{"s": "x"}]
    rows = run(engine, "SELECT n, year FROM parts WHERE year = 2024").to_pylist()
    assert rows == [{"n": 24, "year": 2024}]


def test_catalog_and_schema_say_where_names_are_looked_up(start) -> None:
    engine = start(
        init_sql=[
            'CREATE SCHEMA "my ""s"',
            'CREATE TABLE "my ""s".t AS SELECT 1 AS a',
            "CREATE TABLE t AS SELECT 2 AS a",
        ]
    )
    assert run(engine, "FROM t").to_pylist() == [{"a": 2}]
    assert run(engine, "FROM t", schema='my "s').to_pylist() == [{"a": 1}]
    assert run(engine, "FROM t", catalog="memory", schema='my "s').to_pylist() == [{"a": 1}]
    assert run(engine, "FROM t").to_pylist() == [{"a": 2}]
    assert failure(engine, "FROM t", schema="nope").reason is Reason.STATEMENT_REJECTED
    # DuckDB takes the name of a catalog alone for one of a schema.
    assert failure(engine, "FROM t", schema="memory").reason is Reason.STATEMENT_REJECTED


# ---- lock-down


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/etc/passwd')",
        "FROM glob('/etc/*')",
        "FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "FROM read_parquet('s3://bucket/x.parquet')",
        "FROM read_csv('{directory}/../secret.csv')",
        "FROM read_csv('{directory}/link.csv')",
        "SELECT * FROM sqlite_scan('/x.db', 't')",
        "SELECT getenv('HOME')",
        "FROM secret_of_this_test",
    ],
)
def test_nothing_outside_can_be_read(start, tmp_path: Path, sql: str, monkeypatch) -> None:
    # DuckDB's client reads variables of the module that calls it, unless it is told not to.
    secret = pa.table({"secret": ["hunter2"]})
    monkeypatch.setattr("queryengine.engines.duckdb.engine.secret_of_this_test", secret, raising=False)
    (tmp_path / "secret.csv").write_text("secret\nhunter2\n")
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "t.csv").write_text("a\n1\n")
    engine = start(directory=str(directory))
    (directory / "link.csv").symlink_to(tmp_path / "secret.csv")
    told = failure(engine, sql.replace("{directory}", str(directory)))
    assert told.reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.STATEMENT_REJECTED}
    assert "hunter2" not in told.message


def test_what_is_not_allowed_is_named(start) -> None:
    told = failure(start(), "INSERT INTO t VALUES (1)")
    assert told.message == "INSERT statements are not allowed; a statement may only read"


def test_a_write_that_the_check_misses_is_refused_by_the_transaction(start, monkeypatch) -> None:
    engine = start(init_sql=["CREATE TABLE t AS SELECT 1 AS a"])
    seen = duckdb.extract_statements("SELECT 1")[0]
    monkeypatch.setattr("queryengine.engines.duckdb.check.StatementCheck.check", lambda *_: seen)
    for sql in ("DELETE FROM t", "WITH x AS (DELETE FROM t RETURNING *) FROM x", "DROP TABLE t"):
        assert failure(engine, sql).reason is Reason.STATEMENT_NOT_ALLOWED
    monkeypatch.undo()
    assert run(engine, "FROM t").to_pylist() == [{"a": 1}]


def test_nothing_of_an_execution_is_left_for_the_next(start) -> None:
    engine = start()
    settings = {"TimeZone": "Asia/Tokyo", "default_order": "DESC"}
    sql = (
        "SELECT hour(TIMESTAMPTZ '2000-01-01 00:00:00+00') = 9 AS tokyo, "
        "(SELECT list(range ORDER BY range) FROM range(2)) AS o"
    )
    assert run(engine, sql, session_settings=settings).to_pylist() == [{"tokyo": True, "o": [1, 0]}]
    assert run(engine, sql).to_pylist() == [{"tokyo": False, "o": [0, 1]}]
    run(engine, "SELECT 1::HUGEINT AS wide")
    assert run(engine, "SELECT true AS b").schema.field("b").type == pa.bool_()


def test_a_setting_cannot_smuggle_sql(start) -> None:
    engine = start(init_sql=["CREATE TABLE t AS SELECT 1 AS a"])
    value = "UTC'; DROP TABLE t; --"
    assert failure(engine, "FROM t", session_settings={"TimeZone": value}).reason is Reason.STATEMENT_REJECTED
    assert run(engine, "FROM t").num_rows == 1


# ---- limits


@pytest.mark.parametrize("spill", ["data/spill", "data", ".", "link"])
def test_spill_lies_outside_what_can_be_read(start, tmp_path: Path, spill: str) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "deep")
    with pytest.raises(ValueError, match="must not lie in one another"):
        start(directory=str(tmp_path / "data"), temp_directory=str(tmp_path / spill))
    start(directory=str(tmp_path / "data"), temp_directory=str(tmp_path / "data-spill"))


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT * FROM range(30000000) ORDER BY hash(range)", id="many rows"),
        pytest.param(f"SELECT {', '.join(f'range AS c{n}' for n in range(3000))} FROM range(20)", id="many columns"),
    ],
)
def test_too_little_memory_is_named_and_passes(start, sql: str) -> None:
    engine = start(memory_limit="60MB" if "ORDER" in sql else "20MB")
    refused = failure(engine, sql)
    assert refused.reason is Reason.OUT_OF_MEMORY
    assert "select fewer columns or rows" in refused.message
    assert "memory_limit raised" in refused.message
    assert run(engine, "SELECT 1 AS a").num_rows == 1


def test_spilling_uses_a_folder_of_its_own_and_removes_it(start, tmp_path: Path) -> None:
    (tmp_path / "duckdb-worker-999999999").mkdir()
    (tmp_path / "duckdb-worker-1").mkdir()
    engine = start(memory_limit="60MB", temp_directory=str(tmp_path))
    own = f"duckdb-worker-{os.getpid()}"
    assert {entry.name for entry in tmp_path.iterdir()} == {own, "duckdb-worker-1"}
    table = run(engine, "SELECT count(*) AS n FROM (FROM range(8000000) ORDER BY hash(range) OFFSET 5)")
    assert table.column("n").to_pylist() == [7_999_995]
    engine.close()
    assert not (tmp_path / own).exists()


def test_a_batch_has_fewer_rows_the_wider_they_look() -> None:
    with duckdb.connect() as connection:

        def rows(columns: str) -> int:
            return plan(connection.sql(f"SELECT {columns}").types).batch_rows

        assert rows("1, 2.5, true") > ROWS_MIN * 10
        assert rows("1") == ROWS_MAX
        assert rows("1, 'text'") < rows("1, 2")
        assert rows("'{}'::JSON, [1], 'x'::BLOB") == ROWS_MIN


# ---- statistics


def test_scans_are_counted(start, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT range AS a FROM range(100000)) TO '{tmp_path}/t.parquet'")
    engine = start(directory=str(tmp_path))
    with engine.open(Statement(sql="SELECT sum(a) AS s FROM t", query_id="q")) as execution:
        assert execution.progress() == Progress()
        drain(execution)
        progress = execution.progress()
    assert progress.fraction == 1.0
    assert progress.rows_scanned == 100_000
    assert progress.bytes_scanned
    assert progress.bytes_scanned > 10_000


# ---- parameters


def test_typed_parameters_bind_as_their_type(start) -> None:
    engine = start()
    typed = {
        "TINYINT": BoundParameter("p", 5, pa.int8()),
        "UBIGINT": BoundParameter("p", 5, pa.uint64()),
        "HUGEINT": BoundParameter("p", 2**100, pa.decimal256(39, 0)),
        "FLOAT": BoundParameter("p", 1.5, pa.float32()),
        "TIMESTAMP_NS": BoundParameter("p", pa.scalar(1, pa.timestamp("ns")), pa.timestamp("ns")),
        "INTERVAL": BoundParameter("p", pa.MonthDayNano([1, 2, 3000])),
        "JSON": BoundParameter("p", "{}", pa.json_()),
        "BIGINT[]": BoundParameter("p", [1, None], pa.list_(pa.int64())),
        "MAP(VARCHAR, BIGINT)": BoundParameter("p", [("a", 1)], pa.map_(pa.string(), pa.int64())),
        'STRUCT("a b" BIGINT)': BoundParameter("p", {"a b": 1}, pa.struct({"a b": pa.int64()})),
    }
    for name, parameter in typed.items():
        table = run(engine, "SELECT typeof($p) AS t", parameters=(parameter,))
        assert table.column("t").to_pylist() == [name]


def test_values_beyond_pythons_types_bind_exactly(start) -> None:
    engine = start()
    nanos = pa.scalar(1_700_000_000_123_456_789, pa.timestamp("ns"))
    far = pa.scalar(253_402_300_800 + 86_400 * 400, pa.int64()).cast(pa.timestamp("s"))
    parameters = (
        BoundParameter("nanos", nanos, pa.timestamp("ns")),
        BoundParameter("far", far, pa.timestamp("s")),
        BoundParameter("interval", pa.MonthDayNano([14, -3, 1_500_000_000])),
        BoundParameter("elapsed", pa.scalar(-1_500_000, pa.duration("us")), pa.duration("us")),
    )
    table = run(engine, "SELECT $nanos, $far, $interval, $elapsed", parameters=parameters)
    assert table.column(0)[0] == nanos
    assert table.column(1)[0].value == far.value
    assert table.column(2)[0].as_py() == pa.MonthDayNano([14, -3, 1_500_000_000])
    assert table.column(3)[0].as_py() == pa.MonthDayNano([0, 0, -1_500_000_000])
    told = failure(engine, "SELECT $p", parameters=(BoundParameter("p", pa.MonthDayNano([0, 0, 1])),))
    assert told.reason is Reason.PARAMETER_MISMATCH


def test_a_type_without_counterpart_is_refused() -> None:
    with pytest.raises(ValueError, match="no type for"):
        type_of(pa.dense_union([pa.field("a", pa.int8())]))


# ---- results


QUERIES = {
    "scan": "SELECT * FROM lineitem",
    "pricing summary": """
        SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
               sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, avg(l_quantity) AS avg_qty,
               avg(l_discount) AS avg_disc, count(*) AS count_order
        FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAY
        GROUP BY ALL ORDER BY l_returnflag, l_linestatus""",
    "shipping priority": """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
        FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
        WHERE c_mktsegment = 'BUILDING' AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10""",
    "local supplier volume": """
        SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM customer, orders, lineitem, supplier, nation, region
        WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey
          AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey
          AND r_name = 'ASIA' AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
        GROUP BY n_name ORDER BY revenue DESC""",
    "forecasting revenue change": """
        SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
          AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    "customer distribution": """
        SELECT c_count, count(*) AS custdist FROM (
            SELECT c_custkey, count(o_orderkey) AS c_count FROM customer LEFT JOIN orders
            ON c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey)
        GROUP BY c_count ORDER BY custdist DESC, c_count DESC""",
}


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tpch")
    generator = str(Path(sys.executable).with_name("tpchgen-cli"))
    command = [generator, "parquet", "--scale-factor", "0.01", "--output-dir", str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.mark.parametrize("name", QUERIES)
def test_results_equal_those_of_duckdb_in_process(start, tpch: Path, name: str) -> None:
    engine = start(directory=str(tpch))
    ours = run(engine, QUERIES[name])
    with duckdb.connect(config={"threads": 1}) as connection:
        for path in tpch.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
        theirs = connection.sql(QUERIES[name]).to_arrow_table()
    assert ours.num_rows > 0
    assert ours.column_names == theirs.column_names
    assert ours.schema.types == theirs.schema.types
    assert ours.to_pylist() == theirs.to_pylist()
