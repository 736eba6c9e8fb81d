"""GetStatus and WatchStatus: a snapshot, a wait for the next change, and every state pushed in its order."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from queryengine.app.service import Service
from queryengine.v1 import query_pb2
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    QUEUED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    Reading,
    but_version,
    refused,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def states(watch: Reading) -> list[query_pb2.QueryStatus]:
    return [event.status for event in await watch.all() if event.HasField("status")]


async def test_a_snapshot_of_a_running_query(api: Api, gate: Gate) -> None:
    reply = await api.script(f"progress 0.25; scanned 10 640; rows 5; {gate.script}")
    query_id = reply.status.query_id

    async def look() -> query_pb2.QueryStatus | None:
        status = await api.status(query_id)
        return status if status.stats.rows == 5 and status.progress.fraction else None

    status = await until(look)
    assert status.state == RUNNING
    assert status.result_state == query_pb2.RESULT_STATE_PARTIAL
    assert status.progress.fraction == 0.25
    assert (status.stats.rows_scanned, status.stats.bytes_scanned) == (10, 640)
    assert status.stats.pages == 1
    assert status.attempt == 1
    assert status.HasField("first_page_time")
    assert not status.HasField("end_time")
    gate.open()
    ended = await api.ended(query_id)
    assert ended.state == COMPLETED
    assert not ended.HasField("progress")
    assert ended.result_state == query_pb2.RESULT_STATE_READY
    assert (ended.stats.rows_scanned, ended.stats.bytes_scanned) == (10, 640)


async def test_a_waiting_query_tells_its_place(api: Api, no_free_slot: Callable[[], None]) -> None:
    ids = [(await api.script("rows 1")).status.query_id for _ in range(3)]

    async def places() -> bool:
        seen = [(await api.status(query_id)).progress for query_id in ids]
        return [place.queue_position for place in seen] == [0, 1, 2] and {place.queue_depth for place in seen} == {3}

    await until(places)
    no_free_slot()
    for query_id in ids:
        assert (await api.ended(query_id)).state == COMPLETED


async def test_every_query_of_a_burst_is_told_its_place_at_once(api: Api, no_free_slot: Callable[[], None]) -> None:
    replies = await asyncio.gather(*(api.script("rows 1") for _ in range(20)))
    places = [reply.status.progress for reply in replies]
    assert sorted(place.queue_position for place in places if place.HasField("queue_position")) == list(range(20))
    assert all(place.queue_position < place.queue_depth <= 20 for place in places)
    ids = [reply.status.query_id for reply in sorted(replies, key=lambda reply: reply.status.progress.queue_position)]
    watches = [api.watch(query_id) for query_id in ids[10:]]
    seen = [(await watch.read()).status.progress for watch in watches]
    assert [(place.queue_position, place.queue_depth) for place in seen] == [(number, 20) for number in range(10, 20)]
    # What nobody watches is right when somebody looks, too.
    await api.cancel(ids[0], wait_timeout=WAIT)
    listed = [(await api.status(query_id)).progress.queue_position for query_id in ids[1:]]
    assert listed == list(range(19))
    for number, watch in enumerate(watches):
        place = (await watch.read()).status.progress
        assert (place.queue_position, place.queue_depth) == (number + 9, 19)
    no_free_slot()
    for watch in watches:
        assert (await states(watch))[-1].state == COMPLETED
    for query_id in ids[1:]:
        assert (await api.ended(query_id)).state == COMPLETED


async def test_times_of_a_waiting_query_are_guessed_and_not_in_the_past(api: Api, gate: Gate, service: Service) -> None:
    passed = Gate(gate.path.with_name("passed"))
    passed.open()
    script = f"{passed.script}; rows 1"
    await api.ended((await api.script(script)).status.query_id)
    running = [
        (await api.script(f"{gate.script}; rows {number + 1}")).status.query_id
        for number in range(service.pool.load("scripted").slots)
    ]
    for query_id in running:
        await api.reached(query_id, RUNNING)
    waiting = (await api.script(script)).status.query_id
    for _ in range(3):
        # Longer than anything has taken before.
        before_us = time.time_ns() // 1000
        progress = (await api.status(waiting)).progress
        start_us = progress.estimated_start_time.ToMicroseconds()
        assert before_us <= start_us < progress.estimated_completion_time.ToMicroseconds()
    gate.open()
    for query_id in (*running, waiting):
        assert (await api.ended(query_id)).state == COMPLETED


async def test_a_long_poll_answers_when_the_version_grows(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"{gate.script}; rows 1")).status.query_id
    now = await api.reached(query_id, RUNNING)
    poll = asyncio.ensure_future(api.status(query_id, after_version=now.version, wait_timeout=WAIT))
    await api.status(query_id)
    assert not poll.done()
    gate.open()
    later = await poll
    assert later.version > now.version
    await api.ended(query_id)


async def test_a_long_poll_answers_at_once_when_there_is_news(api: Api) -> None:
    status = (await api.submit("SELECT 1", wait_timeout=WAIT)).status
    poll = await api.status(status.query_id, after_version=status.version - 1, wait_timeout=WAIT)
    assert but_version(poll) == but_version(status)
    # A final state does not change any more, so nothing is worth waiting for.
    poll = await api.status(status.query_id, after_version=poll.version + 1000, wait_timeout=WAIT)
    assert but_version(poll) == but_version(status)


async def test_a_long_poll_without_news_answers_the_same(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)

    async def nothing_new() -> bool:
        now = await api.status(query_id)
        later = await api.status(query_id, after_version=now.version, wait_timeout=timedelta(milliseconds=50))
        return (later.version, later.state) == (now.version, RUNNING)

    await until(nothing_new)
    gate.open()
    await api.ended(query_id)


async def test_a_watch_sees_the_states_in_order_and_ends(api: Api, no_free_slot: Callable[[], None]) -> None:
    query_id = (await api.script("rows 1")).status.query_id
    watch = api.watch(query_id)
    first = await watch.read()
    assert first.status.state == QUEUED
    no_free_slot()
    seen = await states(watch)
    assert list(dict.fromkeys(status.state for status in seen)) == [QUEUED, RUNNING, COMPLETED]
    versions = [status.version for status in seen]
    assert versions == sorted(set(versions))
    assert (await watch.call.code()).name == "OK"


async def test_a_watch_from_a_version_on_sends_only_newer_ones(api: Api) -> None:
    status = (await api.submit("SELECT 1", wait_timeout=WAIT)).status
    (seen,) = await states(api.watch(status.query_id, after_version=status.version - 1))
    assert but_version(seen) == but_version(status)
    assert await states(api.watch(status.query_id, after_version=status.version + (1 << 20))) == []


@pytest.mark.parametrize(("script", "state"), [("fail ENGINE_ERROR gone", FAILED), ("rows 2", COMPLETED)])
async def test_a_watch_ends_well_however_the_query_ends(api: Api, script: str, state: int) -> None:
    watch = api.watch((await api.script(script)).status.query_id)
    seen = await states(watch)
    assert seen[-1].state == state
    assert (await watch.call.code()).name == "OK"


async def test_a_quiet_watch_has_heartbeats(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    now = await api.reached(query_id, RUNNING)
    watch = api.watch(query_id, after_version=now.version, heartbeat_interval=timedelta(seconds=1))
    beat = (await watch.to("heartbeat")).heartbeat
    assert beat.version >= now.version
    assert beat.server_time.seconds > 0
    gate.open()
    assert (await states(watch))[-1].state == COMPLETED


async def test_versions_never_go_back(api: Api) -> None:
    query_id = (await api.script("rows 1; wait 30; rows 2000; wait 30; rows 1")).status.query_id
    seen = await states(api.watch(query_id))
    versions = [status.version for status in seen]
    assert versions == sorted(set(versions))
    assert seen[-1].stats.rows == 2002


async def test_a_cancelled_query_tells_when_it_was_asked_to_end(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)
    await api.cancel(query_id, reason="wrong table", wait_timeout=WAIT)
    status = await api.status(query_id)
    assert status.state == CANCELLED
    assert status.HasField("cancel_request_time")
    assert status.error.reason == "QUERY_CANCELLED"
    assert "wrong table" in status.error.message
    assert not status.error.retryable


async def test_the_end_is_estimated_from_the_past(api: Api, gate: Gate) -> None:
    script = f"{gate.script}; rows 1"
    first = (await api.script(script)).status.query_id
    assert not (await api.reached(first, RUNNING)).progress.HasField("estimated_completion_time")
    gate.open()
    await api.ended(first)
    gate.path.unlink()
    second = (await api.script(script)).status.query_id
    status = await api.reached(second, RUNNING)
    assert status.progress.estimated_completion_time.ToMicroseconds() > status.start_time.ToMicroseconds()
    gate.open()
    await api.ended(second)


async def test_queries_are_listed_by_the_beginning_of_their_id_and_say_who_submitted_them(api: Api) -> None:
    ann = Api(api.channel, api.tenant, user="ann")
    query_id = (await ann.script("rows 1", wait_timeout=WAIT)).status.query_id
    await api.script("rows 1", wait_timeout=WAIT)

    for prefix in (query_id, query_id[:12].upper()):
        (found,) = (await api.listed(query_id_prefix=prefix)).queries
        assert (found.query_id, found.subject) == (query_id, "ann")
    assert len((await api.listed(query_id_prefix="")).queries) == 2
    for wrong in ("x", f"{query_id}0", "%"):
        assert (await refused(api.listed(query_id_prefix=wrong))).field == "query_id_prefix"
