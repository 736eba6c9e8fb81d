"""What is special about ClickHouse: cancel by its own list, settings, labels, parameters, and what it refuses."""

import json
import threading
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.submission import WideIntegers
from queryengine.engines.base import Execution, Statement
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from tests.carrying import table_of
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

PLANNING = "SELECT (SELECT count() FROM numbers(1000000000000000) WHERE NOT ignore(number, 'planning'))"
EXECUTION = "SELECT count() FROM numbers(1000000000000000) WHERE NOT ignore(number, 'execution')"
FETCH = "SELECT number, 'fetch' FROM numbers(1000000000000)"
GONE_SECONDS = 30.0
PATIENCE_SECONDS = 20.0


@pytest.fixture
def server() -> ClickHouseServer:
    found = shared(ClickHouseServer)
    assert isinstance(found, ClickHouseServer)
    return found


@pytest.fixture
def engine(server: ClickHouseServer) -> Iterator[ClickHouseEngine]:
    engine = ClickHouseEngine("ch", server.options())
    yield engine
    engine.close()


def statement(sql: str, **fields) -> Statement:
    return Statement(sql=sql, query_id="q", **fields)


def read(engine: ClickHouseEngine, sql: str, *values, **fields) -> pa.Table:
    parameters = fields.pop("parameters", tuple(BoundParameter("", value) for value in values))
    with engine.open(statement(sql, parameters=parameters, **fields)) as execution:
        return table_of(execution, WideIntegers.STRING)


def only(table: pa.Table) -> object:
    return table.column(0)[0].as_py()


def refused(engine: ClickHouseEngine, sql: str, *values, **fields) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        read(engine, sql, *values, **fields)
    return caught.value.failure


def run_until_it_fails(execution: Execution, failures: list[QueryEngineError]) -> None:
    try:
        execution.start()
        for _ in execution.batches():
            pass
    except QueryEngineError as error:
        failures.append(error)


# ---- cancel


@pytest.mark.parametrize(("word", "sql"), [("planning", PLANNING), ("execution", EXECUTION), ("fetch", FETCH)])
def test_what_is_cancelled_leaves_the_servers_list(
    server: ClickHouseServer, engine: ClickHouseEngine, word: str, sql: str
) -> None:
    execution = engine.open(statement(sql))
    failures: list[QueryEngineError] = []
    thread = threading.Thread(target=run_until_it_fails, args=(execution, failures))
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.running(word) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert server.running(word) == 1
    execution.cancel()
    assert server.running(word) == 0
    thread.join(GONE_SECONDS)
    assert not thread.is_alive()
    assert [each.failure.reason for each in failures] == [Reason.QUERY_CANCELLED]
    execution.close()


