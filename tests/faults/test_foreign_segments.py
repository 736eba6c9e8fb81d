"""Files of another query in place of one's own, and pages that change under a running server, are never served."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.segments import pages_of, segment_path
from tests.support import ROWS, WAIT, Api, Reading, batch_of, refused, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 80_000
ENGINES = {"duckdb": {"type": "duckdb", "workers": 1}}
RESULTS = {"page_bytes": 64 << 10, "segment_bytes": 1 << 20}
CHUNKS = {"whole_page_streams": 0, "chunk_bytes": 4 << 10}


def sql(word: str) -> str:
    """Statements whose results have the same columns and sizes, and other rows."""
    return f"SELECT range AS n, '{word}-' || range AS s FROM range({COUNT})"


def folder(state: Path, query_id: str) -> Path:
    (found,) = state.glob(f"spool/*/{query_id}/1")
    return found


def files(state: Path, query_id: str) -> list[Path]:
    return sorted(folder(state, query_id).iterdir())


async def lost(reading: Reading) -> list[str]:
    """The texts that came before DATA_LOSS."""
    refusal = await refused(reading)
    assert (refusal.code.name, refusal.reason) == ("DATA_LOSS", "RESULT_LOST")
    pages = [event.page for event in reading.events if event.HasField("page")]
    whole = [page for page in pages if page.chunk_count <= 1]
    return [text for page in whole for text in batch_of(page)["s"].to_pylist()]


def swap_all(mine: list[Path], theirs: list[Path]) -> None:
    for path, other in zip(mine, theirs, strict=True):
        shutil.copyfile(other, path)


def swap_first(mine: list[Path], theirs: list[Path]) -> None:
    shutil.copyfile(theirs[0], mine[0])


def swap_last(mine: list[Path], theirs: list[Path]) -> None:
    shutil.copyfile(theirs[-1], mine[-1])


def swap_own(mine: list[Path], _: list[Path]) -> None:
    """A segment in place of another one of the same result."""
    shutil.copyfile(mine[-1], mine[0])


def swap_folder(mine: list[Path], theirs: list[Path]) -> None:
    shutil.rmtree(mine[0].parent)
    theirs[0].parent.rename(mine[0].parent)


def swap_by_rename(mine: list[Path], theirs: list[Path]) -> None:
    theirs[0].rename(mine[0])


SWAPS = [swap_all, swap_first, swap_last, swap_own, swap_folder, swap_by_rename]
Swap = Callable[[list[Path], list[Path]], None]


async def two_results(api: Api, *, same_tenant: bool) -> tuple[str, str]:
    """The ids of a query of this tenant and of another query."""
    mine = (await api.submit(sql("mine"), wait_timeout=WAIT)).status.query_id
    other = api if same_tenant else Api(api.channel, "other")
    return mine, (await other.submit(sql("them"), wait_timeout=WAIT)).status.query_id


async def test_a_file_of_another_place_is_not_read_after_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, engines=ENGINES, results=RESULTS) as (_, api):
        pairs = [
            (swap, await two_results(api, same_tenant=same_tenant)) for swap in SWAPS for same_tenant in (True, False)
        ]
    for swap, (mine, theirs) in pairs:
        assert len(files(tmp_path, mine)) > 1
        swap(files(tmp_path, mine), files(tmp_path, theirs))
    async with served(tmp_path, engines=ENGINES, results=RESULTS) as (_, api):
        for swap, (mine, _theirs) in pairs:
            texts = await lost(api.stream(mine))
            assert texts == [f"mine-{n}" for n in range(len(texts))], swap
            assert (await refused(api.fetch(mine, offset=COUNT - 1))).reason == "RESULT_LOST", swap


@pytest.mark.parametrize("streams", [{}, CHUNKS], ids=["whole", "chunked"])
async def test_a_file_of_another_place_is_not_read_by_a_running_server(tmp_path: Path, streams: dict[str, int]) -> None:
    async with served(tmp_path, engines=ENGINES, results=RESULTS, streams=streams) as (_, api):
        for swap in (swap_all, swap_first, swap_by_rename):
            for was_read in (True, False):
                mine, theirs = await two_results(api, same_tenant=False)
                if was_read:
                    assert (await api.read(mine)).next_row == COUNT
                swap(files(tmp_path, mine), files(tmp_path, theirs))
                assert await lost(api.stream(mine)) == [], (swap, was_read)
                assert (await refused(api.stream(mine, format=ROWS))).reason == "RESULT_LOST", (swap, was_read)
                assert (await refused(api.fetch(mine, offset=0))).reason == "RESULT_LOST", (swap, was_read)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_page_that_changed_after_it_was_read_is_not_sent_again(tmp_path: Path, chunked: bool) -> None:
    streams = CHUNKS if chunked else {}
    async with served(tmp_path, engines=ENGINES, results=RESULTS, streams=streams) as (_, api):
        mine = (await api.submit(sql("mine"), wait_timeout=WAIT)).status.query_id
        assert (await api.read(mine)).next_row == COUNT
        page = pages_of(folder(tmp_path, mine))[3]
        with segment_path(folder(tmp_path, mine), page.segment).open("r+b") as file:
            file.seek(page.payload_offset + page.payload_length // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))
        reading = api.stream(mine)
        await lost(reading)
        # No page is whole that was changed: of one that is sent in parts the last part is missing.
        last = [event.page for event in reading.events if event.HasField("page")][-1]
        assert (last.start_row == page.start_row) == chunked
        assert last.chunk_count == 0 or last.chunk_index < last.chunk_count - 1
        assert (await api.read(mine, start_row=page.end_row)).next_row == COUNT


async def test_the_meter_counts_what_lies_on_the_disk(tmp_path: Path) -> None:
    async with served(tmp_path, engines=ENGINES, results=RESULTS) as (service, api):
        query_id = (await api.submit(sql("mine"), wait_timeout=WAIT)).status.query_id
        assert service.parts.state.meter.total == sum(path.stat().st_size for path in files(tmp_path, query_id))
        await api.release(query_id)
        assert service.parts.state.meter.total == 0
