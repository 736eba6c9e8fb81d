"""A worker process whose start is left half-way is ended, and what one ended by is known."""

import asyncio
import signal
from typing import Any

import psutil
import pytest

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.process import WorkerProcess
from tests.support import until_sync
from tests.templates import template

ROLE: dict[str, Any] = {"type": "sandbox", "engines": {}, "memory_limit_mib": 4096}
LOG = LogStyle("info", as_json=False)


@pytest.mark.parametrize("cause", [asyncio.CancelledError, OSError])
async def test_a_start_that_ends_behind_the_fork_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, cause: type[BaseException]
) -> None:
    async with template() as forks:
        first = await WorkerProcess.start(ROLE, LOG, forks)
        started_by = psutil.Process(first.pid).parent()
        assert started_by is not None
        forked: set[psutil.Process] = set()

        async def fail(*_: object, **__: object) -> None:
            forked.update(started_by.children())
            raise cause

        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "create_connection", fail)
            with pytest.raises(cause):
                await WorkerProcess.start(ROLE, LOG, forks)
        assert len(forked) == 2
        assert {each.pid for each in forked if each.is_running() and each.status() != psutil.STATUS_ZOMBIE} == {
            first.pid
        }
        await first.close()


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGTERM])
async def test_a_kill_does_not_hide_what_a_process_ended_by(signal_number: signal.Signals) -> None:
    async with template() as forks:
        worker = await WorkerProcess.start(ROLE, LOG, forks)
        ended = psutil.Process(worker.pid)
        ended.send_signal(signal_number)
        # Gone, and nobody has asked for its code: the event loop does not run meanwhile.
        until_sync(lambda: not ended.is_running() or ended.status() == psutil.STATUS_ZOMBIE)
        worker.kill()
        assert await worker.close() == -signal_number
