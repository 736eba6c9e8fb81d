"""The other commands, as a user types them, against a server that answers as scripted."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine import __version__
from queryengine.cli.exits import EXIT_CODES, ExitCode
from queryengine.cli.ids import beginning
from queryengine.v1 import query_pb2, query_service_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Refuse,
    listing,
    numbers,
    page_message,
    status,
    whole,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
ACCEPTED = query_service_pb2.SubmitResponse(status=status("QUEUED", 1))
WAIT = 20.0
ROOT = Path(__file__).parents[2]

Run = Callable[..., Any]


@pytest.fixture
def result(fake: FakeService) -> FakeService:
    fake.replies["Submit"].append(ACCEPTED)
    fake.streams["StreamResults"].append(whole(PAGES))
    return fake


def test_ps_lists_what_waits_or_runs(run: Run, fake: FakeService) -> None:
    running = status("RUNNING", 1, sql_preview="SELECT [bold]", stats={"rows": 1234})
    listing = query_service_pb2.ListQueriesResponse(queries=[running], next_page_token="more")
    fake.replies["ListQueries"].extend([listing, listing, listing])

    table = run("ps")
    lines = run("ps", "--all", "--json")
    run("ps", "--state", "failed")

    assert ID in table.stdout
    assert "1,234" in table.stdout
    assert "SELECT [bold]" in table.stdout
    assert "there are more" in table.stderr
    assert json.loads(lines.stdout)["state"] == "RUNNING"
    asked = [list(request.states) for request in fake.requests["ListQueries"]]
    assert asked == [
        [query_pb2.QUERY_STATE_QUEUED, query_pb2.QUERY_STATE_RUNNING],
        [],
        [query_pb2.QUERY_STATE_FAILED],
    ]


def test_ps_says_when_there_is_nothing_and_what_to_try(run: Run, fake: FakeService) -> None:
    fake.replies["ListQueries"].extend([query_service_pb2.ListQueriesResponse()] * 3)

    none_active = run("ps", "--user", "ann")
    none_at_all = run("ps", "--all")
    as_json = run("ps", "--json")

    assert none_active.stderr == "no queries are QUEUED or RUNNING; to list all: queryengine ps --all --user ann\n"
    assert none_at_all.stderr == "no queries; to run one: queryengine sql 'SELECT 42 AS answer'\n"
    assert as_json.stderr == ""
    assert none_active.stdout == none_at_all.stdout == as_json.stdout == ""
    assert none_active.exit_code == none_at_all.exit_code == ExitCode.OK


def test_status_shows_everything_and_a_failed_query_is_an_answer(run: Run, fake: FakeService) -> None:
    failed = status(
        "FAILED",
        4,
        error={"code": 13, "reason": "ENGINE_ERROR", "message": "boom"},
        submit_time={"seconds": 60},
        labels={"team": "a"},
    )
    fake.replies["GetStatus"].extend([query_service_pb2.GetStatusResponse(status=failed)] * 2)

    shown = run("status", ID)
    as_json = run("status", ID, "--json")

    assert shown.exit_code == as_json.exit_code == ExitCode.OK
    lines = shown.stdout.splitlines()
    assert "error           ENGINE_ERROR: boom" in lines
    assert "submitted       1970-01-01T00:01:00.000+00:00" in lines
    assert "labels          team=a" in lines
    data = json.loads(as_json.stdout)
    assert data["error"]["reason"] == "ENGINE_ERROR"
    assert data["submit_time"] == "1970-01-01T00:01:00.000+00:00"


@pytest.mark.parametrize(
    ("final", "code"),
    [
        (status("COMPLETED", 2), ExitCode.OK),
        (status("FAILED", 2, error={"code": 13, "reason": "ENGINE_ERROR"}), ExitCode.FAILED),
        (status("CANCELLED", 2, error={"code": 1, "reason": "QUERY_CANCELLED"}), ExitCode.CANCELLED),
    ],
)
def test_watch_prints_states_and_ends_as_the_query_does(
    run: Run, fake: FakeService, final: query_pb2.QueryStatus, code: ExitCode
) -> None:
    queued = status("QUEUED", 1, progress={"queue_position": 2, "queue_depth": 3})
    fake.streams["WatchStatus"].append([query_service_pb2.WatchStatusResponse(status=each) for each in (queued, final)])

    done = run("watch", ID)

    assert done.exit_code == code
    assert done.stdout.splitlines()[0] == "QUEUED, 2 before it, 3 waiting for duckdb"


def test_watch_says_why_the_engine_takes_no_query(run: Run, fake: FakeService) -> None:
    place = {"queue_position": 0, "queue_depth": 1, "waiting_reason": "connection refused"}
    messages = [status("QUEUED", 1, progress=place), status("COMPLETED", 2)]
    fake.streams["WatchStatus"].append([query_service_pb2.WatchStatusResponse(status=each) for each in messages])

    assert run("watch", ID).stdout.splitlines()[0] == "QUEUED, 0 before it, 1 waiting for duckdb: connection refused"


def test_watch_says_that_the_server_is_gone_and_goes_on(run: Run, fake: FakeService, fake_target: str) -> None:
    gone = Refuse(grpc.StatusCode.UNAVAILABLE)
    said = query_service_pb2.WatchStatusResponse(status=status("COMPLETED", 1))
    fake.streams["WatchStatus"].extend([[gone], [gone], [gone], [said]])

    done = run("watch", ID)

    assert done.stdout == "COMPLETED\n"
    assert done.stderr == f"no answer from {fake_target}, trying again\n"


def test_cancel_shows_both_answers(run: Run, fake: FakeService) -> None:
    fake.replies["Cancel"].append(
        query_service_pb2.CancelResponse(
            result=query_service_pb2.CANCEL_RESULT_CANCELLED,
            engine_cancel=query_service_pb2.ENGINE_CANCEL_STATE_CONFIRMED,
            status=status("CANCELLED", 5),
        )
    )

    done = run("cancel", ID, "--reason", "too slow", "--wait")

    assert done.stdout == "CANCELLED, engine CONFIRMED; the query is CANCELLED\n"
    assert fake.requests["Cancel"][0].reason == "too slow"
    assert fake.requests["Cancel"][0].wait_timeout.seconds > 0


def test_fetch_writes_one_page(run: Run, fake: FakeService, tmp_path: Path) -> None:
    reply = query_service_pb2.FetchPageResponse(
        page=page_message(numbers(100, start=200), 200), next_page_token="next", total_rows=1000
    )
    fake.replies["FetchPage"].extend([reply, reply, reply])

    table = run("fetch", ID, "--offset", "200", "--size", "100")
    lines = run("fetch", ID, "--page", "2", "--size", "100", "-f", "json")
    filed = run("fetch", ID, "--page", "2", "--size", "100", "-o", str(tmp_path / "rows.parquet"))

    assert len(table.stdout.splitlines()) == 102
    assert table.stderr == "(rows 200 to 299 of 1,000; next: --offset 300)\n"
    assert json.loads(lines.stdout.splitlines()[-1])["n"] == 299
    assert filed.stderr.startswith("(rows 200 to 299 of 1,000; next: --offset 300; written to ")
    by_offset, by_page, _ = fake.requests["FetchPage"]
    assert (by_offset.offset, by_page.offset, by_page.page_size) == (200, 200, 100)


def test_fetch_takes_the_format_from_the_file(run: Run, fake: FakeService, tmp_path: Path) -> None:
    reply = query_service_pb2.FetchPageResponse(page=page_message(numbers(3), 0), total_rows=3)
    fake.replies["FetchPage"].append(reply)

    run("fetch", ID, "-o", str(tmp_path / "rows.jsonl"))

    assert [json.loads(line)["n"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == [0, 1, 2]


def test_release_and_extend(run: Run, fake: FakeService) -> None:
    released = status("COMPLETED", 5, result_state="RESULT_STATE_RELEASED")
    kept = status("COMPLETED", 6, result_state="RESULT_STATE_READY", expire_time={"seconds": 60})
    fake.replies["ReleaseResults"].extend(
        [query_service_pb2.ReleaseResultsResponse(status=each) for each in (released, kept)]
    )

    assert run("release", ID).stdout == "result RELEASED\n"
    extended = run("release", ID, "--extend", "2h")

    assert extended.stdout == "result READY until 1970-01-01T00:01:00.000+00:00\n"
    first, second = fake.requests["ReleaseResults"]
    assert not first.HasField("extend_to")
    assert second.HasField("extend_to")


def test_engines(run: Run, fake: FakeService) -> None:
    reply = query_service_pb2.ListEnginesResponse(
        engines=[
            {
                "name": "duckdb",
                "type": "duckdb",
                "is_default": True,
                "slots": 2,
                "available": True,
                "confinement": ["landlock (ABI 7)", "seccomp"],
            },
            {"name": "w", "type": "sqlalchemy", "detail": "no [driver]", "traits": {"named_parameters": True}},
        ]
    )
    fake.replies["ListEngines"].extend([reply, reply])

    table = run("engines").stdout
    lines = run("engines", "--json").stdout.splitlines()

    assert "duckdb (default)" in table
    assert "0 of 2" in table
    assert "no [driver]" in table
    assert table.count("confined by") == 1
    assert json.loads(lines[0])["confinement"] == ["landlock (ABI 7)", "seccomp"]
    assert json.loads(lines[1])["named_parameters"] is True


def test_help_teaches(run: Run) -> None:
    shown = run("--help").stdout

    assert 'queryengine sql "SELECT 42 AS answer"' in shown
    for code, text in EXIT_CODES.items():
        assert f"{code.value:>3}  {text}" in shown
    assert set(EXIT_CODES) == set(ExitCode)
    for command in ("sql", "fetch"):
        assert "the format that the ending of --output stands for" in " ".join(run(command, "--help").stdout.split())
    assert run("--version").stdout == f"queryengine {__version__}\n"


def installed_command() -> list[str]:
    """What the script of an installed package runs."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["queryengine"].split(":")
    return [sys.executable, "-c", f"from {module} import {function}; {function}()"]


