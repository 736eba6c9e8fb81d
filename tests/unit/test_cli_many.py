"""Commands about many queries of a tenant, as a user types them, against a server that answers as scripted."""

import json
import sys
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from queryengine.cli.exits import ExitCode
from queryengine.domain.clock import SystemClock
from queryengine.v1 import query_pb2, query_service_pb2
from tests.terminal import on_a_terminal
from tests.unit.fake_service import ID, FakeService, Refuse, listing, status

Run = Callable[..., Any]


def test_ps_narrows_to_a_user_and_a_range_of_time(run: Run, fake: FakeService) -> None:
    fake.replies["ListQueries"].extend([listing()] * 2)

    run("ps", "--by", "ann", "--since", "2026-11-28T13:30Z", "--until", "2026-11-28T16:00:00.5+02:00")
    run("ps", "--since", "2h")

    asked, recent = fake.requests["ListQueries"]
    assert asked.subject == "ann"
    assert asked.submitted_after.ToJsonString() == "2026-11-28T13:30:00Z"
    assert asked.submitted_before.ToJsonString() == "2026-11-28T14:00:00.500Z"
    hours = (SystemClock().now_us() / 1e6 - recent.submitted_after.seconds) / 3600
    assert 2 <= hours < 2.5
    assert not recent.HasField("submitted_before")


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "-2h", "2h ago"])
def test_ps_refuses_what_is_no_time(run: Run, text: str) -> None:
    done = run("ps", f"--since={text}")

    assert done.exit_code == 2
    assert "is neither a time" in done.stderr


def test_cancel_stops_all_that_carry_some_labels(run: Run, fake: FakeService) -> None:
    reply = query_service_pb2.CancelQueriesResponse(cancelled=1200, cancelling=2, already_ended=1, left=7)
    fake.replies["CancelQueries"].extend([reply, query_service_pb2.CancelQueriesResponse()])

    # What is not a terminal is not asked.
    done = run("cancel", "--label", "job=nightly", "--label", "step=1", "--by", "ann", "-e", "duckdb", "--reason", "x")
    nothing = run("cancel", "--label", "job=nightly", "--yes", "--wait")

    assert done.stdout == "1,200 cancelled, 2 on their way, 1 had ended; 7 are left, so run it again\n"
    assert nothing.stdout == "0 cancelled\n"
    first, second = fake.requests["CancelQueries"]
    assert (dict(first.labels), first.subject) == ({"job": "nightly", "step": "1"}, "ann")
    assert (first.engine, first.reason, first.wait_timeout.seconds) == ("duckdb", "x", 0)
    assert second.wait_timeout.seconds > 0


@pytest.mark.parametrize(
    "arguments",
    [(), (ID, "--label", "a=b"), (ID, "--engine", "duckdb"), (ID, "--by", "ann"), ("--label", "a"), ("--yes",)],
)
def test_cancel_takes_an_id_or_labels(run: Run, fake: FakeService, arguments: tuple[str, ...]) -> None:
    done = run("cancel", *arguments)

    assert done.exit_code == ExitCode.USAGE
    assert not fake.requests["Cancel"]
    assert not fake.requests["CancelQueries"]


@pytest.mark.parametrize(("key", "is_cancelled"), [("y", True), ("n", False)])
def test_cancel_by_labels_asks_on_a_terminal(fake: FakeService, fake_target: str, key: str, is_cancelled: bool) -> None:
    fake.replies["ListQueries"].append(listing(status("RUNNING", 1), status("QUEUED", 1)))
    fake.replies["CancelQueries"].append(query_service_pb2.CancelQueriesResponse(cancelled=2))
    arguments = ("cancel", "--server", fake_target, "--label", "job=nightly")

    with on_a_terminal([sys.executable, "-m", "queryengine", *arguments], environment={}) as shown:
        shown.await_text("cancel 2 queries? [y/N]")
        shown.type(f"{key}\r")
        shown.await_text("2 cancelled" if is_cancelled else "Aborted")
        assert shown.await_end() == (ExitCode.OK if is_cancelled else ExitCode.FAILED)

    assert len(fake.requests["CancelQueries"]) == is_cancelled


