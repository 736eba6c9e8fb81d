"""A program of a user is type-checked against the package, from a wheel and from an editable install alike."""

import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from tests.wheels import Environment, build_wheel, copied_sources, run

RIGHT = """
    import asyncio
    import datetime as dt

    from queryengine.client import AsyncClient, Client, QueryFailed, QueryStatus, SubmitOptions


    def show(status: QueryStatus) -> None:
        print(status.state, status.rows + 1, status.fraction)


    def read(client: Client) -> list[tuple[object, ...]]:
        chosen: SubmitOptions = {"row_limit": 10, "execution_timeout": dt.timedelta(minutes=5)}
        handle = client.submit("SELECT $a", {"a": 1}, **chosen)
        for status in handle.watch():
            show(status)
        with client.query("SELECT 1", on_status=show, wait_timeout=0.5, detach=True) as result:
            for batch in result:
                print(batch.num_rows)
            expires = None if result.end is None else result.end.expire_time
            print(expires.isoformat() if expires else "")
        return client.query("SELECT 1", labels={"team": "a"}).rows()


    async def main() -> None:
        async with AsyncClient("127.0.0.1:8815", tenant="acme", timeout=dt.timedelta(seconds=5)) as client:
            try:
                rows: list[dict[str, object]] = await (await client.query("SELECT 1")).to_pylist()
            except QueryFailed as error:
                print(error.reason, error.position.line if error.position else 0)
            else:
                print(rows)


    if __name__ == "__main__":
        with Client() as client:
            read(client)
        asyncio.run(main())
"""

WRONG = """
    from queryengine.client import Client

    client = Client()
    client.query("SELECT 1", row_limit="5")
    client.query("SELECT 1", row_limits=5)
    client.submit("SELECT 1", detach=True)
    Client(tennant="acme")
    Client(timeout="5s")
    client.query("SELECT 1").rows().upper()
    client.attach("x").status().rows.upper()
    client.attach("x").stats()
"""
MISTAKES = {
    4: 'Argument "row_limit" to "query" of "Client" has incompatible type "str"',
    5: 'Unexpected keyword argument "row_limits" for "query" of "Client"',
    6: 'Unexpected keyword argument "detach" for "submit" of "Client"',
    7: 'Unexpected keyword argument "tennant" for "Client"',
    8: 'Argument "timeout" to "Client" has incompatible type "str"',
    9: '"list[tuple[Any, ...]]" has no attribute "upper"',
    10: '"int" has no attribute "upper"',
    11: '"QueryHandle" has no attribute "stats"',
}
"""By line of the wrong program."""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment that has what the package needs, and not the package."""
    environment = Environment.make(tmp_path / "environment")
    (packages,) = environment.folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return environment


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the dependencies, which are the same for all."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("form", ["wheel", "editable"])
def test_a_program_is_checked(tmp_path: Path, environment: Environment, cache: Path, form: str) -> None:
    what = (build_wheel(tmp_path),) if form == "wheel" else ("--editable", copied_sources(tmp_path))
    environment.pip("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", *what)
    if form == "wheel":
        shutil.rmtree(tmp_path / "checkout")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG)):
        (programs / name).write_text(textwrap.dedent(text).lstrip("\n"))

    checked = run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-executable", environment.python),
        *("--cache-dir", cache, "--hide-error-context", "--no-error-summary", "right.py", "wrong.py"),
        cwd=programs,
        check=False,
    )

    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert len(errors) == len(MISTAKES), checked.stdout
    for (number, mistake), error in zip(MISTAKES.items(), errors, strict=True):
        assert error.startswith(f"wrong.py:{number}: error: {mistake}"), error
