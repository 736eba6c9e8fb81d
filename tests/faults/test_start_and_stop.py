"""A server that is told to stop lets nothing be lost; one that cannot start says why and leaves the other one alone."""

import asyncio
import json
import re
import shutil
import signal
import socket
import urllib.error
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from queryengine.v1 import result_pb2
from tests.scraping import get
from tests.server_process import ServerProcess, server_process
from tests.support import COMPLETED, FAILED, LOOPBACK, QUEUED, RUNNING, SERVICE, WAIT, Api, Received, refused, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPTED = {"scripted": {"type": "scripted", "workers": 2}}


@asynccontextmanager
async def calling(server: ServerProcess) -> AsyncIterator[Api]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield Api(channel, "tenant")


async def exit_code(server: ServerProcess, *, seconds: float = 30.0) -> int:
    await until(lambda: server.process.poll() is not None, seconds=seconds)
    return server.process.returncode


async def ready(server: ServerProcess) -> bool:
    """As both ports say over gRPC, and one over HTTP."""
    answers = set()
    for address in (server.address, server.admin_address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE.full_name))
            answers.add(reply.status == health_pb2.HealthCheckResponse.SERVING)
    try:
        answers.add(await asyncio.to_thread(get, server.metrics_address, path="/readyz") == b"ready\n")
    except urllib.error.HTTPError as refusal:
        refusal.close()
        answers.add(refusal.code != 503)
    (answer,) = answers
    return answer


async def test_a_stop_lets_streams_rotate_and_queries_end(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.start()
        async with calling(server) as api:
            query_id = (await api.script(f"rows 3; gate {server.gate}; rows 2")).status.query_id
            stream, watch = api.stream(query_id), api.watch(query_id)
            await stream.to("page")
            await watch.read()
            assert await ready(server)
            server.terminate()
            received = Received(await stream.all())
            assert received.rotate is not None
            assert received.rotate.reason == result_pb2.ROTATE_REASON_DRAIN
            assert (received.rotate.next_row, received.rotate.attempt) == (3, 1)
            assert (await watch.all())[-1].rotate.reason == result_pb2.ROTATE_REASON_DRAIN
            refusal = await refused(api.script("rows 1"))
            assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "SERVER_DRAINING")
            assert refusal.retry_seconds
            assert not await ready(server)
            assert server.process.poll() is None
            server.gate.touch()
            assert await exit_code(server) == 0
        server.start()
        async with calling(server) as api:
            status = await api.status(query_id)
            assert (status.state, status.attempt) == (COMPLETED, 1)
            rest = await api.read(query_id, start_row=received.next_row, attempt=1)
            assert rest.table()["n"].to_pylist() == [3, 4]
            server.terminate()
        assert await exit_code(server) == 0


async def test_a_query_that_does_not_end_in_time_is_put_back_or_failed(tmp_path: Path) -> None:
    stopping = {**LOOPBACK, "drain_seconds": 0.3}
    with server_process(tmp_path, engines=SCRIPTED, server=stopping) as server:
        server.start()
        async with calling(server) as api:
            empty = (await api.script(f"gate {server.gate}; rows 2")).status.query_id
            begun = (await api.script(f"rows 1; gate {server.gate}")).status.query_id
            waiting = (await api.script("rows 7")).status.query_id
            await api.has_rows(begun)
            await api.reached(empty, RUNNING)
            assert (await api.status(waiting)).state == QUEUED
            server.terminate()
            assert await exit_code(server) == 0
        server.gate.touch()
        server.start()
        async with calling(server) as api:
            again = await api.ended(empty)
            assert (again.state, again.attempt, again.stats.rows) == (COMPLETED, 2, 2)
            lost = await api.status(begun)
            assert (lost.state, lost.error.reason, lost.error.retryable) == (FAILED, "SERVER_LOST", True)
            assert (await api.ended(waiting)).state == COMPLETED


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    patient = {**LOOPBACK, "drain_seconds": 100}
    with server_process(tmp_path, engines=SCRIPTED, server=patient) as server:
        server.start()
        async with calling(server) as api:
            query_id = (await api.script(f"gate {server.gate}")).status.query_id
            await api.reached(query_id, RUNNING)
            server.terminate()
            await until(lambda: "stopping" in server.errors)
            server.process.send_signal(signal.SIGINT)
            assert await exit_code(server) == 1


