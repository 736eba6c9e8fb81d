"""What a service with an audit log records of its calls, and what it refuses when it cannot."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2

from queryengine.app.service import Service
from queryengine.edges.grpc.auditing import WITHOUT_EFFECT
from queryengine.settings import SettingsError
from queryengine.v1 import admin_service_pb2, named_query_service_pb2, query_service_pb2
from tests.keyed import ADMIN, KeyApi, keyed
from tests.named import NamedApi, definition
from tests.support import COMPLETED, RUNNING, WAIT, Api, refused, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {"duckdb": {"type": "duckdb", "workers": 1}, "scripted": {"type": "scripted", "workers": 2}}
EFFECTS = {"Cancel", "CancelQueries", "ReleaseResults", "RefreshEngine"} | {
    *("CreateApiKey", "RotateApiKey", "RevokeApiKey", "Reload"),
    *("CreateNamedQuery", "UpdateNamedQuery", "DeleteNamedQuery", "TagNamedQuery", "UntagNamedQuery"),
}
"""Calls that change something, and are recorded before."""
SCRIPT = definition("rows 3", engine="scripted")
Records = Callable[..., list[dict[str, Any]]]


@asynccontextmanager
async def audited(folder: Path, **audit: Any) -> AsyncIterator[tuple[Service, Api, Records]]:
    """A service that records in a file, somebody who calls it, and the records that have certain fields."""
    file = folder / "audit" / "audit.jsonl"
    file.parent.mkdir(exist_ok=True)

    def records(**fields: Any) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in file.read_text().splitlines()]
        return [each for each in found if fields.items() <= each.items()]

    async with (
        serving(folder / "state", engines=ENGINES, audit={"to": str(file), **audit}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield service, Api(channel, "tenant"), records


async def test_a_query_has_a_record_of_its_submit_its_reads_and_its_end(tmp_path: Path) -> None:
    async with audited(tmp_path) as (_, api, records):
        sql = "SELECT count(*) AS n FROM (VALUES (1), (2)) AS v(a) -- canary"
        status = (await api.submit(sql, wait_timeout=WAIT)).status
        assert status.state == COMPLETED
        await api.read(status.query_id)
        await api.status(status.query_id)
        [submit] = records(rpc="Submit")
        assert (submit["verdict"], submit["tenant"], submit["authenticator"]) == ("allowed", "tenant", "none")
        assert submit["peer"].startswith("ipv4:127.0.0.1:")
        assert (submit["query_id"], submit["engine"], submit["statement"]) == (
            status.query_id,
            "duckdb",
            status.query_hash,
        )
        assert "tables" in submit
        [stream] = records(rpc="StreamResults")
        assert (stream["verdict"], stream["query_id"]) == ("allowed", status.query_id)
        [end] = await until(lambda: records(event="query_end"))
        assert (end["state"], end["rows"], end["query_id"]) == ("COMPLETED", 1, status.query_id)
        assert end["bytes"] > 0
        assert end["statement"] == submit["statement"]
        assert len(records(rpc="GetStatus")) == 1
        assert "canary" not in (tmp_path / "audit" / "audit.jsonl").read_text()
        # The record of the decision came before anything of the query.
        assert submit["sequence"] < end["sequence"]


async def test_refusals_are_recorded_with_their_reason(tmp_path: Path) -> None:
    async with audited(tmp_path, statement="text") as (_, api, records):
        assert (await refused(api.submit("SELECT 1; SELECT 2"))).reason == "NOT_ONE_STATEMENT"
        assert (await refused(api.status("x" * 5000))).reason == "QUERY_NOT_FOUND"
        assert (await refused(api.submit("SELECT 1", engine="none"))).reason == "UNKNOWN_ENGINE"
        unknown = api.stub.GetStatus
        with pytest.raises(grpc.aio.AioRpcError):
            await unknown(query_service_pb2.GetStatusRequest(), metadata=[("x-tenant-id", "a"), ("x-tenant-id", "b")])
        found = records(event="call")
        assert [(each["verdict"], each["rpc"], each["reason"]) for each in found] == [
            ("refused", "Submit", "NOT_ONE_STATEMENT"),
            ("refused", "GetStatus", "QUERY_NOT_FOUND"),
            ("refused", "Submit", "UNKNOWN_ENGINE"),
            ("refused", "GetStatus", "INVALID_FIELD"),
        ]
        assert found[1]["query_id"] == "x" * 64
        # Nobody was identified.
        assert "tenant" not in found[3]
        assert found[3]["peer"]


async def test_the_text_is_recorded_where_that_is_set_and_parameters_never(tmp_path: Path) -> None:
    async with audited(tmp_path, statement="text") as (_, api, records):
        sql = "SELECT $1 AS a"
        await api.submit(sql, parameters=[{"value": {"string_value": "canary"}}], wait_timeout=WAIT)
        assert records(rpc="Submit")[0]["sql"] == sql
        assert "canary" not in (tmp_path / "audit" / "audit.jsonl").read_text()


async def test_nothing_begins_without_its_record(tmp_path: Path) -> None:
    """No query is made, none is cancelled, and nothing is said about any."""
    async with audited(tmp_path) as (_, api, records):
        gate = tmp_path / "gate"
        running = (await api.script(f"gate {gate}; rows 1")).status.query_id
        await api.reached(running, RUNNING)
        with records_cannot_be_written(tmp_path):
            refusal = await refused(api.script("rows 2"))
            assert (refusal.reason, refusal.code) == ("AUDIT_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE)
            for query_id in (running, "unknown"):
                assert (await refused(api.status(query_id))).reason == "AUDIT_UNAVAILABLE"
                assert (await refused(api.read(query_id))).reason == "AUDIT_UNAVAILABLE"
            assert (await refused(api.cancel(running))).reason == "AUDIT_UNAVAILABLE"
        gate.touch()
        assert (await api.ended(running)).state == COMPLETED
        assert len((await api.listed()).queries) == 1
        await until(lambda: records(event="query_end", query_id=running))
        assert len(records(rpc="Submit")) == 1
        # Whoever asks about what is not there is recorded, if later.
        assert {each["rpc"] for each in records(query_id="unknown", reason="QUERY_NOT_FOUND")} == {
            "GetStatus",
            "StreamResults",
        }


async def test_nothing_changes_without_its_record(tmp_path: Path) -> None:
    """Of each call that changes something, the first one that finds that records cannot be written, too."""
    file = tmp_path / "audit" / "audit.jsonl"
    file.parent.mkdir()
    lake = tmp_path / "lake"
    lake.mkdir()
    duckdb = {"type": "duckdb", "workers": 1, "options": {"directory": str(lake)}}
    engines = {"scripted": {"type": "scripted", "workers": 2}, "lake": duckdb}
    async with keyed(tmp_path / "state", engines=engines, audit={"to": str(file)}) as found:
        admin, owner = found.by(ADMIN.text, tenant="acme"), await found.tenant_admin()
        running = (await owner.script(f"gate {tmp_path / 'gate'}; rows 1", labels={"batch": "1"})).status.query_id
        await owner.reached(running, RUNNING)
        ended = (await owner.script("rows 3", wait_timeout=WAIT)).status.query_id
        key = (await owner.create()).key.key_id
        later = timestamp_pb2.Timestamp(seconds=found.clock.now_us() // 1_000_000 + 90_000)
        version = found.service.parts.reloading.status.last.end_us
        named = NamedApi(owner)
        await named.create("n", SCRIPT)
        await named.tag("n", "prod", 1)
        untag = named_query_service_pb2.UntagNamedQueryRequest(name="n", tag="prod")
        calls: dict[str, Callable[[], Any]] = {
            "Cancel": lambda: owner.cancel(running),
            "CancelQueries": lambda: owner.cancel_matching(labels={"batch": "1"}),
            "ReleaseResults": lambda: owner.release(ended),
            "ReleaseResults, kept for longer": lambda: owner.release(ended, extend_to=later),
            "RefreshEngine": lambda: owner.refresh("lake"),
            "CreateApiKey": lambda: owner.create(subject="other"),
            "RotateApiKey": lambda: owner.rotate(key),
            "RevokeApiKey": lambda: owner.revoke(key),
            "Reload": lambda: admin.manage("Reload", admin_service_pb2.ReloadRequest()),
            "CreateNamedQuery": lambda: named.create("other", SCRIPT),
            "UpdateNamedQuery": lambda: named.update("n", SCRIPT, 1),
            "TagNamedQuery": lambda: named.tag("n", "canary", 1),
            "UntagNamedQuery": lambda: named.call("UntagNamedQuery", untag),
            "DeleteNamedQuery": lambda: named.delete("n"),
        }
        assert {name.partition(",")[0] for name in calls} == EFFECTS
        before = await _seen(owner, running, ended)
        for name, call in calls.items():
            with records_cannot_be_written(tmp_path):
                refusal = await refused(call())
                assert refusal.reason == "AUDIT_UNAVAILABLE", name
            # A call whose record is written says that records are written again.
            assert await _seen(owner, running, ended) == before, name
        assert found.service.parts.reloading.status.last.end_us == version
        for name in ("ReleaseResults, kept for longer", "RotateApiKey", "RefreshEngine", "Cancel"):
            await calls[name]()
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [each["verdict"] for each in lines if each.get("rpc") == "RotateApiKey"] == ["allowed"]
        found_named = [(each["rpc"], each["verdict"]) for each in lines if each.get("named_query") == "n"]
        assert ("CreateNamedQuery", "allowed") in found_named


async def test_a_run_of_a_named_query_is_recorded_with_its_version(tmp_path: Path) -> None:
    async with audited(tmp_path, statement="text") as (_, api, records):
        named = NamedApi(api)
        await named.create("n", "SELECT 1 AS one")
        await named.tag("n", "prod", 1)
        done = await named.run("n@prod")
        assert (await refused(named.run("n@none"))).reason == "NAMED_QUERY_NOT_FOUND"
        [made] = records(rpc="Submit", query_id=done.status.query_id)
        assert (made["named_query"], made["sql"]) == ("n@1", "SELECT 1 AS one")
        [refusal] = records(rpc="Submit", verdict="refused")
        assert (refusal["named_query"], refusal["reason"]) == ("n@none", "NAMED_QUERY_NOT_FOUND")


async def _seen(api: KeyApi, running: str, ended: str) -> tuple[Any, ...]:
    """What calls might change."""
    status, other = await api.status(ended), await api.status(running)
    keys = (await api.keys(include_ended=True)).keys
    facts = [(each.key_id, each.revoke_time.seconds, each.expire_time.seconds) for each in keys]
    named = NamedApi(api)
    listed = await named.call("ListNamedQueries", named_query_service_pb2.ListNamedQueriesRequest())
    facts += [(each.name, each.version, dict(each.tags)) for each in listed.named_queries]
    return status.result_state, status.expire_time.seconds, other.state, other.HasField("cancel_request_time"), facts


async def test_calls_go_on_without_where_that_is_set(tmp_path: Path) -> None:
    async with audited(tmp_path, on_failure="count") as (_, api, records):
        with records_cannot_be_written(tmp_path):
            status = (await api.script("rows 3", wait_timeout=WAIT)).status
            assert status.state == COMPLETED
        await until(lambda: records(event="query_end", query_id=status.query_id))
        assert len(records(rpc="Submit", verdict="allowed")) == 1


async def test_a_file_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"audit\.to: /none/audit\.jsonl cannot be opened: No such file"):
        async with serving(tmp_path / "state", audit={"to": "/none/audit.jsonl"}):
            pass
    async with audited(tmp_path):
        with pytest.raises(SettingsError, match="another server writes"):
            async with serving(tmp_path / "other", audit={"to": str(tmp_path / "audit" / "audit.jsonl")}):
                pass


async def test_what_a_call_does_before_its_record_is_known_for_every_rpc() -> None:
    services = (query_service_pb2.DESCRIPTOR, admin_service_pb2.DESCRIPTOR, named_query_service_pb2.DESCRIPTOR)
    rpcs = {method.name for file in services for each in file.services_by_name.values() for method in each.methods}
    assert rpcs <= WITHOUT_EFFECT | EFFECTS


@contextmanager
def records_cannot_be_written(folder: Path) -> Iterator[None]:
    """Their folder is not there, as one of a file system that is away."""
    away = folder / "away"
    (folder / "audit").rename(away)
    yield
    away.rename(folder / "audit")
