"""What is special about the Trino engine, against a real server: cancel in each phase, labels, settings, words of
errors, and answers that say "later".
"""

import datetime as dt
import socket
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest
from trino_support import (
    ENDLESS_ROWS,
    ENDLESS_WORK,
    Reader,
    becomes,
    failure_of,
    opened,
    read,
    server,
    statement,
    value,
)

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Position, Reason
from queryengine.engines.trino.engine import TrinoEngine
from queryengine.engines.trino.query import QueryFailed, TrinoQuery

SEEN_SECONDS = 20.0
"""Within which Trino's own list shows a change, on a busy machine."""
LONG_TO_PLAN = " UNION ALL ".join(
    f"SELECT count(*) FROM lineitem a JOIN orders b ON a.orderkey = b.orderkey JOIN lineitem c ON c.partkey = {number}"
    for number in range(150)
)


@pytest.fixture
def engine() -> Iterator[TrinoEngine]:
    with opened(server().options()) as engine:
        yield engine


# ---- cancel


@pytest.mark.parametrize(
    ("sql", "states"),
    [
        (LONG_TO_PLAN, {"PLANNING"}),
        (ENDLESS_WORK, {"RUNNING"}),
        (ENDLESS_ROWS, {"RUNNING"}),
    ],
    ids=["planning", "execution", "fetch"],
)
def test_cancel_in_each_phase_shows_in_the_engines_own_list(engine: TrinoEngine, sql: str, states: set[str]) -> None:
    reader = Reader(engine.open(statement(sql)))
    execution = reader.execution
    assert becomes(lambda: execution.progress().engine_query_id != "", seconds=SEEN_SECONDS)
    query_id = execution.progress().engine_query_id
    assert becomes(lambda: server().state(query_id) in states, seconds=SEEN_SECONDS)
    if sql is ENDLESS_ROWS:
        assert reader.has_rows.wait(20)
    execution.cancel()
    assert becomes(lambda: server().state(query_id) == "FAILED", seconds=SEEN_SECONDS)
    failure = reader.ended()
    assert failure is not None
    assert failure.reason is Reason.QUERY_CANCELLED


def test_cancel_before_the_first_page_is_asked_for_leaves_nothing_running(engine: TrinoEngine) -> None:
    """Trino has given the query an id by then, and puts it on its list when its first page is asked for."""
    query = TrinoQuery(engine.http, engine.headers(statement(ENDLESS_WORK)))
    query.submit(ENDLESS_WORK)
    query.end()
    assert query.end_confirmed
    assert server().state(query.progress.engine_query_id) in {"", "FAILED"}
    with pytest.raises(QueryFailed, match="canceled"):
        query.advance()
    assert server().state(query.progress.engine_query_id) in {"", "FAILED"}


def test_a_query_can_be_killed_by_name(engine: TrinoEngine) -> None:
    reader = Reader(engine.open(statement(ENDLESS_WORK)))
    execution = reader.execution
    assert becomes(lambda: execution.progress().engine_state == "RUNNING", seconds=SEEN_SECONDS)
    execution._query._kill()
    failure = reader.ended()
    assert failure is not None
    # Nobody cancelled it here, so it failed.
    assert failure.reason is Reason.ENGINE_ERROR
    assert "killed" in failure.message


# ---- who asks, and how it runs


def test_labels_and_settings_reach_the_engine(engine: TrinoEngine) -> None:
    fields = {"tenant": "a,b", "subject": "zoë", "session_settings": {"time_zone_id": "Asia/Tokyo"}}
    with engine.open(statement("SELECT current_timezone()", execution_timeout_seconds=77.5, **fields)) as execution:
        execution.start()
        rows = [row for batch in execution.batches() for row in batch.column(0).to_pylist()]
        progress = execution.progress()
    session = server().ask(f"/v1/query/{progress.engine_query_id}")["session"]
    assert rows == ["Asia/Tokyo"]
    assert set(session["clientTags"]) == {"tenant=a%2Cb", "subject=zo%C3%AB", "query=q"}
    assert session["source"] == "queryengine"
    assert session["user"] == "tester"
    assert session["systemProperties"] == {"time_zone_id": "Asia/Tokyo", "query_max_run_time": "77500ms"}
    assert progress.engine_query_id in progress.engine_query_url
    assert (progress.splits_done, progress.engine_state) == (progress.splits_total, "FINISHED")


def test_catalog_and_schema_are_the_statements_or_the_options(engine: TrinoEngine) -> None:
    assert value(engine, "SELECT count(*) FROM nation") == 25
    assert value(engine, "SELECT current_catalog || '.' || current_schema", catalog="memory", schema="x") == "memory.x"
    failure = failure_of(lambda: read(engine, "SELECT * FROM nation", catalog="nope", schema="x"))
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert "nope" in failure.message


def test_a_header_cannot_be_forged(engine: TrinoEngine) -> None:
    failure = failure_of(lambda: read(engine, "SELECT 1", schema="x\r\nX-Trino-User: root"))
    assert failure.reason is Reason.UNSUPPORTED
    assert failure.metadata == {"feature": "schema"}


