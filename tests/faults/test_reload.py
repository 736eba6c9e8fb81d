"""SIGHUP reads the settings again: what a running server can take over holds at once, and nothing ends it."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import yaml
from google.protobuf.duration_pb2 import Duration

from queryengine.settings.group import SECONDS_MAX
from queryengine.settings.limits import LimitSettings
from queryengine.settings.model import RecordSettings, ResultSettings, StreamSettings
from queryengine.v1.result_pb2 import ResultOptions
from tests.scraping import scrape
from tests.server_process import ServerProcess, server_process
from tests.support import COMPLETED, LOOPBACK, QUEUED, RUNNING, WAIT, Api, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = Duration(seconds=86_400)
SCRIPTED = {"scripted": {"type": "scripted", "workers": 2}}
LINE = "settings read again"


def write(server: ServerProcess, /, **groups: Any) -> None:
    """Write the settings file anew."""
    path = server.folder / "queryengine.yaml"
    settings = {"server": dict(LOOPBACK), "engines": SCRIPTED, "state": {"directory": str(server.state)}, **groups}
    path.write_text(yaml.safe_dump(settings))


async def hang_up(server: ServerProcess, line: str = LINE) -> str:
    """Send SIGHUP; returns what the log says of it, up to a line."""
    before = len(server.errors)
    server.process.send_signal(signal.SIGHUP)
    return str(await until(lambda: server.errors[before:] if line in server.errors[before:] else ""))


async def test_limits_hold_from_the_signal_on(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED, limits={"tenant_running": 1, "tenant_queued": 1}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            script = f"gate {server.gate}; rows 1"
            first = (await api.script(script)).status.query_id
            await api.reached(first, RUNNING)
            second = (await api.script(script)).status.query_id
            assert (await api.status(second)).state == QUEUED
            assert (await refused(api.script("rows 1"))).reason == "TENANT_QUEUE_FULL"
            write(
                server,
                limits={"tenant_running": 2, "tenant_queued": 7, "sql_bytes": 30, "queue_timeout_seconds": 0.001},
                results={"ttl_seconds": 60, "ttl_max_seconds": 90},
            )
            said = await hang_up(server)
            for key in ("limits.tenant_running", "limits.tenant_queued", "limits.sql_bytes", "results.ttl_max_seconds"):
                assert key in said
            assert "restart" not in said
            # What waited for the limit runs, what ran goes on.
            await api.reached(second, RUNNING)
            assert (await api.status(first)).state == RUNNING
            assert (await refused(api.script(f"rows 1; rows {'1' * 30}"))).field == "sql"
            late = (await api.script("rows 1", wait_timeout=WAIT)).status
            assert late.error.reason == "QUEUE_TIMEOUT"
            server.gate.touch()
            ended = await api.ended(first)
            assert ended.state == COMPLETED
            assert (await api.ended(second)).state == COMPLETED
            refusal = await refused(api.script("rows 1", result=ResultOptions(ttl=DAY)))
            assert "from 1 to 90 seconds" in refusal.message


async def test_a_bad_file_changes_nothing_and_says_why(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED, limits={"sql_bytes": 30}) as server:
        server.start()
        write(server, limits={"sql_bytes": 300, "parameters": "many"}, log={"level": "loud"})
        said = await hang_up(server, "log.level")
        assert "the settings stay as they are" in said
        assert "limits.parameters: expected a whole number" in said
        (server.folder / "queryengine.yaml").unlink()
        assert "cannot be read" in await hang_up(server, "the settings stay as they are")
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert (await refused(Api(channel, "tenant").script("rows " + "1" * 30))).field == "sql"
        seen = await scrape(server)
        assert (seen("reloads_total", outcome="applied"), seen("reloads_total", outcome="refused")) == (0, 2)


async def test_what_needs_a_restart_is_named_each_time(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.start()
        address = server.address
        engines = {"scripted": {"type": "scripted", "workers": 1}, "more": {"type": "scripted"}}
        write(server, server={**LOOPBACK, "listen": "127.0.0.1:1", "drain_seconds": 1}, engines=engines)
        names = "server.listen, engines.scripted, engines.more"
        said = await hang_up(server, "restart")
        assert "changed: server.drain_seconds" in said
        assert f"settings that need a restart to change: {names}" in said
        said = await hang_up(server, "restart")
        assert "changed: nothing" in said
        assert f"settings that need a restart to change: {names}" in said
        async with grpc.aio.insecure_channel(address) as channel:
            api = Api(channel, "tenant")
            assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
        assert (await scrape(server))("reloads_total", outcome="applied") == 2


async def test_the_log_changes_for_the_server_and_its_workers(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    engines = {"lake": {"type": "duckdb", "workers": 1, "options": {"directory": str(lake)}}}
    with server_process(tmp_path, engines=engines, log={"level": "error"}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.state == COMPLETED
            write(server, engines=engines, log={"level": "info", "format": "json"})
            said = await hang_up(server)
            assert '"message": "settings read again; changed: log.level, log.format"' in said
            # Of which the worker warns when it looks at the folder.
            for name in ("Orders.csv", "orders.tsv"):
                (lake / name).write_text("v\n1\n")
            assert (await api.submit("FROM orders", wait_timeout=WAIT)).status.error.reason
            line = await until(lambda: next((each for each in server.errors.splitlines() if "orders.tsv" in each), ""))
            assert (json.loads(line)["level"], json.loads(line)["logger"]) == (
                "WARNING",
                "queryengine.engines.kit.alike",
            )


@pytest.mark.parametrize("text", ["", "# Limits.\n", "---\n"])
async def test_a_file_that_is_empty_is_being_written(tmp_path: Path, text: str) -> None:
    with server_process(tmp_path, engines=SCRIPTED, limits={"tenant_queued": 0, "tenant_running": 1}) as server:
        server.start()
        (server.folder / "queryengine.yaml").write_text(text)
        assert "queryengine.yaml: it is empty; write settings" in await hang_up(server, "the settings stay as they are")
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            assert (await api.script(f"gate {server.gate}; rows 1")).status.state == RUNNING
            assert (await refused(api.script("rows 1"))).reason == "TENANT_QUEUE_FULL"


async def test_the_longest_times_hold(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.start()
        fields = {
            "limits": LimitSettings,
            "results": ResultSettings,
            "streams": StreamSettings,
            "records": RecordSettings,
        }
        longest = {
            group: {key: SECONDS_MAX for key in settings.model_fields if key.endswith("_seconds")}
            for group, settings in fields.items()
        }
        write(server, **longest)
        await hang_up(server)
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            submitted = (await api.script("rows 3", wait_timeout=WAIT)).status
            assert submitted.state == COMPLETED
            assert (await api.status(submitted.query_id)).state == COMPLETED
            await api.read(submitted.query_id)
            assert len((await api.listed()).queries) == 1
        assert "incident" not in server.errors


async def test_no_process_ends_by_it(tmp_path: Path) -> None:
    """Sent to the server before it is up, as a terminal does to all processes, and many times."""
    with server_process(tmp_path, engines=SCRIPTED) as server:
        process = server.launch()
        await until(lambda: _has_children(process.pid))
        process.send_signal(signal.SIGHUP)
        await until(lambda: "  try" in server.output or process.poll() is not None)
        await until(lambda: LINE in server.errors)
        everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            running = (await api.script(f"gate {server.gate}; rows 1")).status.query_id
            await api.reached(running, RUNNING)
            for _ in range(20):
                for each in everyone:
                    each.send_signal(signal.SIGHUP)
                await asyncio.sleep(0)
            server.gate.touch()
            assert (await api.ended(running)).state == COMPLETED
            assert (await api.status(running)).attempt == 1
        assert all(each.is_running() for each in everyone)
        server.terminate()
        server.process.send_signal(signal.SIGHUP)
        await until(lambda: process.poll() is not None)
        assert process.returncode == 0


def _has_children(pid: int) -> bool:
    return bool(psutil.Process(pid).children())
