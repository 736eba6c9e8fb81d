"""The server dies by SIGKILL: what was acknowledged is there again, and nothing runs for ever."""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from queryengine.v1 import query_pb2
from queryengine.v1 import query_service_pb2 as pb
from tests.scraping import scrape
from tests.server_process import ServerProcess, server_process
from tests.support import CANCELLED, COMPLETED, FAILED, RUNNING, WAIT, Api, new_id, refused, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

KILLS = int(os.environ.get("QE_KILLS", "3"))
IN_FLIGHT = 64

ROOMY = {"tenant_queued": 1_000_000, "tenant_running": 1_000}
SCRIPTS = ("rows 3", "wait 20; rows 3", "rows 1; wait 20; rows 2")


async def submit_until_it_dies(api: Api, acknowledged: set[str], chance: random.Random) -> None:
    while True:
        query_id = new_id()
        if chance.random() < 0.5:
            call = api.script(chance.choice(SCRIPTS), query_id=query_id)
        else:
            call = api.submit("SELECT range FROM range(3)", query_id=query_id)
        try:
            await call
        except grpc.aio.AioRpcError:
            return
        acknowledged.add(query_id)


@pytest.mark.parametrize("record_bytes", [64 << 10, 0], ids=["in the record", "in the spool"])
async def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path, record_bytes: int) -> None:
    chance = random.Random(7)
    acknowledged: set[str] = set()
    engines = {"duckdb": {"type": "duckdb", "workers": 1}, "scripted": {"type": "scripted", "workers": 1}}
    results = {"record_bytes": record_bytes}
    with server_process(tmp_path, limits=ROOMY, engines=engines, results=results) as server:
        for kill in range(KILLS):
            server.start()
            async with grpc.aio.insecure_channel(server.address) as channel:
                api = Api(channel, "tenant")
                enough = len(acknowledged) + chance.randrange(30, 120)
                submitters = [
                    asyncio.ensure_future(submit_until_it_dies(api, acknowledged, random.Random(kill * 1000 + number)))
                    for number in range(IN_FLIGHT)
                ]
                await until(lambda enough=enough: len(acknowledged) >= enough, seconds=60)
                server.kill()
                await asyncio.gather(*submitters)
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            await expect_all_ended(Api(channel, "tenant"), acknowledged)


async def expect_all_ended(api: Api, acknowledged: set[str]) -> None:
    """All are there; all end, completed with their rows or failed by the loss of their server."""

    async def none_left() -> bool:
        alive = [query_pb2.QUERY_STATE_QUEUED, query_pb2.QUERY_STATE_RUNNING]
        return not (await api.listed(states=alive, page_size=1)).queries

    await until(none_left, seconds=300)
    for query_id in acknowledged:
        status = await api.status(query_id)
        if status.state == FAILED:
            assert (status.error.reason, status.error.retryable) == ("SERVER_LOST", True)
        else:
            assert (status.state, status.stats.rows) == (COMPLETED, 3)
    for query_id in random.Random(1).sample(sorted(acknowledged), 30):
        if (await api.status(query_id)).state == COMPLETED:
            assert (await api.read(query_id)).table().column(0).to_pylist() == [0, 1, 2]


def forget_the_end(database: Path, query_id: str, *, attempt: int = 1) -> None:
    """Make the record say what it said before the end was written: as if the server had died between END and COMMIT."""
    with closing(sqlite3.connect(database)) as connection, connection:
        changed = connection.execute(
            "UPDATE queries SET state = 'RUNNING', result_state = 'NONE', end_us = NULL, expire_us = NULL, "
            "first_page_us = NULL, rows = 0, pages = 0, bytes = 0, result_id = NULL, attempt = ? WHERE query_id = ?",
            (attempt, query_id),
        )
        connection.execute("DELETE FROM results WHERE result_id = ?", (f"{query_id}.1",))
        assert changed.rowcount == 1


