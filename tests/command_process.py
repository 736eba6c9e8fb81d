"""The command `queryengine` as a process of its own, for a server inside the process of the tests."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from queryengine.app.service import Service
from tests.support import ROOT, Api

QUERYENGINE: Final = (sys.executable, "-m", "queryengine")


def surroundings(service: Service, api: Api, folder: Path) -> dict[str, str]:
    """Variables that name the server and the tenant to the command, and no configuration of whoever runs the tests."""
    assert service.address is not None
    return {"QUERYENGINE_TARGET": service.address, "QUERYENGINE_TENANT": api.tenant, "XDG_CONFIG_HOME": str(folder)}


@asynccontextmanager
async def started(service: Service, api: Api, folder: Path, *words: str, stdin: int = PIPE) -> AsyncIterator[Process]:
    """The command with these words; killed at the end if it has not ended."""
    environment = os.environ | surroundings(service, api, folder)
    # A shell that runs the tests in the background lets them ignore it, and what they start.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = await asyncio.create_subprocess_exec(
            *QUERYENGINE, *words, cwd=ROOT, env=environment, stdin=stdin, stdout=PIPE, stderr=PIPE
        )
    finally:
        signal.signal(signal.SIGINT, usual)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
