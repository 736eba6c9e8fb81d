"""`queryengine sql`, as a user types it, against a server that answers as scripted."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet
import pytest

from queryengine.cli import connecting
from queryengine.cli.exits import ExitCode
from queryengine.client import Client
from queryengine.v1 import query_pb2, query_service_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Hold,
    Refuse,
    end,
    event,
    numbers,
    page,
    schema,
    start,
    status,
    whole,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
ACCEPTED = query_service_pb2.SubmitResponse(status=status("QUEUED", 1))
CANCELLED = query_service_pb2.CancelResponse(
    result=query_service_pb2.CANCEL_RESULT_CANCELLED,
    engine_cancel=query_service_pb2.ENGINE_CANCEL_STATE_KILLED,
    status=status("CANCELLED", 5),
)
WAIT = 20.0

Run = Callable[..., Any]


@pytest.fixture
def result(fake: FakeService) -> FakeService:
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append(whole(PAGES))
    return fake


@pytest.fixture
def long_result(fake: FakeService) -> FakeService:
    """5,000 rows, of which a table takes the first page only."""
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append([start(), schema(), *page(numbers(100), 0), Hold()])
    final = status("COMPLETED", 9, stats={"rows": 5000})
    fake.streams["WatchStatus"].append([query_service_pb2.WatchStatusResponse(status=final)])
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=final))
    return fake


def test_a_table_for_people(run: Run, result: FakeService) -> None:
    done = run("sql", "SELECT n")

    assert done.exit_code == ExitCode.OK
    lines = done.stdout.splitlines()
    assert [word.strip() for word in lines[0].split("┃")] == ["n", "text"]
    assert [word.strip() for word in lines[-1].split("│")] == ["17", "row 17"]
    assert done.stderr == "(18 rows)\n"


def test_a_long_table_says_what_it_leaves_out(run: Run, long_result: FakeService) -> None:
    done = run("sql", "SELECT n")

    assert len(done.stdout.splitlines()) == 42
    query_id = long_result.requests["Submit"][0].query_id
    assert f"40 of 5,000 rows; the rest: queryengine fetch {query_id} --offset 40, or all" in done.stderr
    assert long_result.left.wait(WAIT)


def test_a_command_to_paste_reaches_the_same_server_as_the_same_caller(
    run: Run, long_result: FakeService, fake_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUERYENGINE_TARGET")
    monkeypatch.setenv("QUERYENGINE_USER", "ann")

    done = run("sql", "SELECT n", "--server", fake_target, "--tenant", "blue team")

    query_id = long_result.requests["Submit"][0].query_id
    pasted = f"queryengine fetch {query_id} --offset 40 --server {fake_target} --tenant 'blue team'"
    assert f"the rest: {pasted}, or all" in done.stderr


def test_a_query_that_fails_after_the_table_is_full_has_failed(run: Run, fake: FakeService) -> None:
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append([start(), schema(), *page(numbers(100), 0), Hold()])
    failed = status("FAILED", 9, error={"code": 13, "reason": "ENGINE_ERROR", "message": "disk gone"})
    fake.streams["WatchStatus"].append([query_service_pb2.WatchStatusResponse(status=failed)])

    done = run("sql", "SELECT n")

    assert done.exit_code == ExitCode.FAILED
    assert done.stdout == ""
    assert "ENGINE_ERROR: disk gone" in done.stderr


def test_json_lines(run: Run, result: FakeService) -> None:
    done = run("sql", "SELECT n", "--format", "json")

    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == list(range(18))
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("csv", lambda data: pa.Table.from_pylist([*csv.DictReader(data.decode().splitlines())])),
        ("arrow", lambda data: pa.ipc.open_file(data).read_all()),
        ("arrows", lambda data: pa.ipc.open_stream(data).read_all()),
        ("parquet", lambda data: pyarrow.parquet.read_table(io.BytesIO(data))),
    ],
)
def test_formats_to_standard_output_and_to_a_file(
    run: Run, fake: FakeService, tmp_path: Path, word: str, read: Callable[[bytes], pa.Table]
) -> None:
    fake.replies["Submit"].extend([ACCEPTED, ACCEPTED])
    fake.streams["StreamResults"].extend([whole(PAGES), whole(PAGES)])

    piped = run("sql", "SELECT n", "-f", word)
    filed = run("sql", "SELECT n", "-f", word, "-o", str(tmp_path / "out"))

    expected = pa.Table.from_batches(PAGES)
    assert read(piped.stdout_bytes).cast(expected.schema) == expected
    assert read((tmp_path / "out").read_bytes()).cast(expected.schema) == expected
    assert filed.stdout == ""


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("out.csv", b'"n","text"\n'),
        ("out.json", b'{"n": 0,'),
        ("out.jsonl", b'{"n": 0,'),
        ("out.ndjson", b'{"n": 0,'),
        ("out.arrow", b"ARROW1"),
        ("out.arrows", b"\xff\xff\xff\xff"),
        ("OUT.PARQUET", b"PAR1"),
    ],
)
def test_the_ending_of_a_file_decides_its_format(
    run: Run, result: FakeService, tmp_path: Path, name: str, begins: bytes
) -> None:
    assert run("sql", "SELECT n", "-o", str(tmp_path / name)).exit_code == ExitCode.OK

    assert (tmp_path / name).read_bytes().startswith(begins)


def test_the_format_asked_for_wins_over_the_ending(run: Run, result: FakeService, tmp_path: Path) -> None:
    run("sql", "SELECT n", "-f", "table", "-o", str(tmp_path / "out.csv"))

    assert "row 17" in (tmp_path / "out.csv").read_text().splitlines()[-1]
    assert "┃" in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["fetch", ID]])
def test_a_file_of_an_unknown_ending_is_refused_with_those_there_are(
    run: Run, fake: FakeService, tmp_path: Path, command: list[str]
) -> None:
    done = run(*command, "-o", str(tmp_path / "out.txt"))

    assert done.exit_code == ExitCode.USAGE
    assert "the ending of 'out.txt' is not that of a format" in done.stderr
    assert ".jsonl" in done.stderr
    assert "--format table|csv|json|arrow|arrows|parquet" in done.stderr
    assert not fake.requests
    assert not list(tmp_path.iterdir())


def test_half_a_result_changes_no_file(run: Run, fake: FakeService, tmp_path: Path) -> None:
    fake.replies["Submit"].append(ACCEPTED)
    lost = Refuse(grpc.StatusCode.DATA_LOSS, "RESULT_LOST")
    fake.streams["StreamResults"].append([*whole(PAGES)[:5], lost])

    older = tmp_path / "out"
    older.write_text("older")

    done = run("sql", "SELECT n", "-f", "csv", "-o", str(older))

    assert done.exit_code == ExitCode.NOT_FOUND
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert older.read_text() == "older"


def test_a_file_that_cannot_be_written_is_reported(run: Run, fake: FakeService, tmp_path: Path) -> None:
    done = run("sql", "SELECT n", "-o", str(tmp_path / "none" / "out.csv"))

    assert done.exit_code == ExitCode.USAGE
    assert "cannot write" in done.stderr
    assert "No such file" in done.stderr
    assert not fake.requests["Submit"]


def test_parameters_and_choices_reach_the_server(run: Run, result: FakeService) -> None:
    run("sql", "SELECT $a, $b", "-p", "a=5", "-p", "b=x=y", "-e", "duckdb", "--limit", "7", "--timeout", "2m")

    (request,) = result.requests["Submit"]
    assert [(each.name, each.value.WhichOneof("kind")) for each in request.parameters] == [
        ("a", "int_value"),
        ("b", "string_value"),
    ]
    assert request.parameters[1].value.string_value == "x=y"
    assert request.engine == "duckdb"
    assert request.limits.row_limit == 7
    assert request.limits.execution_timeout.seconds == 120


def test_a_cut_result_is_reported(run: Run, fake: FakeService) -> None:
    fake.replies["Submit"].append(ACCEPTED)
    cut = end(18, truncated=True, truncation_reason="TRUNCATION_REASON_ROW_LIMIT")
    fake.streams["StreamResults"].append([*whole(PAGES)[:-1], cut])

    assert "row limit reached" in run("sql", "SELECT n", "-f", "csv").stderr


def test_sql_from_standard_input(run: Run, result: FakeService) -> None:
    run("sql", "-", input="SELECT 1\n")

    assert result.requests["Submit"][0].sql == "SELECT 1\n"


def test_no_wait_prints_the_id(run: Run, fake: FakeService) -> None:
    fake.replies["Submit"].append(ACCEPTED)

    done = run("sql", "SELECT n", "--no-wait")

    assert done.stdout.strip() == fake.requests["Submit"][0].query_id
    assert not fake.requests["StreamResults"]


class Patience:
    """Stands in for the timer of a command: its time runs out when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.run_out: Callable[[], None] = lambda: None
        self.is_started = self.is_cancelled = False

    def __call__(self, seconds: float, run_out: Callable[[], None]) -> "Patience":
        self.seconds, self.run_out = seconds, run_out
        return self

    def start(self) -> None:
        self.is_started = True

    def cancel(self) -> None:
        self.is_cancelled = True

    def join(self) -> None:
        """There is no thread."""

    def fire(self) -> None:
        """The time has passed."""
        self.run_out()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    patience = Patience()
    monkeypatch.setattr("queryengine.cli.progresslines.threading.Timer", patience)
    return patience


