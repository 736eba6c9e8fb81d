"""A worker process whose start is left half-way is ended, and what one ended by is known."""

import asyncio
import signal
from typing import Any

import psutil
import pytest

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.process import WorkerProcess
from tests.support import until_sync

ROLE: dict[str, Any] = {"type": "sandbox", "engines": {}, "memory_limit_mib": 4096}


@pytest.mark.parametrize("cause", [asyncio.CancelledError, OSError])
async def test_a_start_that_ends_behind_the_spawn_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, cause: type[BaseException]
) -> None:
    before = set(psutil.Process().children())
    spawned: set[psutil.Process] = set()

    async def fail(*_: object, **__: object) -> None:
        spawned.update(set(psutil.Process().children()) - before)
        raise cause

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", fail)
    with pytest.raises(cause):
        await WorkerProcess.start(ROLE, LogStyle("info", as_json=False))
    assert len(spawned) == 1
    assert set(psutil.Process().children()) == before


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGTERM])
async def test_a_kill_does_not_hide_what_a_process_ended_by(signal_number: signal.Signals) -> None:
    worker = await WorkerProcess.start(ROLE, LogStyle("info", as_json=False))
    ended = psutil.Process(worker.pid)
    ended.send_signal(signal_number)
    # Gone, and nobody has asked for its code: the event loop does not run meanwhile.
    until_sync(lambda: not ended.is_running() or ended.status() == psutil.STATUS_ZOMBIE)
    worker.kill()
    assert await worker.close() == -signal_number
