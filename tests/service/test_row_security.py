"""Row and column policies of a server: who sees which rows, who may read stored ones, and what a bad policy does."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.domain.reloads import Trigger
from queryengine.settings import SettingsError, Source
from queryengine.v1.query_pb2 import Limits
from queryengine.v1.value_pb2 import Parameter, Value
from tests.named import NamedApi
from tests.support import COMPLETED, FAILED, WAIT, Api, Received, refused, served, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = [(1, "tenant", "ann", "4111111111111111"), (2, "tenant", "bob", "4222222222222222"), (3, "other", "ann", "433")]
ORDERS: dict[str, Any] = {
    "columns": ["id", "tenant", "owner", "card"],
    "rules": {
        "own": {"rows": "tenant = {tenant} AND owner = {subject}", "masks": {"card": "last4"}, "hidden": ["tenant"]}
    },
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "orders.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE orders (id INTEGER, tenant TEXT, owner TEXT, card TEXT)")
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", ROWS)
    connection.execute("CREATE TABLE notes (text TEXT)")
    connection.commit()
    connection.close()
    return path


def groups(database: Path, **relations: Any) -> dict[str, Any]:
    return {
        "engines": {"lite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}}},
        "policies": {"engines": {"lite": {"relations": {"main.orders": ORDERS, **relations}}}},
    }


def called(api: Api, user: str, tenant: str = "tenant") -> Api:
    return Api(api.channel, tenant, user=user)


async def rows_of(api: Api, query_id: str) -> list[tuple[Any, ...]]:
    """In their order."""
    table = Received(await api.stream(query_id).all()).table()
    return [tuple(row.values()) for row in table.to_pylist()]


async def test_each_caller_sees_its_own_rows(tmp_path: Path, database: Path) -> None:
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        for user, tenant, expected in (
            ("ann", "tenant", [(1, "ann", "****1111")]),
            ("bob", "tenant", [(2, "bob", "****2222")]),
            ("ann", "other", [(3, "ann", "****")]),
            ("eve", "tenant", []),
        ):
            caller = called(api, user, tenant)
            status = (await caller.submit("SELECT * FROM orders", wait_timeout=WAIT)).status
            assert status.state == COMPLETED
            assert list(status.row_policies) == ["main.orders:own"]
            assert status.policy_version
            assert await rows_of(caller, status.query_id) == expected


async def test_a_named_query_shows_what_its_caller_sees(tmp_path: Path, database: Path) -> None:
    """And not what its author sees, who could otherwise open tables for others."""
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        author = NamedApi(called(api, "ann"))
        await author.create("orders", "SELECT * FROM orders")
        for user, expected in (("ann", [(1, "ann", "****1111")]), ("bob", [(2, "bob", "****2222")]), ("eve", [])):
            caller = called(api, user)
            status = (await NamedApi(caller).run("orders")).status
            assert (status.named_query, list(status.row_policies)) == ("orders@1", ["main.orders:own"])
            assert await rows_of(caller, status.query_id) == expected
            assert (await caller.details(status.query_id)).executed_sql == ""
        assert (await refused(author.create("notes", "SELECT * FROM notes"))).reason == "RELATION_NOT_ALLOWED"


async def test_what_is_not_open_is_refused_by_name(tmp_path: Path, database: Path) -> None:
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        caller = called(api, "ann")
        for sql, reason in (
            ("SELECT * FROM notes", "RELATION_NOT_ALLOWED"),
            ("SELECT * FROM sqlite_master", "RELATION_NOT_ALLOWED"),
            ("SELECT load_extension('x')", "STATEMENT_NOT_ALLOWED"),
            ("SELECT tenant FROM orders", "STATEMENT_REJECTED"),
        ):
            assert (await refused(caller.submit(sql))).reason == reason
        refusal = await refused(caller.submit("SELECT * FROM notes"))
        assert refusal.metadata["relation"] == "notes"
        assert "main.orders" in refusal.message
        # A caller without a subject has none that the policy could compare.
        assert (await refused(called(api, "").submit("SELECT * FROM orders"))).reason == "RELATION_NOT_ALLOWED"


async def test_rows_are_read_by_those_alone_who_see_the_same(tmp_path: Path, database: Path) -> None:
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        ann, bob = called(api, "ann"), called(api, "bob")
        query_id = (await ann.submit("SELECT * FROM orders", wait_timeout=WAIT)).status.query_id
        for call in (bob.stream(query_id), bob.fetch(query_id), bob.pages(query_id)):
            assert (await refused(call)).reason == "RESULT_RESTRICTED"
        assert (await bob.status(query_id)).state == COMPLETED
        again = bob.submit("SELECT * FROM orders", query_id=query_id, wait_timeout=WAIT)
        assert (await refused(again)).reason == "RESULT_RESTRICTED"
        assert await rows_of(ann, query_id) == [(1, "ann", "****1111")]
        # What reads no table is the same for everybody.
        query_id = (await ann.submit("SELECT 1 AS one", wait_timeout=WAIT)).status.query_id
        assert await rows_of(bob, query_id) == [(1,)]


async def test_parameters_are_bound_in_their_places(tmp_path: Path, database: Path) -> None:
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        ann = called(api, "ann")
        positional = [Parameter(value=Value(int_value=1)), Parameter(value=Value(string_value="ann"))]
        named = [Parameter(name="id", value=Value(int_value=1)), Parameter(name="who", value=Value(string_value="ann"))]
        for sql, parameters in (
            ("SELECT id FROM orders WHERE id = ? AND owner = ?", positional),
            ("SELECT id FROM orders WHERE owner = ?2 AND id = ?1", positional),
            ("SELECT id FROM orders WHERE owner = :who AND id = @id", named),
        ):
            status = (await ann.submit(sql, parameters=parameters, wait_timeout=WAIT)).status
            assert status.state == COMPLETED, status.error
            assert await rows_of(ann, status.query_id) == [(1,)]


async def test_neither_the_policy_nor_a_value_is_shown(tmp_path: Path, database: Path) -> None:
    async with served(tmp_path / "state", **groups(database)) as (_, api):
        ann = called(api, "ann")
        status = (await ann.submit("SELECT * FROM orders", wait_timeout=WAIT)).status
        details = await ann.details(status.query_id)
        assert (details.sql, details.executed_sql) == ("SELECT * FROM orders", "")
        failed = (await ann.submit("SELECT abs(-9223372036854775808 + id - id) FROM orders", wait_timeout=WAIT)).status
        assert failed.state == FAILED
        assert "withheld" in failed.error.message


async def test_what_was_scanned_counts_no_hidden_rows(tmp_path: Path) -> None:
    table = "CREATE TABLE orders AS SELECT i AS id, if(i < 3, 'tenant', 'other') AS tenant FROM range(1000) AS r(i)"
    relation = {"columns": ["id", "tenant"], "rules": {"own": {"rows": "tenant = {tenant}"}}}
    engines = {
        "policed": {"type": "duckdb", "workers": 1, "options": {"init_sql": [table]}},
        "free": {"type": "duckdb", "workers": 1, "options": {"init_sql": [table]}},
    }
    policies = {"engines": {"policed": {"relations": {"main.orders": relation}}}}
    async with served(tmp_path / "state", engines=engines, policies=policies) as (_, api):
        free = (await api.submit("SELECT max(id) FROM orders WHERE id > 3", engine="free", wait_timeout=WAIT)).status
        assert free.stats.rows_scanned > 0
        policed = (await api.submit("SELECT count(*) FROM orders", engine="policed", wait_timeout=WAIT)).status
        for status in (policed, await api.status(policed.query_id), *(await api.listed(engine="policed")).queries):
            assert status.state == COMPLETED
            assert not status.stats.HasField("rows_scanned")
            assert not status.stats.HasField("bytes_scanned")
        for limits in (Limits(scan_row_limit=10), Limits(scan_byte_limit=10)):
            # Whether one is reached would count them.
            refusal = await refused(api.submit("SELECT count(*) FROM orders", engine="policed", limits=limits))
            assert refusal.reason == "UNSUPPORTED"
            assert "policies apply" in refusal.message
            await api.submit("SELECT count(*) FROM orders", engine="free", limits=limits, wait_timeout=WAIT)


async def test_a_policy_is_read_again_as_a_whole_or_not_at_all(tmp_path: Path, database: Path) -> None:
    path = tmp_path / "settings.yaml"
    text = f"""
