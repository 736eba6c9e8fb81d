"""What is special to Spark: sessions, bounds, staged results and cancel."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.base import Execution, Statement
from queryengine.engines.spark import statement as statement_module
from queryengine.engines.spark.check import CheckedText
from queryengine.engines.spark.client import Operation, Session, proto
from queryengine.engines.spark.engine import SparkEngine
from queryengine.engines.spark.staging import Staging
from queryengine.engines.spark.sweeping import Sweeper
from tests.servers.server import shared
from tests.servers.spark import SparkServer

SLOW_ROWS = (
    "SELECT id AS n FROM range(0, 20000, 1, 20000) "
    "WHERE aggregate(sequence(0, 300000), 0L, (a, x) -> a + x + id % 7) >= 0"
)
IDLE_SECONDS = 30.0
"""Within which the cores are free again; Spark's tasks take up to five seconds, and the machine may be busy."""
ENDLESS = "SELECT id AS n FROM range(1000000000000000) WHERE id % 7 = 8"


@pytest.fixture
def server() -> SparkServer:
    return shared(SparkServer)


@pytest.fixture
def opened(server: SparkServer) -> Iterator[Callable[..., SparkEngine]]:
    """Makes engines of the shared server, with further options."""
    engines = []

    def make(**options: Any) -> SparkEngine:
        engines.append(SparkEngine("mine", {**server.options(), **options}))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def read(engine: SparkEngine, sql: str, **fields: Any) -> pa.Table:
    with engine.open(Statement(sql=sql, query_id="q", **fields)) as execution:
        schema = execution.start()
        return pa.Table.from_batches(execution.batches(), schema)


def failure_of(action: Callable[[], object]) -> Any:
    with pytest.raises(QueryEngineError) as caught:
        action()
    return caught.value.failure


def told(server: SparkServer, what: str) -> Any:
    root = f"http://127.0.0.1:{server.web_port}/api/v1/applications"
    with urlopen(root, timeout=30) as response:
        application = json.load(response)[0]["id"]
    with urlopen(f"{root}/{application}/{what}", timeout=30) as response:
        return json.load(response)


def active_tasks(server: SparkServer) -> int:
    return sum(executor["activeTasks"] for executor in told(server, "executors"))


