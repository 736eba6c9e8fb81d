"""Readers of rows that are larger than a message: in parts, from a file, with little memory, and ended when they stall.

`QE_ROW_BYTES` sets the size of the row; 200000000 for a long run.
"""

import os
from pathlib import Path

import grpc
import pytest

from queryengine.v1.result_pb2 import COMPRESSION_ZSTD, PAGE_FORMAT_ROWS, ResultOptions
from tests.faults.test_stalled_readers import own_connection, settled_bytes, stalled
from tests.server_process import server_process
from tests.support import COMPLETED, ROWS, WAIT, Api, refused, served, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20
ROW_BYTES = int(os.environ.get("QE_ROW_BYTES", str(12 * MIB)))
READERS = 20
DUCKDB = {"duckdb": {"type": "duckdb", "workers": 1, "memory_limit_mib": 8192}}


def large(size: int) -> str:
    return f"SELECT 1 AS n, repeat('x', {size}) AS s"


async def test_twenty_stalled_typed_readers_of_a_large_row_cost_little(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=DUCKDB, limits={"tenant_streams": 100}) as server:
        server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            api = Api(channel, "stall")
            zstd = ResultOptions(compression=COMPRESSION_ZSTD)
            query_id = (await api.submit(large(ROW_BYTES), result=zstd)).status.query_id
            assert (await api.ended(query_id, seconds=60)).state == COMPLETED
            before = await settled_bytes(server)
            opened = [own_connection(server.address) for _ in range(2)]
            channels = [await each.__aenter__() for each in opened]
            try:
                calls = [await stalled(channels[number % 2], query_id, PAGE_FORMAT_ROWS) for number in range(READERS)]
                grown = await settled_bytes(server) - before
                assert grown < 160 * MIB, f"{READERS} stalled readers cost {grown / MIB:.0f} MiB"
                other = Api(channel, "other")
                theirs = (await other.submit("SELECT 1 AS n", wait_timeout=WAIT)).status.query_id
                assert (await other.read(theirs, format=ROWS)).next_row == 1
                assert (await other.fetch(theirs, format=ROWS)).page.row_count == 1
                for call in calls:
                    call.cancel()
                await until(lambda: all(call.done() for call in calls))
                await until(lambda: not any((server.state / "cuts").iterdir()))
            finally:
                for each in opened:
                    await each.__aexit__(None, None, None)


@pytest.mark.parametrize("compression", [0, COMPRESSION_ZSTD])
async def test_a_large_row_is_read_in_parts_and_refused_where_it_cannot_be(tmp_path: Path, compression: int) -> None:
    async with served(tmp_path, engines=DUCKDB) as (service, api):
        sql = f"SELECT i AS n, repeat('x', CASE i WHEN 2 THEN {9 * MIB} ELSE 10 END) AS s FROM range(5) t(i)"
        result = ResultOptions(compression=compression)
        reply = await api.submit(sql, wait_timeout=WAIT, result=result)
        query_id = reply.status.query_id
        received = await api.read(query_id, format=ROWS)
        rows = received.rows()
        assert [row.values[0].int_value for row in rows] == list(range(5))
        assert [len(row.values[1].string_value) for row in rows] == [10, 10, 9 * MIB, 10, 10]
        assert received.end is not None
        # From the large row on, and from behind it.
        assert len((await api.read(query_id, format=ROWS, start_row=2)).rows()) == 3
        assert len((await api.read(query_id, format=ROWS, start_row=3)).rows()) == 2
        refusal = await refused(api.fetch(query_id, offset=2, format=ROWS))
        assert (refusal.reason, refusal.code.name) == ("ROW_TOO_LARGE", "RESOURCE_EXHAUSTED")
        assert "StreamResults" in refusal.message
        assert (await api.fetch(query_id, offset=3, format=ROWS)).page.row_count == 2
        assert not any(service.settings.state.cuts.iterdir())


async def test_what_a_killed_server_left_of_large_rows_is_removed(tmp_path: Path) -> None:
    (tmp_path / "cuts").mkdir()
    (tmp_path / "cuts" / "left").write_bytes(b"x")
    async with served(tmp_path, engines=DUCKDB) as (service, _):
        assert not any(service.settings.state.cuts.iterdir())


@pytest.mark.parametrize("page_format", [0, ROWS])
async def test_a_reader_that_takes_nothing_is_ended_and_may_resume(tmp_path: Path, page_format: int) -> None:
    streams = {"stalled_seconds": 0.3}
    scripted = {"scripted": {"type": "scripted", "workers": 1}}
    async with served(tmp_path, engines=scripted, streams=streams) as (service, api):
        script = "columns n:int64, s:string; rows 60000 size 1000"
        query_id = (await api.script(script, wait_timeout=WAIT)).status.query_id
        async with own_connection(service.address) as connection:
            reading = Api(connection, "tenant").stream(query_id, format=page_format)
            await reading.to("page")
            await until(lambda: service.parts.reading.streams.open == 0, seconds=30)
            refusal = await refused(reading)
        assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "READER_STALLED")
        pages = [event.page for event in reading.events if event.HasField("page") and event.page.chunk_count <= 1]
        assert pages
        row = pages[-1].start_row + pages[-1].row_count
        assert 0 < row < 60_000
        while row < 60_000:
            row = (await api.read(query_id, start_row=row, format=page_format)).next_row
