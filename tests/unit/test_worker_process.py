"""Starting a worker process leaves nothing behind when it does not come to its end."""

import asyncio
from typing import Any

import psutil
import pytest

from queryengine.telemetry.logs import LogStyle
from queryengine.workers.process import WorkerProcess

ROLE: dict[str, Any] = {"type": "sandbox", "engines": {}, "memory_limit_mib": 4096}


@pytest.mark.parametrize("cause", [asyncio.CancelledError, OSError])
async def test_a_start_that_ends_behind_the_spawn_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, cause: type[BaseException]
) -> None:
    before = set(psutil.Process().children())
    spawned: set[psutil.Process] = set()

    async def fail(**_: object) -> None:
        spawned.update(set(psutil.Process().children()) - before)
        raise cause

    monkeypatch.setattr(asyncio, "open_connection", fail)
    with pytest.raises(cause):
        await WorkerProcess.start(ROLE, LogStyle("info", as_json=False))
    assert len(spawned) == 1
    assert set(psutil.Process().children()) == before