@contextmanager
def when_reached(hold: Hold, act: Callable[[], None]) -> Iterator[None]:
    """Act once the server holds back what comes next, then let it go on."""

    def wait_and_act() -> None:
        if hold.reached.wait(WAIT):
            act()
        hold.open.set()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


def test_a_query_that_waits_says_so_without_a_terminal(run: Run, fake: FakeService, patience: Patience) -> None:
    place = {"queue_position": 2, "queue_depth": 3, "waiting_reason": "connection refused"}
    queued = status("QUEUED", 1, progress=place, engine="duckdb")
    fake.replies["Submit"].append(query_service_pb2.SubmitResponse(status=queued))
    later = [event(status=status("QUEUED", 2, progress=place)), event(status=status("RUNNING", 3)), *whole(PAGES)[1:]]
    fake.streams["StreamResults"].append([start(), hold := Hold(), *later])

    with when_reached(hold, patience.fire):
        done = run("sql", "SELECT n", "-f", "csv")

    query_id = fake.requests["Submit"][0].query_id
    assert (patience.seconds, patience.is_started, patience.is_cancelled) == (3.0, True, True)
    assert done.exit_code == ExitCode.OK
    waiting, running, ended = done.stderr.splitlines()
    assert waiting == f"query {query_id}: QUEUED, 2 before it, 3 waiting for duckdb: connection refused"
    assert running == f"query {query_id}: RUNNING"
    assert ended == f"query {query_id}: COMPLETED"
    assert len(done.stdout.splitlines()) == 19


