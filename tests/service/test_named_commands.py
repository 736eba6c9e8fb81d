"""`queryengine named`, `queryengine sql --named` and the Python clients, against a whole service."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from queryengine.app.service import Service
from queryengine.cli.exits import ExitCode
from queryengine.cli.main import app
from queryengine.client import (
    AsyncClient,
    Client,
    NotFound,
    QueryDefinition,
    QueryEngineClientError,
    QueryFailed,
    QueryParameter,
    Role,
)
from tests.command_process import started
from tests.support import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAILY = "SELECT $day::DATE AS day, $price AS price, $region AS region\n"
Run = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Ended:
    exit_code: int | None
    stdout: str
    stderr: str


@pytest.fixture
def run(service: Service, api: Api, tmp_path: Path) -> Run:
    async def in_process(*words: str) -> Ended:
        async with started(service, api, tmp_path, *words) as process:
            output, errors = await process.communicate()
            return Ended(process.returncode, output.decode(), errors.decode())

    async def command(*words: str, stdin: str | None = None) -> Any:
        if words[0] == "sql" or words[1] == "run":
            # It handles signals, which takes a process of its own.
            return await in_process(*words)
        options = ["--server", str(service.address), "--tenant", api.tenant]
        return await asyncio.to_thread(CliRunner().invoke, app, [*words, *options], input=stdin)

    return command


async def test_a_named_query_from_its_file_to_its_rows(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "daily.sql"
    path.write_text(DAILY)
    declared = [
        "--param",
        "day:date # the day",
        "--param",
        "price:decimal(10, 2)=1.5",
        "--param",
        "region:string?=null",
    ]
    limits = ["--timeout", "60s", "--limit", "10", "--cache-age", "5m", "--owner", "growth", "--description", "sold"]
    made = await run("named", "create", "sales.daily", str(path), *declared, *limits)
    assert (made.exit_code, made.stdout) == (0, "sales.daily@1, the newest version\n"), made.stderr
    tagged = await run("named", "tag", "sales.daily", "prod", "1")
    assert tagged.stdout == "sales.daily@1, the newest version; tags: prod=1\n"
    shown = (await run("named", "get", "sales.daily@prod")).stdout
    for line in (
        "  description: sold",
        "  owner: growth",
        "  longest run: 0:01:00",
        "  most rows: 10",
        "  day:date  # the day",
        '  price:decimal(10, 2)="1.50"',
        "  region:string?=null",
        DAILY.strip(),
    ):
        assert line in shown.splitlines()
    assert (await run("named", "get", "sales.daily", "--sql")).stdout == DAILY
    listed = (await run("named", "list")).stdout
    assert all(each in listed for each in ("sales.daily", "prod=1", "day date", "growth"))
    rows = '{"day": "2026-11-28", "price": "9.50", "region": null}\n'
    given = ("-p", "day=2026-11-28", "-p", "price=9.5", "--format", "json")
    for words in (("named", "run", "sales.daily@prod"), ("sql", "--named", "sales.daily@1")):
        done = await run(*words, *given)
        assert (done.exit_code, done.stdout) == (0, rows), done.stderr
    detached = await run("sql", "--named", "sales.daily@prod", "-p", "day=2026-11-28", "--detach")
    status = await run("status", detached.stdout.strip(), "--full")
    assert "named query     sales.daily@prod" in status.stdout.splitlines(), status.stdout
    details = json.loads((await run("named", "get", "sales.daily", "--json")).stdout)
    assert details["definition"]["parameters"][0] == {
        "name": "day",
        "type": "date",
        "description": "the day",
        "nullable": False,
    }
    assert (details["definition"]["execution_timeout"], details["tags"]) == (60.0, {"prod": 1})


async def test_a_list_of_none_says_how_to_create_one(run: Run, api: Api) -> None:
    for words, which in (((), ""), (("--prefix", "sales"), " whose names begin with sales")):
        listed = await run("named", "list", *words)
        said = f"no named queries that you may run{which} in tenant {api.tenant}; to create one: "
        assert (listed.exit_code, listed.stdout) == (0, "")
        assert listed.stderr.startswith(said + "queryengine named create NAME FILE "), listed.stderr
    assert (await run("named", "list", "--json")).stdout == ""


async def test_an_update_leaves_what_is_not_given(run: Run) -> None:
    await run("named", "create", "n", "-", "--param", "a:int64", "--owner", "growth", stdin="SELECT $a AS a")
    updated = await run("named", "update", "n", "-", "--role", "submit", stdin="SELECT $a + 1 AS a")
    assert updated.stdout == "n@2, the newest version\n", updated.stderr
    found = json.loads((await run("named", "get", "n", "--json")).stdout)["definition"]
    assert (found["owner"], found["roles"], found["sql"]) == ("growth", ["submit"], "SELECT $a + 1 AS a")
    refused = await run("named", "update", "n", "--expect", "1", "--owner", "sales")
    assert (refused.exit_code, "NAMED_QUERY_CHANGED" in refused.stderr) == (ExitCode.FAILED, True)
    await run("named", "update", "n", "-", "--everybody", "--param", "", "--owner", "", stdin="SELECT 3 AS a")
    found = json.loads((await run("named", "get", "n", "--json")).stdout)["definition"]
    assert (found["owner"], found["roles"], found["parameters"]) == ("", [], [])
    lines = (await run("named", "versions", "n", "--json")).stdout.splitlines()
    assert [json.loads(line)["version"] for line in lines] == [3, 2, 1]
    assert "a int64" in (await run("named", "versions", "n")).stdout
    done = await run("named", "run", "n@2", "-p", "a=4", "--format", "csv")
    assert done.stdout == '"a"\n5\n'
    # Versions that a query ran are kept.
    deleted = await run("named", "delete", "n")
    assert deleted.stdout == "deleted n; versions kept for queries that ran them: 1\n"
    assert (await run("named", "get", "n@2", "--sql")).stdout == "SELECT $a + 1 AS a\n"


async def test_mistakes_say_what_to_do(run: Run, tmp_path: Path) -> None:
    await run("named", "create", "n", "-", "--param", "day:date", stdin="SELECT $day AS d")
    for words, code, said in (
        (("named", "run", "none"), ExitCode.NOT_FOUND, "NAMED_QUERY_NOT_FOUND"),
        (("named", "run", "n"), ExitCode.USAGE, "missing parameters: day"),
        (("named", "run", "n", "-p", "day=soon"), ExitCode.USAGE, "parameter 'day' takes DATE"),
        (("sql", "SELECT 1", "--named", "n"), ExitCode.USAGE, "--named stands in the place of the statement"),
        (("named", "create", "m", str(tmp_path / "none.sql")), ExitCode.USAGE, "none.sql cannot be read"),
        (("named", "create", "n", "-"), ExitCode.USAGE, "there is no SQL in standard input"),
        (("named", "update", "n"), ExitCode.USAGE, "nothing to change"),
        (("named", "update", "n", "--param", "day"), ExitCode.USAGE, "NAME:TYPE"),
        (("named", "update", "n", "--param", "day:int63"), ExitCode.USAGE, "is no type"),
        (("named", "tag", "n", "latest", "1"), ExitCode.USAGE, "always the newest version"),
    ):
        ended = await run(*words, stdin="")
        assert (ended.exit_code, said in ended.stderr) == (code, True), (words, ended.stderr)


DEFINITION = QueryDefinition(
    sql=DAILY,
    parameters=[
        QueryParameter("day", "date", description="the day"),
        QueryParameter("price", pa.decimal128(10, 2), default=Decimal("1.50")),
        QueryParameter("region", "string", default=None, nullable=True),
    ],
    owner="growth",
    execution_timeout=60,
    cache_max_age=dt.timedelta(minutes=5),
    roles=[Role.SUBMIT],
)
ROW = {"day": dt.date(2026, 11, 28), "price": Decimal("9.50"), "region": None}


async def test_the_client_for_asyncio_manages_and_runs_them(service: Service, api: Api) -> None:
    async with AsyncClient(str(service.address), tenant=api.tenant) as client:
        named = client.named_queries
        made = await named.create("sales.daily", DEFINITION)
        assert (made.version, made.definition.execution_timeout) == (1, dt.timedelta(seconds=60))
        assert made.definition.parameters[1] == QueryParameter("price", "decimal(10, 2)", default=Decimal("1.50"))
        assert made.definition.parameters[0].is_required
        # What was read can be handed in again.
        assert await named.create("sales.daily", made.definition) == made
        second = await named.update("sales.daily", replace(made.definition, owner="sales"), expected_version=1)
        with pytest.raises(QueryEngineClientError) as refusal:
            await named.update("sales.daily", replace(made.definition, owner="ops"), expected_version=1)
        assert refusal.value.reason == "NAMED_QUERY_CHANGED"
        await named.tag("sales.daily", "prod", 1)
        assert (await named.get("sales.daily@prod")).version == 1
        assert (await named.list(prefix="sales.")).named_queries[0].definition == replace(second.definition, sql="")
        assert [each.version for each in (await named.versions("sales.daily", page_size=1)).named_queries] == [2]
        result = await client.query(named="sales.daily@prod", parameters={"day": "2026-11-28", "price": 9.5})
        assert (await result.to_arrow()).to_pylist() == [ROW]
        handle = await client.submit(named="sales.daily", parameters=[dt.date(2026, 11, 28), "9.50"])
        assert (await handle.status()).named_query == "sales.daily@2"
        assert (await handle.details()).named_query == "sales.daily"
        assert len((await client.list_queries(named="sales.daily")).queries) == 2
        with pytest.raises(QueryFailed, match="parameter 'day' takes DATE"):
            await client.submit(named="sales.daily", parameters={"day": 5})
        with pytest.raises(ValueError, match="not both"):
            await client.submit("SELECT 1", named="sales.daily")
        assert (await named.untag("sales.daily", "prod")).tags == {}
        assert await named.delete("sales.daily") == 2
        with pytest.raises(NotFound):
            await named.get("sales.daily")


async def test_the_client_that_blocks_does_the_same(service: Service, api: Api) -> None:
    def use() -> list[dict[str, Any]]:
        with Client(str(service.address), tenant=api.tenant) as client:
            client.named_queries.create("sales.daily", DEFINITION)
            client.named_queries.tag("sales.daily", "prod", 1)
            values = {"day": dt.date(2026, 11, 28), "price": "9.50"}
            return client.query(named="sales.daily@prod", parameters=values).to_arrow().to_pylist()

    assert await asyncio.to_thread(use) == [ROW]


async def test_a_wrong_declaration_is_named_before_it_is_sent(service: Service, api: Api) -> None:
    async with AsyncClient(str(service.address), tenant=api.tenant) as client:
        for parameter, said in (
            (QueryParameter("day", "dat"), "parameter 'day': 'dat' is no type"),
            (QueryParameter("day", pa.dense_union([])), "parameter 'day': no kind"),
        ):
            with pytest.raises(ValueError, match=said):
                await client.named_queries.create("n", QueryDefinition(sql="SELECT $day", parameters=[parameter]))
        for wrong in ("day", ["day"]):
            definition = QueryDefinition(sql="SELECT $day", parameters=wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="QueryParameter"):
                await client.named_queries.create("n", definition)