@pytest.fixture
def sigint_is_heard() -> Iterator[None]:
    """By child processes, too: a shell that runs the tests in the background lets them ignore it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("sigint_is_heard")
@pytest.mark.parametrize("command", [[sys.executable, "-m", "queryengine"], installed_command()], ids=["-m", "script"])
def test_ctrl_c_during_the_imports_is_quiet(command: list[str], tmp_path: Path) -> None:
    # Stands before the real one on the path.
    (tmp_path / "grpc.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    done = subprocess.run([*command, "ps"], capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == ExitCode.CANCELLED
    assert done.stdout == done.stderr == ""


def test_engines_refresh_prints_what_has_changed(run: Run, fake: FakeService, fake_target: str) -> None:
    service = query_service_pb2
    changes = [
        service.ViewChange(view="b\x1bad", kind=service.VIEW_CHANGE_KIND_UNREADABLE, reason="b.csv is empty"),
        service.ViewChange(view="new", kind=service.VIEW_CHANGE_KIND_ADDED),
    ]
    reply = service.RefreshEngineResponse(
        engine="lake", views=7, workers=1, workers_waiting=2, changes=changes, changes_left_out=1200
    )
    fake.replies["RefreshEngine"] += [reply, reply]

    text = run("engines", "refresh", "lake", "--server", fake_target)
    as_json = run("engines", "refresh", "--json", "--server", fake_target)

    assert text.stdout.splitlines() == [
        "lake: read again by 1 worker, by 2 more before their next query; 7 views to query",
        "unreadable  b\\x1bad: b.csv is empty",
        "added       new",
        "(1,200 more)",
    ]
    assert json.loads(as_json.stdout)["changes"][1] == {"view": "new", "kind": "ADDED", "reason": ""}
    assert [request.engine for request in fake.requests["RefreshEngine"]] == ["lake", ""]


def test_config_check(run: Run, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("server:\n  listen: 127.0.0.1:0\n")
    bad.write_text("server:\n  lissen: 127.0.0.1:0\n")

    assert run("config", "check", str(good)).stdout == f"{good}: ok; engines: duckdb\n"
    wrong = run("config", "check", str(bad))
    assert wrong.exit_code == ExitCode.USAGE
    assert "lissen" in wrong.stderr
    assert run("config", "check", str(tmp_path / "none")).exit_code == ExitCode.USAGE
    assert run("serve", "--config", str(bad)).exit_code == ExitCode.USAGE


OPTIONS = {
    "{type: duckdb, options: {path: 3}}": "option 'path' must be text",
    "{type: duckdb, options: {foo: 1}}": "unknown option 'foo' for a duckdb engine",
    "{type: duckdb, options: {init_sql: 3}}": "option 'init_sql' must be a list",
    "{type: sqlalchemy}": "option 'url' is missing",
    "{type: sqlalchemy, options: {url: 'sqlite:////x', foo: 1}}": "unknown option 'foo'",
    "{type: sqlalchemy, options: {url: 'postgresql://h/d', foo: 1}}": "unknown option 'foo'",
    "{type: sqlalchemy, options: {url: 'postgresql://h:port/d'}}": "option 'url' must be",
    "{type: sqlalchemy, options: {url: [1]}}": "option 'url' must be",
    "{type: sqlalchemy, options: {url: 'nosuch://x/y'}}": "option 'url': there is no dialect 'nosuch'",
    "{type: sqlalchemy, options: {url: 'mysql+mysqldb://x/y'}}": "needs a driver that is not installed",
    "{type: clickhouse}": "option 'url' is missing",
    "{type: clickhouse, options: {url: 'http://h', foo: 1}}": "unknown option 'foo'",
    "{type: trino}": "option 'url' is required",
    "{type: trino, options: {url: 'http://h', foo: 1}}": "unknown option 'foo'",
    "{type: spark}": "option 'url' is missing",
    "{type: spark, options: {url: 'sc://h', foo: 1}}": "unknown option 'foo'",
}


@pytest.mark.parametrize(
    "engine",
    ["{type: duckdb, slots_per_worker: 3}", "{type: sqlalchemy, slots_per_worker: 2, options: {url: 'sqlite:////x'}}"],
)
def test_config_check_keeps_embedded_engines_to_one_slot(run: Run, tmp_path: Path, engine: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"engines:\n  good: {{type: duckdb, slots_per_worker: 1}}\n  e: {engine}\n")
    wrong = run("config", "check", str(bad))
    assert wrong.exit_code == ExitCode.USAGE
    assert wrong.stderr.startswith(
        f"error: {bad}:3: engines.e.slots_per_worker: expected 1 for an engine that computes"
    )


OUTSIDE = "is a link to a place outside the folder, which is not followed"


def test_config_check_looks_at_the_places_that_options_name(run: Run, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    for name in ("Orders.csv", "orders.tsv", "good.csv"):
        (lake / name).write_text("v\n1\n")
    (lake / "raw").symlink_to("/etc")
    settings = tmp_path / "settings.yaml"
    options = [f"directory: {tmp_path}/none", f"path: {tmp_path}/none.db", f"directory: {lake}"]
    (lake / "good.csv").unlink()
    engines = [f"  e{number}: {{type: duckdb, options: {{{each}}}}}\n" for number, each in enumerate(options)]
    settings.write_text(f"engines:\n{''.join(engines)}")

    found = run("config", "check", str(settings))

    assert found.exit_code == ExitCode.USAGE
    twice = "Orders.csv and orders.tsv would both be the view Orders; rename one of them"
    assert found.stderr.removeprefix("error: ").splitlines() == [
        f"{settings}:2: engines.e0.options: option 'directory': there is no folder {tmp_path}/none",
        f"{settings}:3: engines.e1.options: option 'path': there is no file {tmp_path}/none.db",
        f"{settings}:4: engines.e2.options: option 'directory': view Orders cannot be read: {twice}",
        f"{settings}:4: engines.e2.options: option 'directory': view raw cannot be read: raw {OUTSIDE}",
    ]


def test_config_check_warns_where_the_machine_cannot_confine(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queryengine.workers.landlock.version", lambda: 0)
    monkeypatch.setattr("queryengine.workers.seccomp.is_known", lambda: False)
    settings = tmp_path / "settings.yaml"
    engines = (
        "  a: {type: duckdb}\n  b: {type: duckdb, confine: false}\n  c: {type: trino, options: {url: 'http://h'}}\n"
    )
    settings.write_text(f"engines:\n{engines}")

    found = run("config", "check", str(settings))

    assert found.exit_code == ExitCode.OK
    lacks = "landlock is not in this kernel; seccomp is not known for this machine"
    warning = f"warning: {settings}:2: engines.a: its workers are less confined than they could be: {lacks}"
    assert [line for line in found.stderr.splitlines() if "confined" in line] == [warning]


def test_config_check_warns_of_a_bad_file_beside_good_ones(run: Run, tmp_path: Path) -> None:
    """The server starts with such a folder, too, and answers for the others."""
    (tmp_path / "good.csv").write_text("v\n1\n")
    (tmp_path / "half.parquet").touch()
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"engines:\n  lake: {{type: duckdb, options: {{directory: {tmp_path}}}}}\n")

    found = run("config", "check", str(settings))

    assert (found.exit_code, found.stdout) == (ExitCode.OK, f"{settings}: ok; engines: lake\n")
    where = f"warning: {settings}:2: engines.lake.options: option 'directory': view"
    empty, table = [line for line in found.stderr.splitlines() if "option" in line]
    assert empty == f"{where} half cannot be read: half.parquet is empty (0 bytes)"
    assert table.startswith(f"{where} table cannot be read: table is a Delta Lake table")


def test_config_check_names_the_line_of_what_lies_within_an_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v\n1\n")
    lines = ["engines:", "  lake:", "    type: duckdb", "    options:", f"      directory: {tmp_path}", "      csv:"]
    lines += ['        "z*.csv":', '          delimiter: ";"', '          dateformat: "%d.%m.%Y"']
    settings = tmp_path / "settings.yaml"

    settings.write_text("\n".join(lines))
    fine = run("config", "check", str(settings))
    settings.write_text("\n".join(lines).replace("%d.", "%Q."))
    wrong = run("config", "check", str(settings))

    where = "engines.lake.options: option 'csv > z*.csv"
    assert (fine.exit_code, fine.stdout) == (ExitCode.OK, f"{settings}: ok; engines: lake\n")
    assert fine.stderr.startswith(f"warning: {settings}:7: {where}': no file has such a name")
    assert wrong.exit_code == ExitCode.USAGE
    assert wrong.stderr.startswith(f"error: {settings}:9: {where} > dateformat': '%Q.%m.%Y' is not a format")


def test_config_check_names_every_wrong_option_and_its_line(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    engines = [f"  e{number}: {engine}\n" for number, engine in enumerate(OPTIONS)]
    bad.write_text(f"engines:\n  good: {{type: duckdb}}\n{''.join(engines)}")

    wrong = run("config", "check", str(bad))

    assert wrong.exit_code == ExitCode.USAGE
    lines = wrong.stderr.removeprefix("error: ").splitlines()
    for number, (line, mistake) in enumerate(zip(lines, OPTIONS.values(), strict=True)):
        assert line.startswith(f"{bad}:{number + 3}: engines.e{number}.options: ")
        assert mistake in line


OTHER = "11111111-2222-4222-8222-222222222222"


@pytest.mark.parametrize("command", ["status", "watch", "cancel", "fetch", "release"])
def test_the_beginning_of_an_id_names_a_query_in_every_command(run: Run, fake: FakeService, command: str) -> None:
    final = status("COMPLETED", 2)
    fake.replies["ListQueries"].append(listing(final))
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=final))
    fake.replies["ReleaseResults"].append(query_service_pb2.ReleaseResultsResponse(status=final))
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page_message(numbers(1), 0)))
    fake.streams["WatchStatus"].append([query_service_pb2.WatchStatusResponse(status=final)])
    fake.replies["Cancel"].append(
        query_service_pb2.CancelResponse(
            result=query_service_pb2.CANCEL_RESULT_ALREADY_ENDED,
            engine_cancel=query_service_pb2.ENGINE_CANCEL_STATE_NOT_RUNNING,
            status=final,
        )
    )

    done = run(command, "1111AAAA"[:4])

    assert done.exit_code == ExitCode.OK, done.stderr
    assert fake.requests["ListQueries"][0].query_id_prefix == "1111"
    (asked,) = (
        request for method, requests in fake.requests.items() if method != "ListQueries" for request in requests
    )
    assert asked.query_id == ID


def test_a_beginning_of_several_ids_is_refused_with_the_queries_it_may_mean(run: Run, fake: FakeService) -> None:
    second = status("RUNNING", 1, sql_preview="SELECT 2")
    second.query_id = OTHER
    fake.replies["ListQueries"].append(listing(status("QUEUED", 1, sql_preview="SELECT 1"), second))

    done = run("cancel", "11111111")

    assert done.exit_code == ExitCode.USAGE
    assert done.stderr.splitlines() == [
        "error: more than one query has an id that begins with 11111111; give more of it:",
        f"  {ID}  QUEUED  SELECT 1",
        f"  {OTHER}  RUNNING  SELECT 2",
    ]
    assert not fake.requests["Cancel"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("abc", ExitCode.NOT_FOUND), ("xyz", ExitCode.USAGE), ("", ExitCode.USAGE), ("%", ExitCode.USAGE)],
)
def test_a_beginning_of_no_id(run: Run, fake: FakeService, text: str, code: ExitCode) -> None:
    fake.replies["ListQueries"].append(listing())
    assert run("status", text).exit_code == code


@pytest.mark.parametrize(("others", "shown"), [([], "11111111"), ([OTHER], "11111111-1"), ([ID], "11111111")])
def test_an_id_is_cut_to_what_identifies_it(others: list[str], shown: str) -> None:
    assert beginning(ID, others) == shown


def test_ps_keeps_the_time_in_the_queue_and_on_the_engine_apart(run: Run, fake: FakeService) -> None:
    waiting = status(
        "QUEUED",
        1,
        subject="ann",
        submit_time={"seconds": 60},
        progress={"queue_position": 1, "queue_depth": 3, "waiting_reason": "connection refused"},
        stats={"queue_time": {"seconds": 5}},
    )
    running = status(
        "RUNNING",
        1,
        start_time={"seconds": 60},
        progress={"fraction": 0.5},
        stats={"queue_time": {"seconds": 1}, "execution_time": {"seconds": 2}},
    )
    fake.replies["ListQueries"].append(listing(waiting, running))

    head, _, first, second = (
        [cell.strip() for cell in re.split("[┃│╇]", line)] for line in run("ps", "--label", "a=b").stdout.splitlines()
    )

    columns = ["id", "state", "user", "engine", "submitted", "waited", "ran", "rows", "place", "reason", "sql"]
    assert head == columns
    queued, active = (dict(zip(columns, row, strict=True)) for row in (first, second))
    assert (queued["state"], queued["user"], queued["place"]) == ("QUEUED", "ann", "2 of 3")
    assert (queued["waited"], queued["ran"], queued["reason"]) == ("5.0 s", "", "connection refused")
    assert re.fullmatch(r"19(69|70)-\d\d-\d\d \d\d:\d\d:00", queued["submitted"])
    assert (active["state"], active["waited"], active["ran"]) == ("RUNNING 50%", "1.0 s", "2.0 s")
    assert dict(fake.requests["ListQueries"][0].labels) == {"a": "b"}


def test_fetch_goes_on_where_a_page_could_hold_no_more(run: Run, fake: FakeService) -> None:
    pages = [(numbers(3, start=5), 5, "more"), (numbers(1, start=8), 8, "more")]
    fake.replies["FetchPage"].extend(
        query_service_pb2.FetchPageResponse(page=page_message(batch, at), next_page_token=token, total_rows=100)
        for batch, at, token in pages
    )

    done = run("fetch", ID, "--offset", "5", "--size", "4", "-f", "json")

    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [5, 6, 7, 8]
    assert done.stderr == "(rows 5 to 8 of 100; next: --offset 9)\n"
    assert [(request.offset, request.page_size) for request in fake.requests["FetchPage"]] == [(5, 4), (8, 1)]


@pytest.mark.parametrize(
    ("count", "total", "said"),
    [(3, 8, "rows 5 to 7 of 8"), (1, 6, "row 5 of 6"), (0, 5, "no rows of 5"), (3, None, "rows 5 to 7 so far")],
)
def test_fetch_says_which_rows_it_wrote(run: Run, fake: FakeService, count: int, total: int | None, said: str) -> None:
    page = page_message(numbers(count, start=5), 5)
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page, total_rows=total))
    assert run("fetch", ID, "--offset", "5", "--size", "3").stderr == f"({said})\n"


def test_fetch_of_a_query_that_still_runs_ends_with_the_rows_that_are_there(run: Run, fake: FakeService) -> None:
    page = page_message(numbers(3), 0)
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page, next_page_token="more"))
    fake.replies["FetchPage"].append(Refuse(grpc.StatusCode.FAILED_PRECONDITION, "RESULT_NOT_READY"))

    done = run("fetch", ID)

    assert (done.exit_code, done.stderr) == (ExitCode.OK, "(rows 0 to 2 so far; next: --offset 3)\n")
