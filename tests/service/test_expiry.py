"""What has expired reads as expired from that moment, whether a sweep has come round or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.v1 import query_pb2
from queryengine.v1 import query_service_pb2 as pb
from tests.support import COMPLETED, FAILED, ROWS, WAIT, Api, new_id, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPTED = {"scripted": {"type": "scripted", "workers": 1}}
TTL = timedelta(hours=1)
KEEP = timedelta(hours=5)
MANY = "columns s:string; rows 300 size 1000"
"""More than what the reply to a Submit holds of it here, and several pages."""


class MovableClock(SystemClock):
    """The machine's clock, put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now_us(self) -> int:
        return super().now_us() + self.ahead // timedelta(microseconds=1)

    def later(self, delay: timedelta) -> datetime:
        return datetime.fromtimestamp(self.now_us() / 1e6, UTC) + delay


@asynccontextmanager
async def clocked(folder: Path) -> AsyncIterator[tuple[Service, Api, MovableClock]]:
    """A service that sweeps once, at the start, and whose clock a test moves."""
    clock = MovableClock()
    settings: dict[str, Any] = {
        "engines": SCRIPTED,
        "records": {"keep_seconds": KEEP.total_seconds()},
        "results": {"page_bytes": 64 << 10},
    }
    async with served(folder, clock=clock, **settings) as (service, api):
        yield service, api, clock


async def completed(api: Api) -> str:
    reply = await api.script(MANY, result={"ttl": TTL}, wait_timeout=WAIT)
    assert reply.status.state == COMPLETED
    return str(reply.status.query_id)


async def test_rows_are_readable_to_the_last_moment_and_not_after(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (service, api, clock):
        query_id = await completed(api)
        clock.ahead = TTL - timedelta(seconds=30)
        assert (await api.read(query_id)).next_row == 300
        clock.ahead = TTL + timedelta(seconds=1)
        assert (await api.status(query_id)).result_state == query_pb2.RESULT_STATE_EXPIRED
        assert (await api.listed()).queries[0].result_state == query_pb2.RESULT_STATE_EXPIRED
        calls = [
            api.stream(query_id),
            api.stream(query_id, start_row=300),
            api.stream(query_id, format=ROWS),
            api.fetch(query_id),
            api.fetch(query_id, offset=7),
            api.release(query_id, extend_to=clock.later(TTL)),
        ]
        for call in calls:
            refusal = await refused(call)
            assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_EXPIRED")
            assert "expire_time" in refusal.metadata
        assert (await api.release(query_id)).status.result_state == query_pb2.RESULT_STATE_EXPIRED
        # The rows themselves wait for a sweep.
        assert list(service.settings.state.spool.glob(f"*/{query_id}"))
        await service.parts.execution.sweeper.sweep()
        assert not list(service.settings.state.spool.glob(f"*/{query_id}"))
        assert (await refused(api.stream(query_id))).reason == "RESULT_EXPIRED"


async def test_a_submit_of_the_same_id_has_no_rows_after_they_expired(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (_, api, clock):
        query_id = await completed(api)
        again = {"query_id": query_id, "result": {"ttl": TTL}, "wait_timeout": WAIT}
        assert (await api.script(MANY, **again)).pages
        clock.ahead = TTL + timedelta(seconds=1)
        reply = await api.script(MANY, **again)
        assert reply.existing
        assert not reply.pages
        assert reply.status.result_state == query_pb2.RESULT_STATE_EXPIRED


async def test_a_stream_that_is_open_ends_when_the_rows_expire(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (_service, api, clock):
        query_id = str((await api.script("columns s:string; rows 60000 size 1000", wait_timeout=WAIT)).status.query_id)
        status = await api.ended(query_id, seconds=60)
        stream = api.stream(query_id)
        await stream.to("page")
        clock.ahead = status.expire_time.ToDatetime(UTC) - clock.later(timedelta(seconds=-1))
        assert (await refused(stream)).reason == "RESULT_EXPIRED"


async def test_what_was_extended_does_not_expire(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (service, api, clock):
        query_id = await completed(api)
        expiring = await service.parts.state.store.expiring(clock.now_us() + (1 << 50), 10)
        await api.release(query_id, extend_to=clock.later(3 * TTL))
        clock.ahead = 2 * TTL
        await service.parts.execution.sweeper.sweep()
        # As when the extension came between the look of the sweep and its act.
        await service.parts.execution.expiry.expire(expiring[0])
        assert (await api.read(query_id)).next_row == 300
        clock.ahead = 3 * TTL + timedelta(seconds=1)
        assert (await refused(api.fetch(query_id))).reason == "RESULT_EXPIRED"


async def test_a_record_is_forgotten_in_time_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (service, api, clock):
        query_id = await completed(api)
        failed = (await api.script("fail ENGINE_ERROR x", wait_timeout=WAIT)).status.query_id
        clock.ahead = KEEP - timedelta(minutes=1)
        for each in (query_id, failed):
            assert (await api.status(each)).state in (COMPLETED, FAILED)
        assert len((await api.listed()).queries) == 2
        clock.ahead = KEEP + timedelta(minutes=1)
        await service.parts.execution.sweeper.sweep()
        for each in (query_id, failed, new_id()):
            for call in (
                api.call("GetStatus", pb.GetStatusRequest(query_id=each)),
                api.stream(each),
                api.watch(each),
                api.cancel(each),
                api.release(each),
            ):
                refusal = await refused(call)
                assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "QUERY_NOT_FOUND")
        assert not (await api.listed()).queries


async def test_a_record_that_no_sweep_has_removed_is_forgotten_all_the_same(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (_service, api, clock):
        query_id = await completed(api)
        failed = (await api.script("fail ENGINE_ERROR x", wait_timeout=WAIT)).status.query_id
        clock.ahead = KEEP + timedelta(minutes=1)
        for _ in range(2):
            assert (
                await refused(api.call("GetStatus", pb.GetStatusRequest(query_id=query_id)))
            ).reason == "QUERY_NOT_FOUND"
            assert (
                await refused(api.call("GetStatus", pb.GetStatusRequest(query_id=failed)))
            ).reason == "QUERY_NOT_FOUND"
        assert not (await api.listed()).queries
        new = await api.script("rows 1", wait_timeout=WAIT)
        assert next(query.query_id for query in (await api.listed()).queries) == new.status.query_id


async def test_rows_that_are_kept_keep_their_record(tmp_path: Path) -> None:
    async with clocked(tmp_path) as (service, api, clock):
        query_id = await completed(api)
        await api.release(query_id, extend_to=clock.later(2 * KEEP))
        clock.ahead = KEEP + timedelta(minutes=1)
        await service.parts.execution.sweeper.sweep()
        assert (await api.read(query_id)).next_row == 300
        assert [query.query_id for query in (await api.listed()).queries] == [query_id]
