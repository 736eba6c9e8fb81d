"""An engine that is elsewhere and goes away: its queries wait, the others do not notice, and it is found again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from tests.scraping import scrape
from tests.support import COMPLETED, FAILED, QUEUED, RUNNING, WAIT, Api, Gate, refused, served, until

CAUSE = "connection refused, as scripted"


class Outage:
    """The engine does not answer between `begin` and `end`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begin = path.touch
        self.end = path.unlink


@asynccontextmanager
async def beside_duckdb(folder: Path) -> AsyncIterator[tuple[Service, Api, Outage]]:
    """A service with an engine elsewhere, which is up, and its outage to come."""
    outage = Outage(folder / "down")
    remote = {"embedded": False, "down_while": str(outage.path)}
    engines = {
        "remote": {"type": "scripted", "workers": 1, "slots_per_worker": 2, "probe_seconds": 0.1, "options": remote},
        "duckdb": {"type": "duckdb", "workers": 1},
    }
    async with served(folder / "state", engines=engines, default_engine="duckdb") as (service, api):
        await is_seen(api, available=True)
        yield service, api, outage


async def remote(api: Api) -> pb.EngineInfo:
    listed = await api.stub.ListEngines(pb.ListEnginesRequest(), metadata=api.metadata)
    return next(engine for engine in listed.engines if engine.name == "remote")


async def is_seen(api: Api, *, available: bool) -> None:
    async def seen() -> bool:
        return (await remote(api)).available is available

    await until(seen)


async def test_a_probe_finds_out_and_the_others_do_not_notice(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (_, api, outage):
        outage.begin()
        await is_seen(api, available=False)
        assert (await remote(api)).detail == CAUSE
        assert (await api.submit("SELECT 1", engine="duckdb", wait_timeout=WAIT)).status.state == COMPLETED
        waiting = (await api.submit("rows 1", engine="remote")).status
        assert waiting.state == QUEUED
        outage.end()
        assert (await api.ended(waiting.query_id)).state == COMPLETED
        assert (await remote(api)).available


async def test_a_query_that_meets_the_loss_waits_again_and_runs(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (_, api, outage):
        # Between two probes: the query is the first to see it.
        outage.begin()
        status = (await api.submit("rows 3", engine="remote")).status
        await is_seen(api, available=False)
        assert (await api.reached(status.query_id, QUEUED)).start_time.seconds == 0
        outage.end()
        ended = await api.ended(status.query_id)
        assert (ended.state, ended.stats.rows) == (COMPLETED, 3)


async def test_who_waits_is_told_why(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (_, api, outage):
        gates = [Gate(tmp_path / f"gate-{number}") for number in range(2)]
        running = [(await api.submit(gate.script, engine="remote")).status.query_id for gate in gates]
        waiting = (await api.submit("rows 1", engine="remote")).status
        assert (waiting.state, waiting.progress.waiting_reason) == (QUEUED, "")
        watch = api.watch(waiting.query_id)
        await watch.read()
        outage.begin()
        told = (await watch.to("status")).status
        assert (told.state, told.progress.waiting_reason) == (QUEUED, CAUSE)
        outage.end()
        told = (await watch.to("status")).status
        assert told.progress.waiting_reason == ""
        for gate in gates:
            gate.open()
        for query_id in (*running, waiting.query_id):
            assert (await api.ended(query_id)).state == COMPLETED


async def test_who_waits_too_long_is_told_why_the_engine_is_down(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (_, api, outage):
        outage.begin()
        await is_seen(api, available=False)
        limits = {"queue_timeout": {"nanos": 300_000_000}}
        query_id = (await api.submit("rows 1", engine="remote", limits=limits)).status.query_id
        ended = await api.ended(query_id)
        assert (ended.state, ended.error.reason) == (FAILED, "ENGINE_UNAVAILABLE")
        assert CAUSE in ended.error.message
        assert ended.error.retryable
        refusal = await refused(api.stream(query_id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")


async def test_what_runs_while_the_engine_is_in_doubt_runs_on(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (_, api, outage):
        gate = Gate(tmp_path / "gate")
        query_id = (await api.submit(f"rows 1; {gate.script}; rows 1", engine="remote")).status.query_id
        await api.reached(query_id, RUNNING)
        await api.has_rows(query_id)
        outage.begin()
        await is_seen(api, available=False)
        gate.open()
        assert (await api.ended(query_id)).state == COMPLETED


async def test_the_metrics_show_the_outage(tmp_path: Path) -> None:
    async with beside_duckdb(tmp_path) as (service, api, outage):
        assert (await scrape(service))("engine_up", engine="remote") == 1
        outage.begin()
        await is_seen(api, available=False)
        waiting = (await api.submit("rows 1", engine="remote")).status.query_id
        seen = await scrape(service)
        assert (seen("engine_up", engine="remote"), seen("engine_up", engine="duckdb")) == (0, 1)
        assert seen("engine_queued", engine="remote") == 1
        # The engine is elsewhere: the processes that speak to it live on.
        assert seen("engine_workers", engine="remote") == 1
        outage.end()
        assert (await api.ended(waiting)).state == COMPLETED
        seen = await scrape(service)
        assert seen("engine_up", engine="remote") == 1
        assert seen("queries_ended_total", engine="remote", state="COMPLETED", reason="") == 1
        assert seen("worker_restarts_total", engine="remote") == 0
