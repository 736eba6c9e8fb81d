"""Messages of the server in the words of the command line, and mistakes in a command in words of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.cli.clientconfig import VARIABLES, ClientConfig
from queryengine.cli.exits import ExitCode
from queryengine.cli.ids import whole
from queryengine.cli.wording import in_commands, message_in_commands
from queryengine.client import Client
from queryengine.v1 import query_service_pb2
from tests.unit.fake_service import ID, FakeService, Refuse, listing, status

Run = Callable[..., Any]

NOT_READY = "3 rows are stored so far; wait for more with WatchStatus or StreamResults, or ask again"


def said(done: Any) -> str:
    """Standard error as one line."""
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NOT_READY, f"3 rows are stored so far; wait for more with `queryengine watch {ID}`, or ask again"),
        ("release some with ReleaseResults", f"release some with `queryengine release {ID}`"),
        (
            "this row does not fit in one message; read it with StreamResults",
            f"this row does not fit in one message; read it with `client.attach('{ID}').result()` of the Python client",
        ),
        ("list them by ListQueries", "list them by `queryengine ps`"),
        ("its queue_timeout of 5 seconds", "its --queue-timeout of 5 seconds"),
        ("x-tenant-id names another tenant", "--tenant names another tenant"),
        ('ask for the result option wide_integers "string"', 'ask for --wide-integers "string"'),
        ("Cancel or Submit it again", "Cancel or Submit it again"),
        ("my_row_limit and row_limit_2", "my_row_limit and row_limit_2"),
        ("more than tenants.acme.row_limit allows", "more than tenants.acme.row_limit allows"),
        ("tenants.*.subjects.ann.execution_timeout_seconds", "tenants.*.subjects.ann.execution_timeout_seconds"),
        ("engine 'a' does not support limits.byte_limit", "engine 'a' does not support limits.byte_limit"),
    ],
)
def test_names_of_calls_and_fields_become_commands_and_options(text: str, expected: str) -> None:
    assert in_commands(text, query_id=ID) == expected


@pytest.mark.parametrize(
    ("reason", "message", "metadata", "expected"),
    [
        ("INVALID_FIELD", "priority must be from 0 to 9", {"field": "priority"}, "--priority must be from 0 to 9"),
        ("INVALID_FIELD", "labels holds 99 entries", {"field": "labels"}, "--label holds 99 entries"),
        ("INVALID_FIELD", "parameters[3].value is x", {"field": "parameters[3].value"}, "--parameter[3].value is x"),
        ("INVALID_FIELD", "the engine is odd", {"field": "engine"}, "the engine is odd"),
        # An engine's own words about a column.
        ("STATEMENT_REJECTED", "no column row_limit", {}, "no column row_limit"),
        ("SYNTAX_ERROR", "at FetchPage", {}, "at FetchPage"),
        ("STATEMENT_REJECTED", "ask for wide_integers", {"wide_integers": "fail"}, "ask for --wide-integers"),
    ],
)
def test_a_message_names_the_option_of_its_field_and_an_engines_own_stays(
    reason: str, message: str, metadata: dict[str, str], expected: str
) -> None:
    assert message_in_commands(reason, message, metadata) == expected


def test_fetch_of_a_running_query_names_a_command(run: Run, fake: FakeService) -> None:
    refusal = Refuse(grpc.StatusCode.FAILED_PRECONDITION, "RESULT_NOT_READY", NOT_READY)
    fake.replies["FetchPage"].append(refusal)
    done = run("fetch", ID)
    assert done.exit_code == ExitCode.NOT_FOUND
    assert f"watch {ID}`, or ask again" in said(done)
    assert "Status" not in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("sql", "--format", "xml", "SELECT 1"), "'--format' / '-f': 'xml' is not one of 'table', 'csv'"),
        (("sql", "--on-limit", "stop", "SELECT 1"), "'--on-limit': 'stop' is not one of 'truncate', 'fail'"),
        (("sql", "--limit", "few", "SELECT 1"), "'--limit': expected a whole number, not 'few'"),
        (("sql", "--priority", "10", "SELECT 1"), "'--priority': expected at most 9, not '10'"),
        (("fetch", ID, "--size", "0"), "'--size': expected at least 1, not '0'"),
        (("fetch", ID, "--offset", "1.5"), "'--offset': expected a whole number, not '1.5'"),
        (("ps", "--state", "idle"), "'--state': 'idle' is not one of 'queued', 'running'"),
        (("keys", "create", "etl", "--role", "boss"), "'--role': 'boss' is not one of 'submit', 'read'"),
    ],
)
def test_a_value_of_an_option_that_is_wrong(run: Run, words: tuple[str, ...], expected: str) -> None:
    done = run(*words)
    assert done.exit_code == ExitCode.USAGE
    assert expected in said(done)
    assert "Value error" not in said(done)
    assert "Input" not in said(done)


def test_sql_of_a_file_says_how_to_run_it(run: Run, fake: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "report.sql"
    path.write_text("SELECT 1")
    done = run("sql", str(path))
    assert done.exit_code == ExitCode.USAGE
    assert said(done) == f"error: {path} is a file; to run what it holds: queryengine sql - < {path}"
    assert not fake.requests


def test_a_query_of_nobody_says_whose_were_looked_at(run: Run, fake: FakeService) -> None:
    refusal = Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND", "no such query")
    fake.replies["GetStatus"].extend([refusal, refusal])
    hint = "; --tenant and --user name another caller"
    assert f"no such query of tenant default{hint}" in said(run("status", ID))
    assert f"no such query of tenant a that user ann may see{hint}" in said(
        run("status", ID, "--tenant", "a", "--user", "ann")
    )
    fake.replies["ListQueries"].append(listing())
    assert "no query of tenant default has an id that begins with abc" in said(run("status", "abc"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("api_key", "qe_x"), ("token_file", "FILE"), ("api_key_file", "FILE"), ("headers", "authorization: Bearer x")],
)
def test_a_credential_says_the_tenant_unless_one_is_named(
    run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, variable: str, value: str
) -> None:
    (tmp_path / "secret").write_text("abc")
    monkeypatch.setenv(VARIABLES[variable], value.replace("FILE", str(tmp_path / "secret")))
    fake.replies["GetStatus"].extend([query_service_pb2.GetStatusResponse(status=status("RUNNING", 1))] * 2)

    assert "that of the credential" in run("config", "client").stdout
    assert "that of the credential" not in run("config", "client", "--tenant", "a").stdout
    run("status", ID)
    run("status", ID, "--tenant", "a")

    assert "x-tenant-id" not in fake.metadata[0]
    assert fake.metadata[1]["x-tenant-id"] == "a"


def test_without_a_credential_the_tenant_is_the_default_one(fake: FakeService, fake_target: str) -> None:
    assert ClientConfig().tenant_in_words == "tenant default"
    fake.replies["ListQueries"].append(listing(status("RUNNING", 1)))
    with Client(fake_target) as client:
        assert whole(client, ID[:6]) == ID
    assert fake.metadata[0]["x-tenant-id"] == "default"
