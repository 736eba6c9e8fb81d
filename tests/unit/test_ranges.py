"""Ranges of rows and listings of pages, over results in the spool and in the record, cut by a real sandbox worker."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import pytest_asyncio

from queryengine.codec.page import checksum
from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.turns import TurnLimits
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.reading.byte_budget import ByteBudget, ByteBudgetLimits
from queryengine.reading.cutting import Cutting
from queryengine.reading.indexes import Indexes
from queryengine.reading.items import Columns, Finished, Item, PagePart, ReadRequest
from queryengine.reading.open_streams import OpenStreams
from queryengine.reading.page_listing import ListCursor, PageListing
from queryengine.reading.schemas import Schemas
from queryengine.reading.streaming import StreamLimits, Streams
from queryengine.results.index import PageIndex
from queryengine.results.reader import PageReader, StoredPage
from queryengine.results.slicing import CutPage
from queryengine.results.spool.keys import result_key
from queryengine.results.spool.local import LocalSpool
from queryengine.results.stored import StoredResults
from queryengine.results.writer import ResultWriter
from queryengine.telemetry.logs import LogStyle
from queryengine.workers.sandbox_pool import SandboxPool
from tests.store_values import query
from tests.support import until
from tests.templates import template
from tests.unit.test_result_writer import SCHEMA, batch, limits

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE_ROWS = 100
PAGES = 6
ROWS = PAGE_ROWS * PAGES


@dataclass
class Stand:
    """What reads, over one result that is stored whole."""

    results: StoredResults
    index: PageIndex
    streams: Streams
    listing: PageListing

    def completed(self, *, recorded: bool = False) -> LiveQuery:
        facts: dict[str, Any] = {"end_us": 3_000, "expire_us": 1 << 60, "result_state": ResultState.READY}
        live = LiveQuery(query(state=QueryState.COMPLETED, attempt=1, rows=ROWS, pages=PAGES, **facts))
        live.index = self.index
        if recorded:
            path = Path(self.results.spool.location) / self.index.source.result / "00000.seg"
            live.index = self.results.recorded("tenant", live.query.own_result_id, 1, path.read_bytes())
        return live

    def running(self, pages: int) -> LiveQuery:
        """A query that has published so many pages."""
        live = LiveQuery(query(state=QueryState.RUNNING, attempt=1))
        live.index = PageIndex(self.index.source, 1)
        live.index.schema = self.index.schema
        live.index.extend(self.index[number] for number in range(pages))
        return live

    async def read(self, live: LiveQuery, start_row: int, end_row: int | None, *, as_rows: bool = False) -> "Read":
        read, reading = self.reading(live, start_row, end_row, as_rows=as_rows)
        await reading
        return read

    def reading(
        self, live: LiveQuery, start_row: int, end_row: int | None, *, as_rows: bool = False
    ) -> "tuple[Read, asyncio.Task[None]]":
        """A stream to be looked at while it goes on, and what ends with it."""
        request = ReadRequest(start_row=start_row, end_row=end_row, attempt=0, as_rows=as_rows, heartbeat_seconds=60)
        read = Read()

        async def follow() -> None:
            async with asyncio.timeout(60):
                async for item in self.streams.read(live, request, still_valid=lambda: None):
                    read.items.append(item)

        return read, asyncio.create_task(follow())


@dataclass
class Read:
    """What a stream yielded, so far."""

    items: list[Item] = field(default_factory=list)

    @property
    def pages(self) -> list[StoredPage | CutPage]:
        return [item for item in self.items if isinstance(item, StoredPage | CutPage)]

    @property
    def numbers(self) -> list[int]:
        found: list[int] = []
        for page in self.pages:
            assert checksum(pa.py_buffer(page.payload)) == (page.entry if isinstance(page, StoredPage) else page).crc32c
            with pa.ipc.open_stream(page.payload) as stream:
                found += stream.read_all()["n"].to_pylist()
        return found

    @property
    def end(self) -> Finished:
        end = self.items[-1]
        assert isinstance(end, Finished)
        return end


@asynccontextmanager
async def cutters(folder: Path) -> AsyncIterator[SandboxPool]:
    turns = TurnLimits(places=1, tenant_places=1, tenant_waiting=10, tenant_waiting_bytes=1 << 20)
    role = {"type": "sandbox", "engines": {}, "memory_limit_mib": 4096, "spool": str(folder)}
    async with template() as forks:
        pool = SandboxPool(role, LogStyle(), forks, turns)
        try:
            await pool.start()
            yield pool
        finally:
            await pool.close()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def stand(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    folder = tmp_path_factory.mktemp("ranges")
    spool = LocalSpool.made(folder / "spool")
    key = result_key("tenant", query(attempt=1).own_result_id)
    spool.begin(key)
    writer = ResultWriter(spool, key, SCHEMA, limits(), lambda _: None)
    for number in range(PAGES):
        writer.write(batch(number * PAGE_ROWS, PAGE_ROWS))
        writer.show()
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    results = StoredResults(spool)
    nothing: Any = None  # Every query here is in memory with its index.
    lifetimes = Lifetimes(SystemClock(), keep_records_us=1 << 60)
    with ThreadPoolExecutor(1) as disk:
        async with cutters(folder / "spool") as pool:
            budget = ByteBudgetLimits(bytes_max=1 << 30, tenant_bytes_max=1 << 30, tenant_waiting=10, wait_seconds=60)
            indexes = Indexes(results, disk, lifetimes, store=nothing, registry=nothing)
            streams = Streams(
                cutting=Cutting(pool, ByteBudget(budget), folder / "cuts", disk),
                indexes=indexes,
                schemas=Schemas(disk),
                disk=disk,
                limits=StreamLimits(
                    rotate_seconds=600,
                    rotate_bytes=1 << 30,
                    message_bytes_max=1 << 20,
                    whole_page_streams=8,
                    chunk_bytes=1 << 17,
                ),
                open_streams=OpenStreams(TenantLimits({})),
            )
            # In the thread, which begins with it: in a test it would look like something left behind.
            arguments = ("tenant", query(attempt=1).own_result_id, 1)
            index = await asyncio.get_running_loop().run_in_executor(disk, results.index, *arguments)
            assert len(index) == PAGES
            yield Stand(results, index, streams, PageListing(indexes))


EDGES = (0, 1, 99, 100, 101, 250, 300, 599, 600)


@pytest.mark.parametrize("recorded", [False, True], ids=["spooled", "recorded"])
async def test_every_range_has_its_rows_and_the_totals_of_all(stand: Stand, recorded: bool) -> None:
    live = stand.completed(recorded=recorded)
    for start, end in itertools.combinations(EDGES, 2):
        read = await stand.read(live, start, end)
        assert read.numbers == list(range(start, end)), (start, end)
        assert (read.end.totals.rows, read.end.totals.pages, read.end.next_row) == (ROWS, PAGES, end)
        # Pages that are wanted whole are sent as they are stored; the others are cut.
        whole = {number for number in range(PAGES) if start <= number * PAGE_ROWS and (number + 1) * PAGE_ROWS <= end}
        sent = {page.entry.start_row // PAGE_ROWS for page in read.pages if isinstance(page, StoredPage)}
        assert sent == whole, (start, end)


@pytest.mark.parametrize("end_row", [None, ROWS, ROWS + 1, 1 << 62])
async def test_a_range_ends_with_the_result_at_the_latest(stand: Stand, end_row: int | None) -> None:
    read = await stand.read(stand.completed(), 550, end_row)
    assert read.numbers == list(range(550, ROWS))
    assert read.end.next_row == ROWS


@pytest.mark.parametrize(("start_row", "end_row"), [(ROWS, None), (ROWS, ROWS + 5)])
async def test_a_range_at_the_very_end_is_empty(stand: Stand, start_row: int, end_row: int | None) -> None:
    read = await stand.read(stand.completed(), start_row, end_row)
    assert (read.pages, read.end.next_row) == ([], ROWS)


@pytest.mark.parametrize("end_row", [None, ROWS + 2, ROWS + 9])
async def test_a_range_past_the_end_is_refused(stand: Stand, end_row: int | None) -> None:
    with pytest.raises(QueryEngineError) as caught:
        await stand.read(stand.completed(), ROWS + 1, end_row)
    assert caught.value.failure.reason is Reason.ROW_PAST_END


async def test_typed_rows_stop_at_the_end_of_a_range(stand: Stand) -> None:
    read = await stand.read(stand.completed(), 150, 220, as_rows=True)
    pages = [page for page in read.pages if isinstance(page, CutPage)]
    assert [(page.start_row, page.row_count, page.is_arrow) for page in pages] == [(150, 50, False), (200, 20, False)]
    assert read.end.next_row == 220


async def test_ranges_side_by_side_are_the_whole(stand: Stand) -> None:
    live = stand.completed()
    bounds = [0, 70, 200, 333, 500, ROWS]
    reads = await asyncio.gather(*(stand.read(live, start, end) for start, end in itertools.pairwise(bounds)))
    assert [number for read in reads for number in read.numbers] == list(range(ROWS))


async def test_a_range_of_a_running_query_ends_when_the_query_has_completed(stand: Stand) -> None:
    live = stand.running(pages=2)
    read, following = stand.reading(live, 50, 150)
    await until(lambda: len(read.pages) == 2)
    assert live.index is not None
    live.index.extend(stand.index[number] for number in range(2, PAGES))
    live.pages_arrived()
    live.index.totals = stand.index.totals
    live.amend(state=QueryState.COMPLETED, result_state=ResultState.READY, end_us=3_000, expire_us=1 << 60, rows=ROWS)
    await following
    assert read.numbers == list(range(50, 150))
    assert (read.end.next_row, read.end.totals.rows) == (150, ROWS)


async def test_a_range_of_a_query_that_fails_fails_though_its_rows_were_sent(stand: Stand) -> None:
    live = stand.running(pages=2)
    read, following = stand.reading(live, 0, 100)
    await until(lambda: read.numbers == list(range(100)))
    live.amend(state=QueryState.FAILED, end_us=3_000, failure=Failure(Reason.ENGINE_ERROR, "out of cheese"))
    with pytest.raises(QueryEngineError) as caught:
        await following
    assert caught.value.failure.reason is Reason.ENGINE_ERROR


async def test_another_attempt_before_any_row_brings_its_own_columns(stand: Stand) -> None:
    live = stand.running(pages=0)
    live.index = PageIndex(stand.results.source("tenant", "elsewhere.1"), 1)
    live.index.schema = pa.schema([("other", pa.int64())]).serialize().to_pybytes()
    read, following = stand.reading(live, 0, None)
    await until(lambda: [item for item in read.items if isinstance(item, Columns)])
    second = PageIndex(stand.index.source, 2)
    second.schema, second.totals = stand.index.schema, stand.index.totals
    second.extend(stand.index[number] for number in range(PAGES))
    live.index = second
    live.amend(
        state=QueryState.COMPLETED,
        attempt=2,
        result_state=ResultState.READY,
        end_us=3_000,
        expire_us=1 << 60,
        rows=ROWS,
    )
    await following
    assert [item.attempt for item in read.items if isinstance(item, Columns)] == [1, 2]
    assert read.numbers == list(range(ROWS))
    assert read.end.attempt == 2


async def test_another_attempt_after_rows_is_refused(stand: Stand) -> None:
    live = stand.running(pages=1)
    read, following = stand.reading(live, 0, None)
    await until(lambda: read.pages)
    second = PageIndex(stand.index.source, 2)
    second.schema = stand.index.schema
    live.index = second
    live.amend(attempt=2)
    with pytest.raises(QueryEngineError) as caught:
        await following
    assert caught.value.failure.reason is Reason.RESULT_RESTARTED


async def test_parts_of_a_page_make_its_payload(stand: Stand) -> None:
    live = stand.completed()
    limits_now = StreamLimits(
        rotate_seconds=600, rotate_bytes=1 << 30, message_bytes_max=1 << 20, whole_page_streams=0, chunk_bytes=500
    )
    before = stand.streams._limits
    stand.streams.adopt(limits_now)
    try:
        read = await stand.read(live, PAGE_ROWS, 2 * PAGE_ROWS)
    finally:
        stand.streams.adopt(before)
    parts = [item for item in read.items if isinstance(item, PagePart)]
    assert [part.index for part in parts] == list(range(parts[0].count))
    with ThreadPoolExecutor(1) as disk:
        reader = PageReader(stand.index, disk)
        assert b"".join(part.payload for part in parts) == (await reader.page(1)).payload
        reader.close()


@pytest.mark.parametrize("limit", [1, 2, PAGES - 1, PAGES, 100])
async def test_a_listing_has_every_page_once(stand: Stand, limit: int) -> None:
    live = stand.completed()
    cursor: ListCursor | None = ListCursor.of_token("")
    found = []
    while cursor is not None:
        listed = await stand.listing.list(live, ListCursor.of_token(cursor.token() if cursor.attempt else ""), limit)
        assert 0 < len(listed.pages) <= limit
        assert listed.totals == stand.index.totals
        found += listed.pages
        cursor = listed.next_cursor
    entries = [stand.index[number] for number in range(PAGES)]
    assert [(page.start_row, page.row_count, page.bytes, page.crc32c) for page in found] == [
        (entry.start_row, entry.row_count, entry.payload_length, entry.crc32c) for entry in entries
    ]
    assert sum(page.row_count for page in found) == ROWS


async def test_a_listed_page_is_read_as_it_is_stored(stand: Stand) -> None:
    live = stand.completed()
    for page in (await stand.listing.list(live, ListCursor(0, 0), 100)).pages:
        read = await stand.read(live, page.start_row, page.start_row + page.row_count)
        [sent] = read.pages
        assert isinstance(sent, StoredPage)
        assert (len(sent.payload), checksum(pa.py_buffer(sent.payload))) == (page.bytes, page.crc32c)


async def test_a_running_query_lists_what_is_stored_so_far(stand: Stand) -> None:
    live = stand.running(pages=3)
    listed = await stand.listing.list(live, ListCursor(0, 0), 100)
    assert (len(listed.pages), listed.next_cursor, listed.totals) == (3, ListCursor(1, 3), None)
    assert live.index is not None
    assert (await stand.listing.list(live, ListCursor(1, 3), 100)).pages == []
    live.index.extend([stand.index[3]])
    (later,) = (await stand.listing.list(live, ListCursor(1, 3), 100)).pages
    assert later.start_row == 3 * PAGE_ROWS
    live.index = PageIndex(stand.index.source, 1)
    with pytest.raises(QueryEngineError) as caught:
        await stand.listing.list(live, ListCursor(0, 0), 100)
    assert caught.value.failure.reason is Reason.RESULT_NOT_READY


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [(ListCursor(2, 0), Reason.RESULT_RESTARTED), (ListCursor(1, PAGES + 1), Reason.INVALID_FIELD)],
)
async def test_a_cursor_of_another_result_is_refused(stand: Stand, cursor: ListCursor, reason: Reason) -> None:
    with pytest.raises(QueryEngineError) as caught:
        await stand.listing.list(stand.completed(), cursor, 10)
    assert caught.value.failure.reason is reason


@pytest.mark.parametrize("token", ["x", "====", "MQ==", "LTE6MA==", "MDow", "MTotMQ==", "é"])
async def test_a_token_that_no_answer_held_is_refused(token: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        ListCursor.of_token(token)
    assert caught.value.failure.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize("state", [ResultState.RELEASED, ResultState.EXPIRED])
async def test_a_result_that_is_gone_is_not_listed(stand: Stand, state: ResultState) -> None:
    live = stand.completed()
    live.amend(result_state=state, expire_us=9_000)
    with pytest.raises(QueryEngineError) as caught:
        await stand.listing.list(live, ListCursor(0, 0), 10)
    assert caught.value.failure.reason.value == f"RESULT_{state}"
