"""Worker processes that die, run out of memory, or have to be killed cost their own query and nothing else."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
import pytest_asyncio

from queryengine.app.service import Service
from queryengine.domain.query import Query
from tests.server_process import server_process
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    new_id,
    refused,
    served,
    serving,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOMB = "SELECT string_agg(repeat('x', 100_000_000), '') AS s FROM range(100)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def doomed(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Service]:
    """A service whose workers may die."""
    folder = tmp_path_factory.mktemp("doomed")
    async with serving(folder, engines={"scripted": {"type": "scripted", "workers": 2}}) as service:
        shared_folders.add(str(folder))
        yield service
    shared_folders.discard(str(folder))


@pytest_asyncio.fixture(loop_scope="session")
async def doomed_api(doomed: Service) -> AsyncIterator[Api]:
    async with grpc.aio.insecure_channel(doomed.address) as channel:
        yield Api(channel, f"tenant-{new_id()}")


async def expect_slots(service: Service, api: Api) -> None:
    """All slots can be used again."""
    slots = service.pool.load("scripted").slots
    await until(lambda: len(service.pool.load("scripted").worker_pids) == slots)
    replies = await asyncio.gather(*(api.script("wait 20; rows 1", wait_timeout=WAIT) for _ in range(slots * 2)))
    assert {reply.status.state for reply in replies} == {COMPLETED}
    assert service.pool.load("scripted").running == 0


async def test_a_worker_that_is_killed_fails_its_query_alone(doomed: Service, doomed_api: Api, gate: Gate) -> None:
    api = doomed_api
    ids = [(await api.script(f"rows 2; {gate.script}; rows 1")).status.query_id for _ in range(2)]
    for query_id in ids:
        await api.has_rows(query_id)
    streams = [api.stream(query_id) for query_id in ids]
    for stream in streams:
        await stream.to("page")
    victim = psutil.Process(doomed.pool.load("scripted").worker_pids[0])
    victim.send_signal(signal.SIGKILL)
    lost = await until(lambda: first_failed(api, ids))
    gate.open()
    (other,) = set(ids) - {lost.query_id}
    assert (lost.error.reason, lost.error.retryable) == ("WORKER_LOST", True)
    refusal = await refused(streams[ids.index(lost.query_id)])
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "WORKER_LOST")
    assert (await streams[ids.index(other)].all())[-1].end.total_rows == 3
    await expect_slots(doomed, api)


async def first_failed(api: Api, ids: list[str]) -> object:
    for query_id in ids:
        status = await api.status(query_id)
        if status.state == FAILED:
            return status
    return None


@pytest.mark.parametrize("script", ["crash 3", "start; crash", "rows 5000; crash"])
async def test_a_crash_of_the_engine_is_a_lost_worker(doomed: Service, doomed_api: Api, script: str) -> None:
    reply = await doomed_api.script(script, wait_timeout=WAIT)
    assert (reply.status.state, reply.status.error.reason) == (FAILED, "WORKER_LOST")
    assert not list(doomed.settings.state.spool.glob(f"*/{reply.status.query_id}"))
    await expect_slots(doomed, doomed_api)


async def test_a_statement_that_ends_its_worker_twice_is_not_to_be_tried_again(tmp_path: Path) -> None:
    """This one crashes DuckDB: `IS DISTINCT FROM` called like a function. By default it is refused."""
    crash = "SELECT \"IS DISTINCT FROM\"({'x': 1}, -1)"
    options = {"allow_functions": ["is distinct from"]}
    async with served(tmp_path, engines={"duckdb": {"type": "duckdb", "workers": 1, "options": options}}) as (_, api):
        other = Api(api.channel, "other")
        for number, who in enumerate((api, other, api, api)):
            reply = await who.submit(crash, wait_timeout=WAIT)
            assert reply.status.error.reason == "WORKER_LOST"
            assert reply.status.error.retryable == (number < 2)
            assert ("do not submit it again" in reply.status.error.message) == (number >= 2)
            refusal = await refused(who.stream(reply.status.query_id))
            assert refusal.metadata.get("retryable", "true") == ("true" if number < 2 else "false")
            # Another text may be tried again, also when its worker dies the first time.
            assert (await who.submit(f"SELECT {number}", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_memory_bomb_hurts_its_worker_only(tmp_path: Path) -> None:
    engines = {"duckdb": {"type": "duckdb", "workers": 1, "memory_limit_mib": 2048}}
    with server_process(tmp_path, engines=engines) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            await api.submit("SELECT 1", wait_timeout=WAIT)
            before = server.resident_bytes
            status = (await api.submit(BOMB, wait_timeout=WAIT)).status
            assert status.state == FAILED
            assert status.error.reason in ("OUT_OF_MEMORY", "WORKER_LOST")
            assert server.resident_bytes - before < 50 << 20
            assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_memory_is_bounded_whatever_the_engine_says(tmp_path: Path) -> None:
    engines = {"scripted": {"type": "scripted", "workers": 1, "memory_limit_mib": 1024}}
    async with served(tmp_path, engines=engines) as (service, api):
        status = (await api.script("memory 2000000000; rows 1", wait_timeout=WAIT)).status
        assert (status.state, status.error.reason) == (FAILED, "OUT_OF_MEMORY")
        refusal = await refused(api.stream(status.query_id))
        assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")
        await expect_slots(service, api)


async def test_a_cancel_that_meets_a_dying_worker_ends_the_query(doomed: Service, doomed_api: Api) -> None:
    query_id = (await doomed_api.script("ignore_cancel; rows 1; endless")).status.query_id
    await doomed_api.has_rows(query_id)
    cancel = asyncio.ensure_future(doomed_api.cancel(query_id, wait_timeout=WAIT))
    await until(lambda: doomed_api.status(query_id))
    for pid in doomed.pool.load("scripted").worker_pids:
        psutil.Process(pid).kill()
    reply = await cancel
    assert reply.status.state in (CANCELLED, FAILED)
    assert (await doomed_api.status(query_id)).state == reply.status.state
    await expect_slots(doomed, doomed_api)


@contextmanager
def claiming(service: Service, claimed: asyncio.Event, go_on: asyncio.Event) -> Iterator[None]:
    """Runs that have waited are held up between their slot and their statement, as by a store that is slow."""
    parameters = service.parts.execution.runner._recorder.parameters

    async def slow(query: Query) -> bytes:
        claimed.set()
        await go_on.wait()
        return await parameters(query)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.parts.execution.runner._recorder, "parameters", slow)
        yield


async def test_a_worker_that_is_given_up_is_kept_for_who_has_a_slot_of_it(tmp_path: Path, gate: Gate) -> None:
    engine = {"type": "scripted", "workers": 1, "slots_per_worker": 2, "options": {"embedded": False}}
    claimed, go_on = asyncio.Event(), asyncio.Event()
    limits = {"cancel_grace_seconds": 0.01}
    async with served(tmp_path, engines={"scripted": engine}, limits=limits) as (service, api):
        deaf = (await api.script("ignore_cancel; start; endless")).status.query_id
        await api.has_rows(deaf)
        held = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(held, RUNNING)
        [pid] = service.pool.load("scripted").worker_pids
        with claiming(service, claimed, go_on):
            waiting = (await api.script("rows 1")).status.query_id
            gate.open()
            await claimed.wait()
            await api.cancel(deaf)
            await api.ended(deaf)
            assert psutil.pid_exists(pid)
            go_on.set()
            status = await api.ended(waiting)
        assert (status.state, status.attempt) == (COMPLETED, 1)
        # Now nobody needs it.
        await until(lambda: service.pool.load("scripted").worker_pids not in ([], [pid]))
        assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


async def test_a_worker_that_ends_before_a_statement_reaches_it_costs_a_new_attempt(tmp_path: Path, gate: Gate) -> None:
    claimed, go_on = asyncio.Event(), asyncio.Event()
    async with served(tmp_path, engines={"scripted": {"type": "scripted", "workers": 1}}) as (service, api):
        held = (await api.script(f"{gate.script}; rows 1")).status.query_id
        await api.reached(held, RUNNING)
        [pid] = service.pool.load("scripted").worker_pids
        with claiming(service, claimed, go_on):
            waiting = (await api.script("rows 1")).status.query_id
            gate.open()
            await claimed.wait()
            psutil.Process(pid).send_signal(signal.SIGKILL)
            await until(lambda: pid not in service.pool.load("scripted").worker_pids)
            go_on.set()
            status = await api.ended(waiting)
        assert (status.state, status.attempt) == (COMPLETED, 2)


async def test_a_statement_that_a_dying_worker_never_read_runs_again_and_is_not_blamed(tmp_path: Path) -> None:
    async with served(tmp_path, engines={"scripted": {"type": "scripted", "workers": 1}}) as (service, api):
        for _ in range(2):
            [pid] = service.pool.load("scripted").worker_pids
            # Nothing of it runs any more, and the server does not know that yet.
            psutil.Process(pid).suspend()
            query_id = (await api.script("rows 1")).status.query_id
            await api.reached(query_id, RUNNING)
            psutil.Process(pid).kill()
            status = await api.ended(query_id)
            assert (status.state, status.attempt) == (COMPLETED, 2)
            await until(lambda gone=pid: service.pool.load("scripted").worker_pids not in ((), (gone,)))
