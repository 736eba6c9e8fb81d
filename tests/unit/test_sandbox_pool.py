"""Sandbox workers in a pool: turns of tenants, second tries, and callers that leave."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.turns import TurnLimits
from queryengine.telemetry.logs import LogStyle
from queryengine.workers import sandbox_pool
from queryengine.workers.forking import Template
from queryengine.workers.sandbox import LimitExceeded, ProcessLost
from queryengine.workers.sandbox_pool import SandboxPool
from tests.support import suspended, until
from tests.templates import no_more_processes, template

ROLE = {
    "type": "sandbox",
    "engines": {"lite": {"type": "sqlalchemy", "options": {"url": "sqlite:////data/x.db"}}},
    "memory_limit_mib": 4096,
}

LONG = f"SELECT 1 WHERE 1 IN ({','.join(map(str, range(40_000)))})"
"""Takes a second or two, so that a process can be met at work."""


@asynccontextmanager
async def pool(places: int = 1, *, tenant_places: int = 1, waiting: int = 100) -> AsyncIterator[SandboxPool]:
    limits = TurnLimits(
        places=places, tenant_places=tenant_places, tenant_waiting=waiting, tenant_waiting_bytes=1 << 20
    )
    async with template() as forks:
        found = SandboxPool(ROLE, LogStyle(), forks, limits)
        try:
            await found.start(places)
            yield found
        finally:
            await found.close()


def check(asked: SandboxPool, tenant: str, sql: str = "SELECT 1", **fields: Any) -> "asyncio.Task[Any]":
    order = {"type": "check", "engine": "lite", "sql": sql}
    return asyncio.create_task(asked.request(tenant, order, cpu_seconds=60, **fields))


async def ended_in_order(asked: SandboxPool, tenants: list[str]) -> list[str]:
    """Checks that all wait for the one process of a pool, by the order of their end."""
    done: list[str] = []
    tasks = []
    for tenant in tenants:
        tasks.append(check(asked, tenant))
        tasks[-1].add_done_callback(lambda _, tenant=tenant: done.append(tenant))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return done


async def test_a_tenant_that_comes_later_does_not_wait_for_all_that_came_before() -> None:
    async with pool() as asked:
        with suspended(asked.pids):
            order = asyncio.create_task(ended_in_order(asked, ["a", "a", "a", "a", "b"]))
            await until(lambda: asked.waiting == 4)
        assert await order == ["a", "a", "b", "a", "a"]


async def test_one_tenant_never_uses_every_process() -> None:
    async with pool(2, tenant_places=1) as asked:
        with suspended(asked.pids[1:]):
            # The process used last is taken first.
            mine = [check(asked, "a") for _ in range(5)]
            await until(lambda: asked.waiting == 4)
            await check(asked, "b")
            assert not any(task.done() for task in mine)
        await asyncio.gather(*mine)


async def test_processes_start_when_they_are_needed() -> None:
    async with pool(2, tenant_places=1) as asked:
        await asked.close()
        assert not asked.pids
        await check(asked, "a")
        assert len(asked.pids) == 1
        await check(asked, "b")
        assert len(asked.pids) == 1
        with suspended(asked.pids):
            first = check(asked, "a")
            await check(asked, "b")
        await first
        assert len(asked.pids) == 2


async def test_what_waits_is_bounded() -> None:
    async with pool(waiting=2) as asked:
        with suspended(asked.pids):
            mine = [check(asked, "a") for _ in range(3)]
            await until(lambda: asked.waiting == 2)
            with pytest.raises(QueryEngineError) as refusal:
                await check(asked, "a")
            assert refusal.value.failure.reason is Reason.TENANT_BUSY
            theirs = check(asked, "b")
            await until(lambda: asked.waiting == 3)
        await asyncio.gather(*mine, theirs)


async def test_a_caller_that_leaves_costs_no_process() -> None:
    async with pool() as asked:
        pids = asked.pids
        with suspended(pids):
            asking, waiting, staying = check(asked, "a"), check(asked, "b"), check(asked, "c")
            await until(lambda: asked.waiting == 2)
            for task in (asking, waiting):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert asked.waiting == 1
        await staying
        assert asked.pids == pids


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_pool, "TURN_TIMEOUT_SECONDS", 0.01)
    async with pool() as asked:
        with suspended(asked.pids):
            first = check(asked, "a")
            await asyncio.sleep(0)
            with pytest.raises(ProcessLost, match="no sandbox worker was free"):
                await check(asked, "b")
        await first


async def struck(asked: SandboxPool, times: int, signal_number: signal.Signals) -> Any:
    """A check whose process is struck by a signal, and so many times the one that was to do better."""
    (pid,) = asked.pids
    psutil.Process(pid).suspend()
    checking = check(asked, "a", LONG)
    for number in range(times):
        process = psutil.Process(pid)
        await asyncio.sleep(0)
        process.send_signal(signal_number)
        process.resume()
        if number + 1 < times:
            (pid,) = await until(lambda old=pid: asked.pids if asked.pids not in ([], [old]) else None, seconds=30)
            psutil.Process(pid).suspend()
    return await checking


async def test_a_request_whose_process_was_killed_is_asked_once_more() -> None:
    async with pool() as asked:
        frames = await struck(asked, 1, signal.SIGKILL)
        assert frames[-1].header["analysis"]["kind"] == "SELECT"


@pytest.mark.parametrize(("signal_number", "blames"), [(signal.SIGKILL, ProcessLost), (signal.SIGSEGV, LimitExceeded)])
async def test_only_a_crash_that_repeats_is_the_fault_of_the_text(
    signal_number: signal.Signals, blames: type[Exception]
) -> None:
    async with pool() as asked:
        with pytest.raises(blames):
            await struck(asked, 2, signal_number)
        assert (await check(asked, "a"))[-1].header["analysis"]["kind"] == "SELECT"


async def test_a_process_that_cannot_start_is_not_started_over_and_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool() as asked:
        await asked.close()
        with monkeypatch.context() as patch:
            patch.setattr(Template, "start_worker", no_more_processes)
            with pytest.raises(ProcessLost):
                await check(asked, "a")
        assert len([record for record in caplog.records if "cannot be started" in record.message]) == 1
        assert (await check(asked, "a"))[-1].header["analysis"]["kind"] == "SELECT"
