"""Cancel: in every state, any number of times, and the engine really stops."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import grpc
import psutil
import pytest

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    but_version,
    new_id,
    refused,
    served,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAVY = "SELECT sum(a.range * b.range) AS s FROM range(10_000_000) a, range(10_000_000) b"


async def test_a_waiting_query_is_cancelled_at_once(api: Api, no_free_slot: Callable[[], None]) -> None:
    query_id = (await api.script("rows 1")).status.query_id
    reply = await api.cancel(query_id)
    assert reply.result == pb.CANCEL_RESULT_CANCELLED
    assert reply.engine_cancel == pb.ENGINE_CANCEL_STATE_NOT_RUNNING
    assert (reply.status.state, reply.status.attempt) == (CANCELLED, 0)
    no_free_slot()


@pytest.mark.parametrize("script", ["{gate}; start; rows 1", "rows 5; {gate}"], ids=["in start", "between pages"])
async def test_a_running_query_is_cancelled_and_its_engine_stops(api: Api, gate: Gate, script: str) -> None:
    query_id = (await api.script(script.format(gate=gate.script))).status.query_id
    await api.reached(query_id, RUNNING)
    reply = await api.cancel(query_id, wait_timeout=WAIT)
    assert reply.result == pb.CANCEL_RESULT_CANCELLED
    assert reply.engine_cancel == pb.ENGINE_CANCEL_STATE_CONFIRMED
    assert reply.status.state == CANCELLED


async def test_without_a_wait_the_cancel_is_under_way(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)
    reply = await api.cancel(query_id)
    assert reply.result in (pb.CANCEL_RESULT_CANCELLING, pb.CANCEL_RESULT_CANCELLED)
    assert reply.engine_cancel != pb.ENGINE_CANCEL_STATE_UNSPECIFIED
    assert (await api.ended(query_id)).state == CANCELLED


async def test_an_ended_query_stays_as_it_is(api: Api) -> None:
    done = (await api.submit("SELECT 1", wait_timeout=WAIT)).status
    reply = await api.cancel(done.query_id)
    assert reply.result == pb.CANCEL_RESULT_ALREADY_ENDED
    assert reply.engine_cancel == pb.ENGINE_CANCEL_STATE_NOT_RUNNING
    assert but_version(reply.status) == but_version(done)
    failed = (await api.script("fail ENGINE_ERROR gone", wait_timeout=WAIT)).status
    reply = await api.cancel(failed.query_id, wait_timeout=WAIT)
    assert (reply.result, reply.status.state) == (pb.CANCEL_RESULT_ALREADY_ENDED, FAILED)


async def test_a_second_cancel_says_the_same(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)
    first = await api.cancel(query_id, reason="first")
    assert first.result in (pb.CANCEL_RESULT_CANCELLING, pb.CANCEL_RESULT_CANCELLED)
    both = await asyncio.gather(*(api.cancel(query_id, reason="second", wait_timeout=WAIT) for _ in range(2)))
    assert {second.result for second in both} == {pb.CANCEL_RESULT_CANCELLED}
    third = await api.cancel(query_id, reason="third")
    assert third.result == pb.CANCEL_RESULT_CANCELLED
    assert third.engine_cancel == pb.ENGINE_CANCEL_STATE_CONFIRMED
    assert "first" in third.status.error.message


async def test_an_unknown_query_cannot_be_cancelled(api: Api) -> None:
    assert (await refused(api.cancel(new_id()))).reason == "QUERY_NOT_FOUND"


async def test_a_real_engine_is_idle_after_a_cancel(api: Api, service: Service) -> None:
    query_id = (await api.submit(HEAVY)).status.query_id
    await api.reached(query_id, RUNNING)
    workers = [psutil.Process(pid) for pid in service.pool.load("duckdb").worker_pids]
    await until(lambda: any(worker.cpu_percent() > 50 for worker in workers))
    reply = await api.cancel(query_id, wait_timeout=WAIT)
    assert reply.engine_cancel == pb.ENGINE_CANCEL_STATE_CONFIRMED
    ended = reply.status
    assert ended.end_time.ToMicroseconds() - ended.cancel_request_time.ToMicroseconds() < 1_000_000
    spent = [worker.cpu_times() for worker in workers]
    assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED
    used = [now.user - before.user for now, before in zip([w.cpu_times() for w in workers], spent, strict=True)]
    assert sum(used) < 0.2


async def test_a_query_that_runs_too_long_fails(api: Api) -> None:
    reply = await api.submit(HEAVY, limits={"execution_timeout": timedelta(milliseconds=200)}, wait_timeout=WAIT)
    assert reply.status.state == FAILED
    assert reply.status.error.reason == "QUERY_TIMEOUT"
    assert reply.status.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    refusal = await refused(api.stream(reply.status.query_id))
    assert (refusal.code.name, refusal.reason) == ("DEADLINE_EXCEEDED", "QUERY_TIMEOUT")
    assert refusal.metadata == {"timeout_ms": "200", "limit": "execution_timeout", "source": "request"}


async def test_a_query_that_waits_too_long_fails(api: Api, no_free_slot: Callable[[], None]) -> None:
    reply = await api.script("rows 1", limits={"queue_timeout": timedelta(milliseconds=200)}, wait_timeout=WAIT)
    assert reply.status.state == FAILED
    assert reply.status.error.reason == "QUEUE_TIMEOUT"
    assert reply.status.error.retryable
    assert reply.status.attempt == 0
    refusal = await refused(api.stream(reply.status.query_id))
    assert refusal.code.name == "DEADLINE_EXCEEDED"
    assert refusal.metadata == reply.status.error.metadata
    assert (refusal.metadata["timeout_ms"], refusal.metadata["other_tenants_holders"]) == ("200", "2")
    no_free_slot()


async def test_an_engine_that_cannot_confirm_a_cancel_does_not(tmp_path: Path, gate: Gate) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1, "options": {"cancel_confirmed": False}}}
    async with served(tmp_path / "state", engines=engines) as (_, api):
        query_id = (await api.script(gate.script)).status.query_id
        await api.reached(query_id, RUNNING)
        reply = await api.cancel(query_id, wait_timeout=WAIT)
        assert (reply.result, reply.engine_cancel) == (pb.CANCEL_RESULT_CANCELLED, pb.ENGINE_CANCEL_STATE_SENT)
        assert (await api.cancel(query_id)).engine_cancel == pb.ENGINE_CANCEL_STATE_SENT


async def test_a_cancel_is_not_confirmed_by_an_engine_that_is_gone(tmp_path: Path, gate: Gate) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path / "state", engines=engines) as (_, api):
        query_id = (await api.script(f"ignore_cancel; {gate.script}; fail ENGINE_UNAVAILABLE")).status.query_id
        await api.reached(query_id, RUNNING)
        await api.cancel(query_id)
        gate.open()
        reply = await api.cancel(query_id, wait_timeout=WAIT)
        assert (reply.result, reply.engine_cancel) == (pb.CANCEL_RESULT_CANCELLED, pb.ENGINE_CANCEL_STATE_SENT)


async def test_a_release_that_fails_ends_the_query_all_the_same(tmp_path: Path) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path / "state", engines=engines) as (service, api):
        [worker] = service.pool.load("scripted").worker_pids
        whole = await api.script("release_fails; rows 3", wait_timeout=WAIT)
        assert (whole.status.state, whole.status.stats.rows) == (COMPLETED, 3)
        failed = await api.script("release_fails; rows 1; fail STATEMENT_REJECTED no", wait_timeout=WAIT)
        assert (failed.status.state, failed.status.error.reason) == (FAILED, "STATEMENT_REJECTED")
        query_id = (await api.script("release_fails; rows 1; endless")).status.query_id
        await api.has_rows(query_id)
        reply = await api.cancel(query_id, wait_timeout=WAIT)
        assert (reply.result, reply.engine_cancel) == (pb.CANCEL_RESULT_CANCELLED, pb.ENGINE_CANCEL_STATE_SENT)
        assert service.pool.load("scripted").worker_pids == (worker,)


async def test_an_engine_that_does_not_listen_loses_its_worker(tmp_path: Path) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines, limits={"cancel_grace_seconds": 0.5}) as (service, api):
        query_id = (await api.script("ignore_cancel; rows 1; endless")).status.query_id
        await api.has_rows(query_id)
        (worker,) = service.pool.load("scripted").worker_pids
        reply = await api.cancel(query_id, wait_timeout=WAIT)
        assert reply.result == pb.CANCEL_RESULT_CANCELLED
        assert reply.engine_cancel == pb.ENGINE_CANCEL_STATE_KILLED
        ended = reply.status
        assert ended.end_time.ToMicroseconds() - ended.cancel_request_time.ToMicroseconds() < 2_000_000
        assert (await api.script("rows 3", wait_timeout=WAIT)).status.state == COMPLETED
        assert service.pool.load("scripted").worker_pids != (worker,)
        assert not psutil.pid_exists(worker)
        assert service.pool.load("scripted").running == 0


async def test_a_timeout_that_is_not_heard_costs_the_worker_too(tmp_path: Path) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=engines, limits={"cancel_grace_seconds": 0.5}) as (_, api):
        limits = {"execution_timeout": timedelta(milliseconds=100)}
        reply = await api.script("ignore_cancel; endless", limits=limits, wait_timeout=WAIT)
        assert (reply.status.state, reply.status.error.reason) == (FAILED, "QUERY_TIMEOUT")
        assert (await api.script("rows 3", wait_timeout=WAIT)).status.state == COMPLETED
