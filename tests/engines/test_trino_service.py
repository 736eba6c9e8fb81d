"""Trino behind the whole service: a worker holds several executions, and the record of a query names Trino's own."""

from pathlib import Path

from trino_support import ENDLESS_ROWS, server

from queryengine.client import AsyncClient
from tests.support import serving, until


async def test_queries_run_beside_each_other_in_one_worker(tmp_path: Path) -> None:
    engines = {"trino": {"type": "trino", "workers": 1, "slots_per_worker": 4, "options": server().options()}}
    async with serving(tmp_path / "state", engines=engines) as service, AsyncClient(service.address) as client:
        endless = await client.submit(ENDLESS_ROWS)
        handle = await client.submit("SELECT name FROM nation ORDER BY nationkey")
        table = await handle.result().to_arrow()
        status = await handle.status()
        await endless.cancel(wait=20)
        # What was read to its end may still be on its way there.
        await until(lambda: server().running() == 0, seconds=20)
    assert table.num_rows == 25
    assert server().state(status.engine_query_id) == "FINISHED"
    assert status.engine_query_id in status.engine_query_url