def test_a_server_that_does_not_answer_is_reported(run: Run, fake: FakeService, patience: Patience) -> None:
    fake.replies["Submit"].append(hold := Hold())
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append(whole(PAGES))

    with when_reached(hold, patience.fire):
        done = run("sql", "SELECT n", "-f", "csv")

    assert done.stderr.startswith(f"query {fake.requests['Submit'][0].query_id}: no answer from the server yet\n")


def test_a_query_that_is_quick_says_nothing(run: Run, result: FakeService, patience: Patience) -> None:
    done = run("sql", "SELECT n", "-f", "csv")

    assert (done.stderr, patience.is_started, patience.is_cancelled) == ("", True, True)


@pytest.mark.parametrize("option", ["--progress", "--no-progress"])
def test_who_asks_for_progress_or_for_none_gets_no_other_line(
    run: Run, result: FakeService, patience: Patience, option: str
) -> None:
    run("sql", "SELECT n", "-f", "csv", option)

    assert not patience.is_started


def test_progress_without_a_terminal_is_lines(run: Run, result: FakeService) -> None:
    done = run("sql", "SELECT n", "--progress", "-f", "csv")

    query_id = result.requests["Submit"][0].query_id
    assert done.stderr.splitlines() == [f"query {query_id}: {state}" for state in ("QUEUED", "RUNNING", "COMPLETED")]


