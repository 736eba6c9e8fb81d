"""`queryengine config check`: all that `serve` would refuse, found without a start, and what is worth a warning."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from queryengine.cli.exits import ExitCode
from queryengine.cli.main import app

Check = Callable[..., tuple[int, list[str]]]

ENGINE = "engines:\n  lake: {type: duckdb, workers: 1}\n"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs it on a text: the exit code, and the lines on standard error with a short name of the file."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("QUERYENGINE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "state").mkdir(mode=0o700)

    def run(text: str, *options: str) -> tuple[int, list[str]]:
        state = "" if "state:" in text else f"state: {{directory: {tmp_path / 'state'}}}\n"
        Path("s.yaml").write_text(f"{ENGINE}{state or chr(10)}{text}")
        done = CliRunner().invoke(app, ["config", "check", "s.yaml", *options], env={"COLUMNS": "1000"})
        return done.exit_code, [line for line in done.stderr.replace("error: ", "").splitlines() if line]

    return run


EXPOSED = "s.yaml:4: server.listen: other hosts can reach 0.0.0.0:8815, where without authentication every caller"


def test_an_exposed_address_is_a_mistake_unless_serve_is_told_so(check: Check) -> None:
    text = "server: {listen: '0.0.0.0:8815'}"
    code, (line,) = check(text)
    assert code == ExitCode.USAGE
    assert line.startswith(EXPOSED)
    code, lines = check(text, "--insecure")
    assert code == ExitCode.OK
    assert [line for line in lines if line.startswith(f"warning: {EXPOSED}")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("audit: {to: FOLDER}", "s.yaml:4: audit.to: FOLDER is not a regular file"),
        ("audit: {to: /dev/null}", "s.yaml:4: audit.to: /dev/null is not a regular file"),
        ("audit: {to: FOLDER/none/a.jsonl}", "s.yaml:4: audit.to: there is no folder FOLDER/none"),
        ("state: {directory: FOLDER/file}", "s.yaml:4: state.directory: FOLDER/file is not a folder"),
        ("state: {directory: FOLDER/file/below}", "s.yaml:4: state.directory: FOLDER/file is not a folder"),
        (
            "state: {directory: FOLDER/state, database: 'sqlite:///FOLDER/none/q.db'}",
            "s.yaml:4: state.database: there is no folder FOLDER/none",
        ),
        (
            "state: {directory: FOLDER/state, database: 'sqlite:///FOLDER'}",
            "s.yaml:4: state.database: FOLDER is not a regular file",
        ),
        ("tls: {certificate: FOLDER/file, key: FOLDER/file}", "s.yaml:4: tls."),
    ],
)
def test_a_place_that_serve_could_not_use(check: Check, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "file").touch(mode=0o600)
    code, (line,) = check(text.replace("FOLDER", str(tmp_path)))
    assert code == ExitCode.USAGE
    assert line.startswith(expected.replace("FOLDER", str(tmp_path)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
@pytest.mark.parametrize(
    ("text", "key"),
    [("audit: {to: CLOSED/a.jsonl}", "audit.to"), ("state: {directory: CLOSED/state}", "state.directory")],
)
def test_a_place_that_this_user_cannot_write(check: Check, tmp_path: Path, text: str, key: str) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    code, (line,) = check(text.replace("CLOSED", str(closed)))
    assert code == ExitCode.USAGE
    assert line.startswith(f"s.yaml:4: {key}: {closed}")
    assert line.endswith("cannot be written by this user")


def test_every_mistake_is_reported_at_once(check: Check, tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    policy = "policies: {engines: {nowhere: {relations: {main.t: {columns: [a], open: true}}}}}"
    code, lines = check(
        f"server: {{listen: '0.0.0.0:1'}}\naudit: {{to: {tmp_path}}}\ntls: {{certificate: {tmp_path}/file, "
        f"key: {tmp_path}/file}}\n{policy}\n"
    )
    assert code == ExitCode.USAGE
    assert [line.split(": ")[1] for line in lines] == [
        "server.listen",
        "tls.certificate",
        "policies.engines.nowhere",
        "audit.to",
    ]


def test_a_file_of_a_secret_that_others_can_read_is_worth_a_warning(check: Check, tmp_path: Path) -> None:
    key = tmp_path / "hash.key"
    key.write_text("a secret of policies")
    key.chmod(0o640)
    text = f"policies:\n  hash_key: file:{key}\n"
    code, (line,) = check(text)
    assert code == ExitCode.OK
    what = f"other users of this machine can use {key} (mode 640); chmod 600 {key}"
    assert line == f"warning: s.yaml:5: policies.hash_key: {what}"
    key.chmod(0o600)
    assert check(text) == (ExitCode.OK, [])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("functions: {deny: [read_csvv]}", "s.yaml:5: statements.functions.deny"),
        ("engines: {lake: {functions: {deny: [sum, read_csvv]}}}", "s.yaml:5: statements.engines.lake.functions.deny"),
    ],
)
def test_a_function_that_is_denied_and_is_none_is_worth_a_warning(check: Check, rules: str, expected: str) -> None:
    code, (line,) = check(f"statements:\n  {rules}\n")
    assert code == ExitCode.OK
    what = "engine lake has no function read_csvv, so this denies nothing there; did you mean read_csv?"
    assert line == f"warning: {expected}: {what}"


def test_functions_that_the_engine_has_are_no_warning(check: Check) -> None:
    everything: Any = check("statements: {functions: {deny: [READ_CSV, sum, glob, range, duckdb_settings]}}\n")
    assert everything == (ExitCode.OK, [])
