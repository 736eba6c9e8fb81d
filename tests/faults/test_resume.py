"""A stream that is cut at any byte, any number of times, adds up to the uninterrupted result.

The cuts are made at the socket, by a proxy that resets the connection. `QE_CUTS` sets how many, half of them with pages
of the default size; 1,000 for a long run.
"""

import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.client import AsyncClient
from queryengine.client.stream import ResultReader
from queryengine.v1.query_service_pb2 import StreamResultsRequest
from tests.support import serving

CUTS = int(os.environ.get("QE_CUTS", "100"))
ROWS = 1_000_000
SQL = f"SELECT i, i * 0.5 AS half, 'name_' || (i % 1000) AS name FROM range({ROWS}) t(i)"
CUT_BYTES_MIN = 1_000
PIECE_BYTES = 16 << 10


class CuttingProxy:
    """Forwards to a server, and resets each connection after a random number of bytes from it, while cuts are left."""

    def __init__(self, target: str, cuts: int, cut_bytes_max: int, seed: int) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._cut_bytes_max = cut_bytes_max
        self._random = random.Random(seed)
        self._connections: set[asyncio.Task[None]] = set()
        self.left = cuts
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        budget = self._random.randint(CUT_BYTES_MIN, self._cut_bytes_max) if self.left > 0 else None
        upwards = asyncio.create_task(_pump(reader, up_writer, None))
        try:
            if await _pump(up_reader, writer, budget):
                self.left -= 1
                _reset(writer)
        finally:
            upwards.cancel()
            await asyncio.gather(upwards, return_exceptions=True)
            for each in (writer, up_writer):
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None) -> bool:
    """Forward until the end, or until so many bytes went: then True."""
    try:
        while data := await reader.read(PIECE_BYTES if budget is None else min(PIECE_BYTES, budget)):
            writer.write(data)
            await writer.drain()
            if budget is not None:
                budget -= len(data)
                if budget <= 0:
                    return True
    except ConnectionError:
        pass
    return False


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST, so that nothing in flight arrives."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    ("page_bytes", "cut_bytes_max"),
    [(2 << 20, 10_000_000), (128 << 10, 3_000_000)],
    ids=["default pages", "small pages"],
)
async def test_a_stream_cut_at_random_bytes_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page_bytes: int, cut_bytes_max: int
) -> None:
    began: set[int] = set()
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
        async with CuttingProxy(service.address, CUTS // 2, cut_bytes_max, seed=CUTS).running() as proxy:
            while proxy.left > 0:
                async with AsyncClient(proxy.address) as client:
                    result = client.attach(handle.query_id).result()
                    batches = [batch async for batch in result]
                    received = pa.Table.from_batches(batches)
                assert received.num_rows == ROWS
                assert received.equals(whole)
    # A reset also drops what is on its way. Were that all of it, each stream would begin at the first row, and the test
    # would show nothing.
    assert len(began) >= min(CUTS // 2, pages) // 4
