"""Readers that stop reading cost the server two messages each, and nobody else anything.

The server is a process of its own, so that its memory can be told from the readers'. `QE_ROWS` sets the size of the
result; 10,000,000 for a long run.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1.result_pb2 import PAGE_FORMAT_ARROW as ARROW
from queryengine.v1.result_pb2 import PAGE_FORMAT_ROWS as TYPED
from tests.server_process import ServerProcess, server_process
from tests.support import Api, until

ROWS = int(os.environ.get("QE_ROWS", "2000000"))
SQL = f"SELECT i, i * 0.5 AS half, 'name_' || (i % 1000) AS name, TIMESTAMP '2026-01-01' AS at FROM range({ROWS}) t(i)"
MIB = 1 << 20
SETTLED_SECONDS = 1.0
READERS_PER_CONNECTION = 10


async def stalled(connection: grpc.aio.Channel, query_id: str, page_format: int) -> grpc.aio.UnaryStreamCall:
    """A stream of which two pages were read, and no more will be."""
    call = Api(connection, "stall").stub.StreamResults(
        pb.StreamResultsRequest(query_id=query_id, format=page_format), metadata=(("x-tenant-id", "stall"),)
    )
    pages = 0
    while pages < 2:
        message = await call.read()
        assert message is not grpc.aio.EOF
        pages += message.WhichOneof("event") == "page"
    return call


@asynccontextmanager
async def own_connection(address: str) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 5 * MIB)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


async def settled_bytes(server: ServerProcess) -> int:
    """The server's memory once it has stopped to grow."""
    before = -1
    while (now := server.resident_bytes) > before:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)
    return before


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("readers", "page_format", "most_mib"),
    [(1, ARROW, 64), (200, ARROW, 128), (1, TYPED, 64), (50, TYPED, 64)],
    ids=["1-64", "200-128", "1-64-typed", "50-64-typed"],
)
async def test_memory_is_bounded_and_others_are_served(
    tmp_path: Path, readers: int, page_format: int, most_mib: int
) -> None:
    with server_process(tmp_path, limits={"tenant_streams": 500}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "stall")
            query_id = (await api.submit(SQL)).status.query_id
            await api.ended(query_id, seconds=60)
            before = await settled_bytes(server)
            connections = -(-readers // READERS_PER_CONNECTION)
            channels = [own_connection(server.address) for _ in range(connections)]
            opened = [await each.__aenter__() for each in channels]
            try:
                calls = [
                    await stalled(opened[number % connections], query_id, page_format) for number in range(readers)
                ]
                grown = await settled_bytes(server) - before
                assert grown < most_mib * MIB, f"{readers} stalled readers cost {grown / MIB:.0f} MiB"
                # Another tenant is served as if nobody stalled.
                other = Api(channel, "other")
                done = await other.submit("SELECT 42", wait_timeout={"seconds": 30})
                assert done.HasField("end")
                for call in calls:
                    call.cancel()
                await until(lambda: all(call.done() for call in calls))
            finally:
                for each in channels:
                    await each.__aexit__(None, None, None)
        server.terminate()
        await asyncio.to_thread(server.process.wait, 30)
        assert server.process.returncode == 0


async def test_ten_thousand_concurrent_calls_are_all_answered(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "many")
            query_id = (await api.submit("SELECT 1", wait_timeout={"seconds": 30})).status.query_id
            statuses = await asyncio.gather(*(api.status(query_id) for _ in range(10_000)))
            assert {status.query_id for status in statuses} == {query_id}