def becomes(condition: Callable[[], bool], within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return condition()


# ---- sessions


def test_what_a_statement_sets_shows_in_no_other(opened: Callable[..., SparkEngine]) -> None:
    engine = opened()
    sql = "SELECT current_timezone() AS z, current_schema() AS s, current_catalog() AS c"
    settings = {"spark.sql.session.timeZone": "Asia/Tokyo"}
    fields = {"catalog": "spark_catalog", "schema": "default", "session_settings": settings}
    assert read(engine, sql, **fields).to_pylist() == [{"z": "Asia/Tokyo", "s": "default", "c": "spark_catalog"}]
    assert read(engine, sql).to_pylist() == [{"z": "UTC", "s": "default", "c": "spark_catalog"}]


def session_of(engine: SparkEngine, sql: str = "SELECT 1", **fields: Any) -> Session:
    """That of an execution that ended well."""
    with engine.open(Statement(sql=sql, query_id="q", **fields)) as execution:
        execution.start()
        session = execution._session
        assert session is not None
        assert list(execution.batches())
    return session


def test_rows_that_others_write_are_seen(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    engine = opened()
    other = Session(engine.connection)

    def write(sql: str) -> None:
        told = proto.SqlCommand(input=proto.Relation(sql=proto.SQL(query=sql)))
        plan = proto.Plan(command=proto.Command(sql_command=told))
        list(other.operation(plan, [], time.monotonic() + 60.0).responses())

    write(f"CREATE TABLE told USING parquet LOCATION 'file://{tmp_path}/told' AS SELECT id FROM range(3)")
    try:
        assert read(engine, "SELECT count(*) AS n FROM told").to_pylist() == [{"n": 3}]
        write("INSERT INTO told SELECT id FROM range(2)")
        assert read(engine, "SELECT count(*) AS n FROM told").to_pylist() == [{"n": 5}]
        write("INSERT OVERWRITE told SELECT id FROM range(7)")
        assert read(engine, "SELECT count(*) AS n FROM told").to_pylist() == [{"n": 7}]
    finally:
        write("DROP TABLE told")
        other.release()


def test_a_kept_session_is_used_again_by_executions_of_its_kind(opened: Callable[..., SparkEngine]) -> None:
    engine = opened(keep_sessions=True)
    session = session_of(engine)
    assert session_of(engine, "SELECT 2", tenant="other") is session
    # Spark keeps nothing of the operations that were.
    request = proto.GetStatusRequest(**session.fields())
    request.operation_status.SetInParent()
    states = proto.GetStatusResponse.OperationStatus.OperationState
    told = engine.connection.stub.GetStatus(request, timeout=10.0).operation_statuses
    assert states.OPERATION_STATE_TERMINATING not in [each.state for each in told]
    for fields in ({"schema": "default"}, {"session_settings": {"spark.sql.session.timeZone": "Asia/Tokyo"}}):
        assert session_of(engine, **fields) is not session
        assert session_of(engine, **fields) is session_of(engine, **fields)
    assert session_of(engine) is session


def test_a_fault_while_an_operation_is_stopped_ends_its_session_and_removes_its_files(
    server: SparkServer, opened: Callable[..., SparkEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(staging=str(tmp_path))
    execution = engine.open(Statement(sql=SLOW_ROWS, query_id="q"))
    execution.start()
    session = execution._session
    assert session is not None
    # An operation that has no tasks yet outlives its session.
    assert becomes(lambda: bool(active_tasks(server)), 60.0)
    with monkeypatch.context() as patch:
        patch.setattr(Operation, "stop", lambda _: divmod(1, 0))
        with pytest.raises(QueryEngineError) as caught:
            execution.close()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(grpc.RpcError, match="INVALID_HANDLE"):
        session.version()
    assert becomes(lambda: not active_tasks(server), IDLE_SECONDS)
    # A task that ends late makes the folder anew, and it is removed again.
    assert becomes(lambda: not list(tmp_path.iterdir()), IDLE_SECONDS)


def test_executions_at_the_same_time_have_sessions_apart(opened: Callable[..., SparkEngine]) -> None:
    engine = opened(keep_sessions=True)
    session = session_of(engine)
    with engine.open(Statement(sql=SLOW_ROWS, query_id="q")) as execution:
        execution.start()
        assert execution._session is session
        assert session_of(engine) is not session
    # It did not end well.
    with pytest.raises(grpc.RpcError, match="INVALID_HANDLE"):
        session.version()
    assert session_of(engine) is not session


def test_few_sessions_are_kept_and_none_after_the_engine(
    server: SparkServer, opened: Callable[..., SparkEngine]
) -> None:
    engine, alone = opened(keep_sessions=True), opened()
    zones = [f"Etc/GMT+{number}" for number in range(1, 7)]
    sessions = [session_of(engine, session_settings={"spark.sql.session.timeZone": zone}) for zone in zones]

    def is_open(session: Session) -> bool:
        with suppress(grpc.RpcError):
            # Of a connection that is still there.
            session._stub = alone.connection.stub
            return bool(session.version())
        return False

    assert [is_open(session) for session in sessions] == [False] * 2 + [True] * 4
    engine.close()
    assert not any(is_open(session) for session in sessions)


def test_a_catalog_or_schema_that_is_not_there_is_told(opened: Callable[..., SparkEngine]) -> None:
    engine = opened()
    for fields, word in (({"catalog": "no`pe"}, "no`pe"), ({"schema": "nope"}, "nope")):
        failure = failure_of(lambda fields=fields: read(engine, "SELECT 1", **fields))
        assert failure.reason is Reason.STATEMENT_REJECTED
        assert word in failure.message


def test_variables_of_the_server_stay_there(opened: Callable[..., SparkEngine]) -> None:
    assert read(opened(), "SELECT '${env:PATH} ${spark:spark.app.id}' AS v").to_pylist() == [
        {"v": "${env:PATH} ${spark:spark.app.id}"}
    ]


def test_spark_itself_refuses_files_by_path(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    # A format that the check of the text has never heard of.
    failure = failure_of(lambda: read(opened(), f"SELECT * FROM `org.apache.spark.sql.text`.`{tmp_path}`"))
    assert failure.reason in (Reason.STATEMENT_REJECTED, Reason.STATEMENT_NOT_ALLOWED)


def test_tags_and_the_operation_are_those_that_spark_shows(
    server: SparkServer, opened: Callable[..., SparkEngine]
) -> None:
    engine = opened(web_url="http://spark.example:4040/")
    statement = Statement(sql=SLOW_ROWS, query_id="query,7", tenant="acme", subject="ann")
    with engine.open(statement) as execution:
        execution.start()
        batches = execution.batches()
        # Spark reports progress now and then, beside the rows.
        assert becomes(lambda: bool(next(batches) and execution.progress().splits_total), 30.0)
        progress = execution.progress()
        words = (progress.engine_query_id, "query:query_7", "tenant:acme", "subject:ann")
        assert becomes(lambda: all(word in str(told(server, "jobs")) for word in words), 30.0)
    assert progress.engine_query_url.startswith("http://spark.example:4040/connect/session/?id=")


def test_more_than_four_positional_parameters_keep_their_order(opened: Callable[..., SparkEngine]) -> None:
    parameters = tuple(BoundParameter("", number) for number in range(30))
    table = read(opened(), "SELECT " + ", ".join("?" * 30), parameters=parameters)
    assert list(table.to_pylist()[0].values()) == list(range(30))


def test_scanned_rows_are_counted(opened: Callable[..., SparkEngine]) -> None:
    with opened().open(Statement(sql="SELECT sum(id) FROM range(12345)", query_id="q")) as execution:
        execution.start()
        assert sum(batch.num_rows for batch in execution.batches()) == 1
        assert execution.progress().rows_scanned == 12345


@pytest.mark.parametrize(
    "sql",
    [
        "SET spark.sql.runSQLOnFiles = true",
        "DROP TABLE t",
        "INSERT INTO t VALUES (1)",
        "CREATE TEMPORARY VIEW v AS SELECT 1",
        "ADD JAR '/tmp/x.jar'",
        "EXECUTE IMMEDIATE 'SET a = 1'",
        "WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a FROM x",
        "FROM range(3) INSERT INTO t SELECT id",
        "SELECT 1) x; DROP TABLE t; SELECT * FROM (SELECT 1",
    ],
)
def test_sparks_parser_refuses_what_is_no_query(
    opened: Callable[..., SparkEngine], monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(statement_module, "check", lambda sql, _allowed: CheckedText(frozenset(), sql))
    assert failure_of(lambda: read(opened(), sql)).reason is Reason.SYNTAX_ERROR


# ---- bounds


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("limit", [{"result_rows_max": 1000}, {"result_bytes_max": 100_000}])
def test_a_result_that_passes_a_limit_is_told_and_stopped(
    server: SparkServer, opened: Callable[..., SparkEngine], tmp_path: Path, limit: dict[str, int], staged: bool
) -> None:
    options = {**limit, "staging": str(tmp_path)} if staged else limit
    sql = "SELECT id FROM range(0, 200000, 1, 8)"
    failure = failure_of(lambda: read(opened(**options), sql))
    assert failure.reason is Reason.RESULT_LIMIT
    assert failure.metadata["limit"] == next(iter(limit))
    assert becomes(lambda: not active_tasks(server), IDLE_SECONDS)
    assert list(tmp_path.iterdir()) == []


def test_a_result_beyond_what_the_driver_may_hold_is_told(opened: Callable[..., SparkEngine]) -> None:
    engine = opened(result_bytes_max=0)
    sql = "SELECT repeat('x', 1000) AS s FROM range(0, 4000000, 1, 400)"
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        execution.start()
        failure = failure_of(lambda: [None for _ in execution.batches()])
    assert failure.reason is Reason.RESULT_LIMIT
    assert "maxResultSize" in failure.message
    assert read(engine, "SELECT 1 AS n").to_pylist() == [{"n": 1}]


# ---- staged results


def test_a_staged_result_is_in_order_and_its_folder_goes(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    engine = opened(staging=str(tmp_path))
    sql = "SELECT id AS n, repeat('x', 20) AS s, id AS n FROM range(0, 500000, 1, 8) ORDER BY id DESC"
    with engine.open(Statement(sql=sql, query_id="q")) as execution:
        schema = execution.start()
        assert schema.names == ["n", "s", "n"]
        batches = execution.batches()
        values = next(batches).column(0).to_pylist()
        assert len(list(tmp_path.iterdir())) == 1
        for batch in batches:
            assert batch.schema.equals(schema, check_metadata=True)
            values += batch.column(0).to_pylist()
        assert execution.progress().fraction == 1.0
    assert values == list(range(499_999, -1, -1))
    assert list(tmp_path.iterdir()) == []


def test_a_staged_result_is_what_comes_without(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    sql = """
        SELECT true AS a, 1Y AS b, 2S AS c, 3 AS d, 4L AS e, 1.5F AS f, 2.5D AS g, 1.50BD AS h, 'x' AS i, X'00ff' AS j,
            DATE'0001-01-01' AS k, TIMESTAMP'2024-02-29 12:34:56.123456' AS l, TIMESTAMP_NTZ'1900-01-01 00:00:00' AS m,
            INTERVAL '1 02:03:04.5' DAY TO SECOND AS n, INTERVAL '1-2' YEAR TO MONTH AS o, parse_json('[1]') AS p,
            array(1, NULL) AS q, map('k', 1) AS r, named_struct('a', 1, 'b', 'x') AS s, NULL AS t,
            INTERVAL '3' MONTH AS u, array(INTERVAL '3' YEAR, NULL) AS v, array() AS w, map() AS x, array(NULL) AS y,
            map(1, named_struct('a', parse_json('{"b":1}'), 'c', array(INTERVAL '15' MONTH), 'd', NULL)) AS z
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL"""
    assert read(opened(staging=f"file://{tmp_path}"), sql).equals(read(opened(), sql), check_metadata=True)


def test_an_interval_cannot_be_staged_and_is_told(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    failure = failure_of(lambda: read(opened(staging=str(tmp_path)), "SELECT make_interval(1, 2) AS v"))
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert "INTERVAL" in failure.message
    assert list(tmp_path.iterdir()) == []


def test_a_staged_result_that_is_left_early_leaves_nothing(
    server: SparkServer, opened: Callable[..., SparkEngine], tmp_path: Path
) -> None:
    with opened(staging=str(tmp_path)).open(Statement(sql=SLOW_ROWS, query_id="q")) as execution:
        execution.start()
        assert becomes(lambda: bool(active_tasks(server)), 20.0)
        folders = list(tmp_path.iterdir())
    assert folders
    assert becomes(lambda: not active_tasks(server), IDLE_SECONDS)
    assert becomes(lambda: not list(tmp_path.iterdir()), 20.0)


def test_a_folder_that_a_late_task_makes_again_is_removed_again(tmp_path: Path) -> None:
    sweeper, staging = Sweeper(), Staging(str(tmp_path))
    late = tmp_path / staging.uri.rpartition("/")[2] / "_temporary"
    try:
        late.mkdir(parents=True)
        sweeper.sweep(staging)
        assert not list(tmp_path.iterdir())
        late.mkdir(parents=True)
        assert becomes(lambda: not list(tmp_path.iterdir()), 20.0)
        late.mkdir(parents=True)
    finally:
        sweeper.close()
    assert not list(tmp_path.iterdir())


def test_a_staging_folder_that_cannot_be_written_is_told(opened: Callable[..., SparkEngine], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failure = failure_of(lambda: read(opened(staging=str(tmp_path / "file")), "SELECT 1"))
    assert failure.reason in (Reason.ENGINE_ERROR, Reason.STATEMENT_REJECTED)
    assert failure.message


# ---- cancel


@pytest.mark.parametrize("sql", [ENDLESS, SLOW_ROWS])
def test_cancel_frees_the_cores(server: SparkServer, opened: Callable[..., SparkEngine], sql: str) -> None:
    execution = opened().open(Statement(sql=sql, query_id="q"))
    runner = threading.Thread(target=lambda: failure_of(lambda: drain(execution)))
    runner.start()
    assert becomes(lambda: bool(active_tasks(server)), 20.0)
    execution.cancel()
    runner.join(20)
    assert becomes(lambda: not active_tasks(server), IDLE_SECONDS)


def drain(execution: Execution) -> None:
    with execution:
        execution.start()
        for _ in execution.batches():
            pass


def test_a_worker_that_dies_leaves_nothing_for_long(server: SparkServer, tmp_path: Path) -> None:
    # A file, as Spark's client looks for the one that runs.
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys; from queryengine.engines.spark.engine import SparkEngine\n"
        "from queryengine.engines.base import Statement\n"
        f"execution = SparkEngine('x', {{'url': sys.argv[1]}}).open(Statement(sql={ENDLESS!r}, query_id='q'))\n"
        "execution.start(); list(execution.batches())"
    )
    child = subprocess.Popen([sys.executable, "-W", "ignore", str(script), server.options()["url"]])
    try:
        assert becomes(lambda: bool(active_tasks(server)), 30.0)
    finally:
        child.kill()
        child.wait()
    # Four seconds of streaming and fifteen of waiting for its return, as the server is configured.
    assert becomes(lambda: not active_tasks(server), 60.0)


# ---- options


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "url"),
        ({"url": "http://x"}, "url"),
        ({"url": "sc://x/path"}, "url"),
        ({"url": "sc://x:99999"}, "url"),
        ({"url": "sc://x/;nonsense"}, "url"),
        ({"url": "sc://x", "token": 3}, "token"),
        ({"url": "sc://spark.example", "token": "hunter2"}, "token"),
        ({"url": "sc://spark.example/;token=hunter2"}, "token"),
        ({"url": "sc://x", "result_rows_max": -1}, "result_rows_max"),
        ({"url": "sc://x", "connect_timeout_seconds": 0}, "connect_timeout_seconds"),
        ({"url": "sc://x", "use_ssl": "yes"}, "use_ssl"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=f"'{key}'") as caught:
        SparkEngine.traits(options)
    assert "hunter2" not in str(caught.value)


def test_a_token_is_sent_where_it_is_safe() -> None:
    for url in ("sc://127.0.0.1/;token=a%20b", "sc://spark.example:443/;use_ssl=true;token=a%20b;x-team=y"):
        assert not SparkEngine.traits({"url": url}).sandbox
