"""`queryengine sql` that goes away takes its query along, however it ends; with `--detach` the query runs on."""

import asyncio
import signal
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from queryengine.app.service import Service
from queryengine.cli.exits import ExitCode
from tests.command_process import QUERYENGINE, started, surroundings
from tests.support import CANCELLED, COMPLETED, HANG_SECONDS, QUEUED, RUNNING, Api, Gate, until
from tests.terminal import on_a_terminal

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = "interrupted at the command line"
AFTER_GRACE = "nobody has read or watched it for its disconnect_grace of 10 seconds"
SQL = ("sql", "--engine", "scripted")


async def ended(process: Process) -> tuple[str, str]:
    """What it printed, on both ways; fails long before the time limit of the suite, with what it has printed."""
    reading = asyncio.gather(*(stream.read() for stream in (process.stdout, process.stderr) if stream is not None))
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        pytest.fail(f"it did not end within {HANG_SECONDS:g} seconds: {await reading}")
    output, errors = await reading
    return output.decode(), errors.decode()


async def only_id(api: Api, *states: int) -> str:
    """The id of the tenant's only query, once it is in one of these states."""

    async def look() -> str | None:
        found = (await api.listed()).queries
        return found[0].query_id if found and found[0].state in states else None

    query_id: str = await until(look)
    return query_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_cancels_at_once(
    service: Service, api: Api, gate: Gate, tmp_path: Path, number: signal.Signals
) -> None:
    async with started(service, api, tmp_path, *SQL, f"rows 1; {gate.script}; rows 1", "-f", "csv") as process:
        query_id = await only_id(api, RUNNING)
        process.send_signal(number)
        _, errors = await ended(process)

    status = await api.ended(query_id)
    assert (status.state, status.error.reason) == (CANCELLED, "QUERY_CANCELLED")
    assert AT_ONCE in status.error.message
    assert process.returncode == 128 + number
    assert f"query {query_id}: CANCELLED" in errors
    assert "Traceback" not in errors


async def test_a_signal_cancels_also_while_the_query_waits(
    service: Service, api: Api, gate: Gate, tmp_path: Path
) -> None:
    running = [(await api.script(f"{gate.script}; rows 1")).status.query_id for _ in range(2)]
    for query_id in running:
        await api.reached(query_id, RUNNING)
    async with started(service, api, tmp_path, *SQL, "rows 1") as process:
        query_id = await only_id(api, QUEUED)
        process.send_signal(signal.SIGTERM)
        await ended(process)

    assert (await api.ended(query_id)).state == CANCELLED


async def test_a_kill_leaves_it_to_the_server(service: Service, api: Api, gate: Gate, tmp_path: Path) -> None:
    async with started(service, api, tmp_path, *SQL, f"rows 1; {gate.script}; rows 1") as process:
        query_id = await only_id(api, RUNNING)
        process.kill()
        await ended(process)

        status = await api.ended(query_id)
    assert status.state == CANCELLED
    assert AFTER_GRACE in status.error.message


async def test_a_reader_that_leaves_the_pipe_ends_the_query(
    service: Service, api: Api, gate: Gate, tmp_path: Path
) -> None:
    script = f"rows 1000; {gate.script}; rows 5000 size 4096; rows 1; spin"
    async with started(service, api, tmp_path, *SQL, f"columns s:string; {script}", "-f", "csv") as process:
        query_id = await only_id(api, RUNNING)
        assert process.stdout is not None
        await process.stdout.readline()
        process.stdout._transport.close()
        gate.open()
        _, errors = await ended(process)

    status = await api.ended(query_id)
    assert status.state == CANCELLED
    assert AT_ONCE in status.error.message
    assert process.returncode == 128 + signal.SIGPIPE
    assert errors == ""


async def test_a_terminal_that_is_closed_cancels_at_once(
    service: Service, api: Api, gate: Gate, tmp_path: Path
) -> None:
    command = [*QUERYENGINE, *SQL, f"rows 1; {gate.script}; rows 1"]
    with on_a_terminal(command, environment=surroundings(service, api, tmp_path)) as terminal:
        query_id = await only_id(api, RUNNING)
        terminal.hang_up()
        status = await api.ended(query_id)
        code = await asyncio.to_thread(terminal.process.wait, HANG_SECONDS)

    assert AT_ONCE in status.error.message
    assert code == 128 + signal.SIGHUP


async def test_detached_it_runs_on_and_says_how_to_follow_it(
    service: Service, api: Api, gate: Gate, tmp_path: Path
) -> None:
    async with started(service, api, tmp_path, *SQL, f"{gate.script}; rows 1", "--detach") as process:
        output, errors = await ended(process)
    query_id = output.strip()

    assert process.returncode == ExitCode.OK
    assert errors.splitlines() == [
        "the query runs on without this command",
        f"  follow it: queryengine watch {query_id}",
        f"  its rows: queryengine fetch {query_id}",
        f"  stop it: queryengine cancel {query_id}",
    ]
    await api.reached(query_id, RUNNING)
    gate.open()
    assert (await api.ended(query_id)).state == COMPLETED


async def test_a_table_that_is_full_leaves_the_rest_on_the_server(service: Service, api: Api, tmp_path: Path) -> None:
    async with started(service, api, tmp_path, *SQL, "rows 5000") as process:
        _, errors = await ended(process)
    query_id = await only_id(api, COMPLETED)

    assert process.returncode == ExitCode.OK
    assert f"40 of 5,000 rows; the rest: queryengine fetch {query_id} --offset 40" in errors
