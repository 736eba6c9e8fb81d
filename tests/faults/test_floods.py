"""Floods of one tenant: who is served in which order, what is refused, and what is dropped. Counts and orders only;
what a flood costs others in time is measured by `bench.floods`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from queryengine.workers.forking import Template
from tests.support import (
    COMPLETED,
    QUEUED,
    ROWS,
    RUNNING,
    WAIT,
    Api,
    Gate,
    Refusal,
    new_id,
    refused,
    served,
    suspended,
    until,
)
from tests.templates import no_more_processes

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLS = 500


@pytest_asyncio.fixture(loop_scope="session")
async def flooded(tmp_path: Path) -> AsyncIterator[tuple[Service, Api, Api]]:
    """A service, a tenant that floods it, and another one on a connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with (
        served(tmp_path, limits={"tenant_waiting_calls": 20}) as (service, api),
        grpc.aio.insecure_channel(service.address, options) as channel,
    ):
        other = Api(channel, "other")
        await other.submit("SELECT 1", wait_timeout=WAIT)
        yield service, api, other


def unseen() -> str:
    return f"SELECT '{new_id()}' AS a"


async def has_run_all(api: Api) -> bool:
    return not (await api.listed(states=[QUEUED, RUNNING])).queries


async def test_a_submit_whose_caller_left_before_it_was_recorded_leaves_nothing(
    flooded: tuple[Service, Api, Api],
) -> None:
    service, api, other = flooded
    checks = service.parts.sandboxes.quick_checks
    with suspended(checks.pids):
        calls = [asyncio.ensure_future(api.submit(unseen())) for _ in range(10)]
        await until(lambda: checks.waiting == 9)
        for call in calls:
            call.cancel()
        await until(lambda: checks.waiting == 0)
        theirs = asyncio.ensure_future(other.submit(unseen(), wait_timeout=WAIT))
        await until(lambda: checks.waiting == 1)
    # One check was in a process already; no other one of those that left was made before this one.
    assert (await theirs).status.state == COMPLETED
    assert not (await api.listed()).queries
    assert not service.parts.cases.submitting._in_hand


async def test_the_same_id_can_be_submitted_when_its_first_caller_left(flooded: tuple[Service, Api, Api]) -> None:
    service, api, _ = flooded
    query_id, sql = new_id(), unseen()
    with suspended(service.parts.sandboxes.quick_checks.pids):
        first = asyncio.ensure_future(api.submit(sql, query_id=query_id))
        await until(lambda: service.parts.cases.submitting._in_hand)
        second = asyncio.ensure_future(api.submit(sql, query_id=query_id, wait_timeout=WAIT))
        first.cancel()
        await until(lambda: service.parts.sandboxes.quick_checks.waiting == 1)
    reply = await second
    assert (reply.existing, reply.status.state) == (False, COMPLETED)


async def test_what_waits_for_a_check_is_bounded_and_others_are_not_refused(flooded: tuple[Service, Api, Api]) -> None:
    service, api, other = flooded
    checks = service.parts.sandboxes.quick_checks
    with suspended(checks.pids):
        calls = [asyncio.ensure_future(api.submit(unseen())) for _ in range(21)]
        await until(lambda: checks.waiting == 20)
        refusal = await refused(api.submit(unseen()))
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "TENANT_BUSY")
        assert (refusal.metadata, refusal.quota) == ({"limit": "20"}, True)
        assert refusal.retry_seconds
        theirs = asyncio.ensure_future(other.submit(unseen(), wait_timeout=WAIT))
        await until(lambda: checks.waiting == 21)
        # What needs no check is not held up.
        assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED
    assert (await theirs).status.state == COMPLETED
    await asyncio.gather(*calls)


async def test_what_waits_for_a_check_is_bounded_in_bytes(tmp_path: Path) -> None:
    large = " " * 5_000
    async with served(tmp_path, limits={"tenant_waiting_bytes": 15_000}) as (service, api):
        checks = service.parts.sandboxes.quick_checks
        with suspended(checks.pids):
            calls = []
            for waiting in (0, 1, 2):
                calls.append(asyncio.ensure_future(api.submit(unseen() + large)))
                await until(
                    lambda waiting=waiting: service.parts.cases.submitting._in_hand and checks.waiting == waiting
                )
            refusal = await refused(api.submit(unseen() + large))
            assert (refusal.reason, refusal.metadata) == ("TENANT_BUSY", {"limit": "15000"})
        await asyncio.gather(*calls)


@pytest.mark.parametrize("flood", ["submits", "cancels", "statuses", "lists", "streams", "fetches"])
async def test_another_tenant_is_served_before_a_flood_is_over(flooded: tuple[Service, Api, Api], flood: str) -> None:
    _, api, other = flooded
    query_id = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    theirs = (await other.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    sent = {
        "submits": lambda: api.submit("SELECT 1"),
        "cancels": lambda: api.cancel(new_id()),
        "statuses": lambda: api.status(query_id),
        "lists": lambda: api.listed(page_size=10),
        "streams": lambda: api.stream(query_id).all(),
        "fetches": lambda: api.fetch(query_id, offset=0, page_size=1, format=ROWS),
    }[flood]
    calls = [asyncio.ensure_future(sent()) for _ in range(CALLS)]
    await asyncio.sleep(0)
    assert (await other.status(theirs)).query_id == theirs
    assert not all(call.done() for call in calls)
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, grpc.aio.AioRpcError):
            refusal = Refusal.of(answer)
            usual = ("TENANT_BUSY", "TENANT_QUEUE_FULL", "TENANT_STREAM_LIMIT", "QUERY_NOT_FOUND")
            assert refusal.reason in usual, refusal
    # Nothing of it is left, once what was accepted has run.
    await until(lambda: has_run_all(api))
    assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_calls_that_wait_hold_no_turn(flooded: tuple[Service, Api, Api], gate: Gate) -> None:
    _, api, other = flooded
    query_id = (await api.script(gate.script)).status.query_id
    waits = [
        asyncio.ensure_future(call)
        for _ in range(10)
        for call in (
            api.status(query_id, after_version=1 << 60, wait_timeout=WAIT),
            api.script(gate.script, query_id=query_id, wait_timeout=WAIT),
            api.stream(query_id).all(),
        )
    ]
    await until(lambda: api.status(query_id))
    assert (await api.status(query_id)).query_id == query_id
    assert (await other.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED
    assert not any(wait.done() for wait in waits)
    gate.open()
    await asyncio.gather(*waits)


async def test_when_sql_cannot_be_checked_nothing_is_accepted_and_it_may_be_sent_again(
    flooded: tuple[Service, Api, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, api, _ = flooded
    sql = unseen()
    with monkeypatch.context() as patch:
        patch.setattr(Template, "start_worker", no_more_processes)
        await service.parts.sandboxes.close()
        for call in (
            api.submit(sql),
            api.fetch(
                (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id, offset=0, page_size=1, format=ROWS
            ),
        ):
            refusal = await refused(call)
            assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "SANDBOX_UNAVAILABLE")
            assert refusal.retry_seconds
    reply = await api.submit(sql, wait_timeout=WAIT)
    assert (reply.existing, reply.status.state) == (False, COMPLETED)


async def test_more_calls_than_a_connection_may_have_open_wait_in_the_client(tmp_path: Path) -> None:
    async with served(tmp_path) as (service, api):
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(service.address, options) as cold:
            # At once on a connection that is not there yet.
            calls = [Api(cold, "cold").call("ListEngines", pb.ListEnginesRequest()) for _ in range(1_000)]
            assert len(await asyncio.gather(*calls)) == 1_000
        assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED
