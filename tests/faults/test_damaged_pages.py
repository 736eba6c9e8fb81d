"""Stored rows that were damaged while no server ran are never served as rows: DATA_LOSS for what is hurt, and the rest
stays readable.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from queryengine.results.segment import HEADER_BYTES, PageEntry
from queryengine.v1.query_pb2 import RESULT_STATE_LOST, RESULT_STATE_READY, RESULT_STATE_RELEASED
from tests.segments import pages_of, segment_path
from tests.support import COMPLETED, ROWS, WAIT, Api, Reading, batch_of, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 60_000
SQL = f"SELECT range AS n, 'row-' || range AS s FROM range({COUNT})"
BROKEN = 5
"""The page that is hurt."""


@dataclass(frozen=True)
class Stored:
    """The files of one result."""

    query_id: str
    directory: Path
    pages: tuple[PageEntry, ...]

    @property
    def page(self) -> PageEntry:
        return self.pages[BROKEN]

    @property
    def end(self) -> int:
        """Where the last segment's END record begins."""
        return self.pages[-1].offset + self.pages[-1].length

    def flip(self, segment: int, offset: int) -> None:
        with segment_path(self.directory, segment).open("r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 0x10]))

    def flip_page(self, offset: int) -> None:
        self.flip(self.page.segment, offset)

    def flip_end(self, offset: int) -> None:
        self.flip(self.pages[-1].segment, self.end + offset)

    def cut_short(self) -> None:
        path = segment_path(self.directory, 1)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)


def stored(folder: Path, query_id: str) -> Stored:
    (directory,) = folder.glob(f"spool/*/{query_id}/1")
    return Stored(query_id, directory, pages_of(directory))


IN_A_PAGE: Mapping[str, Callable[[Stored], None]] = {
    "first byte of the message": lambda result: result.flip_page(result.page.offset),
    "row number in the message": lambda result: result.flip_page(result.page.payload_offset - 15),
    "last byte before the rows": lambda result: result.flip_page(result.page.payload_offset - 1),
    "first byte of the rows": lambda result: result.flip_page(result.page.payload_offset),
    "middle of the rows": lambda result: result.flip_page(result.page.payload_offset + result.page.payload_length // 2),
    "last byte of the rows": lambda result: result.flip_page(result.page.offset + result.page.length - 1),
}

IN_THE_FILES: Mapping[str, Callable[[Stored], None]] = {
    "header of a page": lambda result: result.flip_page(result.page.offset - HEADER_BYTES + 6),
    "header of the end": lambda result: result.flip_end(10),
    "end": lambda result: result.flip_end(HEADER_BYTES + 3),
    "schema": lambda result: result.flip(0, HEADER_BYTES + 20),
    "a segment is missing": lambda result: segment_path(result.directory, 1).unlink(),
    "a segment is cut short": Stored.cut_short,
    "all is gone": lambda result: shutil.rmtree(result.directory),
}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Api]:
    async with served(
        folder,
        engines={"duckdb": {"type": "duckdb", "workers": 1}},
        results={"page_bytes": 64 << 10, "segment_bytes": 1 << 20},
        streams={"whole_page_streams": 1, "chunk_bytes": 4 << 10},
    ) as (_, api):
        await api.channel.channel_ready()
        yield api


@dataclass(frozen=True)
class Damaged:
    """A server that found results damaged, each in another place."""

    api: Api
    results: Mapping[str, Stored]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def damaged(tmp_path_factory: pytest.TempPathFactory, shared_folders: set[str]) -> AsyncIterator[Damaged]:
    folder = tmp_path_factory.mktemp("damaged")
    results = {}
    damages = {**IN_A_PAGE, **IN_THE_FILES}
    async with running(folder) as api:
        for name in (*damages, *(f"{place} in chunks" for place in IN_A_PAGE), "nothing"):
            query_id = (await api.submit(SQL, wait_timeout=WAIT)).status.query_id
            results[name] = stored(folder, query_id)
    for name, result in results.items():
        damages.get(name.removesuffix(" in chunks"), lambda _: None)(result)
    async with running(folder) as api:
        shared_folders.add(str(folder))
        # The process that cuts pages starts with the first cut, and would look like a leak of the test that needs it.
        await api.fetch(results["nothing"].query_id, offset=1)
        yield Damaged(api, results)
    shared_folders.discard(str(folder))