def test_a_query_may_run_as_its_subject() -> None:
    with opened({**server().options(), "impersonate": True}) as engine:
        assert value(engine, "SELECT current_user", subject="someone") == "someone"
        assert value(engine, "SELECT current_user") == "tester"


def test_what_settings_are_allowed_is_an_option() -> None:
    with opened({**server().options(), "session_settings": ["query_max_memory"]}) as engine:
        settings = {"query_max_memory": "1MB"}
        sql = "SELECT count(DISTINCT comment) FROM tpch.sf1.lineitem"
        assert failure_of(lambda: read(engine, sql, session_settings=settings)).reason is Reason.OUT_OF_MEMORY
        settings = {"time_zone_id": "Asia/Tokyo"}
        assert failure_of(lambda: read(engine, "SELECT 1", session_settings=settings)).reason is Reason.UNSUPPORTED


# ---- text and parameters


@pytest.mark.parametrize("sql", ["SELECT 1;", "SELECT 1 ; -- done", "SELECT 1 -- done", ";SELECT 1;;"])
def test_a_semicolon_at_the_end_does_no_harm(engine: TrinoEngine, sql: str) -> None:
    assert value(engine, sql) == 1


def test_a_place_is_right_with_parameters_too(engine: TrinoEngine) -> None:
    parameters = (BoundParameter("first", "it's"), BoundParameter("b", 1))
    for sql, line, column in (
        ("SELECT :first, nope, :b FROM nation", 1, 16),
        ("SELECT :first,\n  'it''s', nope, :b FROM nation", 2, 12),
    ):
        failure = failure_of(lambda sql=sql: read(engine, sql, parameters=parameters))
        assert failure.position == Position(line, column)
        assert failure.message == "Column 'nope' cannot be resolved"


def test_a_named_parameter_may_stand_twice_and_in_odd_places(engine: TrinoEngine) -> None:
    parameters = (BoundParameter("n", 2), BoundParameter("name", "FRANCE"))
    sql = (
        "SELECT ':n', name FROM nation WHERE name = :name OR nationkey = :n + 0 /* :other */ ORDER BY 2 LIMIT :n -- :x"
    )
    assert read(engine, sql, parameters=parameters).to_pydict() == {"_col0": [":n", ":n"], "name": ["BRAZIL", "FRANCE"]}


def test_a_colon_may_be_no_placeholder(engine: TrinoEngine) -> None:
    sql = "SELECT JSON_OBJECT('k':a, 'm' : :a, KEY 'n' VALUE :a + 1), :a FROM (VALUES 1) t(a)"
    (row,) = read(engine, sql, parameters=(BoundParameter("a", 7),)).to_pylist()
    assert list(row.values()) == ['{"k":1,"m":7,"n":8}', 7]


WALL_CLOCK = dt.datetime(2024, 2, 29, 1, 2, 3, 4)  # noqa: DTZ001 - it has no zone
TYPED = (
    (-5, pa.int8(), "tinyint", -5),
    (200, pa.uint8(), "smallint", 200),
    (2**64 - 1, pa.uint64(), "decimal(20,0)", Decimal(2**64 - 1)),
    (2**100, pa.decimal256(39, 0), "decimal(38,0)", Decimal(2**100)),
    (1.5, pa.float32(), "real", 1.5),
    (float("-inf"), None, "double", float("-inf")),
    (Decimal("-0.05"), pa.decimal128(10, 4), "decimal(10,4)", Decimal("-0.0500")),
    ("it's", pa.string(), "varchar", "it's"),
    (None, pa.int16(), "smallint", None),
    (dt.date(2024, 2, 29), None, "date", dt.date(2024, 2, 29)),
    (dt.time(1, 2, 3, 4), None, "time(6)", dt.time(1, 2, 3, 4)),
    (WALL_CLOCK, None, "timestamp(6)", WALL_CLOCK),
    (
        dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC),
        pa.timestamp("ms", "UTC"),
        "timestamp(3) with time zone",
        dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC),
    ),
    (dt.timedelta(days=-1, milliseconds=1), None, "interval day to second", dt.timedelta(days=-1, milliseconds=1)),
    (pa.MonthDayNano([14, 0, 0]), None, "interval year to month", pa.MonthDayNano([14, 0, 0])),
    (uuid.UUID(int=7), None, "uuid", uuid.UUID(int=7)),
    ('{"a":1}', pa.json_(), "json", '{"a":1}'),
    ([1, None], pa.list_(pa.int16()), "array(smallint)", [1, None]),
    ([], pa.list_(pa.string()), "array(varchar)", []),
    ([], None, "array(unknown)", []),
    ([], pa.list_(pa.null()), "array(unknown)", []),
    ([[], None], pa.list_(pa.list_(pa.null())), "array(array(unknown))", [[], None]),
    ([], pa.map_(pa.string(), pa.list_(pa.date32())), "map(varchar, array(date))", []),
    ({"a": [], "b": None}, None, "row(a array(unknown), b unknown)", {"a": [], "b": None}),
    (
        {'a "b': 1, "c": None},
        pa.struct({'a "b': pa.int8(), "c": pa.date32()}),
        'row(a "b tinyint, c date)',
        {'a "b': 1, "c": None},
    ),
    ([("k", 1)], pa.map_(pa.string(), pa.int32()), "map(varchar, integer)", [("k", 1)]),
    (pa.scalar(1, pa.timestamp("ns")), None, "timestamp(9)", None),
)


