"""A stream that is cut at any byte, any number of times, adds up to the uninterrupted result.

The cuts are made at the socket, by a proxy that resets the connection. `QE_CUTS` sets how many, half of them with pages
of the default size; 1,000 for a long run.
"""

import os
import random
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.client import AsyncClient
from queryengine.client.stream import ResultReader
from queryengine.v1.query_service_pb2 import StreamResultsRequest
from tests.cutting_proxy import CuttingProxy
from tests.support import serving

CUTS = int(os.environ.get("QE_CUTS", "100"))
ROWS = 1_000_000
SQL = f"SELECT i, i * 0.5 AS half, 'name_' || (i % 1000) AS name FROM range({ROWS}) t(i)"
CUT_BYTES_MIN = 1_000


@pytest.mark.parametrize(
    ("page_bytes", "cut_bytes_max"),
    [(2 << 20, 10_000_000), (128 << 10, 3_000_000)],
    ids=["default pages", "small pages"],
)
async def test_a_stream_cut_at_random_bytes_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page_bytes: int, cut_bytes_max: int
) -> None:
    began: set[int] = set()
    numbers = random.Random(CUTS)

    def budget(proxy: CuttingProxy) -> int | None:
        return numbers.randint(CUT_BYTES_MIN, cut_bytes_max) if proxy.cuts < CUTS // 2 else None

    request = ResultReader.request

    def counted(reader: ResultReader) -> StreamResultsRequest:
        began.add(reader.next_row)
        return request(reader)

    monkeypatch.setattr(ResultReader, "request", counted)
    limits, results = {"tenant_streams": 200}, {"page_bytes": page_bytes}
    async with serving(tmp_path / "state", limits=limits, results=results) as service:
        async with AsyncClient(service.address) as client:
            handle = await client.submit(SQL, wait_timeout=60)
            whole = await handle.result().to_arrow()
            assert whole.num_rows == ROWS
            pages = (await handle.status()).pages
        async with CuttingProxy(service.address, budget).running() as proxy:
            while proxy.cuts < CUTS // 2:
                async with AsyncClient(proxy.address) as client:
                    result = client.attach(handle.query_id).result()
                    batches = [batch async for batch in result]
                    received = pa.Table.from_batches(batches)
                assert received.num_rows == ROWS
                assert received.equals(whole)
    # A reset also drops what is on its way. Were that all of it, each stream would begin at the first row, and the test
    # would show nothing.
    assert len(began) >= min(CUTS // 2, pages) // 4
