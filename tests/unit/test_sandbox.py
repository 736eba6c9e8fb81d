"""The worker process: ready means that a check needs no more than the text's own time."""

import asyncio
import json

import psutil
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.sandbox import SandboxWorker
from tests.support import until

SQLITE = {"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}}
TEXT = LogStyle()
WRONG = {"type": "sqlalchemy", "options": {"url": "no url"}}


async def test_an_engine_is_loaded_when_the_process_is_ready() -> None:
    worker = SandboxWorker({"main": {"type": "duckdb", "options": {}}, "wrong": WRONG, "lite": SQLITE}, TEXT)
    try:
        await worker.start()
        assert worker._process is not None
        loaded = {each.path for each in psutil.Process(worker._process.pid).memory_maps()}
        assert any("_duckdb" in path for path in loaded)
    finally:
        await worker.close()


async def test_an_engine_with_a_wrong_option_leaves_the_others_checked() -> None:
    worker = SandboxWorker({"wrong": WRONG, "lite": SQLITE}, TEXT)
    try:
        await worker.check("lite", "SELECT 1", timeout_seconds=60)
        with pytest.raises(QueryEngineError) as refusal:
            await worker.traits("wrong")
        assert refusal.value.failure.reason is Reason.INVALID_FIELD
    finally:
        await worker.close()


async def test_a_process_whose_caller_leaves_at_its_start_is_ended() -> None:
    before = set(psutil.Process().children())
    worker = SandboxWorker({"main": {"type": "duckdb", "options": {}}}, TEXT)
    starting = asyncio.create_task(worker.start())
    await until(lambda: set(psutil.Process().children()) - before)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert set(psutil.Process().children()) == before


async def test_its_log_is_of_the_form_of_the_servers(capfd: pytest.CaptureFixture[str]) -> None:
    worker = SandboxWorker({}, LogStyle("error", as_json=True))
    try:
        with pytest.raises(QueryEngineError, match="KeyError"):
            await worker.check("not configured", "SELECT 1", timeout_seconds=60)
    finally:
        await worker.close()
    (line,) = capfd.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["level"], logged["logger"]) == ("ERROR", "queryengine.workers.executing")
    assert "a check failed" in logged["message"]
    assert "Traceback" in logged["exception"]


async def test_a_process_that_died_idle_is_no_fault_of_the_next_text() -> None:
    worker = SandboxWorker({"lite": SQLITE}, TEXT)
    try:
        await worker.start()
        assert worker._process is not None
        idle = worker._process
        idle.kill()
        await until(lambda: idle.is_gone)
        await worker.check("lite", "SELECT 1", timeout_seconds=60)
    finally:
        await worker.close()


async def test_a_process_that_dies_over_a_text_is_asked_once_more() -> None:
    worker = SandboxWorker({"lite": SQLITE}, TEXT)
    try:
        await worker.start()
        assert worker._process is not None
        process = psutil.Process(worker._process.pid)
        process.suspend()
        checking = asyncio.create_task(worker.check("lite", "SELECT 1", timeout_seconds=60))
        await until(worker._turn.locked)
        process.kill()
        await checking
    finally:
        await worker.close()