def test_ps_goes_on_with_what_changes(run: Run, fake: FakeService) -> None:
    def pushed(**event: Any) -> query_service_pb2.WatchQueriesResponse:
        return query_service_pb2.WatchQueriesResponse(position="p", **event)

    reset = pushed(reset=query_service_pb2.WatchReset())
    listed = [listing(status("RUNNING", 1, sql_preview="SELECT 1")), listing()]
    fake.replies["ListQueries"].extend(listed * 2)
    refused = Refuse(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_FIELD", message="enough")
    ended = pushed(status=status("COMPLETED", 2, sql_preview="SELECT 1", stats={"rows": 5}))
    fake.streams["WatchQueries"].extend([[reset, ended, reset, refused]] * 2)

    done = run("ps", "--watch", "--label", "job=nightly", "--by", "ann", "--engine", "duckdb")
    as_json = run("ps", "-w", "--json", "--state", "running")

    begun = ID[:8]
    assert done.stdout.splitlines() == [
        f"{begun}  duckdb  RUNNING  SELECT 1",
        f"{begun}  duckdb  COMPLETED, 5 rows, 0 B  SELECT 1",
    ]
    assert done.stderr.splitlines()[0] == "(changes may have been missed; the queries as they are now:)"
    assert "enough" in done.stderr
    assert [json.loads(line)["state"] for line in as_json.stdout.splitlines()] == ["RUNNING", "COMPLETED"]
    watched, narrowed = fake.requests["WatchQueries"]
    assert (dict(watched.labels), watched.subject, watched.engine) == ({"job": "nightly"}, "ann", "duckdb")
    assert not watched.states
    assert list(narrowed.states) == [query_pb2.QUERY_STATE_RUNNING]
    alive = [query_pb2.QUERY_STATE_QUEUED, query_pb2.QUERY_STATE_RUNNING]
    assert list(fake.requests["ListQueries"][0].states) == alive


def test_ps_watches_from_now_on(run: Run, fake: FakeService) -> None:
    assert run("ps", "--watch", "--since", "2h").exit_code == ExitCode.USAGE
    assert not fake.requests["WatchQueries"]


def test_status_shows_what_was_submitted(run: Run, fake: FakeService) -> None:
    details = query_pb2.QueryDetails(
        sql="SELECT $a,\n  '\x1b[31m'",
        executed_sql="SELECT 1",
        parameters=[{"name": "a", "type": {"kind": "TYPE_KIND_INT", "bit_width": 64}}, {"name": ""}],
        parameters_left_out=3,
        limits={"queue_timeout": {"seconds": 600}, "execution_timeout": {"seconds": 90}, "row_limit": 5000},
    )
    found = query_service_pb2.GetStatusResponse(status=status("RUNNING", 1))
    fake.replies["GetStatus"].extend([found, query_service_pb2.GetStatusResponse(details=details)] * 2)

    shown = run("status", ID, "--full").stdout
    values = json.loads(run("status", ID, "--full", "--json").stdout)["details"]

    assert shown[shown.index("may wait") :].splitlines() == [
        "may wait        600 s",
        "may run         90 s",
        "rows at most    5,000, the rows until then are kept",
        "parameter       a INT 64",
        "parameter       2",
        "parameter       and 3 more",
        "",
        "SELECT $a,",
        "  '\\x1b[31m'",
        "",
        "-- runs as:",
        "SELECT 1",
    ]
    assert (values["sql"], values["execution_timeout"], values["row_limit"]) == (details.sql, 90.0, 5000)
    assert values["parameters"] == [{"name": "a", "type": "INT 64"}, {"name": "", "type": ""}]
    assert "byte_limit" not in values
