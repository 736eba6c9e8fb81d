"""A server whose settings are a file, which it reads again when a test has it do so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from queryengine.app.service import Service
from queryengine.settings import Source, load
from tests.support import LOOPBACK, until

ENGINES = {"scripted": {"type": "scripted", "workers": 2}}


def write_settings(folder: Path, **groups: Any) -> Path:
    """Write the file, or write it again, with these groups beside what every server of a test has."""
    path = folder / "settings.yaml"
    everything = {
        "server": {**LOOPBACK, "watch_seconds": 0},
        "engines": ENGINES,
        "state": {"directory": str(folder / "state")},
        **groups,
    }
    path.write_text(yaml.safe_dump(everything))
    return path


@asynccontextmanager
async def with_file(folder: Path, **groups: Any) -> AsyncIterator[Service]:
    path = write_settings(folder, **groups)
    service = Service(load(str(path)), source=Source(path))
    await service.start()
    try:
        await until(lambda: len(service.pool.load("scripted").worker_pids))
        yield service
    finally:
        await service.stop(0)
