"""The wheel in empty environments: alone it is the client and the command, with the extra `server` it is everything."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from queryengine.cli.exits import ExitCode
from tests.server_process import ServerProcess, server_process
from tests.wheels import Environment, build_wheel

# The first time packages are downloaded; after that pip has them in its cache.
pytestmark = pytest.mark.timeout(900)

ONLY_OF_A_SERVER = {
    "aiosqlite",
    "alembic",
    "asyncpg",
    "duckdb",
    "prometheus-client",
    "pydantic-settings",
    "sqlalchemy",
    "sqlglot",
    "uvloop",
}
"""Of these the extra `server` holds at least; what else it holds is read from the package."""

DUCKDB = {"duckdb": {"type": "duckdb"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def client_only(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    environment = Environment.make(tmp_path_factory.mktemp("client"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of the environment that the tests run in."""
    with server_process(tmp_path_factory.mktemp("server"), engines=DUCKDB) as server:
        server.start()
        yield server


def packages(environment: Environment) -> set[str]:
    names = environment.code("from importlib.metadata import distributions as d; print(*(each.name for each in d()))")
    return set(map(canonical, names.split()))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_client_comes_without_what_only_a_server_needs(client_only: Environment) -> None:
    lines = client_only.code("from importlib.metadata import requires; print(*requires('queryengine'), sep='\\n')")
    server = {re.split(r"[^a-z-]", line)[0] for line in lines.splitlines() if 'extra == "server"' in line}

    assert server >= ONLY_OF_A_SERVER
    assert not server & packages(client_only)


def test_every_part_of_the_client_and_the_command_can_be_imported(client_only: Environment) -> None:
    code = """
        import importlib, pkgutil, sys
        import queryengine.cli, queryengine.client

        for package in (queryengine.cli, queryengine.client):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
        print(len([name for name in sys.modules if name.startswith("queryengine.")]))
        print(queryengine.client.__file__)
    """
    count, file = client_only.code(textwrap.dedent(code)).split()

    assert int(count) > 60
    assert Path(file).is_relative_to(client_only.folder)


@pytest.mark.parametrize("words", [[], ["serve"], ["sql"], ["ps"], ["fetch"], ["engines"], ["config", "check"]])
def test_help_needs_no_server(client_only: Environment, words: list[str]) -> None:
    done = client_only.run(*words, "--help")

    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout.startswith(f"Usage: {' '.join(['queryengine', *words])} ")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_the_command_calls_a_server(client_only: Environment, server: ServerProcess, form: str) -> None:
    done = client_only.run("sql", "SELECT 42 AS answer", "--format", form, "--server", server.address)

    assert done.returncode == ExitCode.OK, done.stderr
    assert "42" in done.stdout


def test_the_command_writes_files(client_only: Environment, server: ServerProcess, tmp_path: Path) -> None:
    for name in ("rows.parquet", "rows.arrow"):
        target = tmp_path / name
        done = client_only.run("sql", "SELECT 42 AS answer", "-o", target, "--server", server.address)
        assert done.returncode == ExitCode.OK, done.stderr
        assert target.stat().st_size


def test_both_clients_read_rows(client_only: Environment, server: ServerProcess) -> None:
    code = f"""
        import asyncio, json
        from queryengine.client import AsyncClient, Client

        async def awaited():
            async with AsyncClient({server.address!r}) as client:
                return await (await client.query("SELECT $a AS n", {{"a": 2}})).rows()

        with Client({server.address!r}) as client:
            print(json.dumps([client.query("SELECT $a AS n", {{"a": 1}}).rows(), asyncio.run(awaited())]))
    """

    assert json.loads(client_only.code(textwrap.dedent(code))) == [[[1]], [[2]]]


@pytest.mark.parametrize(
    ("words", "extra"),
    [(["serve"], "server"), (["config", "check", "x.yaml"], "server"), (["serve", "--demo"], "demo")],
)
def test_what_needs_a_server_says_how_to_install_it(client_only: Environment, words: list[str], extra: str) -> None:
    done = client_only.run(*words)

    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    assert re.fullmatch(
        rf'error: only the client is installed here \(\w+ is missing\); .*: pip install "queryengine\[{extra}\]"\n',
        done.stderr,
    )


def test_the_command_that_it_says_would_bring_a_server(client_only: Environment) -> None:
    (what,) = re.findall(r'pip install "(.*)"', client_only.run("serve").stderr)

    # The package itself is here already, and need not be on any index.
    planned = client_only.pip("install", "--dry-run", "--quiet", "--report", "-", what)

    names = {canonical(each["metadata"]["name"]) for each in json.loads(planned)["install"]}
    assert names >= ONLY_OF_A_SERVER
    assert "queryengine" not in names


def test_with_the_extra_it_serves_and_answers(tmp_path: Path, wheel: Path) -> None:
    environment = Environment.make(tmp_path / "environment")
    environment.install(f"{wheel}[server]")

    assert packages(environment) >= ONLY_OF_A_SERVER
    with server_process(tmp_path, engines=DUCKDB) as server:
        server.program, server.started_in = (str(environment.command),), tmp_path
        checked = environment.run("config", "check", tmp_path / "queryengine.yaml")
        assert checked.returncode == ExitCode.OK, checked.stderr
        server.start()
        answered = environment.run("sql", "SELECT 42 AS answer", "--format", "json", "--server", server.address)
        assert answered.stdout == '{"answer": 42}\n', answered.stderr
        server.terminate()
        assert server.process.wait(30) == 0