def test_what_nobody_reads_leaves_the_servers_list_too(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    with engine.open(statement(FETCH)) as execution:
        execution.start()
        next(execution.batches())
        assert server.running("fetch") == 1
        execution.cancel()
        assert server.running("fetch") == 0


# ---- settings, schema, labels


def test_a_session_lowers_limits(engine: ClickHouseEngine) -> None:
    failure = refused(engine, "SELECT sum(number) FROM numbers(1000)", session_settings={"max_rows_to_read": "10"})
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert "rows" in failure.message
    bomb = "SELECT length(groupArray(number)) FROM numbers(100000000)"
    failure = refused(engine, bomb, session_settings={"max_memory_usage": "10000000"})
    assert failure.reason is Reason.OUT_OF_MEMORY


def test_a_session_does_not_raise_limits(server: ClickHouseServer) -> None:
    engine = ClickHouseEngine("ch", {**server.options(), "settings": {"max_rows_to_read": "100"}})
    try:
        for value in ("101", "0", "-1", "many"):
            failure = refused(engine, "SELECT 1", session_settings={"max_rows_to_read": value})
            assert failure.reason is Reason.UNSUPPORTED
            assert failure.metadata == {"feature": "session_settings.max_rows_to_read"}
        failure = refused(engine, "SELECT sum(number) FROM numbers(1000)")
        assert failure.reason is Reason.STATEMENT_REJECTED
        assert only(read(engine, "SELECT sum(number) FROM numbers(50)")) == 1225
    finally:
        engine.close()


@pytest.mark.parametrize("name", ["readonly", "max_execution_time", "log_comment", "param_a", "query_id", "database"])
def test_other_settings_are_refused(engine: ClickHouseEngine, name: str) -> None:
    failure = refused(engine, "SELECT 1", session_settings={name: "1"})
    assert failure.reason is Reason.UNSUPPORTED
    assert failure.metadata == {"feature": f"session_settings.{name}"}


def test_sessions_choose_their_zone_and_do_not_share_it(engine: ClickHouseEngine) -> None:
    zone = read(engine, "SELECT toDateTime(0)", session_settings={"session_timezone": "Asia/Tokyo"})
    assert str(zone.schema.field(0).type) == "timestamp[s, tz=Asia/Tokyo]"
    assert "Tokyo" not in str(read(engine, "SELECT toDateTime(0)").schema.field(0).type)
    failure = refused(engine, "SELECT 1", session_settings={"session_timezone": "Nowhere/City"})
    assert failure.reason is Reason.STATEMENT_REJECTED


def test_a_schema_is_a_database(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    server.command("CREATE DATABASE IF NOT EXISTS shop")
    server.command("CREATE TABLE IF NOT EXISTS shop.items ENGINE = MergeTree ORDER BY id AS SELECT 7 AS id")
    assert only(read(engine, "SELECT id FROM items", schema="shop")) == 7
    assert refused(engine, "SELECT id FROM items").reason is Reason.STATEMENT_REJECTED
    assert refused(engine, "SELECT 1", schema="no_such").reason is Reason.STATEMENT_REJECTED


def test_the_server_shows_whose_query_runs(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    asked = Statement(sql=FETCH, query_id="q-label", tenant="shop", subject="o'brien")
    with engine.open(asked) as execution:
        execution.start()
        own = execution.progress().engine_query_id
        client = server.client()
        sql = (
            "SELECT query_id AS id, Settings['log_comment'] FROM system.processes "
            "WHERE startsWith(query_id, 'q-label') FORMAT JSONCompact"
        )
        rows = json.loads(client.raw_query(sql))["data"]
        client.close()
    assert [row[0] for row in rows] == [own]
    labels = {"tenant": "shop", "subject": "o'brien", "query_id": "q-label"}
    assert json.loads(rows[0][1][rows[0][1].index("{") :]) == labels


def test_progress_comes_from_the_server(engine: ClickHouseEngine) -> None:
    with engine.open(statement("SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)")) as execution:
        thread = threading.Thread(target=run_until_it_fails, args=(execution, []))
        thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not execution.progress().rows_scanned and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        progress = execution.progress()
        execution.cancel()
        thread.join()
    assert progress.rows_scanned
    assert progress.bytes_scanned
    assert 0.0 <= progress.fraction < 1.0
    assert progress.engine_query_id.startswith("q-")


# ---- parameters


def test_a_large_parameter_comes_back(engine: ClickHouseEngine) -> None:
    text = "é'\\" * 40_000
    assert only(read(engine, "SELECT ?", text)) == text


def test_typed_placeholders_read_their_values_exactly(engine: ClickHouseEngine) -> None:
    moment = pa.scalar(1_709_208_001_123_456_789, pa.int64()).cast(pa.timestamp("ns", "UTC"))
    cases = [
        ("DateTime64(9, 'Asia/Tokyo')", moment),
        ("Array(Nullable(String))", ["it's", None, "\\N", "a\tb"]),
        ("Map(String, UInt64)", [("k", 2**64 - 1)]),
        ("UInt256", 2**255),
        ("LowCardinality(Nullable(String))", None),
        ("Date32", pa.scalar(-25_567, pa.int32()).cast(pa.date32())),
    ]
    sql = "SELECT " + ", ".join(f"{{p{index}:{kind}}} AS c{index}" for index, (kind, _) in enumerate(cases))
    parameters = tuple(BoundParameter(f"p{index}", value) for index, (_, value) in enumerate(cases))
    row = [column[0] for column in read(engine, sql, parameters=parameters)]
    assert row[0].cast(pa.int64()).as_py() == 1_709_208_001_123_456_789
    assert row[1].as_py() == ["it's", None, "\\N", "a\tb"]
    assert row[2].as_py() == [("k", 2**64 - 1)]
    assert row[3].as_py() == str(2**255)
    assert row[4].as_py() is None
    assert str(row[5].as_py()) == "1900-01-01"


@pytest.mark.parametrize(("kind", "value"), [("Int64", "hunter2"), ("Date", "hunter2"), ("Int64", None)])
def test_a_value_of_another_type_is_refused_by_name(engine: ClickHouseEngine, kind: str, value: object) -> None:
    failure = refused(engine, f"SELECT {{word:{kind}}}", parameters=(BoundParameter("word", value),))
    assert failure.reason is Reason.PARAMETER_MISMATCH
    assert failure.metadata == {"parameter": "word"}
    assert "hunter2" not in failure.message


def test_a_failing_statement_does_not_tell_its_values(engine: ClickHouseEngine) -> None:
    named = (BoundParameter("word", "hunter2"),)
    for failure in (
        refused(engine, "SELECT {word:String}, nope", parameters=named),
        refused(engine, "SELECT ?, nope", "hunter2"),
        refused(engine, "SELECT toInt64(?)", "hunter2"),
        refused(engine, "SELECT throwIf(number = 500000, ?) FROM numbers(1000000)", "hunter2"),
    ):
        assert failure.reason is Reason.STATEMENT_REJECTED
        assert "hunter2" not in failure.message


def test_question_marks_of_two_kinds_are_refused(engine: ClickHouseEngine) -> None:
    assert only(read(engine, "SELECT 'a?' AS `?`, ? -- ?", 5).select([1])) == 5
    failure = refused(engine, "SELECT number ? ? : 0 FROM numbers(2)", 5)
    assert failure.reason is Reason.UNSUPPORTED
    assert failure.metadata == {"feature": "positional_parameters"}


# ---- what is refused


@pytest.mark.parametrize(
    "source",
    [
        "file('/etc/passwd', 'LineAsString')",
        "url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
        "executable('id', 'TSV', 'a String')",
    ],
    ids=["file", "url", "executable"],
)
def test_files_and_networks_are_out_of_reach(engine: ClickHouseEngine, source: str) -> None:
    assert refused(engine, f"SELECT * FROM {source}").reason is Reason.STATEMENT_NOT_ALLOWED


def test_octets_that_are_no_text_are_refused_and_never_sent_as_text(engine: ClickHouseEngine) -> None:
    for sql in ("SELECT unhex('FF') AS s", "SELECT [unhex('FF')] AS s", "SELECT map('k', unhex('FF')) AS s"):
        failure = refused(engine, sql)
        assert failure.reason is Reason.STATEMENT_REJECTED
        assert "'s' has text that is not UTF-8" in failure.message
    assert only(read(engine, "SELECT toFixedString(unhex('FF'), 1)")) == b"\xff"


def test_a_state_of_an_aggregate_function_is_refused(server: ClickHouseServer, engine: ClickHouseEngine) -> None:
    failure = refused(engine, "SELECT uniqState(number) AS s FROM numbers(9)")
    assert failure.reason is Reason.UNSUPPORTED
    assert "'s'" in failure.message
    assert server.running("uniqState") == 0


def test_a_time_beyond_a_day_is_refused(engine: ClickHouseEngine) -> None:
    assert refused(engine, "SELECT toTime('-30:00:00')").reason is Reason.STATEMENT_REJECTED


def test_a_failure_has_the_servers_words_and_no_more(engine: ClickHouseEngine) -> None:
    message = refused(engine, "SELECT throwIf(number = 900000, 'too late') FROM numbers(1000000)").message
    assert message.startswith("too late")
    assert not {"Code:", "DB::Exception", "__exception__", "version"} & set(message.replace(".", " ").split())
