"""Ranges of a result and the list of its pages: several readers have every row once, also while the query runs."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from queryengine.app.service import Service
from queryengine.client import AsyncClient, StoredPage
from queryengine.v1 import query_service_pb2 as pb
from tests.support import COMPLETED, ROWS, WAIT, Api, Gate, batch_of, new_id, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 1_000_000
SQL = f"SELECT range AS n, 'value ' || range AS text FROM range({COUNT})"
"""Of many pages."""


async def stored(api: Api, sql: str = SQL) -> str:
    status = (await api.submit(sql, wait_timeout=WAIT)).status
    assert status.state == COMPLETED
    return str(status.query_id)


async def all_pages(api: Api, query_id: str, size: int = 0) -> list[pb.ListPagesResponse]:
    replies = [await api.pages(query_id, page_size=size)]
    while replies[-1].next_page_token:
        replies.append(await api.pages(query_id, page_size=size, page_token=replies[-1].next_page_token))
    return replies


async def test_the_pages_that_are_listed_are_those_that_a_stream_sends(api: Api) -> None:
    query_id = await stored(api)
    (reply,) = await all_pages(api, query_id)
    assert (reply.total_rows, reply.attempt) == (COUNT, 1)
    assert len(reply.pages) > 5
    sent = await api.read(query_id)
    assert sent.end is not None
    assert (sent.end.total_pages, sent.end.total_rows) == (len(reply.pages), COUNT)
    first_of_each = {event.page.start_row: event.page for event in sent.events if event.HasField("page")}
    assert [
        (page.start_row, page.row_count, page.crc32c, len(whole.arrow))
        for page, whole in zip(first_of_each.values(), sent.pages, strict=True)
    ] == [(page.start_row, page.row_count, page.crc32c, page.bytes) for page in reply.pages]
    in_pieces = await all_pages(api, query_id, size=2)
    assert [page for piece in in_pieces for page in piece.pages] == list(reply.pages)
    assert {len(piece.pages) for piece in in_pieces[:-1]} == {2}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, (0, 1)),
        (0, 0, (0, 0)),
        (7, 7, (7, 7)),
        (999_999, COUNT, (999_999, COUNT)),
        (COUNT, COUNT, (COUNT, COUNT)),
        (999_990, 2 * COUNT, (999_990, COUNT)),
        (123_456, 456_789, (123_456, 456_789)),
    ],
)
async def test_a_range_has_its_rows_and_the_totals_of_the_whole(
    api: Api, start: int, end: int, expected: tuple[int, int]
) -> None:
    query_id = await stored(api)
    read = await api.read(query_id, start_row=start, end_row=end)
    rows = [value for page in read.pages for value in batch_of(page).column("n").to_pylist()]
    assert rows == list(range(*expected))
    assert read.events[-1].end.total_rows == COUNT
    if len(rows) < 1000:
        typed = await api.read(query_id, start_row=start, end_row=end, format=ROWS)
        assert [row.values[0].int_value for row in typed.rows()] == rows
    # What was cut is read again from anywhere in it.
    if rows:
        rest = await api.read(query_id, start_row=rows[-1], end_row=end, attempt=read.start.attempt)
        assert [value for page in rest.pages for value in batch_of(page).column("n").to_pylist()] == rows[-1:]


async def test_a_range_that_begins_past_the_end_is_refused(api: Api) -> None:
    query_id = await stored(api, "SELECT range AS n FROM range(10)")
    refusal = await refused(api.stream(query_id, start_row=11, end_row=20))
    assert (refusal.code.name, refusal.reason) == ("OUT_OF_RANGE", "ROW_PAST_END")


async def test_a_short_result_that_is_in_the_record_has_pages_too(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, api):
        query_id = await stored(api, "SELECT range AS n FROM range(10)")
        nothing = await stored(api, "SELECT 1 AS n WHERE false")
    async with served(tmp_path) as (_, api):
        (reply,) = await all_pages(api, query_id)
        assert [(page.start_row, page.row_count) for page in reply.pages] == [(0, 10)]
        read = await api.read(query_id, start_row=3, end_row=5)
        assert [batch_of(page).column("n").to_pylist() for page in read.pages] == [[3, 4]]
        (empty,) = await all_pages(api, nothing)
        assert (list(empty.pages), empty.total_rows, empty.next_page_token) == ([], 0, "")


async def test_readers_share_a_query_that_runs(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 10; {gate.script}; rows 10")).status.query_id
    first, second, third = (api.stream(query_id, start_row=row, end_row=row + 7) for row in (0, 7, 14))
    assert (await first.to("page")).page.row_count == 7
    assert (await second.to("page")).page.row_count == 3
    listed = await api.pages(query_id)
    assert sum(page.row_count for page in listed.pages) == 10
    assert not listed.HasField("total_rows")
    assert not (await api.pages(query_id, page_token=listed.next_page_token)).pages
    gate.open()
    await api.ended(query_id)
    later = await api.pages(query_id, page_token=listed.next_page_token)
    assert sum(page.row_count for page in later.pages) == 10
    assert (later.total_rows, later.next_page_token) == (20, "")
    for stream, rows in ((first, 7), (second, 7), (third, 6)):
        events = await stream.all()
        assert sum(event.page.row_count for event in events if event.HasField("page")) == rows
        assert events[-1].end.total_rows == 20


async def test_what_cannot_be_listed_is_named(api: Api, gate: Gate) -> None:
    running = (await api.script(f"{gate.script}; rows 1")).status.query_id
    waits = await refused(api.pages(running))
    assert (waits.reason, waits.retry_seconds) == ("RESULT_NOT_READY", 1.0)
    failed = (await api.script("fail ENGINE_ERROR gone", wait_timeout=WAIT)).status.query_id
    assert (await refused(api.pages(failed))).reason == "ENGINE_ERROR"
    released = await stored(api, "SELECT 1")
    await api.release(released)
    assert (await refused(api.pages(released))).reason == "RESULT_RELEASED"
    assert (await refused(api.pages(new_id()))).reason == "QUERY_NOT_FOUND"
    gate.open()
    await api.ended(running)


@pytest.mark.parametrize("readers", [2, 5])
async def test_readers_in_parallel_have_every_row_once(api: Api, service: Service, readers: int) -> None:
    query_id = await stored(api)
    async with AsyncClient(service.address, tenant=api.tenant) as client:
        handle = client.attach(query_id)
        listed = await handle.list_pages()
        assert listed.total_rows == COUNT
        ranges = shares(listed.pages, readers)
        assert len(ranges) == readers
        tables = await asyncio.gather(
            *(handle.result(start_row=start, end_row=end).to_arrow() for start, end in ranges)
        )
    whole = pa.concat_tables(tables)
    assert whole.num_rows == listed.total_rows
    assert whole.column("n").to_pylist() == list(range(COUNT))


def shares(pages: tuple[StoredPage, ...], count: int) -> list[tuple[int, int]]:
    """Ranges of about as many pages, which begin and end where pages do."""
    each = -(-len(pages) // count)
    parts = [pages[first : first + each] for first in range(0, len(pages), each)]
    return [(part[0].start_row, part[-1].end_row) for part in parts]


async def test_a_range_survives_streams_that_rotate(tmp_path: Path) -> None:
    async with served(tmp_path, streams={"rotate_bytes": 1 << 20}) as (service, api):
        query_id = await stored(api)
        async with AsyncClient(service.address, tenant=api.tenant) as client:
            result = client.attach(query_id).result(start_row=100, end_row=900_001)
            table = await result.to_arrow()
        assert table.column("n").to_pylist() == list(range(100, 900_001))
        assert result.end is not None
        assert result.end.total_rows == COUNT
        assert result.next_row == 900_001


async def test_an_empty_range_has_columns(api: Api, service: Service) -> None:
    query_id = await stored(api)
    async with AsyncClient(service.address, tenant=api.tenant, give_up_after=timedelta(seconds=30)) as client:
        table = await client.attach(query_id).result(start_row=5, end_row=5).to_arrow()
    assert (table.num_rows, table.column_names) == (0, ["n", "text"])
