"""Long runs do not hold an engine against everybody, and a query that waits shows for what."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from queryengine.executing import holders, shares
from tests.support import COMPLETED, FAILED, QUEUED, RUNNING, WAIT, Api, Gate, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = {"execution_timeout": timedelta(hours=24)}


async def test_two_runs_of_a_day_leave_a_slot_to_others(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path, limits={"shared_seconds": 0}) as (service, api):
        other = Api(api.channel, "other")
        assert service.pool.slots("scripted") == 2
        first = (await api.script(f"{gate.script}; rows 1", limits=DAY)).status.query_id
        await api.reached(first, RUNNING)
        second = (await api.script(f"{gate.script}; rows 1", limits=DAY)).status.query_id
        # Neither of two tenants together.
        third = (await other.script(f"{gate.script}; rows 1", limits=DAY)).status.query_id
        assert (await other.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        # Not even behind a long run of its own.
        assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        assert [(await api.status(each)).state for each in (first, second)] == [RUNNING, QUEUED]
        assert (await other.status(third)).state == QUEUED
        gate.open()
        for caller, query_id in ((api, first), (api, second), (other, third)):
            assert (await caller.ended(query_id)).state == COMPLETED


async def test_a_tenant_alone_has_all_slots_and_leaves_one_once_another_came(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path) as (service, api):
        other = Api(api.channel, "other")
        assert service.pool.slots("scripted") == 2
        held = [(await api.script(f"{gate.script}; rows 1")).status.query_id for _ in range(2)]
        for query_id in held:
            await api.reached(query_id, RUNNING)
        theirs = (await other.script("rows 1")).status.query_id
        # With one of its runs over, the slot is the other tenant's, and stays within its reach.
        await api.cancel(held[0])
        assert (await other.ended(theirs)).state == COMPLETED
        waiting = (await api.script("rows 1")).status.query_id
        assert (await other.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        status = await api.status(waiting)
        assert status.state == QUEUED
        assert "is left to other tenants" in status.progress.waiting_reason
        assert "execution_timeout of at most 30 seconds" in status.progress.waiting_reason
        # What may not run for long goes past it.
        short = {"execution_timeout": timedelta(seconds=30)}
        assert (await api.script("rows 1", limits=short, wait_timeout=WAIT)).status.state == COMPLETED
        gate.open()
        assert (await api.ended(waiting)).state == COMPLETED


async def test_the_slot_left_to_another_tenant_is_free_again_after_a_while(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path, limits={"shared_seconds": 0.2}) as (_, api):
        other = Api(api.channel, "other")
        assert (await other.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        first = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(first, RUNNING)
        assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        gate.open()
        assert (await api.ended(first)).state == COMPLETED


async def test_a_tenant_uses_its_configured_part_of_the_slots(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path, limits={"tenant_slots_percent": 50}) as (_, api):
        other = Api(api.channel, "other")
        first = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(first, RUNNING)
        second = (await api.script("rows 1")).status.query_id
        assert (await other.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        assert (await api.status(second)).state == QUEUED
        gate.open()
        assert (await api.ended(second)).state == COMPLETED


async def test_who_holds_the_slots_is_named_to_its_own_tenant_and_in_the_log(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shares, "HELD_SECONDS", 0.0)
    monkeypatch.setattr(holders, "HOLDERS_SECONDS", 0.0)
    caplog.set_level(logging.WARNING, holders.__name__)
    async with served(tmp_path) as (_, api):
        other = Api(api.channel, "other")
        held = [(await api.script(f"{gate.script}; rows 1")).status.query_id for _ in range(2)]
        for query_id in held:
            await api.reached(query_id, RUNNING)
        mine = (await api.script("rows 1")).status.query_id
        limits = {"queue_timeout": timedelta(milliseconds=1)}
        theirs = (await other.script("rows 1", limits=limits, wait_timeout=WAIT)).status

        async def reason() -> str:
            return (await api.status(mine)).progress.waiting_reason

        text = await until(reason)
        assert all(query_id in text for query_id in held)
        assert (theirs.state, theirs.error.reason) == (FAILED, "QUEUE_TIMEOUT")
        assert "2 of 2 slots of engine 'scripted' are in use: 2 queries of other tenants" in theirs.error.message
        assert not any(query_id in theirs.error.message for query_id in held)
        # The log is written now and then; a first line may name only the one that was first.
        await until(lambda: all(f"tenant/{query_id}" in caplog.text for query_id in held))
        gate.open()
        assert (await api.ended(mine)).state == COMPLETED


async def test_a_queue_that_times_out_names_what_held_the_slots(tmp_path: Path, gate: Gate) -> None:
    async with served(tmp_path) as (_, api):
        other = Api(api.channel, "other")
        own_limits = {"execution_timeout": timedelta(minutes=5)}
        held = (await api.script(f"{gate.script}; rows 1", limits=own_limits)).status.query_id
        foreign = (await other.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(held, RUNNING)
        await other.reached(foreign, RUNNING)
        limits = {"queue_timeout": timedelta(milliseconds=1)}
        late = (await api.script("rows 1", limits=limits, wait_timeout=WAIT)).status
        refusal = await refused(api.stream(late.query_id).all())
        for reason, message, metadata in (
            (late.error.reason, late.error.message, late.error.metadata),
            (refusal.reason, refusal.message, refusal.metadata),
        ):
            assert reason == "QUEUE_TIMEOUT"
            assert f"2 of 2 slots of engine 'scripted' are in use: {held} (running for " in message
            assert message.endswith("execution_timeout 300 s), 1 query of other tenants")
            assert (metadata["holder_ids"], metadata["holder_timeout_ms"]) == (held, "300000")
            assert int(metadata["holder_running_ms"]) >= 0
            assert (metadata["holders"], metadata["other_tenants_holders"], metadata["slots"]) == ("1", "1", "2")
            assert foreign not in f"{message} {metadata}"
        assert late.error.retryable
        gate.open()
        for each, query_id in ((api, held), (other, foreign)):
            assert (await each.ended(query_id)).state == COMPLETED
