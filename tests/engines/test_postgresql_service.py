"""PostgreSQL behind the service: several queries in one worker, and a cancel that the database confirms."""

import asyncio
from pathlib import Path

import pytest
from postgresql_support import ENDLESS, shared_server

from queryengine.client import AsyncClient, EngineCancel
from queryengine.domain.lifecycle import QueryState
from tests.servers.postgresql import PostgreSQLServer
from tests.support import serving, until


@pytest.fixture(scope="module")
def server() -> PostgreSQLServer:
    return shared_server()


async def test_queries_share_a_worker_and_a_cancel_is_confirmed(server: PostgreSQLServer, tmp_path: Path) -> None:
    engines = {
        "pg": {"type": "sqlalchemy", "workers": 1, "slots_per_worker": 4, "options": server.options()},
    }
    async with serving(tmp_path / "state", engines=engines) as service, AsyncClient(service.address) as client:
        long = await client.submit(ENDLESS)
        await until(lambda: server.running() == 1)
        sql = "SELECT :n + a AS n FROM generate_series(1, 1000) AS s (a)"
        handles = [await client.submit(sql, {"n": n}) for n in range(3)]
        for n, table in enumerate(await asyncio.gather(*(handle.result().to_arrow() for handle in handles))):
            assert table.column("n").to_pylist() == [n + a for a in range(1, 1001)]

        async def engine_query_id() -> str:
            return (await long.status()).engine_query_id

        assert int(await until(engine_query_id)) > 0
        assert (await long.status()).state is QueryState.RUNNING
        assert (await long.cancel(wait=20)).engine is EngineCancel.CONFIRMED
        assert (await long.status()).state is QueryState.CANCELLED
        assert server.running() == 0
