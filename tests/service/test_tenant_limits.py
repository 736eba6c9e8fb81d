"""Limits of tenants, subjects and API keys, end to end: nobody is ever over one, and whoever is held or refused learns
by which.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1.query_service_pb2 import SubmitMode
from tests.contract.store_case import record_url
from tests.support import (
    COMPLETED,
    FAILED,
    QUEUED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    Refusal,
    new_id,
    refused,
    served,
    serving,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {"scripted": {"type": "scripted", "workers": 4}}
TENANTS = {
    "running": {"running": 1},
    "subjects": {"subjects": {"ann": {"running": 1, "queued": 1, "streams": 1, "interactive": True}}},
    "slow": {"submits_per_second": 0.001, "submit_burst": 2},
    "curious": {"submits_per_second": 0.001, "submit_burst": 2},
    "spent": {"engine_seconds_per_day": 0},
    "caps": {"scan_byte_limit": 5000, "row_limit": 10, "interactive_timeout_seconds": 0.2},
    "times": {"execution_timeout_seconds": 0.2, "queue_timeout_seconds": 0.2, "running": 1},
    "stored": {"subjects": {"*": {"stored_bytes": 1000}}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def limited(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("limited")
    async with serving(folder, engines=ENGINES, tenants=TENANTS, limits={"shared_seconds": 0}) as service:
        shared_folders.add(str(folder))
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channel(limited: Service, shared_channels: list[grpc.aio.Channel]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(limited.address) as channel:
        await channel.channel_ready()
        shared_channels.append(channel)
        yield channel
        shared_channels.remove(channel)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_nobody_is_over_a_limit_at_200_concurrent_submits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate, database: str
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("QUERYENGINE_STATE__DATABASE", record_url(tmp_path))
    tenants = {"a": {"running": 3, "queued": 40, "subjects": {"ann": {"running": 1, "queued": 10}}}}
    async with served(tmp_path, engines=ENGINES, tenants=tenants, limits={"shared_seconds": 0}) as (service, any_api):
        ann, bob = (Api(any_api.channel, "a", user=user) for user in ("ann", "bob"))
        calls = [(ann if number % 2 else bob).script(f"{gate.script}; rows 1") for number in range(200)]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        accepted = [reply.status for reply in replies if isinstance(reply, pb.SubmitResponse)]
        refusals = [Refusal.of(reply) for reply in replies if isinstance(reply, grpc.aio.AioRpcError)]
        assert len(accepted) + len(refusals) == 200
        # 40 that wait, and as many as had got a slot when the last of them came.
        assert 40 <= len(accepted) <= 43
        assert {each.reason for each in refusals} == {"TENANT_QUEUE_FULL"}
        by_subject = [each.subject for each in accepted]
        assert 10 <= by_subject.count("ann") <= 11
        recorded = list((await bob.listed(page_size=1000)).queries)
        assert {each.query_id for each in recorded} == {each.query_id for each in accepted}
        running = [each for each in recorded if each.state == RUNNING]
        assert len(running) <= 3
        assert sum(each.subject == "ann" for each in running) <= 1
        gate.open()
        for each in accepted:
            assert (await bob.ended(each.query_id)).state == COMPLETED
        assert service.parts.execution.dispatcher.waiting("scripted") == 0


async def test_who_waits_for_a_limit_learns_which_and_for_how_long(channel: grpc.aio.Channel, gate: Gate) -> None:
    api = Api(channel, "running")
    first = (await api.script(f"{gate.script}; rows 1")).status.query_id
    await api.reached(first, RUNNING)
    second = (await api.script("rows 1")).status
    assert second.state == QUEUED
    assert second.progress.waiting_reason == (
        "this tenant has as many queries running as tenants.running.running allows (1)"
    )

    async def throttled() -> bool:
        return (await api.status(second.query_id)).stats.throttled_time.ToMicroseconds() > 0

    await until(throttled)
    gate.open()
    ended = await api.ended(second.query_id)
    assert ended.state == COMPLETED
    assert 0 < ended.stats.throttled_time.ToMicroseconds() <= ended.stats.queue_time.ToMicroseconds()
    assert (await api.ended(first)).stats.throttled_time.ToMicroseconds() == 0


async def test_a_subject_is_held_and_refused_beside_others_of_its_tenant(channel: grpc.aio.Channel, gate: Gate) -> None:
    ann, bob = Api(channel, "subjects", user="ann"), Api(channel, "subjects", user="bob")
    first = (await ann.script(f"{gate.script}; rows 1")).status.query_id
    await ann.reached(first, RUNNING)
    waiting = (await ann.script("rows 1")).status
    assert waiting.progress.waiting_reason.startswith("the subject 'ann' has as many queries running as")
    refusal = await refused(ann.script("rows 1"))
    assert refusal.reason == "TENANT_QUEUE_FULL"
    key = "tenants.subjects.subjects.ann.queued"
    assert refusal.metadata == {"limit": "1", "limit_key": key, "scope": "subject", "name": "ann"}
    assert [(whose, key in which) for whose, which in refusal.violations] == [("subject:ann", True)]
    assert refusal.retry_seconds
    # The same Submit again is answered, over the limit or not.
    assert (await ann.script("rows 1", query_id=waiting.query_id)).existing
    assert (await bob.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
    async with asyncio.timeout(60):
        stream = ann.watch(first)
        await stream.to("status")
        assert (await refused(ann.watch(first).all())).metadata["limit_key"] == "tenants.subjects.subjects.ann.streams"
        other = bob.watch(first)
        await other.to("status")
        for each in (stream, other):
            each.leave()
    gate.open()
    assert (await ann.ended(waiting.query_id)).state == COMPLETED
    details = await ann.details(first)
    assert details.limits.interactive
    assert details.limits.execution_timeout.seconds == 120
    assert dict(details.limit_sources) == {
        "queue_timeout": "limits.queue_timeout_seconds",
        "execution_timeout": "limits.interactive_timeout_seconds",
    }


async def test_submits_beyond_the_rate_are_refused_with_a_time(channel: grpc.aio.Channel) -> None:
    api = Api(channel, "slow")
    replies = await asyncio.gather(*(api.script("rows 1") for _ in range(20)), return_exceptions=True)
    refusals = [Refusal.of(reply) for reply in replies if isinstance(reply, grpc.aio.AioRpcError)]
    assert len(refusals) == 18
    for each in refusals:
        assert (each.code.name, each.reason) == ("RESOURCE_EXHAUSTED", "SUBMIT_RATE_LIMIT")
        assert each.metadata == {"limit": "0.001", "limit_key": "tenants.slow.submits_per_second"}
        assert [whose for whose, _ in each.violations] == ["tenant"]
        assert each.retry_seconds > 100


async def test_a_submit_that_runs_nothing_counts_for_the_rate(channel: grpc.aio.Channel) -> None:
    api = Api(channel, "curious")
    await api.script("rows 1", mode=SubmitMode.SUBMIT_MODE_EXPLAIN)
    await api.script("rows 1", mode=SubmitMode.SUBMIT_MODE_VALIDATE)
    for mode in SubmitMode.SUBMIT_MODE_EXPLAIN, SubmitMode.SUBMIT_MODE_VALIDATE, SubmitMode.SUBMIT_MODE_RUN:
        refusal = await refused(api.script("rows 1", mode=mode))
        assert (refusal.reason, refusal.metadata["limit_key"]) == (
            "SUBMIT_RATE_LIMIT",
            "tenants.curious.submits_per_second",
        )


async def test_a_day_that_is_used_up_refuses_what_would_wait_for_nothing(channel: grpc.aio.Channel) -> None:
    api = Api(channel, "spent")
    refusal = await refused(api.script("rows 1", limits={"queue_timeout": timedelta(0)}))
    assert (refusal.reason, refusal.metadata["limit_key"]) == ("USAGE_LIMIT", "tenants.spent.engine_seconds_per_day")
    assert 0 < refusal.retry_seconds <= 86_400
    waiting = (await api.script("rows 1", limits={"queue_timeout": timedelta(hours=24)})).status
    assert waiting.state == QUEUED
    assert "tenants.spent.engine_seconds_per_day" in waiting.progress.waiting_reason
    await api.cancel(waiting.query_id, wait_timeout=WAIT)


@pytest.mark.parametrize(
    ("limits", "name", "source"),
    [
        ({}, "scan_byte_limit", "tenants.caps.scan_byte_limit"),
        ({"scan_byte_limit": 10**9}, "scan_byte_limit", "tenants.caps.scan_byte_limit"),
        ({"scan_byte_limit": 4000}, "scan_byte_limit", "request"),
        ({"scan_row_limit": 99}, "scan_row_limit", "request"),
    ],
)
async def test_a_scan_beyond_its_limit_is_stopped(
    channel: grpc.aio.Channel, gate: Gate, limits: dict[str, int], name: str, source: str
) -> None:
    api = Api(channel, "caps")
    scanned = "scanned 100 5000" if name == "scan_row_limit" else "scanned 100 5001"
    status = (await api.script(f"{scanned}; {gate.script}; rows 1", limits=limits)).status
    ended = await api.ended(status.query_id)
    assert (ended.state, ended.error.reason) == (FAILED, "SCAN_LIMIT")
    assert ended.error.metadata["limit"] == name
    assert ended.error.metadata["source"] == source
    # What it read counts all the same.
    assert ended.stats.bytes_scanned >= 5000


async def test_a_scan_within_its_limit_is_not_stopped(channel: grpc.aio.Channel) -> None:
    limits = {"scan_byte_limit": 5000, "scan_row_limit": 100, "row_limit": 1000}
    reply = await Api(channel, "caps").script("scanned 100 5000; rows 20", limits=limits, wait_timeout=WAIT)
    assert reply.status.state == COMPLETED
    # The rows are those that the tenant may have.
    assert (reply.end.total_rows, reply.end.truncated) == (10, True)


@pytest.mark.parametrize(
    ("tenant", "limits", "said"),
    [
        ("times", {}, ("execution_timeout", "tenants.times.execution_timeout_seconds")),
        ("other", {"execution_timeout": timedelta(seconds=0.2)}, ("execution_timeout", "request")),
        ("caps", {"interactive": True}, ("interactive_timeout", "tenants.caps.interactive_timeout_seconds")),
        (
            "caps",
            {"interactive": True, "execution_timeout": timedelta(hours=1)},
            ("interactive_timeout", "tenants.caps.interactive_timeout_seconds"),
        ),
    ],
)
async def test_a_run_that_takes_too_long_says_which_limit_that_was(
    channel: grpc.aio.Channel, gate: Gate, tenant: str, limits: dict[str, object], said: tuple[str, str]
) -> None:
    api, (name, source) = Api(channel, tenant), said
    ended = await api.ended((await api.script(f"{gate.script}; rows 1", limits=limits)).status.query_id)
    assert (ended.state, ended.error.reason) == (FAILED, "QUERY_TIMEOUT")
    assert dict(ended.error.metadata) == {"timeout_ms": "200", "limit": name, "source": source}
    assert f"its {name} of 0.2 s" in ended.error.message


async def test_a_wait_that_takes_too_long_says_which_limit_that_was(channel: grpc.aio.Channel, gate: Gate) -> None:
    api = Api(channel, "times")
    first = (await api.script(f"{gate.script}; rows 1", limits={"execution_timeout": timedelta(hours=1)})).status
    await api.reached(first.query_id, RUNNING)
    late = await api.ended((await api.script("rows 1")).status.query_id)
    assert late.error.reason == "QUEUE_TIMEOUT"
    assert late.error.metadata["source"] == "tenants.times.queue_timeout_seconds"
    assert late.error.metadata["limit"] == "tenants.times.running"
    assert "tenants.times.running" in late.error.message
    assert late.stats.throttled_time.ToMicroseconds() > 0
    gate.open()
    await api.ended(first.query_id)


async def test_a_subject_that_stores_too_much_is_refused_until_it_releases_some(channel: grpc.aio.Channel) -> None:
    ann, bob = Api(channel, "stored", user="ann"), Api(channel, "stored", user="bob")
    stored = (await ann.script("columns s:string; rows 10 size 1000", wait_timeout=WAIT)).status
    assert stored.stats.bytes > 1000
    refusal = await refused(ann.script("rows 1"))
    assert (refusal.reason, refusal.metadata["limit_key"]) == ("SPOOL_FULL", "tenants.stored.subjects.*.stored_bytes")
    assert (await bob.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
    await ann.release(stored.query_id)
    assert (await ann.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_an_engine_that_reports_no_scans_refuses_a_limit_on_them(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.db")) as database:
        database.execute("CREATE TABLE t (n)")
    engines = {"db": {"type": "sqlalchemy", "workers": 2, "options": {"url": f"sqlite:///{tmp_path / 'empty.db'}"}}}
    async with served(tmp_path / "state", engines=engines) as (_, api):
        refusal = await refused(api.submit("SELECT 1", limits={"scan_row_limit": 5}))
        assert (refusal.reason, refusal.metadata["feature"]) == ("UNSUPPORTED", "limits.scan_row_limit")
        assert (await api.submit("SELECT 1", query_id=new_id(), wait_timeout=WAIT)).status.state == COMPLETED
