"""The prompt of `queryengine sql` on a real terminal, against a real server."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.cli.dialects import DIALECTS, Dialect, dialect_of
from queryengine.cli.exits import ExitCode
from queryengine.engines.kit import lexicons
from tests.support import CANCELLED, RUNNING, Api, served, until
from tests.terminal import Terminal, on_a_terminal

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = "queryengine>"
DUCKDB = Dialect(lexicons.POSTGRESQL)


@pytest_asyncio.fixture(loop_scope="session")
async def lake(tmp_path: Path) -> AsyncIterator[tuple[Service, Api]]:
    """A service with a DuckDB folder and an SQLite file, each with a table `orders`."""
    folder, database = tmp_path / "lake", tmp_path / "app.db"
    folder.mkdir()
    (folder / "orders.csv").write_text("id,name\n1,Ann\n")
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT)")
    connection.close()
    engines = {
        "lake": {"type": "duckdb", "workers": 1, "options": {"directory": str(folder)}},
        "app": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}},
    }
    async with served(tmp_path / "state", engines=engines, default_engine="lake") as (service, api):
        yield service, api


def shell(service: Service, api: Api, folder: Path, *options: str) -> object:
    assert service.address is not None
    environment = {
        "QUERYENGINE_TARGET": service.address,
        "QUERYENGINE_TENANT": api.tenant,
        "XDG_CONFIG_HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "history"),
        # The terminal of the test does not answer where its cursor is.
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }
    command = [sys.executable, "-m", "queryengine", "sql", *options]
    return on_a_terminal(command, environment=environment)


def enter(terminal: Terminal, text: str, *shown: str) -> None:
    """Type it at the prompt, and wait for what must be shown, then for the prompt."""
    terminal.await_text(PROMPT)
    terminal.type(f"{text}\r")
    for each in shown:
        terminal.await_text(each)


async def test_statements_and_commands(lake: tuple[Service, Api], tmp_path: Path) -> None:
    def talk() -> int:
        with shell(*lake, tmp_path) as terminal:
            enter(terminal, "\\?", "Ctrl-C cancels the statement that runs")
            enter(terminal, "SELECT 40 +", "->")
            terminal.type("2 AS answer;\r")
            terminal.await_text("42")
            terminal.await_text("(1 row)")
            enter(terminal, "SELECT 'a;b' AS t; SELECT 7 AS n;", "a;b", "(1 row)", "7", "(1 row)")
            enter(terminal, "\\timing", "timing: on")
            enter(terminal, "SELECT 1 AS one;", "(1 row)", "(took ")
            enter(terminal, "\\x", "one below the other: on")
            enter(terminal, "SELECT 5 AS five;", "[ row 0 ]", "five │ 5")
            enter(terminal, "\\x auto", "one below the other: auto")
            enter(terminal, "\\d", "orders")
            enter(terminal, "\\d orders", "name", "VARCHAR", "(2 rows)")
            enter(terminal, "SELECT * FROM nowhere;", "error:", "^")
            enter(terminal, "\\nonsense", "there is no command \\nonsense")
            enter(terminal, "\\d nowhere", "(0 rows)", "there is no table or view nowhere")
            enter(terminal, '\\d "orders"', "VARCHAR", "(2 rows)")
            enter(terminal, "help", "Ctrl-C cancels the statement that runs")
            enter(terminal, "SELECT 1;;", "(1 row)")
            enter(terminal, ";")
            enter(terminal, "quit")
            return terminal.await_end()

    assert await asyncio.to_thread(talk) == ExitCode.OK
    history = tmp_path / "history" / "queryengine" / "sql_history"
    assert "SELECT 40 +" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


async def test_ctrl_c_cancels_what_runs_and_keeps_the_prompt(lake: tuple[Service, Api], tmp_path: Path) -> None:
    _, api = lake

    async def the_query(state: int) -> bool:
        return [each.state for each in (await api.listed()).queries][:1] == [state]

    with shell(*lake, tmp_path) as terminal:
        await asyncio.to_thread(enter, terminal, "SELECT count(*) FROM range(1000000000000);")
        await until(lambda: the_query(RUNNING))
        terminal.type("\x03")
        await asyncio.to_thread(terminal.await_text, "CANCELLED")
        assert await the_query(CANCELLED)
        await asyncio.to_thread(enter, terminal, "SELECT 'still here' AS t;", "still here", "(1 row)")
        await asyncio.to_thread(terminal.await_text, PROMPT)
        terminal.type("\x04")
        assert await asyncio.to_thread(terminal.await_end) == ExitCode.OK


async def test_the_tables_of_sqlite(lake: tuple[Service, Api], tmp_path: Path) -> None:
    def talk() -> int:
        with shell(*lake, tmp_path, "--engine", "app") as terminal:
            enter(terminal, "\\d", "orders", "(1 row)")
            enter(terminal, "\\d orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY", "(1 row)")
            enter(terminal, "\\q")
            return terminal.await_end()

    assert await asyncio.to_thread(talk) == ExitCode.OK


async def test_tables_and_columns_where_policies_apply(tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, tenant TEXT, name TEXT)")
        connection.execute("CREATE TABLE secrets (word TEXT)")
    connection.close()
    engines = {"app": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}}}
    rules = {"own": {"rows": "tenant = {tenant}", "hidden": ["tenant"]}}
    orders = {"columns": ["id", "tenant", "name"], "rules": rules}
    policies = {"engines": {"app": {"relations": {"main.orders": orders}}}}

    def talk(service: Service, api: Api) -> str:
        with shell(service, api, tmp_path) as terminal:
            enter(terminal, "\\d", "row and column policies apply here; tables that you may read: main.orders;")
            enter(terminal, "\\d orders", "id ", "name ")
            enter(terminal, "\\d secrets", "RELATION_NOT_ALLOWED", "main.orders")
            enter(terminal, "SELECT 1 AS n;", "(1 row)")
            enter(terminal, "\\q")
            assert terminal.await_end() == ExitCode.OK
            return str(terminal.shown)

    async with served(tmp_path / "state", engines=engines, policies=policies) as (service, api):
        shown = await asyncio.to_thread(talk, service, api)
    assert "word" not in shown
    assert "sqlite_schema" not in shown


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1; SELECT 2 ;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1", None),
        ("SELECT ';'", None),
        ("SELECT ';", None),
        ("SELECT ';';", ["SELECT ';'"]),
        ("SELECT 1 -- ;", None),
        ("SELECT 1 /* ; */;", ["SELECT 1 /* ; */"]),
        ("SELECT 1 /* ;", None),
        ("SELECT $$;$$;", ["SELECT $$;$$"]),
        ('SELECT ";";', ['SELECT ";"']),
        ("SELECT 1; SELECT", None),
        (";;", []),
        ("", []),
        ("-- nothing", []),
    ],
)
async def test_a_statement_ends_where_its_engine_sees_the_end(text: str, statements: list[str] | None) -> None:
    assert DUCKDB.statements(text) == statements


async def test_names_are_quoted_where_they_are_text() -> None:
    assert DUCKDB.describe("it's").endswith("WHERE table_name = 'it''s' ORDER BY table_schema, ordinal_position")
    assert "table_name = 't' AND table_schema = 'a.b'" in DUCKDB.describe("a.b.t")
    assert "table_name = 'Odd name (1).x' ORDER" in DUCKDB.describe('"Odd name (1).x"')
    assert "table_name = 'a.b' AND table_schema = 's'" in DUCKDB.describe('s."a.b"')
    assert "table_name = '.' ORDER" in DUCKDB.describe(".")
    assert DIALECTS["SQLite"].describe("main.t") == "SELECT sql FROM sqlite_schema WHERE name = 't'"
    assert DIALECTS["Spark"].describe("raw.a`b") == "DESCRIBE `raw`.`a``b`"
    assert dialect_of(None) == DUCKDB