@dataclass(frozen=True)
class Aftermath:
    """A server that was killed and started again, and the queries it had."""

    server: ServerProcess
    api: Api
    ran: str
    had_rows: str
    was_cancelled: str
    was_whole: str
    kept_failing: str
    waited: tuple[str, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def after(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    engines = {"duckdb": {"type": "duckdb", "workers": 1}, "scripted": {"type": "scripted", "workers": 3}}
    with server_process(tmp_path_factory.mktemp("killed"), engines=engines) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            whole = await api.submit("SELECT range AS n FROM range(50_000)", wait_timeout=WAIT)
            failing = await api.submit("SELECT 1", wait_timeout=WAIT)
            ran = (await api.script(f"gate {server.gate}; rows 3")).status.query_id
            had_rows = (await api.script(f"rows 3; gate {server.gate}; rows 3")).status.query_id
            cancelled = (await api.script(f"ignore_cancel; gate {server.gate}")).status.query_id
            waited = [(await api.script("rows 1")).status.query_id for _ in range(5)]
            await api.has_rows(had_rows)
            await api.reached(ran, RUNNING)
            await api.reached(cancelled, RUNNING)
            assert (await api.cancel(cancelled, reason="enough")).result == pb.CANCEL_RESULT_CANCELLING
            server.kill()
        forget_the_end(server.state / "queries.db", whole.status.query_id)
        forget_the_end(server.state / "queries.db", failing.status.query_id, attempt=3)
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            await channel.channel_ready()
            ids = (ran, had_rows, cancelled, whole.status.query_id, failing.status.query_id)
            yield Aftermath(server, Api(channel, "tenant"), *ids, tuple(waited))


async def test_a_run_without_rows_begins_again(after: Aftermath) -> None:
    api = after.api
    assert (await api.reached(after.ran, RUNNING)).attempt == 2
    after.server.gate.touch()
    received = await api.read(after.ran)
    assert received.end is not None
    assert received.end.attempt == 2
    assert received.table()["n"].to_pylist() == [0, 1, 2]
    assert (await refused(api.stream(after.ran, attempt=1))).reason == "RESULT_RESTARTED"


async def test_a_run_with_rows_is_not_begun_again(after: Aftermath) -> None:
    status = await after.api.status(after.had_rows)
    assert (status.state, status.attempt) == (FAILED, 1)
    assert (status.error.reason, status.error.retryable) == ("SERVER_LOST", True)
    refusal = await refused(after.api.stream(after.had_rows))
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "SERVER_LOST")
    assert refusal.metadata == {"attempt": "1"}
    assert not list(after.server.state.glob(f"spool/*/{after.had_rows}"))


async def test_a_cancel_that_was_asked_for_is_kept(after: Aftermath) -> None:
    status = await after.api.status(after.was_cancelled)
    assert status.state == CANCELLED
    assert "enough" in status.error.message


async def test_a_result_that_was_whole_is_not_run_again(after: Aftermath) -> None:
    status = await after.api.status(after.was_whole)
    assert (status.state, status.attempt, status.stats.rows) == (COMPLETED, 1, 50_000)
    assert status.result_state == query_pb2.RESULT_STATE_READY
    assert (await after.api.read(after.was_whole)).table()["n"].to_pylist() == list(range(50_000))


async def test_a_query_that_never_gets_anywhere_is_given_up(after: Aftermath) -> None:
    status = await after.api.status(after.kept_failing)
    assert (status.state, status.attempt, status.error.reason) == (FAILED, 3, "SERVER_LOST")


async def test_what_waited_still_runs_in_its_order(after: Aftermath) -> None:
    ended = [await after.api.ended(query_id) for query_id in after.waited]
    assert {status.state for status in ended} == {COMPLETED}
    starts = [status.start_time.ToMicroseconds() for status in ended]
    assert starts == sorted(starts)


async def test_what_recovery_ends_is_counted_and_not_timed(tmp_path: Path) -> None:
    with server_process(tmp_path, engines={"scripted": {"type": "scripted", "workers": 2}}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            begun = (await api.script(f"rows 1; gate {server.gate}")).status.query_id
            empty = (await api.script(f"gate {server.gate}; rows 2")).status.query_id
            await api.has_rows(begun)
            await api.reached(empty, RUNNING)
            server.kill()
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "tenant")
            seen = await scrape(server)
            assert seen("queries_ended_total", engine="scripted", state="FAILED", reason="SERVER_LOST") == 1
            assert seen.ended() == 1
            assert seen("execution_seconds_count", engine="scripted") == 0
            # To ask for it is no second end; the other one runs again and has its own.
            assert (await api.status(begun)).error.reason == "SERVER_LOST"
            server.gate.touch()
            assert (await api.ended(empty)).state == COMPLETED
            seen = await scrape(server)
            assert seen("queries_ended_total", engine="scripted", state="COMPLETED", reason="") == 1
            assert seen.ended() == 2
            assert seen("execution_seconds_count", engine="scripted") == 1
            assert seen("queries_submitted_total", engine="scripted") == 0
