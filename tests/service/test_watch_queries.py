"""WatchQueries: every change of a tenant's queries, pushed; and what becomes of a watcher who leaves or is slow."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.domain.filters import EVERYTHING
from queryengine.domain.identity import Principal
from queryengine.live import changes
from queryengine.live.query import LiveQuery
from queryengine.reading.watching import Reset, Watching
from queryengine.v1 import query_pb2, result_pb2
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
    new_id,
    refused,
    served,
    serving,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Watches:
    """Opens watches, and leaves those that are still open in the end."""

    def __init__(self) -> None:
        self._open: list[Reading] = []

    def resumed(self, api: Api, position: str, **fields: object) -> Reading:
        self._open.append(api.watch_all(position=position, **fields))
        return self._open[-1]

    async def begun(self, api: Api, *, position: str = "", **fields: object) -> Reading:
        """One that misses nothing from here on, and says so first."""
        watch = self.resumed(api, position, **fields)
        first = await watch.read()
        assert first.HasField("reset")
        assert 0 < len(first.position) <= 64
        return watch

    def leave(self) -> None:
        while self._open:
            self._open.pop().leave()


@pytest_asyncio.fixture(loop_scope="session")
async def watches(service: Service) -> AsyncIterator[Watches]:
    watches = Watches()
    yield watches
    watches.leave()
    await until(lambda: service.parts.shared.registry.changes.watchers == 0)


async def ended(watch: Reading, *query_ids: str) -> list[query_pb2.QueryStatus]:
    """What is pushed until all of these queries have ended."""
    left, seen = set(query_ids), []
    while left:
        event = await watch.to("status")
        seen.append(event.status)
        if event.status.state in (COMPLETED, FAILED, CANCELLED):
            left.discard(event.status.query_id)
    return seen


def states_of(seen: list[query_pb2.QueryStatus], query_id: str) -> list[int]:
    return list(dict.fromkeys(status.state for status in seen if status.query_id == query_id))


async def test_changes_of_all_queries_are_pushed(api: Api, no_free_slot: Callable[[], None], watches: Watches) -> None:
    watch = await watches.begun(api)
    ids = [(await api.script("rows 1")).status.query_id for _ in range(3)]
    for query_id in ids:
        event = await watch.to("status")
        assert (event.status.query_id, event.status.state) == (query_id, QUEUED)
        assert event.status.progress.HasField("queue_position")
    no_free_slot()
    seen = await ended(watch, *ids)
    for query_id in ids:
        # A state may be over before it is sent; the last one is always sent, with all that is known then.
        assert states_of(seen, query_id)[-1] == COMPLETED
        assert next(each for each in reversed(seen) if each.query_id == query_id).stats.rows == 1


async def test_progress_and_what_becomes_of_the_result_are_pushed(api: Api, gate: Gate, watches: Watches) -> None:
    watch = await watches.begun(api)
    query_id = (await api.script(f"rows 5; progress 0.5; {gate.script}")).status.query_id
    while (await watch.to("status")).status.progress.fraction != 0.5:
        continue
    gate.open()
    await ended(watch, query_id)
    await api.release(query_id)
    while (await watch.to("status")).status.result_state != query_pb2.RESULT_STATE_RELEASED:
        continue


async def test_a_tenant_sees_its_own_queries_alone(api: Api, other: Api, service: Service, watches: Watches) -> None:
    mine, theirs = await watches.begun(api), await watches.begun(other)
    secret = (await other.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    seen = await ended(theirs, secret)
    assert {status.query_id for status in seen} == {secret}
    own = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    assert {status.query_id for status in await ended(mine, own)} == {own}
    # A position of another tenant is none, and says nothing of what it was of.
    foreign = await watches.begun(api, position=theirs.events[-1].position)
    unknown = await watches.begun(api, position=f"{'0' * 16}.1")
    assert foreign.events[0].reset == unknown.events[0].reset


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"labels": {"team": "blue"}}, "blue"),
        ({"labels": {"team": "blue", "run": "1"}}, ""),
        ({"engine": "duckdb"}, "duckdb"),
        ({"subject": "ann"}, "ann"),
        ({"subject": "an"}, ""),
        ({"states": [FAILED]}, "failed"),
        ({"states": [FAILED, CANCELLED], "engine": "duckdb"}, ""),
        ({"states": [COMPLETED], "labels": {"team": "blue"}}, "blue"),
    ],
)
async def test_a_watch_can_be_narrowed(
    channel: grpc.aio.Channel, watches: Watches, fields: dict[str, object], expected: str
) -> None:
    tenant = f"tenant-{new_id()}"
    api, ann = Api(channel, tenant), Api(channel, tenant, user="ann")
    watch, whole = await watches.begun(api, **fields), await watches.begun(api)
    ids = {
        "blue": (await api.script("rows 1", labels={"team": "blue"}, wait_timeout=WAIT)).status.query_id,
        "duckdb": (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id,
        "ann": (await ann.script("rows 1", wait_timeout=WAIT)).status.query_id,
        "failed": (await api.script("fail ENGINE_ERROR x", wait_timeout=WAIT)).status.query_id,
    }
    await ended(whole, *ids.values())
    resumed = watches.resumed(api, watch.events[0].position, heartbeat_interval=timedelta(seconds=1), **fields)
    await resumed.to("heartbeat")
    assert {event.status.query_id for event in resumed.events[:-1]} == ({ids[expected]} if expected else set())


async def test_a_watch_goes_on_where_it_was(api: Api, watches: Watches) -> None:
    watch = await watches.begun(api)
    first = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
    await ended(watch, first)
    position = watch.events[-1].position
    ids = [(await api.submit(f"SELECT {number}", wait_timeout=WAIT)).status.query_id for number in range(5)]
    resumed = watches.resumed(api, position)
    seen = await ended(resumed, *ids)
    assert [status.query_id for status in seen if status.state == COMPLETED] == ids
    # Again from the middle: what came before is not sent a second time.
    middle = next(event for event in resumed.events if event.status.query_id == ids[2])
    again = watches.resumed(api, middle.position)
    assert {status.query_id for status in await ended(again, *ids[3:])} == set(ids[3:])
    for watch in (resumed, again):
        assert {event.WhichOneof("event") for event in watch.events} == {"status"}


async def test_a_quiet_watch_has_heartbeats_with_its_position(api: Api, watches: Watches) -> None:
    watch = await watches.begun(api, heartbeat_interval=timedelta(seconds=1), states=[FAILED])
    # Changes that it does not get are no sign of life.
    await api.submit("SELECT 1", wait_timeout=WAIT)
    beat = await watch.read()
    assert beat.heartbeat.server_time.seconds > 0
    resumed = watches.resumed(api, beat.position)
    later = (await api.submit("SELECT 2", wait_timeout=WAIT)).status.query_id
    await ended(resumed, later)
    assert "reset" not in {event.WhichOneof("event") for event in resumed.events}


async def test_a_watch_rotates_and_a_drain_ends_it(tmp_path: Path, watches: Watches) -> None:
    async with served(tmp_path, streams={"rotate_seconds": 1}) as (service, api):
        events = await (await watches.begun(api)).all()
        assert events[-1].rotate.reason == result_pb2.ROTATE_REASON_AGE
        position = events[-1].position
        query_id = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
        watch = watches.resumed(api, position)
        await ended(watch, query_id)
        service.parts.reading.streams.drain()
        service.parts.shared.registry.changes.wake()
        assert (await watch.all())[-1].rotate.reason == result_pb2.ROTATE_REASON_DRAIN
        assert (await watch.call.code()).name == "OK"
        await until(lambda: service.parts.shared.registry.changes.watchers == 0)


async def test_a_server_that_was_restarted_says_so(tmp_path: Path, watches: Watches) -> None:
    async with served(tmp_path) as (_, api):
        watch = await watches.begun(api)
        query_id = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
        await ended(watch, query_id)
        position = watch.events[-1].position
    async with served(tmp_path) as (_, api):
        watch = await watches.begun(api, position=position)
        assert [each.query_id for each in (await api.listed()).queries] == [query_id]
        later = (await api.submit("SELECT 2", wait_timeout=WAIT)).status.query_id
        assert {each.query_id for each in await ended(watch, later)} == {later}


async def test_it_counts_as_a_stream_of_the_tenant(tmp_path: Path, watches: Watches) -> None:
    async with served(tmp_path, limits={"tenant_streams": 2}) as (service, api):
        first, second = [await watches.begun(api) for _ in range(2)]
        refusal = await refused(api.watch_all())
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "TENANT_STREAM_LIMIT")
        async with grpc.aio.insecure_channel(service.address) as channel:
            (await watches.begun(Api(channel, "another"))).leave()
        first.leave()

        async def has_room() -> bool:
            try:
                return (await watches.resumed(api, "").read()).HasField("reset")
            except grpc.aio.AioRpcError:
                return False

        await until(has_room)
        second.leave()
        watches.leave()
        await until(lambda: service.parts.shared.registry.changes.watchers == 0)


async def test_a_watcher_does_not_count_as_a_reader(api: Api, gate: Gate, watches: Watches) -> None:
    watch = await watches.begun(api)
    query_id = (
        await api.script(
            gate.script, disconnect_policy=query_pb2.DISCONNECT_POLICY_CANCEL, disconnect_grace=timedelta(0)
        )
    ).status.query_id
    seen = await ended(watch, query_id)
    assert seen[-1].state == CANCELLED


async def test_a_slow_watcher_gets_a_reset_and_costs_no_memory(
    api: Api, service: Service, monkeypatch: pytest.MonkeyPatch, watches: Watches
) -> None:
    monkeypatch.setattr(changes, "CHANGED_MAX", 3)
    reading = service.parts.reading
    watch = Watching(service.parts.shared.registry, reading.streams, reading.open_streams).watch(
        Principal(tenant=api.tenant), EVERYTHING, position="", heartbeat_seconds=60, still_valid=lambda: None
    )
    first = await anext(watch)
    assert first.event == Reset()
    for number in range(10):
        await api.submit(f"SELECT {number}", wait_timeout=WAIT)
    log = service.parts.shared.registry.changes._logs[api.tenant]
    assert len(log._last) == 3
    assert (await anext(watch)).event == Reset()
    later = (await api.submit("SELECT 'later'", wait_timeout=WAIT)).status.query_id
    item = await anext(watch)
    assert isinstance(item.event, LiveQuery)
    assert item.event.query.query_id == later
    await watch.aclose()
    # Whoever comes back to what is not known any more gets one, too.
    await watches.begun(api, position=first.position)
    resumed = watches.resumed(api, log.position(log._forgotten))
    assert (await resumed.read()).HasField("status")


async def test_a_client_that_does_not_read_gets_a_reset_when_it_does(
    api: Api, service: Service, monkeypatch: pytest.MonkeyPatch, watches: Watches
) -> None:
    monkeypatch.setattr(changes, "CHANGED_MAX", 3)
    labels = {f"{number:02}": "x" * 255 for number in range(32)}
    watch = await watches.begun(api)
    for _ in range(20):
        # Some MiB in all, which is more than there is room for on the way.
        await asyncio.gather(*(api.script("rows 1", labels=labels, wait_timeout=WAIT) for _ in range(10)))
    await watch.to("reset")


async def test_a_query_that_is_forgotten_is_passed_over(tmp_path: Path, watches: Watches) -> None:
    async with serving(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        api = Api(channel, "tenant")
        watch = await watches.begun(api)
        service.parts.shared.registry.changes.note(("tenant", new_id()), True)
        query_id = (await api.submit("SELECT 1", wait_timeout=WAIT)).status.query_id
        assert {each.query_id for each in await ended(watch, query_id)} == {query_id}


async def test_every_change_reaches_every_watcher_under_load(api: Api, service: Service, watches: Watches) -> None:
    watching = [await watches.begun(api) for _ in range(5)]
    replies = await asyncio.gather(*(api.script("rows 1") for _ in range(40)))
    ids = [reply.status.query_id for reply in replies]
    for watch in watching:
        seen = await asyncio.wait_for(ended(watch, *ids), 60)
        versions: dict[str, int] = {}
        for status in seen:
            assert status.version >= versions.get(status.query_id, 0)
            versions[status.query_id] = status.version


async def test_a_state_that_is_left_is_not_sent_to_who_watches_it(api: Api, gate: Gate, watches: Watches) -> None:
    watch = await watches.begun(api, states=[RUNNING])
    first = (await api.script(gate.script)).status.query_id
    assert (await watch.to("status")).status.query_id == first
    gate.open()
    await api.ended(first)
    later = Gate(gate.path.with_name("later"))
    second = (await api.script(later.script)).status.query_id
    while (await watch.to("status")).status.query_id != second:
        continue
    assert {event.status.state for event in watch.events if event.HasField("status")} == {RUNNING}
    later.open()
    await api.ended(second)
