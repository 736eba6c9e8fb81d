"""Metrics as Prometheus gets them: over HTTP, complete from the start on, and every ending counted once."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from queryengine import __version__
from queryengine.app.service import Service
from queryengine.telemetry.names import METRICS, Kind
from tests.scraping import scrape
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    LOOPBACK,
    QUEUED,
    RUNNING,
    WAIT,
    Api,
    Gate,
    new_id,
    refused,
    served,
    until,
)

ENGINES = {"scripted": {"type": "scripted", "workers": 1}, "idle": {"type": "scripted", "workers": 2}}


def watched(folder: Path, **groups: Any) -> AbstractAsyncContextManager[tuple[Service, Api]]:
    """A service of its own, whose counters nobody else moves."""
    return served(folder, **{"engines": ENGINES, **groups})


async def test_every_metric_of_every_engine_is_there_before_anything_happened(tmp_path: Path) -> None:
    async with watched(tmp_path) as (service, _):
        await until(lambda: len(service.pool.load("idle").worker_pids) == 2)
        seen = await scrape(service)
    for metric in METRICS:
        family = seen.families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
        if "engine" in metric.labels:
            assert {sample.labels["engine"] for sample in family.samples} == set(ENGINES)
        if metric.kind is not Kind.GAUGE:
            assert {sample.value for sample in family.samples} == {0}
    for engine, workers in (("scripted", 1), ("idle", 2)):
        assert seen("engine_up", engine=engine) == 1
        assert seen("engine_slots", engine=engine) == seen("engine_workers", engine=engine) == workers
        assert seen("engine_running", engine=engine) == seen("engine_queued", engine=engine) == 0
        assert seen("queries_ended_total", engine=engine, state="COMPLETED", reason="") == 0
    assert seen("spool_bytes") == seen("streams") == 0
    assert seen("build_info", version=__version__) == 1
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= seen.names()
    assert not [name for name in seen.names() if name.endswith("_created")]


async def test_a_query_counts_once_however_it_ends(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with watched(tmp_path / "state") as (service, api):
        done = (await api.script("rows 7", wait_timeout=WAIT)).status
        # The same query again, and an unknown one, end nothing.
        assert (await api.script("rows 7", query_id=done.query_id, wait_timeout=WAIT)).existing
        assert (await refused(api.status(new_id()))).reason == "QUERY_NOT_FOUND"
        assert (await api.script("fail ENGINE_ERROR gone", wait_timeout=WAIT)).status.state == FAILED
        assert (await api.script("fail ROW_TOO_LARGE huge", wait_timeout=WAIT)).status.state == FAILED
        running = (await api.script(gate.script)).status.query_id
        await api.reached(running, RUNNING)
        waiting = (await api.script("rows 1")).status
        assert waiting.state == QUEUED
        seen = await scrape(service)
        assert seen("engine_running", engine="scripted") == seen("engine_queued", engine="scripted") == 1
        assert seen("queries_submitted_total", engine="scripted") == 5
        assert seen.ended() == 3
        assert (await api.cancel(waiting.query_id)).status.state == CANCELLED
        late = await api.script("rows 1", limits={"queue_timeout": timedelta(milliseconds=1)}, wait_timeout=WAIT)
        assert late.status.error.reason == "QUEUE_TIMEOUT"
        assert (await api.cancel(running, wait_timeout=WAIT)).status.state == CANCELLED
        await api.cancel(running)
        seen = await scrape(service)
    told = {
        (sample.labels["state"], sample.labels["reason"]): sample.value
        for sample in seen.families["queryengine_queries_ended"].samples
        if sample.value
    }
    assert told == {
        ("COMPLETED", ""): 1,
        ("FAILED", "ENGINE_ERROR"): 1,
        ("FAILED", "ROW_TOO_LARGE"): 1,
        ("FAILED", "QUEUE_TIMEOUT"): 1,
        ("CANCELLED", "QUERY_CANCELLED"): 2,
    }
    assert seen("queries_submitted_total", engine="scripted") == 6
    assert seen("result_rows_total", engine="scripted") == 7
    assert seen("result_bytes_total", engine="scripted") == done.stats.bytes > 0
    assert seen.total("queries_submitted_total", engine="idle") == seen.ended(engine="idle") == 0


async def test_times_are_those_of_the_query(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with watched(tmp_path / "state") as (service, api):
        status = (await api.script("wait 30; rows 1", wait_timeout=WAIT)).status
        seen = await scrape(service)
        running = (await api.script(gate.script)).status.query_id
        waiting = (await api.script("rows 1")).status.query_id
        await api.cancel(waiting)
        later = await scrape(service)
        gate.open()
        assert (await api.ended(running)).state == COMPLETED
    ran_us = status.end_time.ToMicroseconds() - status.start_time.ToMicroseconds()
    waited_us = status.start_time.ToMicroseconds() - status.submit_time.ToMicroseconds()
    assert seen("execution_seconds_sum", engine="scripted") == pytest.approx(ran_us / 1e6)
    assert seen("queue_seconds_sum", engine="scripted") == pytest.approx(waited_us / 1e6)
    assert seen("execution_seconds_bucket", engine="scripted", le="0.025") == 0
    assert seen("execution_seconds_bucket", engine="scripted", le="+Inf") == 1
    # A query that never started has waited, and has not run.
    assert later("queue_seconds_count", engine="scripted") == 2
    assert later("execution_seconds_count", engine="scripted") == 1


async def test_calls_count_by_their_status(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    async with watched(tmp_path / "state") as (service, api):
        query_id = (await api.script(f"rows 1; {gate.script}")).status.query_id
        assert (await refused(api.script("nonsense"))).reason == "SYNTAX_ERROR"
        assert (await refused(api.stream(new_id()))).reason == "QUERY_NOT_FOUND"
        left = api.stream(query_id)
        await left.to("page")
        assert (await scrape(service))("streams") == 1
        left.leave()

        async def is_left() -> bool:
            seen = await scrape(service)
            return seen("streams") == 0 and seen.total("requests_total", method="StreamResults", code="CANCELLED") == 1

        await until(is_left)
        gate.open()
        await api.read(query_id)
        seen = await scrape(service)
    assert seen("requests_total", method="Submit", code="OK") == 1
    assert seen("requests_total", method="Submit", code="INVALID_ARGUMENT") == 1
    assert seen("requests_total", method="StreamResults", code="NOT_FOUND") == 1
    assert seen("requests_total", method="StreamResults", code="OK") == 1
    assert seen("requests_total", method="Cancel", code="OK") == 0


async def test_the_spool_shrinks_and_a_worker_comes_back(tmp_path: Path) -> None:
    async with watched(tmp_path) as (service, api):
        status = (await api.script("columns s:string; rows 1000", wait_timeout=WAIT)).status
        assert (await scrape(service))("spool_bytes") >= status.stats.bytes > 0
        await api.release(status.query_id)
        assert (await scrape(service))("spool_bytes") == 0
        assert (await api.script("crash", wait_timeout=WAIT)).status.error.reason == "WORKER_LOST"
        assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        seen = await scrape(service)
    assert seen("worker_restarts_total", engine="scripted") == 1
    assert seen("worker_restarts_total", engine="idle") == 0
    assert seen.ended(state="FAILED", reason="WORKER_LOST") == 1


async def test_a_query_that_is_asked_for_again_after_a_restart_has_not_ended_again(tmp_path: Path) -> None:
    async with watched(tmp_path) as (service, api):
        query_id = (await api.script("rows 1", wait_timeout=WAIT)).status.query_id

        async def is_written() -> bool:
            return not service.parts.shared.registry.active()

        await until(is_written)
    async with watched(tmp_path) as (service, api):
        assert (await api.status(query_id)).state == COMPLETED
        assert (await scrape(service)).ended() == 0


async def test_metrics_can_be_turned_off(tmp_path: Path) -> None:
    server = {**LOOPBACK, "metrics_listen": ""}
    async with watched(tmp_path, server=server) as (service, api):
        assert service.metrics_address == ""
        assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
