"""What a restart finds: a Submit that comes again has its query, and one for an engine that is gone ends."""

from pathlib import Path

import pytest

from tests.support import FAILED, QUEUED, RUNNING, WAIT, but_version, new_id, refused, served, until

ENDLESS = "SELECT count(*) FROM range(1_000_000_000_000)"
FAILING = "SELECT error('out of cheese')"


@pytest.mark.parametrize("sql", ["SELECT 5 AS a", FAILING])
async def test_a_submit_again_is_the_same_query_with_the_same_rows(grpc_awake: None, tmp_path: Path, sql: str) -> None:
    chosen = new_id()
    async with served(tmp_path) as (_, api):
        first = await api.submit(sql, query_id=chosen, wait_timeout=WAIT)
    async with served(tmp_path) as (service, api):
        again = await api.submit(sql, query_id=chosen, wait_timeout=WAIT)
        assert again.existing
        assert but_version(again.status) == but_version(first.status)
        assert [page.arrow for page in again.pages] == [page.arrow for page in first.pages]
        await until(lambda: service.pool.load("duckdb").running == 0)
        assert but_version(await api.status(chosen)) == but_version(first.status)
        assert len((await api.listed()).queries) == 1


@pytest.mark.parametrize("sql", ["SELECT 5 AS a", FAILING])
async def test_an_id_of_before_is_not_taken_for_another_request(grpc_awake: None, tmp_path: Path, sql: str) -> None:
    chosen = new_id()
    async with served(tmp_path) as (_, api):
        first = await api.submit(sql, query_id=chosen, wait_timeout=WAIT)
    async with served(tmp_path) as (service, api):
        refusal = await refused(api.submit("SELECT 6 AS a", query_id=chosen, wait_timeout=WAIT))
        assert refusal.reason == "QUERY_ID_REUSED"
        await until(lambda: service.pool.load("duckdb").running == 0)
        assert but_version(await api.status(chosen)) == but_version(first.status)


async def test_a_submit_again_is_found_where_a_new_one_would_wait_or_be_refused(
    grpc_awake: None, tmp_path: Path
) -> None:
    waiting, refusable = new_id(), new_id()
    async with served(tmp_path) as (_, api):
        for chosen in (waiting, refusable):
            await api.submit(FAILING, query_id=chosen, wait_timeout=WAIT)
    async with served(tmp_path, limits={"tenant_running": 1, "tenant_queued": 1}) as (_, api):
        busy = await api.submit(ENDLESS)
        await api.reached(busy.status.query_id, RUNNING)
        assert (await api.submit(FAILING, query_id=waiting)).existing
        queued = await api.submit(ENDLESS)
        assert (await refused(api.submit("SELECT 1"))).reason == "TENANT_QUEUE_FULL"
        assert (await api.submit(FAILING, query_id=refusable)).existing
        for each in (queued, busy):
            await api.cancel(each.status.query_id, wait_timeout=WAIT)


async def test_a_query_of_an_engine_that_is_configured_no_more_fails(grpc_awake: None, tmp_path: Path) -> None:
    duckdb = {"type": "duckdb", "workers": 1}
    async with served(tmp_path, engines={"old": duckdb}) as (_, api):
        running = await api.submit(ENDLESS)
        await api.reached(running.status.query_id, RUNNING)
        waiting = await api.submit("SELECT 1")
        await api.reached(waiting.status.query_id, QUEUED)
    async with served(tmp_path, engines={"new": duckdb}) as (_, api):
        for query in (running, waiting):
            status = await api.status(query.status.query_id)
            assert status.state == FAILED
            assert status.error.reason == "UNKNOWN_ENGINE"
            assert "'old'" in status.error.message
        assert (await api.submit("SELECT 1", wait_timeout=WAIT)).HasField("end")
