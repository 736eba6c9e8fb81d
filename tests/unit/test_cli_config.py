"""Which server a command calls, as whom and how: by flags, environment and file; over TLS, with headers and a token."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from typer.main import get_command
from typer.testing import CliRunner

from queryengine.cli.clientconfig import SETTINGS, VARIABLES, ConfigError, config_file, resolve
from queryengine.cli.config import EXAMPLE
from queryengine.cli.exits import ExitCode
from queryengine.cli.main import app
from queryengine.settings.checking import CLIENT_VARIABLES
from queryengine.v1 import query_service_pb2
from tests.unit.fake_service import ID, FakeService, Refuse, handlers_of, status

TOKEN = "s3cret"

Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the configuration file belongs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "queryengine").mkdir()
    return tmp_path / "queryengine"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(folder.parent), **variables}


# where values come from


def test_a_flag_wins_over_the_environment_and_that_over_the_file(folder: Path) -> None:
    (folder / "client.toml").write_text('server = "file:1"\ntenant = "file"\nuser = "file"\n')
    variables = environment(folder, QUERYENGINE_TENANT="variable", QUERYENGINE_USER="variable")

    found = resolve({"server": None, "tenant": None, "user": "flag"}, variables)

    assert (found.server, found.tenant, found.user, found.ca) == ("file:1", "variable", "flag", None)
    path = str(folder / "client.toml")
    assert [found.origins[key] for key in ("server", "tenant", "user", "ca")] == [
        path,
        "QUERYENGINE_TENANT",
        "--user",
        "default",
    ]


def test_a_header_of_a_stronger_place_replaces_that_of_its_name_only(folder: Path) -> None:
    (folder / "client.toml").write_text('[headers]\nx-a = "file"\nX-B = "file"\n')
    variables = environment(folder, QUERYENGINE_HEADERS="x-b: variable\nx-c: variable: 1\n")

    assert dict(resolve({"headers": ["x-c:flag"]}, variables).headers) == {
        "x-a": "file",
        "x-b": "variable",
        "x-c": "flag",
    }


@pytest.mark.parametrize(
    ("ca", "tls", "is_secure"),
    [("ca.pem", None, True), ("ca.pem", False, False), (None, True, True), (None, None, False)],
)
def test_a_certificate_to_trust_means_tls_unless_it_is_off(
    folder: Path, ca: str | None, tls: bool | None, is_secure: bool
) -> None:
    assert resolve({"ca": ca, "tls": tls}, environment(folder)).tls is is_secure


def test_the_file_is_looked_for_where_xdg_says() -> None:
    assert config_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/queryengine/client.toml")
    assert config_file({}) == Path.home() / ".config/queryengine/client.toml"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("servr = 'x'", "unknown key 'servr'; the keys are server, tenant"),
        ("server = 5", "expected text, found 5"),
        ("tls = 'perhaps'", "expected true or false, found 'perhaps'"),
        ("server = ", "client.toml:1: not TOML: a text stands in quotation marks"),
        ("headers = 'x'", "a header is written 'NAME: VALUE'"),
        ("headers = {grpc-x = 'y'}", "cannot be the name of a header"),
        ("headers = {x-bin = 'y'}", "cannot be the name of a header"),
        ("headers = {x-tenant-id = 'y'}", "header x-tenant-id is what --tenant sets"),
        ("headers = {x = 'ü'}", "printable ASCII"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(folder: Path, text: str, complaint: str) -> None:
    (folder / "client.toml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        resolve({}, environment(folder))
    assert str(caught.value).startswith(str(folder / "client.toml"))

    done = run("ps")
    assert done.exit_code == ExitCode.USAGE
    assert "client.toml" in done.stderr


def test_a_server_does_not_take_the_variables_of_a_client_for_its_own() -> None:
    assert set(VARIABLES.values()) <= CLIENT_VARIABLES


def test_config_client_shows_every_value_and_its_origin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "client.toml").write_text(f'tenant = "growth"\nheaders = {{x-key = "{TOKEN}"}}\n')
    monkeypatch.setenv("QUERYENGINE_USER", "ann")

    shown = run("config", "client", "--server", "db:1").stdout

    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines() if line}
    assert lines["file:"] == str(folder / "client.toml")
    assert lines["server"] == "db:1 from --server"
    assert lines["tenant"] == "growth from the file"
    assert lines["user"] == "ann from QUERYENGINE_USER"
    assert lines["tls"] == "off default"
    assert lines["headers"] == "x-key from the file"
    assert TOKEN not in shown
    assert {setting.key for setting in SETTINGS} < lines.keys()


def test_the_example_that_config_client_prints_can_be_used(folder: Path) -> None:
    assert EXAMPLE in run("config", "client").stdout
    (folder / "client.toml").write_text(EXAMPLE)
    origins = resolve({}, environment(folder)).origins
    # The other ways to say who calls, of which one may be given.
    others = {"api_key_file", "api_key", "allow_insecure_credentials"}
    assert {key for key, origin in origins.items() if origin == "default"} == others


def commands() -> Iterator[tuple[str, Any]]:
    top: Any = get_command(app)
    for name, command in top.commands.items():
        yield from ((f"{name} {sub}", each) for sub, each in getattr(command, "commands", {name: command}).items())


def test_every_command_that_calls_a_server_takes_the_same_options() -> None:
    shared = {"--server", "--tenant", "--user", "--tls", "--ca", "--header", "--token-file"}
    shared |= {"--cert", "--key", "--api-key-file", "--allow-insecure-credentials"}
    without = {
        name
        for name, command in commands()
        if not shared <= {option for parameter in command.params for option in parameter.opts}
    }
    assert without == {"serve serve", "config check", "keys generate"}


# over TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def serving_tls(service: FakeService, authority: trustme.CA, *, clients: trustme.CA | None = None) -> Iterator[str]:
    """At an address that asks for certificates of clients when their authority is given."""
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers_of(service),))
    trusted = clients.cert_pem.bytes() if clients is not None else None
    credentials = grpc.ssl_server_credentials([pair], trusted, require_client_auth=clients is not None)
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture
def secure(fake: FakeService, authority: trustme.CA, folder: Path) -> Iterator[str]:
    with serving_tls(fake, authority) as address:
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        yield address


def test_tls_with_a_header_and_a_token(fake: FakeService, secure: str, folder: Path) -> None:
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=status("RUNNING", 1)))
    (folder / "token").write_text(f"{TOKEN}\n")
    options = ["--ca", str(folder / "ca.pem"), "--token-file", str(folder / "token"), "--header", "X-Team: a: b"]

    done = run("status", ID, "--server", secure, *options)

    assert done.exit_code == ExitCode.OK, done.stderr
    (sent,) = fake.metadata
    assert (sent["authorization"], sent["x-team"]) == (f"Bearer {TOKEN}", "a: b")


def test_a_server_that_is_not_trusted_is_not_called(fake: FakeService, secure: str, folder: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))

    done = run("ps", "--server", secure, "--ca", str(folder / "other.pem"))

    assert done.exit_code == ExitCode.UNREACHABLE
    assert not fake.requests


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--ca", "none.pem"], "--ca: cannot read none.pem: No such file"),
        (["--ca", __file__], "holds no certificate in PEM form"),
        (["--token-file", "none"], "--token-file: cannot read none: No such file"),
        (["--token-file", __file__], "must hold one line of printable ASCII"),
        (["--token-file", "none", "--server", "db:1"], "db:1 would get the token in plain text; add --tls"),
        (["--token-file", __file__, "--header", "authorization: x"], "header authorization is set, too"),
        (["--api-key-file", "none"], "--api-key-file: cannot read none: No such file"),
        (["--api-key-file", __file__, "--server", "db:1"], "db:1 would get the key in plain text; add --tls"),
        (["--header", f"authorization: {TOKEN}", "--server", "db:1"], "would get the token in plain text"),
        (["--token-file", __file__, "--api-key-file", __file__], "--token-file and --api-key-file: give one of them"),
        (["--cert", __file__], "--cert and --key belong together"),
        (["--cert", __file__, "--key", __file__], "--cert: "),
        (["--header", TOKEN], "--header: a header is written 'NAME: VALUE'"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_secret_shown(folder: Path, options: list[str], complaint: str) -> None:
    done = run("ps", *options)

    assert done.exit_code == ExitCode.USAGE
    assert complaint in " ".join(done.stderr.split())
    assert TOKEN not in done.stderr


def test_a_certificate_of_the_client_is_shown(fake: FakeService, authority: trustme.CA, folder: Path) -> None:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    client = authority.issue_cert("client")
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    trust = ["--ca", str(folder / "ca.pem")]
    shown = ["--cert", str(folder / "client.pem"), "--key", str(folder / "client.key")]
    with serving_tls(fake, authority, clients=authority) as address:
        fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=status("RUNNING", 1)))
        done = run("status", ID, "--server", address, *trust, *shown)
        assert done.exit_code == ExitCode.OK, done.stderr
        # The tenant is the certificate's: no default may contradict it.
        assert "x-tenant-id" not in fake.metadata[0]
        assert run("status", ID, "--server", address, *trust).exit_code == ExitCode.UNREACHABLE
    authority.issue_cert("other").private_key_pem.write_to_path(str(folder / "client.key"))
    done = run("ps", *trust, *shown)
    assert done.exit_code == ExitCode.USAGE
    assert "is not the private key of the certificate" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("options", "variables", "sent"),
    [
        (["--api-key-file", "FILE"], {}, f"ApiKey {TOKEN}"),
        ([], {"QUERYENGINE_API_KEY_FILE": "FILE"}, f"ApiKey {TOKEN}"),
        ([], {"QUERYENGINE_API_KEY": "key-of-a-variable"}, "ApiKey key-of-a-variable"),
        # An option counts for more than a variable, whatever kind of credential it names.
        (["--token-file", "FILE"], {"QUERYENGINE_API_KEY": "key-of-a-variable"}, f"Bearer {TOKEN}"),
        (["--api-key-file", "FILE"], {"QUERYENGINE_TOKEN_FILE": "/nothing"}, f"ApiKey {TOKEN}"),
    ],
)
def test_an_api_key_comes_from_a_file_or_the_environment(
    fake: FakeService, fake_target: str, folder: Path, *, options: list[str], variables: dict[str, str], sent: str
) -> None:
    (folder / "secret").write_text(TOKEN)
    found = {name: value.replace("FILE", str(folder / "secret")) for name, value in variables.items()}
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=status("RUNNING", 1)))
    given = [word.replace("FILE", str(folder / "secret")) if word == "FILE" else word for word in options]
    done = CliRunner().invoke(app, ["status", ID, "--server", fake_target, *given], env=found)
    assert done.exit_code == ExitCode.OK, done.stderr
    assert fake.metadata[0]["authorization"] == sent
    assert "x-tenant-id" not in fake.metadata[0]


def test_a_key_of_the_environment_is_never_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERYENGINE_API_KEY", TOKEN)
    done = run("config", "client")
    assert "set, not shown" in done.stdout
    assert TOKEN not in done.stdout + repr(resolve({}, environment(folder) | {"QUERYENGINE_API_KEY": TOKEN}))


def test_a_file_of_the_client_has_no_key_itself(folder: Path) -> None:
    (folder / "client.toml").write_text(f'api_key = "{TOKEN}"\n')
    done = run("ps")
    assert done.exit_code == ExitCode.USAGE
    assert "unknown key 'api_key'" in " ".join(done.stderr.split())
    assert TOKEN not in done.stderr


def test_who_is_not_allowed_gets_an_exit_code_of_its_own(fake: FakeService, fake_target: str, folder: Path) -> None:
    for code, reason in (
        ("UNAUTHENTICATED", "CREDENTIAL_MISSING"),
        ("PERMISSION_DENIED", "ROLE_MISSING"),
        ("PERMISSION_DENIED", "RELATION_NOT_ALLOWED"),
    ):
        fake.replies["GetStatus"].append(Refuse(grpc.StatusCode[code], reason))
        done = run("status", ID, "--server", fake_target)
        assert done.exit_code == ExitCode.DENIED
        # Who sends no credential learns how to give one to a command.
        assert ("--api-key-file" in done.stderr) is (reason == "CREDENTIAL_MISSING")