async def test_a_second_server_on_one_state_is_refused(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.start()
        address = server.address
        other = ServerProcess(tmp_path, engines=SCRIPTED)
        try:
            assert await asyncio.to_thread(other.launch().wait, 30) == 1
        finally:
            other.end()
        (line,) = [line for line in server.errors.splitlines() if "in use" in line]
        assert str(server.state / "queries.db") in line
        assert f"process {server.process.pid}" in line
        assert "Traceback" not in server.errors
        async with grpc.aio.insecure_channel(address) as channel:
            reply = await Api(channel, "tenant").script("rows 1", wait_timeout=WAIT)
            assert reply.status.state == COMPLETED


@pytest.mark.parametrize("which", ["listen", "admin_listen", "metrics_listen"])
async def test_a_taken_port_is_refused_with_its_address(tmp_path: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listening = {**LOOPBACK, which: address}
        with server_process(tmp_path, engines=SCRIPTED, server=listening) as server:
            assert await asyncio.to_thread(server.launch().wait, 30) == 1
            assert f"cannot listen on {address}" in server.errors
            assert f"server.{which}" in server.errors
            assert "Traceback" not in server.errors


async def test_a_state_folder_that_cannot_be_made_is_refused_with_its_key(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.state.touch()
        assert await asyncio.to_thread(server.launch().wait, 30) == 1
        assert "state.directory" in server.errors
        assert "Traceback" not in server.errors


async def test_a_wrong_settings_file_is_refused_with_the_key(tmp_path: Path) -> None:
    with server_process(tmp_path, limits={"tenant_runing": 3}) as server:
        assert await asyncio.to_thread(server.launch().wait, 30) != 0
        assert "limits.tenant_runing" in server.errors
        assert "Traceback" not in server.errors


@pytest.mark.parametrize(
    ("engine", "mistake"),
    [
        ({"type": "duckdb", "options": {"foo": 1}}, "unknown option 'foo'"),
        ({"type": "sqlalchemy"}, "option 'url' is missing"),
        ({"type": "sqlalchemy", "options": {"url": "mysql+mysqldb://x/y"}}, "needs a driver that is not installed"),
    ],
    ids=["unknown option", "missing url", "missing driver"],
)
async def test_a_wrong_option_ends_the_start_in_one_line(tmp_path: Path, engine: dict[str, Any], mistake: str) -> None:
    with server_process(tmp_path, engines={**SCRIPTED, "wrong": engine}) as server:
        assert await asyncio.to_thread(server.launch().wait, 30) == 1
        (line,) = server.errors.splitlines()
        assert re.match(r"queryengine: .*queryengine\.yaml:\d+: engines\.wrong\.options: ", line)
        assert mistake in line


async def test_a_second_slot_of_an_embedded_engine_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with server_process(tmp_path, engines={**SCRIPTED, "wrong": {"type": "duckdb", "slots_per_worker": 3}}) as server:
        assert await asyncio.to_thread(server.launch().wait, 30) == 1
        (line,) = server.errors.splitlines()
        assert re.match(r"queryengine: .*queryengine\.yaml:\d+: engines\.wrong\.slots_per_worker: expected 1 ", line)


async def test_a_spool_that_is_a_file_ends_the_start_in_one_line(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.state.mkdir(0o700)
        (server.state / "spool").touch()
        assert await asyncio.to_thread(server.launch().wait, 30) == 1
        (line,) = server.errors.splitlines()
        assert f"state.directory: its folder {server.state / 'spool'} cannot be made: File exists" in line


async def test_a_spool_that_becomes_a_file_fails_queries_by_name(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=SCRIPTED) as server:
        server.start()
        async with calling(server) as api:
            large = "columns s:string; rows 300 size 1000"
            before = (await api.script(large, wait_timeout=WAIT)).status
            assert before.state == COMPLETED
            shutil.rmtree(server.state / "spool")
            (server.state / "spool").touch()
            status = (await api.script(large, wait_timeout=WAIT)).status
            assert status.state == FAILED
            assert status.error.message.startswith("the result cannot be stored: Not a directory; submit the query")
            # A small result needs no spool.
            assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED
            for call in (api.stream(before.query_id), api.fetch(before.query_id)):
                assert (await refused(call)).reason in ("STORE_UNAVAILABLE", "RESULT_LOST")
            (server.state / "spool").unlink()
            (server.state / "spool").mkdir()
            assert (await api.script(large, wait_timeout=WAIT)).status.state == COMPLETED
            server.terminate()
        assert await exit_code(server) == 0
        assert "Traceback" not in server.errors


async def test_a_log_in_json_is_json_to_the_last_line(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with server_process(tmp_path, engines=SCRIPTED, log={"format": "json"}) as server:
        server.start()
        taken = {**LOOPBACK, "listen": server.address}
        with server_process(tmp_path / "other", engines=SCRIPTED, log={"format": "json"}, server=taken) as other:
            assert await asyncio.to_thread(other.launch().wait, 30) == 1
            # Not even gRPC has a line of its own beside it.
            (line,) = other.errors.splitlines()
            refusal = json.loads(line)
            assert refusal["level"] == "CRITICAL"
            assert f"cannot listen on {server.address}" in refusal["message"]
        async with calling(server) as api:
            await api.ended((await api.script("crash 3")).status.query_id)
        server.terminate()
        assert await exit_code(server) == 0
        lines = [json.loads(line) for line in server.errors.splitlines()]
        assert any("exit code 3" in line["message"] for line in lines)
        assert any(line["message"].startswith("stopping") for line in lines)


async def test_a_missing_folder_of_an_engine_is_named_with_its_line_and_others_serve(tmp_path: Path) -> None:
    lake = {"type": "duckdb", "workers": 1, "options": {"directory": str(tmp_path / "lake")}}
    with server_process(tmp_path, engines={**SCRIPTED, "lake": lake}) as server:
        settings = tmp_path / "queryengine.yaml"
        lines = settings.read_text().splitlines()
        number = next(number for number, line in enumerate(lines, 1) if "directory:" in line and "lake" in line)
        server.start()
        where = f"{settings}:{number}: engines.lake.options: option 'directory'"
        assert f"{where}: there is no folder {tmp_path / 'lake'}" in server.errors
        async with calling(server) as api:
            assert (await api.script("rows 1", wait_timeout=WAIT)).status.state == COMPLETED


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "QUERYENGINE_SERVR__LISTEN",
            "0.0.0.0:1",
            "servr: unknown key; did you mean QUERYENGINE_SERVER__LISTEN?",
        ),
        ("QUERYENGINE_STATE__DIRECTORY", "", "state.directory: expected a folder, not ''"),
    ],
)
async def test_a_wrong_variable_ends_the_start_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    with server_process(tmp_path, engines=SCRIPTED) as server:
        assert await asyncio.to_thread(server.launch().wait, 30) == 2
        assert server.errors.splitlines() == [f"error: environment variable {name}: {line}"]
        assert not server.state.exists()