server: {{listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", metrics_listen: ""}}
state: {{directory: {tmp_path / "state"}}}
engines:
  lite: {{type: sqlalchemy, workers: 1, options: {{url: "sqlite:///{database}"}}}}
policies:
  engines:
    lite:
      relations:
        main.orders:
          columns: [id, tenant, owner]
          rules:
            own: {{rows: "tenant = {{tenant}}"}}
"""
    path.write_text(text)
    service = _service(path)
    await service.start()
    async with grpc.aio.insecure_channel(service.address) as channel:
        try:
            api = Api(channel, "tenant", user="ann")
            old = (await api.submit("SELECT id FROM orders", wait_timeout=WAIT)).status
            assert await rows_of(api, old.query_id) == [(1,), (2,)]
            path.write_text(text.replace("tenant = {tenant}", "tenants = {tenant}"))
            status = await service.reload(Trigger.SIGNAL)
            line = text[: text.index("own:")].count("\n") + 1
            assert any(f"{path}:{line}" in problem and "tenants" in problem for problem in status.last.mistakes)
            assert await rows_of(api, old.query_id) == [(1,), (2,)]
            path.write_text(text.replace("tenant = {tenant}", "owner = {subject}"))
            await service.reload(Trigger.SIGNAL)
            assert (await refused(api.stream(old.query_id))).reason == "RESULT_RESTRICTED"
            new = (await api.submit("SELECT id FROM orders", wait_timeout=WAIT)).status
            assert await rows_of(api, new.query_id) == [(1,), (3,)]
        finally:
            await service.stop(0)


def _service(path: Path) -> Any:
    source = Source(path)
    return Service(source.load(), SystemClock(), source)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rules": {"own": {"rows": "tennant = {tenant}"}}}, "'tennant' is not among the columns of main.orders"),
        ({"rules": {"own": {"rows": "tenant = '{tenant}'"}}}, "stands where no value can"),
        ({"rules": {"own": {"rows": "tenant = {tenant} OR"}}}, "cannot be read as an SQL expression"),
        ({"rules": {"own": {"rows": "id IN (SELECT id FROM notes)"}}}, "not allowed"),
        ({"rules": {"own": {"rows": "load_extension('x')"}}}, "function load_extension"),
        ({"rules": {"own": {"masks": {"card": "hash"}}}}, "'hash' of card is not to be had here"),
        ({"rules": {"own": {"masks": {"cart": "null"}}}}, "'cart' is not among its columns"),
        ({"rules": {"own": {"hidden": ["id", "tenant", "owner", "card"]}}}, "every column is hidden"),
        ({"columns": ["id", "ID", "tenant", "owner", "card"]}, "a column is listed twice"),
    ],
)
async def test_a_policy_that_cannot_be_used_ends_the_start(
    tmp_path: Path, database: Path, change: dict[str, Any], problem: str
) -> None:
    settings = groups(database, **{"main.orders": {**ORDERS, **change}})
    with pytest.raises(SettingsError, match=re.escape(problem)) as refusal:
        async with serving(tmp_path / "state", **settings):
            pass
    assert "policies.engines.lite.relations.main.orders" in str(refusal.value)


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ({"engines": {"nope": {"relations": {"main.t": {"columns": ["a"], "open": True}}}}}, "there is no engine"),
        ({"engines": {"lite": {"relations": {"t": {"columns": ["a"], "open": True}}}}}, "name its schema"),
        (
            {"engines": {"lite": {"default": "open", "relations": {"main.t": {"columns": ["a"], "open": True}}}}},
            "cannot be open by default",
        ),
        (
            {"engines": {"lite": {"enforce": "both", "relations": {"main.orders": ORDERS}}}},
            "main.orders.rules.own: enforce: expected rewrite: this kind of engine has no row policies",
        ),
        (
            {"engines": {"lite": {"relations": {"main.orders": {**ORDERS, "enforce": "engine"}}}}},
            "main.orders.rules.own: expected no `rows` with `enforce: engine`",
        ),
    ],
)
async def test_policies_of_a_wrong_shape_end_the_start(
    tmp_path: Path, database: Path, policies: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        async with serving(tmp_path / "state", **{**groups(database), "policies": policies}):
            pass