@pytest.mark.parametrize(("given", "arrow", "name", "wanted"), TYPED, ids=[each[2] for each in TYPED])
def test_a_parameter_has_the_type_that_was_named(
    engine: TrinoEngine, given: Any, arrow: Any, name: str, wanted: Any
) -> None:
    parameters = (BoundParameter("p", given, arrow),)
    table = read(engine, "SELECT :p AS a, typeof(:p) AS b", parameters=parameters)
    assert table.column("b")[0].as_py() == name
    found = table.column("a")[0]
    assert found.equals(given) if isinstance(given, pa.Scalar) else found.as_py() == wanted


@pytest.mark.parametrize(
    "given",
    [
        2**127,
        Decimal("NaN"),
        dt.timedelta(microseconds=1),
        pa.MonthDayNano([1, 1, 0]),
        {},
        [{}],
        "\ud800",
    ],
    ids=repr,
)
def test_what_trino_cannot_hold_is_refused(engine: TrinoEngine, given: Any) -> None:
    failure = failure_of(lambda: read(engine, "SELECT :p", parameters=(BoundParameter("p", given),)))
    assert failure.reason is Reason.PARAMETER_MISMATCH
    assert failure.metadata == {"parameter": "p"}


def test_a_time_that_arrow_cannot_hold_is_refused_and_names_its_column(engine: TrinoEngine) -> None:
    failure = failure_of(lambda: read(engine, "SELECT TIMESTAMP '1500-01-01 00:00:00.123456789' AS old"))
    assert failure.reason is Reason.STATEMENT_REJECTED
    assert "'old'" in failure.message


# ---- no answer, or not the right one


def test_credentials_that_are_refused_are_named_and_not_told() -> None:
    options = {**server().options(), "password": "hunter2"}
    failure = failure_of(lambda: TrinoEngine("mine", options))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "credentials of 'tester'" in failure.message
    assert "hunter2" not in str(failure)
    assert failure.metadata == {"engine": "mine"}


def test_a_host_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        failure = failure_of(lambda: TrinoEngine("mine", {"url": url}))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "no answer in time" in failure.message


class Front(ThreadingHTTPServer):
    """Stands before the real server, as a proxy does, and refuses some requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FrontHandler)
        self.asked = 0
        self.refuses = lambda _: False


class FrontHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _pass_on(self) -> None:
        front = self.server
        front.asked += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = 503, b"later"
        if not front.refuses(front.asked):
            target = server().url + self.path
            request = urllib.request.Request(target, body or None, dict(self.headers), method=self.command)
            try:
                with urllib.request.urlopen(request) as found:
                    status, answer = found.status, found.read()
            except urllib.error.HTTPError as cause:
                status, answer = cause.code, cause.read()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - as http.server wants them.

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def front() -> Iterator[Front]:
    with Front() as standing:
        thread = threading.Thread(target=standing.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield standing
        finally:
            standing.shutdown()
            thread.join()


def test_what_a_proxy_cannot_pass_on_is_asked_again() -> None:
    with front() as standing:
        options = {**server().options(), "url": f"http://127.0.0.1:{standing.server_port}", "retry_seconds": 2}
        with opened(options) as engine:
            standing.refuses = lambda asked: asked % 2 == 0
            assert value(engine, "SELECT count(*) FROM nation") == 25
            standing.refuses = lambda _: True
            failure = failure_of(lambda: read(engine, "SELECT 1"))
    assert failure.reason is Reason.ENGINE_UNAVAILABLE
    assert "503" in failure.message


# ---- options


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "'url'"),
        ({"url": "trino.example.org"}, "'url'"),
        ({"url": "https://u:p@trino.example.org"}, "'url'"),
        ({"url": "https://trino.example.org/x"}, "'url'"),
        ({"url": "http://trino.example.org", "password": "hunter2"}, "'password'"),
        ({"url": "http://trino.example.org", "token": "hunter2"}, "'token'"),
        ({"url": "https://trino.example.org", "token": "a", "password": "b"}, "exclude"),
        ({"url": "https://trino.example.org", "read_timeout_seconds": 0}, "'read_timeout_seconds'"),
        ({"url": "https://trino.example.org", "session_settings": "x"}, "'session_settings'"),
        ({"url": "https://trino.example.org", "session_settings": ["query_max_run_time"]}, "'session_settings'"),
        ({"url": "https://trino.example.org", "user": "x\n"}, "'user'"),
        ({"url": "https://trino.example.org", "spooling": 1}, "'spooling'"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_wrong_option_is_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        TrinoEngine.traits(options)
    assert "hunter2" not in str(caught.value)


def test_back_pressure_is_what_segments_do_not_give() -> None:
    assert not TrinoEngine.traits({"url": "https://x"}).back_pressure
    assert TrinoEngine.traits({"url": "https://x", "spooling": False}).back_pressure