def test_a_server_that_stays_away_leaves_the_way_back_to_the_query(
    run: Run, fake: FakeService, fake_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "Client", partial(Client, give_up_after=0.0))
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"] += [[Refuse(grpc.StatusCode.UNAVAILABLE)], [Refuse(grpc.StatusCode.UNAVAILABLE)]]

    done = run("sql", "SELECT n")

    query_id = fake.requests["Submit"][0].query_id
    assert done.exit_code == ExitCode.UNREACHABLE
    assert done.stderr.startswith(f"error: no server at {fake_target}")
    way_back = f"its rows, later: queryengine fetch {query_id}"
    assert done.stderr.splitlines()[-2:] == [
        "  no progress for 0 seconds",
        f"  the query was accepted, and is cancelled unless it ends within 10 seconds; {way_back}",
    ]


def test_a_syntax_error_is_pointed_at(run: Run, fake: FakeService) -> None:
    fake.replies["Submit"].append(
        Refuse(
            grpc.StatusCode.INVALID_ARGUMENT,
            "SYNTAX_ERROR",
            'syntax error at or near "FORM"',
            metadata={"line": "2", "column": "3"},
        )
    )

    done = run("sql", "SELECT 1\n\tx FORM t")

    assert done.exit_code == ExitCode.USAGE
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        'error: SYNTAX_ERROR: syntax error at or near "FORM"',
        "  2 |  x FORM t",
        "    |   ^",
    ]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refuse(grpc.StatusCode.INTERNAL, "ENGINE_ERROR"), ExitCode.FAILED),
        (Refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "QUERY_TIMEOUT"), ExitCode.FAILED),
        (Refuse(grpc.StatusCode.INVALID_ARGUMENT, "STATEMENT_REJECTED"), ExitCode.USAGE),
        (Refuse(grpc.StatusCode.ALREADY_EXISTS, "QUERY_ID_REUSED"), ExitCode.USAGE),
        (Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"), ExitCode.NOT_FOUND),
        (Refuse(grpc.StatusCode.FAILED_PRECONDITION, "RESULT_EXPIRED"), ExitCode.NOT_FOUND),
        (Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUEUE_FULL"), ExitCode.LIMIT),
        (Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "RESULT_LIMIT"), ExitCode.LIMIT),
        (Refuse(grpc.StatusCode.CANCELLED, "QUERY_CANCELLED"), ExitCode.CANCELLED),
    ],
)
def test_failures_have_exit_codes_and_no_traceback(
    run: Run, fake: FakeService, refusal: Refuse, code: ExitCode
) -> None:
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append([start(), refusal])

    done = run("sql", "SELECT n")

    assert done.exit_code == code
    assert done.stderr.startswith(f"error: {refusal.reason}: refused")


@pytest.mark.parametrize("options", [[], ["--progress"]])
def test_a_server_that_is_gone_for_a_while_is_reported_and_waited_for(
    run: Run, fake: FakeService, fake_target: str, options: list[str]
) -> None:
    gone = Refuse(grpc.StatusCode.UNAVAILABLE)
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].extend([[start(), gone], [gone], [gone], whole(PAGES)])

    done = run("sql", "SELECT n", "-f", "csv", *options)

    assert done.exit_code == ExitCode.OK
    assert done.stderr.splitlines().count(f"no answer from {fake_target}, trying again") == 1
    assert len(done.stdout.splitlines()) == 19


