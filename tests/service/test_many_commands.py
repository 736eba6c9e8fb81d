"""Commands about many queries against a real server: a watch that a person leaves, and a cancel by labels."""

import json
import signal
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from pathlib import Path

import pytest

from queryengine.app.service import Service
from queryengine.cli.exits import ExitCode
from tests.command_process import started
from tests.support import CANCELLED, COMPLETED, WAIT, Api, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

LABELS = {"job": "nightly"}


async def test_ps_watches_until_it_is_interrupted(api: Api, service: Service, tmp_path: Path) -> None:
    before = (await api.submit("SELECT 'before'", labels=LABELS, wait_timeout=WAIT)).status.query_id
    words = ("ps", "--watch", "--all", "--json", "--label", "job=nightly")
    async with started(service, api, tmp_path, *words, stdin=DEVNULL) as process:
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["query_id"] == before
        await api.submit("SELECT 'unlabelled'", wait_timeout=WAIT)
        later = (await api.submit("SELECT 'later'", labels=LABELS, wait_timeout=WAIT)).status.query_id
        seen = {}
        while seen.get(later) != "COMPLETED":
            line = json.loads(await process.stdout.readline())
            seen[line["query_id"]] = line["state"]
        assert set(seen) == {later}
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert process.returncode == ExitCode.CANCELLED
    assert b"Traceback" not in errors
    await until(lambda: api.tenant not in service.parts.shared.registry.changes._watchers)


async def test_cancel_stops_what_carries_a_label(
    api: Api, service: Service, tmp_path: Path, no_free_slot: Callable[[], None]
) -> None:
    ids = [(await api.script("rows 1", labels=LABELS)).status.query_id for _ in range(3)]
    spared = (await api.script("rows 1")).status.query_id
    async with started(service, api, tmp_path, "cancel", "--label", "job=nightly", "--wait", stdin=DEVNULL) as process:
        output, errors = await process.communicate()
    assert (output, errors, process.returncode) == (b"3 cancelled\n", b"", ExitCode.OK)
    assert [(await api.status(query_id)).state for query_id in ids] == [CANCELLED] * 3
    no_free_slot()
    assert (await api.ended(spared)).state == COMPLETED
