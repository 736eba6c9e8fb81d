"""Secrets in settings are read from files and variables, and nothing that shows settings shows them."""

import copy
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from queryengine.settings import Secret, Settings, SettingsError, load, reloaded
from queryengine.settings.group import Group
from queryengine.settings.secret import SECRET_BYTES_MAX, secret_files, secret_variables

CANARY = "canary-4b1d90"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANARY", CANARY)
    (tmp_path / "secret").write_text(f"{CANARY}\n")


class Keys(Group):
    """A group with secrets, alone and within others."""

    key: Secret
    more: Mapping[str, list[Secret]] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"plain", "plain"),
        (b"line\n", "line"),
        (b"line\r\n", "line"),
        (b"two\n\n", "two\n"),
        (b" spaced ", " spaced "),
        (b"-----BEGIN KEY-----\nx\n-----END KEY-----\n", "-----BEGIN KEY-----\nx\n-----END KEY-----"),
        (b"x" * SECRET_BYTES_MAX, "x" * SECRET_BYTES_MAX),
    ],
)
def test_a_file_is_read_without_its_last_line_break(tmp_path: Path, raw: bytes, value: str) -> None:
    (tmp_path / "s").write_bytes(raw)
    assert Secret(f"file:{tmp_path}/s").reveal() == value


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Secret("env:CANARY").reveal() == CANARY
    monkeypatch.setenv("CANARY", "other\n")
    assert Secret("env:CANARY").reveal() == "other"


def _make(tmp_path: Path, name: str) -> None:
    match name:
        case "folder":
            (tmp_path / name).mkdir()
        case "pipe":
            os.mkfifo(tmp_path / name)
        case "large":
            (tmp_path / name).write_text("x" * (SECRET_BYTES_MAX + 1))
        case "binary":
            (tmp_path / name).write_bytes(b"\xff\xfe")
        case "empty" | "line":
            (tmp_path / name).write_text("\n" if name == "line" else "")


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("file:{here}/none", "file:{here}/none cannot be read: No such file or directory"),
        ("file:{here}/secret/x", "file:{here}/secret/x cannot be read: Not a directory"),
        ("file:{here}/folder", "file:{here}/folder is not a regular file"),
        ("file:{here}/pipe", "file:{here}/pipe is not a regular file"),
        ("file:{here}/large", "file:{here}/large has more than 65,536 bytes"),
        ("file:{here}/binary", "file:{here}/binary is not UTF-8"),
        ("file:{here}/empty", "file:{here}/empty is empty"),
        ("file:{here}/line", "file:{here}/line is empty"),
        ("env:NO_SUCH", "env:NO_SUCH: the environment has no variable NO_SUCH"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_key(tmp_path: Path, reference: str, problem: str) -> None:
    here = str(tmp_path)
    _make(tmp_path, Path(reference).name)
    reference, problem = reference.format(here=here), problem.format(here=here)
    file = tmp_path / "s.yaml"
    file.write_text(f"state:\n  database: {reference}\n")
    with pytest.raises(SettingsError) as refusal:
        load("s.yaml")
    assert str(refusal.value) == f"s.yaml:2: state.database: {problem}"
    options = f"url: 'https://h'\n      password: {reference}"
    file.write_text(f"engines:\n  e:\n    type: trino\n    options:\n      {options}\n")
    with pytest.raises(SettingsError) as refusal:
        load("s.yaml")
    assert str(refusal.value) == f"s.yaml:6: engines.e.options: option 'password': {problem}"


@pytest.mark.parametrize("plain", [CANARY, f"file:{CANARY}", f"env:{CANARY}", f"env: {CANARY}", "", 7, [CANARY], None])
def test_a_plain_value_is_refused_and_not_repeated(plain: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        Keys(key=plain)  # type: ignore[arg-type]
    assert refusal.value.errors()[0]["msg"].startswith("expected file:/path of a file that holds the secret")
    assert CANARY not in str(refusal.value)


def test_nothing_that_shows_settings_shows_a_secret(tmp_path: Path) -> None:
    keys: Any = {"key": "env:CANARY", "more": {"a": [f"file:{tmp_path}/secret"]}}
    group = Keys(**keys)
    assert list(secret_variables(group)) == ["CANARY"]
    assert list(secret_files(group)) == [tmp_path / "secret"]
    secret = group.key
    shown = [repr(group), str(group), group.model_dump(), group.model_dump_json(), dict(group), vars(group)]
    shown += [repr(secret), str(secret), f"{secret}", f"{secret!r:>9}"]
    assert CANARY not in str(shown)
    assert group.model_dump(mode="json") == keys
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert Keys(**keys) == group
    assert copy.copy(group) == group


@pytest.mark.parametrize(
    "options",
    [
        {"url": "{}"},
        {"url": "postgresql://u:{}@h/d"},
        {"password": "{}"},
        {"token": "{}"},
        {"init_sql": ["CREATE SECRET x (TYPE s3, SECRET '{}')"]},
        {"connect_args": {"password": "{}", "deep": {"x": ["{}"]}}},
        {"extra": {"password": "{}"}},
    ],
)
def test_plain_options_of_engines_still_work_and_are_not_shown(options: dict[str, Any]) -> None:
    filled = _filled(options, CANARY)
    settings = Settings(engines={"e": {"type": "duckdb", "options": filled}})
    assert settings.engines["e"].options == filled
    engine = settings.engines["e"]
    shown = [settings, settings.model_dump(), settings.model_dump_json(), dict(settings), vars(engine), engine.options]
    assert CANARY not in str(shown)
    assert CANARY not in repr(shown)


def _filled(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return value.replace("{}", text)
    if isinstance(value, list):
        return [_filled(each, text) for each in value]
    return {key: _filled(each, text) for key, each in value.items()}


def test_references_are_read_where_options_hold_secrets_and_nowhere_else(tmp_path: Path) -> None:
    file = f"file:{tmp_path}/secret"
    given = {
        "url": file,
        "password": "env:CANARY",
        "token": file,
        "init_sql": [file, "SELECT 1"],
        "connect_args": {"password": file, "port": 1},
        "staging": file,
        "user": "env:CANARY",
    }
    settings = Settings(engines={"e": {"type": "duckdb", "options": given}})
    assert secret_variables(settings) == {"CANARY"}
    assert set(secret_files(settings)) == {tmp_path / "secret"}
    assert CANARY not in repr(dict(settings.engines["e"].options))
    assert settings.engines["e"].options == {
        "url": CANARY,
        "password": CANARY,
        "token": CANARY,
        "init_sql": [CANARY, "SELECT 1"],
        "connect_args": {"password": CANARY, "port": 1},
        "staging": file,
        "user": "env:CANARY",
    }


def test_the_database_of_the_record_may_be_a_reference(tmp_path: Path) -> None:
    url = f"postgresql://u:{CANARY}@h/d"
    (tmp_path / "url").write_text(f"{url}\n")
    settings = Settings(state={"database": f"file:{tmp_path}/url", "directory": tmp_path})
    assert settings.state.record == url
    assert CANARY not in f"{settings} {settings.model_dump()} {settings.state.model_dump_json()}"
    (tmp_path / "url").write_text("postgresql://other@h/d")
    again = Settings(state={"database": f"file:{tmp_path}/url", "directory": tmp_path})
    assert reloaded(settings, again).needs_restart == ("state.database",)


@pytest.mark.parametrize(
    "line",
    [
        "password: *{}",
        "password: !{} x",
        "password: !!int {}",
        "password: !!float {}",
        "password: !!timestamp {}",
        "password: '{}",
        'password: "{}\\q"',
        "password: [{}",
        "password: %{}: x: y",
        "password: @{}",
        "password: !<{}> 1",
    ],
)
def test_a_file_that_is_not_yaml_shows_nothing_of_its_values(line: str) -> None:
    before = "engines:\n  e:\n    type: trino\n    options:\n      "
    Path("s.yaml").write_text(f"{before}{line.replace('{}', CANARY)}\n")
    with pytest.raises(SettingsError) as refusal:
        load("s.yaml")
    assert CANARY not in str(refusal.value)