def test_a_server_that_turns_a_stream_away_is_quoted(run: Run, fake: FakeService) -> None:
    full = Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_STREAM_LIMIT", "8 streams are open")
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].extend([[full], [full], whole(PAGES)])

    assert run("sql", "SELECT n", "-f", "csv").stderr == "8 streams are open, trying again\n"


@pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["ps"], ["status", ID], ["engines"]])
def test_without_a_server_the_message_says_what_to_do(run: Run, command: list[str]) -> None:
    done = run(*command, "--server", "127.0.0.1:1")

    assert done.exit_code == ExitCode.UNREACHABLE
    assert "no server at 127.0.0.1:1; start one with `queryengine serve`" in done.stderr


def test_an_address_without_a_port_is_shown_with_the_one_that_was_called(run: Run) -> None:
    done = run("sql", "SELECT 1", "--server", "no-such-host.invalid")

    assert done.exit_code == ExitCode.UNREACHABLE
    assert "no server at no-such-host.invalid:443 (no port is given);" in done.stderr


def test_tls_to_a_server_of_plain_text_says_so(run: Run, fake: FakeService, fake_target: str) -> None:
    done = run("ps", "--tls")

    assert done.exit_code == ExitCode.UNREACHABLE
    assert f"the server at {fake_target} does not speak TLS; give --no-tls" in done.stderr


def test_an_address_that_serves_something_else_is_reported(run: Run, fake: FakeService, fake_target: str) -> None:
    fake.replies["Submit"].append(Refuse(grpc.StatusCode.UNIMPLEMENTED, message="Method not found!"))

    done = run("sql", "SELECT 1")

    assert done.exit_code == ExitCode.UNREACHABLE
    assert done.stderr == (
        f"error: {fake_target} does not serve queryengine; `queryengine serve` prints the address to use, after gRPC\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sql"], "there is no SQL: give a statement"),
        (["sql", "SELECT 1", "-f", "xml"], "xml"),
        (["sql", "SELECT 1", "-p", "a=1", "-p", "2"], "'--parameter': '2' has no name; parameters are all NAME=VALUE"),
        (["sql", "SELECT 1", "-p", "a=1", "-p", "a=2"], "'--parameter': 'a' is given twice"),
        (["sql", "SELECT 1", "-p", "a=[1,true]"], "INT and BOOL"),
        (["sql", "SELECT 1", "--timeout", "soon"], "'--timeout': 'soon' is not a duration"),
        (["sql", "SELECT 1", "--queue-timeout", "1e5"], "'--queue-timeout': '1e5' is not a duration"),
        (["sql", "SELECT 1", "--keep", "99999999d"], "'--keep': '99999999d' is more than 365000d"),
        (["sql", "SELECT 1", "--byte-limit", "5 apples"], "'--byte-limit': '5 apples' is not a size"),
        (["sql", "SELECT 1", "--byte-limit", "9999999TB"], "'--byte-limit': '9999999TB' is more than 9000000TB"),
        (["sql", "SELECT 1", "--label", "team"], "'--label': 'team' is not KEY=VALUE"),
        (["sql", "SELECT 1", "--setting", "a=1", "--setting", "a=2"], "'--setting': 'a' is given twice"),
        (["sql", "SELECT 1", "-o", "rows.txt"], "'--output': the ending of 'rows.txt' is not that of a format"),
        (["ps", "--label", "=x"], "'--label': '=x' is not KEY=VALUE"),
        (["ps", "--since", "once"], "'--since': 'once' is neither a time such as"),
        (["ps", "--until", "99999999999d"], "'--until': '99999999999d' is more than 365000d"),
        (["sql", "SELECT 1", "--tenant", "münchen"], "printable ASCII"),
        (["ps", "--server", "http://127.0.0.1:8815"], "the address is HOST:PORT, without a scheme"),
        (["sql", "SELECT 1", "--server", "HTTPS://db"], "the address is HOST:PORT, without a scheme"),
        (["fetch", ID, "--page", "1", "--offset", "2"], "not both"),
        (["release", ID, "--extend", "2x"], "'--extend': '2x' is not a duration"),
        (["release", ID, "--extend", "99999999999999d"], "'--extend': '99999999999999d' is more than 365000d"),
        (["ps", "--state", "LOST"], "LOST"),
        (["nonsense"], "No such command"),
    ],
)
def test_a_wrong_command_is_refused_without_asking_the_server(
    run: Run, fake: FakeService, arguments: list[str], complaint: str
) -> None:
    done = run(*arguments)

    assert done.exit_code == ExitCode.USAGE
    assert complaint in done.stderr
    assert not fake.requests


