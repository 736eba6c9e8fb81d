"""A server that asks a decision point for each query: who may run it, which rows it sees, and what goes wrong."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from queryengine.app.service import Service
from queryengine.domain.reloads import Trigger
from tests.opa_server import ALLOW, opa_server
from tests.settings_file import ENGINES, with_file, write_settings
from tests.support import COMPLETED, WAIT, Api, Received, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = [(1, "acme", "eu", 10), (2, "acme", "us", 20), (3, "globex", "eu", 30), (4, "acme", "eu", 40)]
CANARY = "canary-7f3a"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, tenant TEXT, region TEXT, amount INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", ROWS)
        connection.execute("CREATE TABLE regions (name TEXT)")
        connection.execute("INSERT INTO regions VALUES ('eu'), ('us')")
        connection.commit()
    return path


def groups(database: Path, url: str, **more: Any) -> dict[str, Any]:
    token = database.parent / "opa.token"
    token.write_text(CANARY)
    lite = {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}}
    orders = {
        "columns": ["id", "tenant", "region", "amount"],
        "rules": {"own": {"rows": "tenant = {tenant}", "masks": {"region": "null"}, "hidden": ["tenant"]}},
    }
    relations = {"main.orders": orders, "main.regions": {"columns": ["name"], "open": True}}
    point = {"url": url, "path": "/v1/data/sql/decision", "token": f"file:{token}", **more} if url else None
    return {
        "engines": {**ENGINES, "lite": lite},
        "default_engine": "lite",
        "policies": {"decision_point": point, "engines": {"lite": {"relations": relations}}},
    }


@asynccontextmanager
async def started(tmp_path: Path, database: Path, url: str, **more: Any) -> AsyncIterator[tuple[Service, Api, Api]]:
    async with (
        with_file(tmp_path, **groups(database, url, **more)) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield service, Api(channel, "acme", user="ann"), Api(channel, "acme", user="bob")


def filtered(**tables: list[dict[str, Any]]) -> dict[str, Any]:
    return {"result": {"allow": True, "filters": {f"main.{name}": each for name, each in tables.items()}}}


EU = {"column": "region", "operator": "eq", "value": "eu"}
LARGE = {"column": "amount", "operator": "gte", "value": 20}


async def ran(api: Api, sql: str) -> tuple[str, list[Any]]:
    status = (await api.submit(sql, wait_timeout=WAIT)).status
    assert status.state == COMPLETED, status.error
    table = Received(await api.stream(status.query_id).all()).table()
    return status.query_id, sorted(table.column(0).to_pylist())


async def test_rows_are_those_of_policies_and_of_the_decision(tmp_path: Path, database: Path) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url, cache_seconds=0) as (_, ann, _):
        for answer, ids in (
            (ALLOW, [1, 2, 4]),
            (filtered(orders=[EU]), [1, 4]),
            (filtered(orders=[EU, LARGE]), [4]),
            (filtered(orders=[]), [1, 2, 4]),
            # A filter opens nothing that the policies keep back.
            (filtered(orders=[{"column": "tenant", "operator": "eq", "value": "globex"}]), []),
            (filtered(orders=[{"column": "region", "operator": "eq", "value": "' OR 1 = 1 --"}]), []),
        ):
            opa.answer = answer
            for sql in ("SELECT id FROM orders", "SELECT a.id FROM orders a JOIN orders b ON a.id = b.id"):
                assert (await ran(ann, sql))[1] == ids, (answer, sql)
        (first, *_) = opa.questions
        assert first["engine"] == "lite"
        assert first["kinds"] == ["SELECT"]
        assert first["tables"] == ["main.orders"]
        assert (first["principal"]["tenant"], first["principal"]["subject"]) == ("acme", "ann")
        assert f"authorization: bearer {CANARY}" in opa.requests[0].lower()


async def test_each_query_asks_once_with_all_of_its_tables(tmp_path: Path, database: Path) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url) as (_, ann, bob):
        opa.answer = filtered(regions=[{"column": "name", "operator": "neq", "value": "us"}])
        sql = "SELECT name FROM regions, (SELECT count(*) FROM orders) UNION SELECT 'x'"
        assert (await ran(ann, sql))[1] == ["eu", "x"]
        assert [each["tables"] for each in opa.questions] == [["main.orders", "main.regions"]]
        await ran(ann, sql)
        assert len(opa.questions) == 1
        await ran(bob, sql)
        assert len(opa.questions) == 2


async def test_a_denied_query_is_refused_and_leaves_no_record(tmp_path: Path, database: Path) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url) as (_, ann, _):
        opa.answer = {"result": {"allow": False, "reason": "ask the data office"}}
        refusal = await refused(ann.submit("SELECT id FROM orders"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED")
        assert "ask the data office" in refusal.message
        assert (await refused(ann.submit("rows 1", engine="scripted"))).reason == "POLICY_DENIED"
        # What is refused anyway is not asked about.
        asked = len(opa.questions)
        assert (await refused(ann.submit("SELECT * FROM secrets"))).reason == "RELATION_NOT_ALLOWED"
        assert len(opa.questions) == asked


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"result": {"allow": True, "filters": {"main.orders": "1 = 1"}}},
        filtered(orders=[{"column": "card", "operator": "eq", "value": "eu"}]),
        filtered(regions=[{"column": "name", "operator": "eq", "value": "eu"}]),
        filtered(orders=[{**EU, "operator": "=="}]),
    ],
)
async def test_an_answer_that_cannot_be_applied_refuses_the_query(
    tmp_path: Path, database: Path, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url, timeout_seconds=0.5) as (_, ann, _):
        opa.answer = answer
        refusal = await refused(ann.submit("SELECT id FROM orders"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "POLICY_UNAVAILABLE")
        assert refusal.retry_seconds
        assert "a query is refused" in caplog.text
        assert CANARY not in caplog.text


async def test_row_filters_need_policies_that_apply_them(tmp_path: Path, database: Path) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url) as (_, ann, _):
        opa.answer = {"result": {"allow": True, "filters": {"anything": [EU]}}}
        assert (await refused(ann.submit("rows 1", engine="scripted"))).reason == "POLICY_UNAVAILABLE"


async def test_stored_rows_are_for_whom_they_were_decided(tmp_path: Path, database: Path) -> None:
    async with opa_server() as opa, started(tmp_path, database, opa.url) as (service, ann, bob):
        opa.answer = filtered(orders=[EU])
        query_id, ids = await ran(ann, "SELECT id FROM orders")
        assert ids == [1, 4]
        assert (await ann.status(query_id)).policy_version.count("-") == 1
        for call in (bob.stream(query_id), bob.fetch(query_id)):
            assert (await refused(call)).reason == "RESULT_RESTRICTED"
        # Also of tables without rules for anybody.
        opa.answer = ALLOW
        open_id, _ = await ran(ann, "SELECT name FROM regions")
        assert (await refused(bob.stream(open_id))).reason == "RESULT_RESTRICTED"
        # Without the decision point nobody knows for whom they are.
        write_settings(tmp_path, **groups(database, ""))
        assert (await service.reload(Trigger.SIGNAL)).last.is_applied
        assert (await refused(ann.stream(query_id))).reason == "RESULT_RESTRICTED"
        assert (await ran(ann, "SELECT id FROM orders"))[1] == [1, 2, 4]
        assert (await ran(bob, "SELECT id FROM orders"))[1] == [1, 2, 4]


async def test_another_decision_point_is_taken_over_with_no_answer_of_the_former(
    tmp_path: Path, database: Path
) -> None:
    async with (
        opa_server() as first,
        opa_server() as second,
        started(tmp_path, database, first.url) as (service, ann, _),
    ):
        second.answer = {"result": {"allow": False}}
        await ran(ann, "SELECT id FROM orders")
        write_settings(tmp_path, **groups(database, second.url))
        assert "policies.decision_point" in (await service.reload(Trigger.SIGNAL)).last.changed
        assert (await refused(ann.submit("SELECT id FROM orders"))).reason == "POLICY_DENIED"
        write_settings(tmp_path, **groups(database, "http://opa.example.com"))
        (mistake,) = (await service.reload(Trigger.SIGNAL)).last.mistakes
        assert "policies.decision_point.url: expected https" in mistake
        assert (await refused(ann.submit("SELECT id FROM orders"))).reason == "POLICY_DENIED"
