"""What one tenant may hold, and what it may not do to another one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import pairwise

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.v1 import query_pb2, result_pb2
from queryengine.v1 import query_service_pb2 as pb
from tests.support import (
    COMPLETED,
    FAILED,
    FINAL,
    QUEUED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    Received,
    Refusal,
    new_id,
    refused,
    serving,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAIL = query_pb2.LIMIT_ACTION_FAIL


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tight(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    """A service with limits that a test can reach."""
    folder = tmp_path_factory.mktemp("tight")
    async with serving(
        folder,
        engines={"scripted": {"type": "scripted", "workers": 3}},
        limits={"tenant_running": 1, "tenant_streams": 3},
        streams={"rotate_seconds": 0.4, "rotate_bytes": 1 << 20},
        results={"query_bytes_max": 6 << 20, "page_bytes": 64 << 10},
    ) as service:
        shared_folders.add(str(folder))
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tight_channel(tight: Service, shared_channels: list[grpc.aio.Channel]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(tight.address) as channel:
        await channel.channel_ready()
        shared_channels.append(channel)
        yield channel
        shared_channels.remove(channel)


@pytest.fixture
def tight_api(tight_channel: grpc.aio.Channel) -> Api:
    return Api(tight_channel, f"tenant-{new_id()}")


async def test_exactly_as_many_wait_as_may(api: Api, no_free_slot: Callable[[], None]) -> None:
    replies = await asyncio.gather(*(api.script("rows 1") for _ in range(200)), return_exceptions=True)
    accepted = [reply for reply in replies if isinstance(reply, pb.SubmitResponse)]
    refusals = [Refusal.of(reply) for reply in replies if isinstance(reply, grpc.aio.AioRpcError)]
    assert (len(accepted), len(refusals)) == (100, 100)
    for refusal in refusals:
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "TENANT_QUEUE_FULL")
        assert refusal.metadata == {"limit": "100", "limit_key": "limits.tenant_queued"}
        assert refusal.quota
        assert refusal.retry_seconds
    assert len((await api.listed(page_size=1000)).queries) == 100
    no_free_slot()
    for reply in accepted:
        assert (await api.ended(reply.status.query_id)).state == COMPLETED
    assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_full_queue_is_no_one_elses(api: Api, other: Api, no_free_slot: Callable[[], None]) -> None:
    mine = await asyncio.gather(*(api.script("rows 1") for _ in range(100)))
    await refused(api.script("rows 1"))
    theirs = await other.script("rows 1")
    assert theirs.status.state == QUEUED
    no_free_slot()
    await asyncio.gather(*(api.ended(reply.status.query_id) for reply in mine))
    await other.ended(theirs.status.query_id)


async def test_the_first_query_of_another_tenant_is_next(
    api: Api, other: Api, no_free_slot: Callable[[], None]
) -> None:
    mine = [(await api.script("rows 1")).status.query_id for _ in range(50)]
    theirs = (await other.script("rows 1")).status.query_id
    no_free_slot()
    started = sorted([(await api.ended(query_id)).start_time.ToMicroseconds() for query_id in mine])
    first = (await other.ended(theirs)).start_time.ToMicroseconds()
    assert first <= started[2]


async def test_priority_goes_before_arrival(api: Api, no_free_slot: Callable[[], None]) -> None:
    low = [(await api.script("rows 1")).status.query_id for _ in range(4)]
    high = (await api.script("rows 1", priority=9)).status.query_id
    assert (await api.status(high)).progress.queue_position == 0
    no_free_slot()
    first = (await api.ended(high)).start_time.ToMicroseconds()
    others = [(await api.ended(query_id)).start_time.ToMicroseconds() for query_id in low]
    assert first <= min(others)


async def test_a_tenant_runs_as_many_as_it_may_and_no_more(
    tight_api: Api, tight_channel: grpc.aio.Channel, gate: Gate
) -> None:
    ids = [(await tight_api.script(f"{gate.script}; rows 1")).status.query_id for _ in range(3)]
    await tight_api.reached(ids[0], RUNNING)
    neighbour = Api(tight_channel, f"tenant-{new_id()}")
    assert (await neighbour.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
    assert [(await tight_api.status(query_id)).state for query_id in ids] == [RUNNING, QUEUED, QUEUED]
    gate.open()
    ended = [await tight_api.ended(query_id) for query_id in ids]
    assert {status.state for status in ended} == {COMPLETED}
    spans = sorted((each.start_time.ToMicroseconds(), each.end_time.ToMicroseconds()) for each in ended)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


async def test_a_tenant_opens_as_many_streams_as_it_may(api: Api, other: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    streams = [api.stream(query_id) if number % 2 else api.watch(query_id) for number in range(20)]
    for stream in streams:
        await stream.read()
    for extra in (api.stream(query_id), api.watch(query_id)):
        refusal = await refused(extra)
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "TENANT_STREAM_LIMIT")
        assert refusal.quota
        assert refusal.metadata == {"limit": "20", "limit_key": "limits.tenant_streams"}
        assert refusal.retry_seconds
    # Another tenant is refused for its own reasons only.
    assert (await refused(other.stream(query_id))).reason == "QUERY_NOT_FOUND"
    gate.open()
    for stream in streams:
        await stream.all()
    assert (await api.read(query_id)).end is not None


async def test_row_limit_can_fail_the_query(api: Api) -> None:
    reply = await api.submit("SELECT * FROM range(11)", limits={"row_limit": 10, "on_limit": FAIL}, wait_timeout=WAIT)
    assert (reply.status.state, reply.status.error.reason) == (FAILED, "RESULT_LIMIT")
    refusal = await refused(api.stream(reply.status.query_id))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "RESULT_LIMIT")
    assert refusal.metadata == {"limit": "row_limit", "value": "10"}


async def test_byte_limit_can_fail_the_query(api: Api) -> None:
    limits = {"byte_limit": 100_000, "on_limit": FAIL}
    reply = await api.submit("SELECT * FROM range(1_000_000)", limits=limits, wait_timeout=WAIT)
    assert (reply.status.state, reply.status.error.reason) == (FAILED, "RESULT_LIMIT")


async def test_the_service_has_a_bound_of_its_own(tight_api: Api) -> None:
    reply = await tight_api.script("endless", wait_timeout=WAIT)
    assert (reply.status.state, reply.status.error.reason) == (FAILED, "RESULT_LIMIT")
    refusal = await refused(tight_api.stream(reply.status.query_id))
    assert refusal.metadata == {"limit": "query_bytes_max", "value": str(6 << 20)}


async def test_a_stream_that_is_old_rotates(tight_api: Api, gate: Gate) -> None:
    query_id = (await tight_api.script(f"rows 7; {gate.script}; rows 5")).status.query_id
    first = await tight_api.read(query_id)
    assert first.rotate is not None
    assert first.rotate.reason == result_pb2.ROTATE_REASON_AGE
    assert (first.rotate.next_row, first.rotate.attempt) == (7, 1)
    gate.open()
    second = await tight_api.read(query_id, start_row=7, attempt=1)
    assert second.end is not None
    assert second.table()["n"].to_pylist() == [7, 8, 9, 10, 11]


async def test_a_watch_that_is_old_rotates(tight_api: Api, gate: Gate) -> None:
    query_id = (await tight_api.script(gate.script)).status.query_id
    last = (await tight_api.watch(query_id).all())[-1]
    assert last.rotate.reason == result_pb2.ROTATE_REASON_AGE
    gate.open()
    await tight_api.ended(query_id)


async def test_a_stream_that_has_sent_its_share_rotates(tight_api: Api) -> None:
    await tight_api.script("columns s:string; rows 4000 size 1000", wait_timeout=WAIT)
    query_id = (await tight_api.listed()).queries[0].query_id
    parts: list[Received] = []
    row = 0
    while not parts or parts[-1].end is None:
        parts.append(await tight_api.read(query_id, start_row=row))
        row = parts[-1].next_row
    assert row == 4000
    assert len(parts) >= 4
    reasons = {part.rotate.reason for part in parts if part.rotate is not None}
    assert reasons == {result_pb2.ROTATE_REASON_BYTES}
    assert [part.start.next_row for part in parts[1:]] == [part.next_row for part in parts[:-1]]


async def test_a_result_expires(api: Api, service: Service) -> None:
    reply = await api.submit("SELECT 1", result={"ttl": timedelta(seconds=1)}, wait_timeout=WAIT)
    query_id = reply.status.query_id

    async def expired() -> bool:
        await service.parts.execution.sweeper.sweep()
        return (await api.status(query_id)).result_state == query_pb2.RESULT_STATE_EXPIRED

    await until(expired)
    for call in (api.stream(query_id), api.fetch(query_id)):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_EXPIRED")
        assert "expire_time" in refusal.metadata
    assert (await api.status(query_id)).state in FINAL
