"""Settings: what overrides what, and what is said about a mistake."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from queryengine.settings import Settings, SettingsError, load, missing_audit_folder, missing_places, warnings
from queryengine.settings.checking import CLIENT_VARIABLES
from tests.support import ROOT

Load = Callable[[str], Settings]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("QUERYENGINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load settings from a text, as the file s.yaml."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str) -> Settings:
        Path("s.yaml").write_text(text, encoding="utf-8")
        return load("s.yaml")

    return write_and_load


def mistakes(given: Load, text: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        given(text)
    return str(refusal.value).split("\n")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_without_keys_everything_has_its_default(given: Load, text: str) -> None:
    settings = given(text)
    assert settings == load(None)
    assert (settings.server.listen, settings.server.admin_listen) == ("127.0.0.1:8815", "127.0.0.1:8816")
    assert settings.server.metrics_listen == "127.0.0.1:8817"
    assert list(settings.engines) == [settings.default_engine] == ["duckdb"]
    assert settings.engines["duckdb"].workers >= 2
    assert settings.results.page_bytes == 2 * settings.results.inline_bytes == 2 << 20
    assert settings.results.spool_bytes_max is None
    assert settings.limits.sql_bytes == 128 << 10
    assert settings.streams.rotate_seconds == 120


def test_the_environment_overrides_the_file(given: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYENGINE_SERVER__LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("QUERYENGINE_ENGINES__WAREHOUSE__WORKERS", "7")
    monkeypatch.setenv("QUERYENGINE_ENGINES__WAREHOUSE__OPTIONS__URL", "postgresql://secret")
    monkeypatch.setenv("queryengine_limits__parameters", "5")
    settings = given(
        "server: {listen: '[::1]:2', admin_listen: 'localhost:3'}\n"
        "engines:\n  main: {type: duckdb}\n  warehouse: {type: sqlalchemy, workers: 1, options: {pool: 2}}\n"
    )
    assert (settings.server.listen, settings.server.admin_listen) == ("0.0.0.0:1", "localhost:3")
    assert settings.engines["warehouse"].workers == 7
    assert settings.engines["warehouse"].options == {"pool": 2, "url": "postgresql://secret"}
    assert settings.limits.parameters == 5
    assert settings.default_engine == "main"
    assert "secret" not in repr(settings)


def test_an_engine_may_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYENGINE_ENGINES__WAREHOUSE__TYPE", "sqlalchemy")
    settings = load(None)
    assert list(settings.engines) == ["warehouse"]
    assert settings.default_engine == "warehouse"


def test_nothing_can_be_changed_afterwards() -> None:
    settings = load(None)
    with pytest.raises(ValidationError, match="frozen"):
        settings.default_engine = "other"
    with pytest.raises(ValidationError, match="frozen"):
        settings.server.listen = "localhost:1"


@pytest.mark.parametrize("address", ["", "[::1]:0", "0.0.0.0:9"])
def test_metrics_have_an_address_or_none(given: Load, address: str) -> None:
    assert given(f"server: {{metrics_listen: '{address}'}}").server.metrics_listen == address


def test_state_lives_in_the_folder_for_state(given: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert load(None).state.record == Path("/home/someone/.local/state/queryengine/queries.db")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert load(None).state.spool == Path("/var/state/queryengine/spool")
    assert given("state: {directory: ~/here}").state.directory == Path("/home/someone/here")
    assert given("state: {directory: ~/here}").state.record == Path("/home/someone/here/queries.db")


@pytest.mark.parametrize(
    ("database", "place"),
    [
        ("sqlite:////var/lib/q.db", Path("/var/lib/q.db")),
        ("sqlite:///~/q.db", Path("/home/someone/q.db")),
        ("sqlite:////var/with%20space.db", Path("/var/with space.db")),
        ("postgresql://a:b%40@host:5433/name?sslmode=require", "postgresql://a:b%40@host:5433/name?sslmode=require"),
        ("postgres:///name", "postgres:///name"),
    ],
)
def test_the_record_may_be_elsewhere(
    given: Load, monkeypatch: pytest.MonkeyPatch, database: str, place: Path | str
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert given(f"state: {{database: '{database}'}}").state.record == place
    monkeypatch.setenv("QUERYENGINE_STATE__DATABASE", database)
    assert load(None).state.record == place
    assert "b%40" not in repr(load(None))


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("mysql://a:s3cret@host/name", "expected sqlite:///path or postgresql://user@host/name"),
        ("postgresql+asyncpg://a:s3cret@host/name", "expected sqlite:///path or postgresql://user@host/name"),
        ("sqlite://", "expected sqlite:///path or postgresql://user@host/name"),
        ("sqlite:///", "expected sqlite:///path or postgresql://user@host/name"),
        ("sqlite:///q.db?mode=ro", "expected no options behind the path of a SQLite file"),
        ("queries.db", "expected sqlite:///path or postgresql://user@host/name"),
        ("postgresql://a:s3cret@host:port/name", "expected a URL; write signs such as @ and / in a password as %40"),
        ("postgresql://a:s3/cret@host/name", "expected a URL; write signs such as @ and / in a password as %40"),
    ],
)
def test_a_database_that_cannot_be_is_named_without_what_it_says(given: Load, database: str, expected: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        given(f"state: {{database: '{database}'}}")
    assert f"s.yaml:1: state.database: {expected}" in str(refusal.value)
    assert "s3" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits:\n  sql_byte: 1", "s.yaml:2: limits.sql_byte: unknown key; did you mean sql_bytes?"),
        (
            "a: 1\nlog: {}",
            f"s.yaml:1: a: unknown key; known here: {', '.join(Settings.model_fields)}",
        ),
        (
            "\n\nserver:\n  listen: nowhere",
            ("s.yaml:4: server.listen: expected host:port, [IPv6 address]:port or unix:path, not 'nowhere'"),
        ),
        (
            "server: {metrics_listen: 'unix:/tmp/metrics'}",
            (
                "s.yaml:1: server.metrics_listen: expected host:port, [IPv6 address]:port or nothing, "
                "not 'unix:/tmp/metrics'"
            ),
        ),
        (
            "server: {metrics_listen: 'a:70000'}",
            ("s.yaml:1: server.metrics_listen: expected host:port, [IPv6 address]:port or nothing, not 'a:70000'"),
        ),
        (
            "server: {listen: 'a:7', admin_listen: 'a:7'}",
            ("s.yaml:1: server.admin_listen: expected another address than listen, not 'a:7'"),
        ),
        (
            "server: {admin_listen: 'a:7', metrics_listen: 'a:7'}",
            ("s.yaml:1: server.metrics_listen: expected another address than admin_listen, not 'a:7'"),
        ),
        (
            "server: {listen: 'a:70000'}",
            ("s.yaml:1: server.listen: expected host:port, [IPv6 address]:port or unix:path, not 'a:70000'"),
        ),
        (
            "streams:\n  rotate_seconds: soon",
            "s.yaml:2: streams.rotate_seconds: expected a number, not 'soon'",
        ),
        (
            "streams:\n  rotate_seconds: 1.0e+300",
            "s.yaml:2: streams.rotate_seconds: expected at most 3153600000, not 1e+300",
        ),
        (
            "results:\n  ttl_max_seconds: 3153600001",
            "s.yaml:2: results.ttl_max_seconds: expected at most 3153600000, not 3153600001",
        ),
        (
            "limits:\n  tenant_running: 9223372036854775808",
            "s.yaml:2: limits.tenant_running: expected at most 9223372036854775807, not 9223372036854775808",
        ),
        ("streams:\n  rotate_seconds: .inf", "s.yaml:2: streams.rotate_seconds: expected a finite number, not inf"),
        ("log:\n  level: loud", "s.yaml:2: log.level: expected 'debug', 'info', 'warning' or 'error', not 'loud'"),
        ("log: loud", "s.yaml:1: log: expected keys with values, each on a line below it, not 'loud'"),
        ("engines:\n  x:\n    workers: 1", "s.yaml:2: engines.x.type: must be set"),
        (
            "engines:\n  x:\n    type: excel",
            (
                "s.yaml:3: engines.x.type: "
                "expected one of duckdb, sqlalchemy, clickhouse, trino, spark, scripted, not 'excel'"
            ),
        ),
        (
            "engines:\n  x: {type: duckdb}\ndefault_engine: y",
            ("s.yaml:3: default_engine: expected one of the configured engines: x, not 'y'"),
        ),
        ("engines:\n  x: {type: duckdb, wrkers: 1}", "s.yaml:2: engines.x.wrkers: unknown key; did you mean workers?"),
        (
            "results:\n  ttl_seconds: 10\n  ttl_max_seconds: 9",
            ("s.yaml:3: results.ttl_max_seconds: expected at least ttl_seconds, not 9"),
        ),
        (
            "results:\n  refuse_mark_percent: 96",
            ("s.yaml:1: results.fail_mark_percent: expected at least refuse_mark_percent, not 95"),
        ),
        ("log: {}\nserver: {}\nlog: {}", "s.yaml:3: log: set twice, first in line 1"),
        (
            "log: [",
            "s.yaml:1: not YAML in column 7: the file ends where a value is expected; a bracket may not be closed",
        ),
        ("- log", "s.yaml:1: expected keys such as server: and engines:"),
        (
            f"limits:\n  sql_bytes: {'9' * 5000}",
            "s.yaml:2: limits.sql_bytes: cannot be read as a whole number: it has 5,000 characters",
        ),
        (
            f"engines: {{a: {{type: duckdb, options: {{threads: [1, 0x{'f' * 5000}]}}}}}}\nlog: {'9' * 4301}",
            "s.yaml:2: log: cannot be read as a whole number: it has 4,301 characters",
        ),
        (
            "limits:\n  sql_bytes: 2024-99-99",
            "s.yaml:2: limits.sql_bytes: cannot be read as a date: month must be in 1..12",
        ),
        ("log:\n- 2024-99-99", "s.yaml:2: cannot be read as a date: month must be in 1..12"),
        (
            f"limits: {{sql_bytes: '{'9' * 5000}'}}",
            f"s.yaml:1: limits.sql_bytes: expected a whole number, not '{'9' * 80}…'",
        ),
        ("log: &a {level: *a}", "s.yaml: nested too deeply, or an alias in its own anchor"),
        (f"log: {'[' * 3000}{']' * 3000}", "s.yaml: nested too deeply, or an alias in its own anchor"),
        (
            "log: \0",
            "s.yaml:1: not YAML in column 6: the character U+0000 is not allowed",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(given: Load, text: str, expected: str) -> None:
    assert mistakes(given, text) == [expected]


def test_every_mistake_is_told_at_once(given: Load) -> None:
    told = mistakes(given, "server:\n  listn: 1\nlimits:\n  parameters: -1\nengines:\n  x: {type: excel}\n")
    assert [line.split(": ")[0] for line in told] == ["s.yaml:2", "s.yaml:6", "s.yaml:4"]


def test_a_mistake_in_a_variable_names_the_variable(given: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYENGINE_LIMITS__PARAMETERS", "many")
    monkeypatch.setenv("QUERYENGINE_LIMITS__PARAMETER", "1")
    told = mistakes(given, "limits:\n  parameters: 3")
    assert [line.partition(": expected")[0] for line in told] == [
        "environment variable QUERYENGINE_LIMITS__PARAMETERS: limits.parameters",
        "environment variable QUERYENGINE_LIMITS__PARAMETER: limits.parameter: unknown key; did you mean parameters?",
    ]
    monkeypatch.setenv("QUERYENGINE_LIMITS", "{")
    assert mistakes(given, "")[0] == (
        "environment variable QUERYENGINE_LIMITS: expected JSON; set single keys with __ instead"
    )


def test_where_a_key_was_written_is_known(given: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYENGINE_ENGINES__B__TYPE", "duckdb")
    settings = given("log: {}\nengines:\n  a:\n    type: duckdb\n    options:\n      threads: 1\n")
    assert settings.origin("engines", "a", "options") == "s.yaml:5"
    assert settings.origin("engines", "a", "workers") == "s.yaml:3"
    assert settings.origin("engines", "b", "type") == "environment variable QUERYENGINE_ENGINES__B__TYPE"
    assert settings.origin("limits", "sql_bytes") == "s.yaml"
    assert load(None).origin("limits", "sql_bytes") == "environment"
    assert Settings().origin("limits", "sql_bytes") == "settings"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.yaml: cannot be read: No such file or directory$"):
        load(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize(
    "text",
    ["engines:\n  x:\n    typ: duckdb\n    options: {password: hunter2}\n", "engines:\n  x: [{password: hunter2}]\n"],
)
def test_no_message_repeats_what_may_be_a_password(given: Load, text: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        given(text)
    chain: BaseException | None = refusal.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__


KNOWN = f"known here: {', '.join(Settings.model_fields)}"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("QUERYENGINE_SERVR__LISTEN", "servr: unknown key; did you mean QUERYENGINE_SERVER__LISTEN?"),
        ("queryengine_limit__sql_bytes", "limit: unknown key; did you mean QUERYENGINE_LIMITS__SQL_BYTES?"),
        ("QUERYENGINE_ENGINE__A__TYPE", "engine: unknown key; did you mean QUERYENGINE_ENGINES__A__TYPE?"),
        ("QUERYENGINE_COLOUR__DEPTH", f"colour: unknown key; {KNOWN}"),
        ("QUERYENGINE___LISTEN", f": unknown key; {KNOWN}"),
        # One underscore where there are two.
        ("QUERYENGINE_SERVER_LISTEN", "server_listen: unknown key; did you mean QUERYENGINE_SERVER__LISTEN?"),
        ("QUERYENGINE_LOG_LEVEL", "log_level: unknown key; did you mean QUERYENGINE_LOG__LEVEL?"),
        # And the other way round.
        ("QUERYENGINE_DEFAULT__ENGINE", "default: unknown key; did you mean QUERYENGINE_DEFAULT_ENGINE?"),
    ],
)
def test_a_variable_that_is_no_key_is_a_mistake(
    given: Load, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    monkeypatch.setenv(name, "1")
    assert mistakes(given, "") == [f"environment variable {name}: {problem}"]
    # Beside what is wrong in the file.
    assert mistakes(given, "log: {level: loud}")[1:] == [f"environment variable {name}: {problem}"]


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("QUERYENGINE_HOME", "/opt", ""),
        ("QUERYENGINE_SERVER_PORT", "8815", ""),
        ("QUERYENGINE_SERVERLISTEN", "a:1", "; did you mean QUERYENGINE_SERVER__LISTEN?"),
        ("QUERYENGINE_DEFAULT_ENGIN", "a", "; did you mean QUERYENGINE_DEFAULT_ENGINE?"),
    ],
)
def test_another_variable_of_our_name_is_worth_a_warning(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(name, value)
    assert warnings(load(None)) == [f"environment variable {name}: has no meaning{hint}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in sorted(CLIENT_VARIABLES)),
        # What Kubernetes sets beside Services named queryengine and queryengine-admin.
        ("QUERYENGINE_SERVICE_HOST", "10.0.0.1"),
        ("QUERYENGINE_SERVICE_PORT", "8815"),
        ("QUERYENGINE_SERVICE_PORT_GRPC", "8815"),
        ("QUERYENGINE_PORT", "tcp://10.0.0.1:8815"),
        ("QUERYENGINE_PORT_8815_TCP", "tcp://10.0.0.1:8815"),
        ("QUERYENGINE_PORT_8815_TCP_ADDR", "10.0.0.1"),
        ("QUERYENGINE_PORT_8815_TCP_PORT", "8815"),
        ("QUERYENGINE_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("QUERYENGINE_ADMIN_PORT_8816_TCP_PROTO", "tcp"),
    ],
)
def test_what_others_read_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert warnings(load(None)) == []


def test_every_variable_that_the_command_line_reads_is_known() -> None:
    sources = [*(ROOT / "queryengine" / "cli").glob("*.py"), *(ROOT / "queryengine" / "client").glob("*.py")]
    named = {name for path in sources for name in re.findall(r"\bQUERYENGINE_[A-Z_]+\b", path.read_text())}
    assert {name for name in named if "__" not in name and not name.endswith("_")} <= CLIENT_VARIABLES | {
        "QUERYENGINE_SERVER"
    }


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_state_directory_is_refused(given: Load, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert mistakes(given, f"\nstate:\n  directory: '{value}'") == [
        f"s.yaml:3: state.directory: expected a folder, not '{value}'"
    ]
    monkeypatch.setenv("QUERYENGINE_STATE__DIRECTORY", value)
    assert mistakes(given, "state: {directory: /somewhere}") == [
        f"environment variable QUERYENGINE_STATE__DIRECTORY: state.directory: expected a folder, not '{value}'"
    ]


def test_a_state_directory_in_a_home_that_nobody_knows_is_refused(given: Load) -> None:
    (told,) = mistakes(given, "state: {directory: ~nobody-of-this-name/x}")
    assert told.startswith("s.yaml:1: state.directory: Could not determine home directory")


def test_a_state_folder_that_others_can_use_is_worth_a_warning(given: Load, tmp_path: Path) -> None:
    state = tmp_path / "state"
    settings = given(f"state:\n  directory: {state}\n")
    assert warnings(settings) == []
    state.mkdir(mode=0o700)
    assert warnings(settings) == []
    for mode in (0o755, 0o710, 0o702):
        state.chmod(mode)
        assert warnings(settings) == [
            f"s.yaml:2: state.directory: other users of this machine can use {state} (mode {mode:o}); chmod 700 {state}"
        ]
    state.chmod(0o700)
    spool = state / "spool"
    spool.mkdir()
    spool.chmod(0o755)
    assert warnings(settings) == [
        f"s.yaml:2: state.directory: other users of this machine can use {spool} (mode 755); chmod 700 {spool}"
    ]


@pytest.mark.parametrize(
    ("engine_type", "options", "problem"),
    [
        ("duckdb", "path: {here}/none.db", "option 'path': there is no file {here}/none.db"),
        ("duckdb", "path: {here}", "option 'path': {here} is not a file"),
        ("duckdb", "directory: {here}/none", "option 'directory': there is no folder {here}/none"),
        ("duckdb", "directory: {here}/s.yaml", "option 'directory': {here}/s.yaml is not a folder"),
        ("duckdb", "temp_directory: {here}/s.yaml", "option 'temp_directory': {here}/s.yaml is not a folder"),
        ("duckdb", "temp_directory: {here}/none", ""),
        (
            "duckdb",
            "init_sql: [x], init_paths: [{here}/none]",
            "option 'init_paths': there is no file or folder {here}/none",
        ),
        ("duckdb", "directory: {here}", ""),
        ("duckdb", "directory: 7", ""),
        ("sqlalchemy", "url: 'sqlite:///{here}/none.db'", "option 'url': there is no file {here}/none.db"),
        ("sqlalchemy", "url: 'sqlite:///{here}/s.yaml'", ""),
        ("sqlalchemy", "url: 'sqlite:///{here}/%73.yaml'", ""),
        ("sqlalchemy", "url: 'mysql://h/d?ssl_ca=/none'", ""),
        (
            "sqlalchemy",
            "url: 'postgresql://u:secret@h/d?sslrootcert={here}/none.pem&sslmode=verify-full'",
            "option 'url': there is no file {here}/none.pem",
        ),
        ("sqlalchemy", "url: 'postgresql://h/d?sslrootcert=system'", ""),
        (
            "sqlalchemy",
            "url: 'postgresql://h/d', connect_args: {{sslkey: {here}/none.key}}",
            "option 'connect_args > sslkey': there is no file {here}/none.key",
        ),
        (
            "clickhouse",
            "url: 'https://h', ca_cert: {here}/none.pem",
            "option 'ca_cert': there is no file {here}/none.pem",
        ),
        ("trino", "verify: {here}/none.pem", "option 'verify': there is no file or folder {here}/none.pem"),
        ("trino", "verify: true", ""),
        ("spark", "url: 'sc://h'", ""),
    ],
)
def test_a_place_that_an_engine_names_and_that_is_missing_is_reported(
    given: Load, tmp_path: Path, engine_type: str, options: str, problem: str
) -> None:
    here = str(tmp_path)
    settings = given(f"engines:\n  e:\n    type: {engine_type}\n    options: {{{options.format(here=here)}}}\n")
    assert missing_places(settings) == (
        [f"s.yaml:4: engines.e.options: {problem.format(here=here)}"] if problem else []
    )


def test_a_missing_folder_of_audit_records_is_reported(given: Load, tmp_path: Path) -> None:
    problem = "s.yaml:1: audit.to: there is no folder /none"
    assert missing_audit_folder(given("audit: {to: /none/audit.jsonl}")) == [problem]
    for to in ("off", "stderr", f"{tmp_path}/audit.jsonl"):
        assert missing_audit_folder(given(f"audit: {{to: {to}}}")) == []
    assert mistakes(given, "audit: {to: audit.jsonl}") == [
        "s.yaml:1: audit.to: expected off, stderr or an absolute path, not 'audit.jsonl'"
    ]


def test_a_missing_place_has_the_line_of_its_own_key(given: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "engines:\n  e:\n    type: duckdb\n    options:\n      threads: 1\n      directory: /none\n"
    assert missing_places(given(text))[0].startswith("s.yaml:6: engines.e.options: option 'directory': ")
    monkeypatch.setenv("QUERYENGINE_ENGINES__E__OPTIONS__DIRECTORY", "/none/either")
    variable = "environment variable QUERYENGINE_ENGINES__E__OPTIONS__DIRECTORY"
    assert missing_places(given(text)) == [
        f"{variable}: engines.e.options: option 'directory': there is no folder /none/either"
    ]