@pytest.mark.parametrize(
    ("answer", "reported"),
    [
        (CANCELLED, "query {id}: CANCELLED, engine KILLED"),
        (Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"), "had not reached the server"),
        (Refuse(grpc.StatusCode.INTERNAL, "INTERNAL"), "try again: queryengine cancel {id} --tenant blue\n"),
    ],
)
def test_ctrl_c_cancels_on_the_server(fake: FakeService, fake_target: str, answer: Any, reported: str) -> None:
    hold = Hold()
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append([start(), hold])
    fake.replies["Cancel"].append(answer)
    command = [sys.executable, "-m", "queryengine", "sql", "SELECT n", "--tenant", "blue"]
    environment = os.environ | {"QUERYENGINE_TARGET": fake_target}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert hold.reached.wait(WAIT)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=WAIT)

    assert process.returncode == ExitCode.CANCELLED
    assert output == ""
    assert "cancelling on the server" in errors
    query_id = fake.requests["Submit"][0].query_id
    assert reported.format(id=query_id) in errors
    assert "Traceback" not in errors
    assert fake.requests["Cancel"][0].query_id == query_id


def test_how_a_statement_runs_is_asked_of_the_server(run: Run, result: FakeService) -> None:
    places = ["--catalog", "lake", "--schema", "raw", "--setting", "threads=2", "--label", "team=a", "--priority", "7"]
    limits = [
        "--queue-timeout",
        "5s",
        "--timeout",
        "1m",
        "--limit",
        "9",
        "--byte-limit",
        "1.5MiB",
        "--on-limit",
        "fail",
    ]
    run("sql", "SELECT n", *places, *limits, "--keep", "2h")

    (request,) = result.requests["Submit"]
    assert (request.catalog, request.schema, request.priority) == ("lake", "raw", 7)
    assert (dict(request.session_settings), dict(request.labels)) == ({"threads": "2"}, {"team": "a"})
    asked = request.limits
    assert (asked.queue_timeout.seconds, asked.execution_timeout.seconds) == (5, 60)
    assert (asked.row_limit, asked.byte_limit) == (9, 3 << 19)
    assert asked.on_limit == query_pb2.LIMIT_ACTION_FAIL
    assert request.result.ttl.seconds == 7200


def test_a_query_that_is_waited_for_does_not_outlive_its_reader(run: Run, fake: FakeService) -> None:
    fake.replies["Submit"].extend([ACCEPTED, ACCEPTED])
    fake.streams["StreamResults"].append(whole(PAGES))
    run("sql", "SELECT n")
    run("sql", "SELECT n", "--detach")

    waited, detached = fake.requests["Submit"]
    assert waited.disconnect_policy == query_pb2.DISCONNECT_POLICY_CANCEL
    assert waited.disconnect_grace.seconds == 10
    assert detached.disconnect_policy == query_pb2.DISCONNECT_POLICY_CONTINUE


def test_a_file_is_reported_with_its_rows_bytes_and_seconds(run: Run, result: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    reported = run("sql", "SELECT n", "-o", str(path)).stderr

    size = path.stat().st_size
    assert re.fullmatch(rf"\(wrote 18 rows, {size} B to {re.escape(str(path))} in \d+\.\d s\)\n", reported)


def test_wide_rows_as_records_when_asked_for(run: Run, result: FakeService) -> None:
    assert run("sql", "SELECT n", "-x").stdout.splitlines()[:3] == ["─[ row 0 ]", "n    │ 0", "text │ row 0"]
