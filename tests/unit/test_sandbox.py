"""A sandbox worker: what is the fault of the request, what of the machine, and what either costs."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from queryengine.telemetry.logs import LogStyle
from queryengine.workers import sandbox
from queryengine.workers.forking import StartTemplate
from queryengine.workers.sandbox import LimitExceeded, ProcessLost, SandboxWorker
from tests.support import until
from tests.templates import copy_template, forked, spawn_template, template

DUCKDB = {"type": "duckdb", "options": {}}
SQLITE = {"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}}
WRONG = {"type": "sqlalchemy", "options": {"url": "no url"}}
TEXT = LogStyle()
LONG = f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(20_000)))})"
DEEP = "SELECT " + "(" * 300_000 + "1" + ")" * 300_000
MINUTE = 60.0


@asynccontextmanager
async def worker(
    engines: dict[str, Any] | None = None,
    *,
    log: LogStyle = TEXT,
    memory_limit_mib: int = 4096,
    start: StartTemplate = copy_template,
) -> AsyncIterator[SandboxWorker]:
    role = {"type": "sandbox", "engines": engines or {"lite": SQLITE}, "memory_limit_mib": memory_limit_mib}
    async with template(start) as forks:
        found = SandboxWorker(role, log, forks)
        try:
            yield found
        finally:
            await found.close()


async def check(asked: SandboxWorker, sql: str, *, engine: str = "lite", cpu_seconds: float = MINUTE) -> dict[str, Any]:
    frames = await asked.ask({"type": "check", "engine": engine, "sql": sql}, cpu_seconds=cpu_seconds)
    return frames[-1].header


async def asked_and_suspended(asked: SandboxWorker) -> tuple[psutil.Process, "asyncio.Task[dict[str, Any]]"]:
    """A process that was stopped before a check reached it."""
    process = psutil.Process((await asked.start()).pid)
    process.suspend()
    return process, asyncio.create_task(check(asked, "SELECT 1"))


async def test_an_engine_is_loaded_when_the_process_is_ready() -> None:
    async with worker({"main": DUCKDB, "wrong": WRONG, "lite": SQLITE}) as asked:
        process = await asked.start()
        loaded = {each.path for each in psutil.Process(process.pid).memory_maps()}
        assert any("_duckdb" in path for path in loaded)


async def test_an_engine_with_a_wrong_option_leaves_the_others_checked() -> None:
    async with worker({"wrong": WRONG, "lite": SQLITE}) as asked:
        assert "failure" not in await check(asked, "SELECT 1")
        order = {"type": "traits", "engine_type": WRONG["type"], "options": WRONG["options"]}
        frames = await asked.ask(order, cpu_seconds=MINUTE)
        assert frames[-1].header["failure"]["reason"] == "INVALID_FIELD"


async def test_a_process_whose_caller_leaves_at_its_start_is_ended() -> None:
    before = forked()
    async with worker() as asked:
        starting = asyncio.create_task(asked.start())
        await until(lambda: forked() - before)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await until(lambda: forked() == before)


async def test_its_log_is_of_the_form_of_the_servers(capfd: pytest.CaptureFixture[str]) -> None:
    async with worker(log=LogStyle("error", as_json=True), start=spawn_template) as asked:
        answer = await check(asked, "SELECT 1", engine="not configured")
        assert "KeyError" in answer["failure"]["message"]
    (line,) = capfd.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["level"], logged["logger"]) == ("ERROR", "queryengine.workers.failures")
    assert "a check failed" in logged["message"]
    assert "Traceback" in logged["exception"]


async def test_a_process_that_died_idle_is_replaced() -> None:
    async with worker() as asked:
        idle = await asked.start()
        idle.kill()
        await until(lambda: idle.is_gone)
        assert not asked.is_ready
        assert "failure" not in await check(asked, "SELECT 1")


async def test_a_text_out_of_time_costs_no_process_where_python_reads_it() -> None:
    async with worker() as asked:
        pid = (await asked.start()).pid
        with pytest.raises(LimitExceeded) as excess:
            await check(asked, LONG, cpu_seconds=0.05)
        assert excess.value.limit == "time"
        # The process is in step: it answers what it is asked next.
        assert (await check(asked, "SELECT (("))["failure"]["reason"] == "SYNTAX_ERROR"
        assert "failure" not in await check(asked, LONG)
        assert asked.pid == pid


async def test_a_text_out_of_time_costs_the_process_where_it_cannot_be_interrupted() -> None:
    async with worker({"main": DUCKDB}) as asked:
        pid = (await asked.start()).pid
        with pytest.raises(LimitExceeded) as excess:
            await check(asked, DEEP, engine="main", cpu_seconds=0.05)
        assert excess.value.limit == "time"
        assert not psutil.pid_exists(pid)
        # Another one starts before anybody asks.
        replacing = asked._replacing
        assert replacing is not None
        assert "failure" not in await check(asked, "SELECT 1", engine="main")
        assert asked.pid == (await replacing).pid


async def test_a_process_that_replaces_another_ends_with_the_worker() -> None:
    async with worker({"main": DUCKDB}) as asked:
        with pytest.raises(LimitExceeded):
            await check(asked, DEEP, engine="main", cpu_seconds=0.05)
        replacing = asked._replacing
        assert replacing is not None
        pid = (await replacing).pid
        await asked.close()
        assert not psutil.pid_exists(pid)


async def test_the_time_to_start_is_not_the_texts() -> None:
    async with worker({"main": DUCKDB, "lite": SQLITE}) as asked:
        # To import the engines takes longer than this.
        assert "failure" not in await check(asked, "SELECT 1", cpu_seconds=0.2)


async def test_a_stopped_process_is_no_fault_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "STALLED_LOOKS", 3)
    async with worker() as asked:
        process, checking = await asked_and_suspended(asked)
        with pytest.raises(ProcessLost, match="was stopped") as loss:
            await checking
        assert not loss.value.crashed
        assert not process.is_running()


@pytest.mark.parametrize(
    ("signal_number", "crashed"),
    [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGSEGV, True), (signal.SIGABRT, True)],
)
async def test_what_a_process_died_of_is_known(signal_number: signal.Signals, crashed: bool) -> None:
    async with worker() as asked:
        process, checking = await asked_and_suspended(asked)
        await asyncio.sleep(0)
        process.send_signal(signal_number)
        process.resume()
        with pytest.raises(ProcessLost, match=f"exit code -{signal_number.value}") as loss:
            await checking
        assert loss.value.crashed is crashed
        assert "failure" not in await check(asked, "SELECT 1")


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/program"])
async def test_a_process_that_cannot_start_is_no_fault_of_the_text(
    executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(start=spawn_template) as asked:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", executable)
            with pytest.raises(ProcessLost) as loss:
                await check(asked, "SELECT 1")
            assert not loss.value.retry
        assert "failure" not in await check(asked, "SELECT 1")


async def test_a_process_that_is_never_ready_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "START_TIMEOUT_SECONDS", 0.0)
    before = forked()
    async with worker() as asked:
        with pytest.raises(ProcessLost, match="not ready"):
            await check(asked, "SELECT 1")
        await until(lambda: forked() == before)


async def test_a_caller_that_leaves_costs_the_process_and_nothing_else() -> None:
    async with worker() as asked:
        process, checking = await asked_and_suspended(asked)
        await asyncio.sleep(0)
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert not process.is_running()
        assert "failure" not in await check(asked, "SELECT 1")
