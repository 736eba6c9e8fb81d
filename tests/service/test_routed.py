"""Statements go where the rules say, in a server with engines that are up, full and down, and their status says why."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from queryengine.domain.reloads import Trigger
from tests.settings_file import with_file, write_settings
from tests.support import COMPLETED, QUEUED, RUNNING, WAIT, Api, Gate, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {
    "first": {"type": "duckdb", "workers": 1},
    "second": {"type": "duckdb", "workers": 1},
    "scripted": {"type": "scripted", "workers": 1},
    "spare": {"type": "scripted", "workers": 1},
}
RULES: dict[str, Any] = {
    "scripts": {"when": {"labels": {"kind": "script"}}, "to": ["scripted", "spare"]},
    "pinned": {"when": {"labels": {"kind": "pinned"}}, "to": ["scripted", "spare"], "strict": True},
    "wide": {"when": {"functions": ["range"], "estimate": {"least_rows": 100}}, "to": "first"},
    "seconds": {"when": {"functions": ["range"]}, "to": "second"},
    "refusing": {"when": {"labels": {"kind": "refusing"}}, "to": "second", "explicit": "refuse"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("routed")
    shared_folders.add(str(folder))
    routing = {"rules": RULES, "full_queue": 0}
    async with served(folder, engines=ENGINES, routing=routing) as (_, api):
        await api.channel.channel_ready()
        yield api
    shared_folders.discard(str(folder))


async def where(api: Api, sql: str, **fields: Any) -> tuple[str, str]:
    status = (await api.submit(sql, wait_timeout=WAIT, **fields)).status
    assert status.state == COMPLETED, status.error
    return status.engine, status.routing_reason


async def test_what_no_rule_is_for_goes_where_it_always_went(api: Api) -> None:
    assert await where(api, "SELECT 1") == ("first", "default")
    assert await where(api, "SELECT 1", engine="second") == ("second", "explicit")


async def test_a_rule_by_the_text_decides_and_the_status_says_so(api: Api) -> None:
    assert await where(api, "SELECT * FROM range(2)") == ("second", "rule seconds: function range")
    # The same again, when the text is known.
    assert await where(api, "SELECT * FROM range(2)") == ("second", "rule seconds: function range")


async def test_the_past_of_a_text_decides_the_next_time(api: Api) -> None:
    sql = "SELECT * FROM range(500)  -- many"
    assert (await where(api, sql))[0] == "second"
    engine, reason = await where(api, sql.replace("--", "-- how"))
    assert engine == "first"
    assert reason.startswith("rule wide: function range, estimated 500 rows by its past on second")


async def test_details_say_what_the_reason_is_made_of(tmp_path: Path) -> None:
    # Nothing listens there.
    gone = {"type": "trino", "workers": 1, "options": {"url": "http://127.0.0.1:1"}}
    engines = {"duck": {"type": "duckdb", "workers": 1}, "gone": gone}
    rules = {"rules": {"failover": {"when": {"row_limit_below": 9}, "to": ["gone", "duck"]}}}
    async with served(tmp_path, down={"gone"}, engines=engines, routing=rules) as (service, api):
        await until(lambda: not service.pool.load("gone").is_starting)
        status = (await api.submit("SELECT 3", limits={"row_limit": 8}, wait_timeout=WAIT)).status
        assert status.routing_reason == "rule failover: row limit 8; gone unavailable, next duck"
        found = (await api.details(status.query_id)).routing
        assert (found.rule, list(found.facts)) == ("failover", ["row limit 8"])
        (passed,) = found.passed_over
        assert passed.engine == "gone"
        assert passed.why.startswith("unavailable: engine 'gone' cannot reach Trino")
        plain = (await api.submit("SELECT 3", wait_timeout=WAIT)).status
        assert not (await api.details(plain.query_id)).HasField("routing")
        # One that is named is waited for.
        hinted = (await api.submit("SELECT 3", engine="gone")).status
        assert (hinted.state, hinted.routing_reason) == (QUEUED, "explicit")


async def test_a_full_engine_is_passed_over_unless_the_rule_or_the_request_is_strict(api: Api, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    holding = (await api.script(gate.script)).status.query_id
    await api.reached(holding, RUNNING)
    engine, reason = await where(api, "rows 1", labels={"kind": "script"})
    assert (engine, reason) == ("spare", "rule scripts: label kind=script; scripted full, next spare")
    strict = (await api.submit("rows 1", labels={"kind": "script"}, routing={"strict": True})).status
    pinned = (await api.submit("rows 1", labels={"kind": "pinned"})).status
    hinted = (await api.script("rows 1")).status
    for status in (strict, pinned, hinted):
        assert (status.engine, status.state) == ("scripted", QUEUED)
    assert pinned.routing_reason == "rule pinned: label kind=pinned; waits for scripted, which is full"
    gate.open()
    for status in (strict, pinned, hinted):
        assert (await api.ended(status.query_id)).state == COMPLETED
    assert (await where(api, "rows 1", labels={"kind": "script"}))[0] == "scripted"


async def test_an_engine_that_a_rule_does_not_let_be_named(api: Api) -> None:
    labels = {"kind": "refusing"}
    assert (await where(api, "SELECT 1", labels=labels, engine="second"))[0] == "second"
    refusal = await refused(api.submit("SELECT 1", labels=labels, engine="first"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ENGINE_HINT_REFUSED")
    assert refusal.metadata == {"engine": "first", "rule": "refusing"}


async def test_the_chosen_engine_judges_the_text(api: Api) -> None:
    # The rules read it, and so does no engine.
    refusal = await refused(api.submit("SELECT * FROM range(1) WHERE read_text('/etc/passwd') = ''"))
    assert refusal.reason == "STATEMENT_NOT_ALLOWED"
    refusal = await refused(api.submit("DELETE FROM x"))
    assert refusal.reason == "STATEMENT_NOT_ALLOWED"


async def test_a_repeated_submit_is_the_same_query_wherever_it_would_go_now(api: Api, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    fields: dict[str, Any] = {"query_id": str(uuid.uuid4()), "labels": {"kind": "script"}}
    first = await api.submit(gate.script, **fields)
    await api.reached(fields["query_id"], RUNNING)
    again = await api.submit(gate.script, **fields)
    assert again.existing
    assert again.status.engine == first.status.engine == "scripted"
    gate.open()
    await api.ended(fields["query_id"])
    refusal = await refused(api.submit(gate.script, **fields, routing={"strict": True}))
    assert refusal.reason == "QUERY_ID_REUSED"


async def test_a_repeated_submit_is_answered_also_when_new_rules_would_refuse_it(tmp_path: Path) -> None:
    rules = {"rules": {"ours": {"to": ["duckdb"], "explicit": "refuse"}}}
    asked: dict[str, Any] = {"query_id": str(uuid.uuid4()), "engine": "scripted"}
    engines = {"scripted": {"type": "scripted", "workers": 1}, "duckdb": {"type": "duckdb", "workers": 1}}
    async with with_file(tmp_path, engines=engines) as service, grpc.aio.insecure_channel(service.address) as channel:
        api = Api(channel, "tenant")
        await api.submit("rows 1", wait_timeout=WAIT, **asked)
        for routing in ({"explicit": "refuse"}, rules):
            write_settings(tmp_path, engines=engines, routing=routing)
            status = await service.reload(Trigger.CALL)
            assert not status.last.mistakes
            assert (await api.submit("rows 1", **asked)).existing
            asked_anew = {**asked, "query_id": str(uuid.uuid4())}
            assert (await refused(api.submit("rows 1", **asked_anew))).reason == "ENGINE_HINT_REFUSED"


async def test_an_unknown_dialect_is_refused(api: Api) -> None:
    refusal = await refused(api.submit("SELECT 1", routing={"dialect": "klingon"}))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "dialect")


async def test_a_decision_outlives_the_server(tmp_path: Path) -> None:
    rules = {"rules": {"all": {"when": {"tenants": ["tenant"]}, "to": "duckdb"}}}
    query_id = str(uuid.uuid4())
    async with served(tmp_path, routing=rules) as (_, api):
        asked = {"query_id": query_id, "routing": {"dialect": "duckdb", "strict": True}}
        await api.submit("SELECT 1", wait_timeout=WAIT, **asked)
        before = await api.details(query_id)
    async with served(tmp_path) as (_, api):
        assert await api.details(query_id) == before
        assert before.routing.rule == "all"
        # Without the rules, the same request is the same query still.
        assert (await api.submit("SELECT 1", **asked)).existing