async def rows_before_loss(reading: Reading) -> list[int]:
    """The rows that came before the stream broke off by DATA_LOSS."""
    refusal = await refused(reading)
    assert (refusal.code.name, refusal.reason) == ("DATA_LOSS", "RESULT_LOST")
    pages = [event.page for event in reading.events if event.HasField("page")]
    return [row for page in pages for row in batch_of(page)["n"].to_pylist()]


async def test_the_results_have_many_pages_and_segments(damaged: Damaged) -> None:
    result = damaged.results["nothing"]
    assert len(result.pages) > 2 * BROKEN
    assert result.pages[-1].segment >= 1
    assert (await damaged.api.read(result.query_id)).table()["n"].to_pylist() == list(range(COUNT))


@pytest.mark.parametrize("place", IN_A_PAGE)
async def test_a_flipped_byte_is_data_loss_and_the_other_pages_are_not(damaged: Damaged, place: str) -> None:
    result = damaged.results[place]
    page = result.page
    for _ in range(2):
        assert await rows_before_loss(damaged.api.stream(result.query_id)) == list(range(page.start_row))
    rest = await damaged.api.read(result.query_id, start_row=page.end_row)
    assert rest.table()["n"].to_pylist() == list(range(page.end_row, COUNT))


@pytest.mark.parametrize("place", IN_A_PAGE)
async def test_a_flipped_byte_is_seen_before_the_first_chunk(damaged: Damaged, place: str) -> None:
    api, result = damaged.api, damaged.results[f"{place} in chunks"]
    endless = (await api.submit("SELECT count(*) FROM range(100000000000)")).status.query_id
    crowd = api.stream(endless)
    await crowd.to("start")
    reading = api.stream(result.query_id, start_row=result.page.start_row)
    assert (await refused(reading)).reason == "RESULT_LOST"
    assert "page" not in {event.WhichOneof("event") for event in reading.events}
    rest = await api.read(result.query_id, start_row=result.page.end_row)
    assert any(event.page.chunk_count > 1 for event in rest.events)
    assert rest.table()["n"].to_pylist() == list(range(result.page.end_row, COUNT))
    crowd.leave()
    await api.cancel(endless, wait_timeout=WAIT)


async def test_a_damaged_page_is_not_cut_into_others(damaged: Damaged) -> None:
    api, result = damaged.api, damaged.results["middle of the rows"]
    query_id, page = result.query_id, result.page
    calls = (
        api.stream(query_id, start_row=page.start_row + 1),
        api.stream(query_id, start_row=page.start_row, format=ROWS),
        api.fetch(query_id, offset=page.start_row),
        api.fetch(query_id, offset=page.start_row - 1, page_size=2),
    )
    for call in calls:
        assert (await refused(call)).reason == "RESULT_LOST"
    assert (await api.fetch(query_id, offset=page.end_row)).page.start_row == page.end_row


@pytest.mark.parametrize("place", IN_THE_FILES)
async def test_files_that_are_not_whole_are_never_a_whole_result(damaged: Damaged, place: str) -> None:
    reading = damaged.api.stream(damaged.results[place].query_id)
    rows = await rows_before_loss(reading)
    assert rows == list(range(len(rows)))
    assert "end" not in {event.WhichOneof("event") for event in reading.events}


@pytest.mark.parametrize("place", ["last byte of the rows", "a segment is missing", "all is gone"])
async def test_what_is_lost_is_known_to_be_and_can_be_given_up(tmp_path: Path, place: str) -> None:
    async with running(tmp_path) as api:
        query_id = (await api.submit(SQL, wait_timeout=WAIT)).status.query_id
    result = stored(tmp_path, query_id)
    {**IN_A_PAGE, **IN_THE_FILES}[place](result)
    async with running(tmp_path) as api:
        assert (await api.status(query_id)).result_state == RESULT_STATE_READY
        offset = result.page.start_row if place in IN_A_PAGE else COUNT - 1
        assert (await refused(api.fetch(query_id, offset=offset))).reason == "RESULT_LOST"
        status = await api.status(query_id)
        assert (status.state, status.result_state) == (COMPLETED, RESULT_STATE_LOST)
        # The same Submit finds the query, and no rows in its reply.
        again = await api.submit(SQL, query_id=query_id, wait_timeout=WAIT)
        assert (again.existing, again.status.result_state) == (True, RESULT_STATE_LOST)
    async with running(tmp_path) as api:
        assert (await api.status(query_id)).result_state == RESULT_STATE_LOST
        assert (await refused(api.stream(query_id))).reason == "RESULT_LOST"
        assert (await api.release(query_id)).status.result_state == RESULT_STATE_RELEASED
        assert not result.directory.exists()
