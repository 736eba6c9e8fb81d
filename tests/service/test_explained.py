"""Submit with a mode says what would become of a statement, and runs nothing; what it says is what then happens."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.client import AsyncClient, QueryFailed
from queryengine.v1 import query_service_pb2 as pb
from tests.command_process import started
from tests.support import COMPLETED, RUNNING, WAIT, Api, Gate, batch_of, refused, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

ETL = {"workload": "etl"}
VALIDATE, EXPLAIN = pb.SUBMIT_MODE_VALIDATE, pb.SUBMIT_MODE_EXPLAIN
ENGINES = {
    **{name: {"type": "duckdb", "workers": 1} for name in ("first", "second", "policed")},
    "scripted": {"type": "scripted", "workers": 1},
}
ROUTING: dict[str, Any] = {
    "rules": {
        "moved": {"when": {"labels": {"from": "*"}}, "to": ["first"], "translate_from": "spark"},
        "kept": {"when": {"dialects": ["spark"], "any_table": ["shop.*"]}, "to": "policed", "translate_from": "trino"},
        "etl": {"when": {"labels": {"workload": "etl"}}, "to": ["second", "first"], "explicit": "refuse"},
        "few": {"when": {"row_limit_below": 10}, "to": "second", "strict": True},
        "policed": {"when": {"any_table": ["shop.*"]}, "to": "policed"},
        "long": {"when": {"functions": ["range"], "estimate": {"least_rows": 50}}, "to": "second"},
        "split": {"when": {"kinds": ["SELECT"]}, "split": {"engines": {"first": 1, "second": 1}, "by": "statement"}},
    },
}
POLICIES = {
    "engines": {
        "policed": {
            "relations": {
                "shop.orders": {"columns": ["id", "tenant"], "rules": {"own": {"rows": "tenant = {tenant}"}}},
            }
        }
    }
}
INIT = ["CREATE SCHEMA shop", "CREATE TABLE shop.orders AS SELECT 1 AS id, 'tenant' AS tenant, 'x' AS note"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("explained")
    shared_folders.add(str(folder))
    engines = {**ENGINES, "policed": {**ENGINES["policed"], "options": {"init_sql": INIT}}}
    async with serving(folder, engines=engines, routing=ROUTING, policies=POLICIES) as service:
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(service: Service) -> AsyncIterator[Api]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        await channel.channel_ready()
        yield Api(channel, "tenant")


async def explained(api: Api, sql: str, *, mode: int = EXPLAIN, **fields: Any) -> pb.Explanation:
    reply = await api.submit(sql, mode=mode, **fields)
    assert not reply.HasField("status")
    return reply.explanation


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a label": ("SELECT 1", {"labels": {"workload": "etl"}}),
    "a label and an engine": ("SELECT 1", {"labels": {"workload": "etl"}, "engine": "first"}),
    "few rows": ("SELECT 1", {"limits": {"row_limit": 5}}),
    "an engine": ("SELECT 2", {"engine": "policed"}),
    "a table with policies": ("SELECT id FROM shop.orders", {}),
    "not seen before": ("SELECT count(*) FROM range(60)", {}),
    "translated": ("SELECT `a` FROM (SELECT 1 AS `a`) AS x", {"labels": {"from": "spark"}}),
    "translated under policies": ("SELECT `id` FROM shop.orders", {"routing": {"dialect": "spark"}}),
    "no rule": ("DESCRIBE SELECT 1", {}),
    **{f"split {number}": (f"SELECT {number} AS n", {}) for number in range(8)},
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_what_is_explained_is_what_happens(api: Api, name: str) -> None:
    sql, fields = REQUESTS[name]
    said = await explained(api, sql, **fields)
    status = (await api.submit(sql, wait_timeout=WAIT, **fields)).status
    assert status.state == COMPLETED, status.error
    details = await api.details(status.query_id)
    assert (said.engine, said.engine_type) == (status.engine, status.engine_type)
    assert said.routing_reason == status.routing_reason
    assert said.HasField("routing") == details.HasField("routing")
    assert said.routing == details.routing
    assert said.limits == details.limits
    assert said.query_hash == status.query_hash
    assert said.executed_sql == details.executed_sql
    assert (list(said.row_policies), said.policy_version) == (list(status.row_policies), status.policy_version)


async def test_the_past_is_in_the_estimate_and_in_the_routing(api: Api) -> None:
    sql = "SELECT range AS long FROM range(70)"
    before = await explained(api, sql)
    assert not before.HasField("estimate")
    assert before.routing.rule == "split"
    engine = (await api.submit(sql, wait_timeout=WAIT)).status.engine
    after = await explained(api, sql)
    assert after.engine == "second"
    assert after.routing.rule == "long"
    assert f"by its past on {engine}" in after.routing_reason
    # The estimate is of the engine that would run it.
    known = await explained(api, sql, engine=engine)
    assert known.estimate.rows == 70
    assert known.estimate.execution_time.ToTimedelta().total_seconds() > 0
    assert not (await explained(api, sql, mode=VALIDATE, engine=engine)).HasField("estimate")


async def test_a_translated_text_runs_with_the_meaning_of_its_dialect(api: Api) -> None:
    rows = "(SELECT 1 AS `a` UNION ALL SELECT NULL) AS x"
    sql = f"SELECT `a` FROM {rows}  -- NULL first, as in Spark\n ORDER BY `a`"
    reply = await api.submit(sql, labels={"from": "spark"}, wait_timeout=WAIT)
    assert reply.status.routing_reason == "rule moved: label from=spark; translated from spark"
    assert batch_of(reply.pages[0]).to_pylist() == [{"a": None}, {"a": 1}]
    details = await api.details(reply.status.query_id)
    assert details.sql == sql
    assert details.executed_sql.endswith('AS x ORDER BY "a" NULLS FIRST')
    assert details.routing.translated_from == "spark"
    # The hash is that of what was submitted.
    again = await api.submit(sql.replace("-- NULL first, as in Spark\n", ""), labels={"from": "spark"})
    assert again.status.query_hash == reply.status.query_hash


async def test_policies_hold_for_a_translated_text(api: Api) -> None:
    asked: dict[str, Any] = {"routing": {"dialect": "spark"}, "wait_timeout": WAIT}
    reply = await api.submit("SELECT `id` FROM shop.orders", **asked)
    assert list(reply.status.row_policies) == ["shop.orders:own"]
    assert not (await api.details(reply.status.query_id)).executed_sql
    refusal = await refused(api.submit("SELECT `id` FROM shop.orders, shop.secrets", **asked))
    assert refusal.reason == "RELATION_NOT_ALLOWED"


async def test_the_engine_says_how_it_would_run_it(api: Api) -> None:
    asked: dict[str, Any] = {"engine": "first"}
    said = await explained(api, "SELECT range FROM range(100) WHERE range > 5", **asked)
    assert "Filter" in said.engine_plan
    assert not said.engine_plan_withheld
    with_parameter = await explained(
        api, "SELECT $x + 1", parameters=[{"name": "x", "value": {"int_value": 1}}], **asked
    )
    assert "Projection" in with_parameter.engine_plan
    translated = await explained(api, "SELECT `a` FROM (SELECT 1 AS `a`) AS x", labels={"from": "spark"})
    assert translated.engine_plan
    assert not (await explained(api, "SELECT 1", mode=VALIDATE, **asked)).engine_plan


async def test_a_plan_is_withheld_with_the_reason(api: Api) -> None:
    policed = await explained(api, "SELECT id FROM shop.orders")
    assert not policed.engine_plan
    assert "policies" in policed.engine_plan_withheld
    missing = await explained(api, "SELECT * FROM nothing", engine="first")
    assert "nothing does not exist" in missing.engine_plan_withheld
    scripted = await explained(api, "rows 1", engine="scripted")
    assert "not asked" in scripted.engine_plan_withheld
    # What was held for it is free again.
    done = await asyncio.gather(*(api.submit("SELECT 1", engine="first", wait_timeout=WAIT) for _ in range(3)))
    assert [each.status.state for each in done] == [COMPLETED] * 3


async def test_an_engine_without_a_free_slot_is_not_asked(api: Api, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    holding = (await api.script(gate.script)).status.query_id
    await api.reached(holding, RUNNING)
    said = await explained(api, "rows 1", engine="scripted")
    assert said.engine_plan_withheld == "the engine has no free slot; ask again"
    gate.open()
    await api.ended(holding)


async def test_the_plan_has_kinds_and_tables(api: Api) -> None:
    said = await explained(api, 'SELECT * FROM shop.orders, "a b".t', engine="first", mode=VALIDATE)
    assert (list(said.kinds), list(said.tables), said.tables_known) == (["SELECT"], ['"a b".t', "shop.orders"], True)
    policed = await explained(api, "SELECT id FROM shop.orders", mode=VALIDATE)
    assert list(policed.row_policies) == ["shop.orders:own"]
    # It has the policies in it.
    assert not policed.executed_sql


@pytest.mark.parametrize("mode", [VALIDATE, EXPLAIN])
async def test_nothing_runs_and_nothing_is_recorded(api: Api, mode: int) -> None:
    caller = Api(api.channel, f"nobody-{mode}")
    query_id = "11111111-2222-4333-8444-555555555555"
    reply = await caller.submit("SELECT 1", mode=mode, query_id=query_id, wait_timeout=WAIT)
    assert reply.HasField("explanation")
    assert not (await caller.listed()).queries
    assert (await refused(caller.call("GetStatus", pb.GetStatusRequest(query_id=query_id)))).reason == "QUERY_NOT_FOUND"
    # The id is free.
    assert not (await caller.submit("SELECT 2", query_id=query_id, wait_timeout=WAIT)).existing


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "syntax": ("SELEC 1", {}, "SYNTAX_ERROR"),
    "a write": ("DELETE FROM t", {}, "STATEMENT_NOT_ALLOWED"),
    "a function": ("SELECT * FROM read_text('/etc/passwd')", {}, "STATEMENT_NOT_ALLOWED"),
    "policies": ("SELECT * FROM shop.secrets", {}, "RELATION_NOT_ALLOWED"),
    "an engine": ("SELECT 1", {"engine": "third"}, "UNKNOWN_ENGINE"),
    "an engine that a rule refuses": ("SELECT 1", {"labels": ETL, "engine": "policed"}, "ENGINE_HINT_REFUSED"),
    "a translation": ("SELECT 1 / 2", {"labels": {"from": "spark"}}, "TRANSLATION_REFUSED"),
    "another dialect": ("DESCRIBE SELECT 1", {"routing": {"dialect": "trino"}}, "TRANSLATION_REFUSED"),
    "a setting": ("SELECT 1", {"session_settings": {"x": "1"}}, "UNSUPPORTED"),
    "a field": ("SELECT 1", {"priority": 77}, "INVALID_FIELD"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_a_run_is_refused_for_is_refused(api: Api, name: str) -> None:
    sql, fields, reason = REFUSED[name]
    for mode in (pb.SUBMIT_MODE_RUN, VALIDATE, EXPLAIN):
        assert (await refused(api.submit(sql, mode=mode, **fields))).reason == reason


async def test_a_mode_of_a_newer_contract_is_refused(api: Api) -> None:
    refusal = await refused(api.submit("SELECT 1", mode=9))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "mode")


async def test_the_python_client_explains(service: Service) -> None:
    async with AsyncClient(service.address, tenant="tenant") as client:
        found = await client.explain("SELECT id FROM shop.orders", row_limit=100)
        assert (found.engine, found.engine_type, found.tables) == ("policed", "duckdb", ("shop.orders",))
        assert found.routing is not None
        assert (found.routing.rule, found.routing.facts) == ("policed", ("table shop.*",))
        assert (found.row_limit, found.byte_limit, found.execution_timeout_seconds) == (100, None, 1800)
        strict = await client.explain("SELECT 1", row_limit=5, strict_routing=True, dialect="duckdb")
        assert strict.routing_reason == "rule few: row limit 5"
        with pytest.raises(QueryFailed, match="SYNTAX_ERROR"):
            await client.explain("SELEC 1")


async def test_the_command_explains(service: Service, api: Api, tmp_path: Path) -> None:
    async def run(*words: str) -> tuple[int | None, str]:
        async with started(service, api, tmp_path, "explain", *words) as process:
            shown, _ = await process.communicate()
            return process.returncode, shown.decode()

    code, shown = await run("SELECT id FROM shop.orders", "--limit", "20")
    assert code == 0
    assert "engine          policed (duckdb)\nwhy             rule policed: table shop.*\n" in shown
    assert "policies        shop.orders:own\n" in shown
    code, shown = await run("--json", "--label", "workload=etl", "SELECT 1")
    found = json.loads(shown)
    assert (found["engine"], found["routing"]["rule"], found["tables"]) == ("second", "etl", [])
    code, shown = await run("--label", "from=spark", "SELECT `a` FROM (SELECT 1 AS `a`) AS x")
    assert code == 0
    assert '\n\nSELECT "a" FROM (SELECT 1 AS "a") AS x\n' in shown, shown
    assert (await run("SELEC 1"))[0] == 2
