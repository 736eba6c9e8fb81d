"""Small results that are part of the record: one index and one reader for them and for those in the spool."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from queryengine.domain.clock import SystemClock
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.lifecycle import Event, QueryState, ResultState
from queryengine.live import registry as registry_module
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.query import LiveQuery
from queryengine.live.registry import Registry
from queryengine.reading.indexes import Indexes
from queryengine.results.reader import PageReader
from queryengine.results.slicing import CutOrder, cut
from queryengine.results.source import RecordedPages, SpooledPages
from queryengine.results.spool.keys import result_key
from queryengine.results.spool.local import LocalSpool
from queryengine.results.stored import StoredResults
from queryengine.results.writer import ResultWriter
from queryengine.store.store import Store
from queryengine.telemetry.metrics import Metrics
from tests.store_values import CHANGES, stored
from tests.unit.test_result_writer import SCHEMA, batch, limits

ROWS = 500
NAME = "00000000-0000-4000-8000-000000000001.1"


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def segment_of(root: Path, name: str = NAME, tenant: str = "tenant") -> bytes:
    """The bytes of the one segment of a result of several pages."""
    spool, key = LocalSpool(root), result_key(tenant, name)
    spool.begin(key)
    writer = ResultWriter(spool, key, SCHEMA, limits(), lambda _: None)
    for start in range(0, ROWS, 100):
        writer.write(batch(start, 100))
        writer.show()
    writer.finish(rows_scanned=7, bytes_scanned=None)
    writer.close()
    return (root / key / "00000.seg").read_bytes()


async def rows_of(results: StoredResults, payload: bytes, executor: ThreadPoolExecutor) -> list[int]:
    index = results.recorded("tenant", NAME, 1, payload)
    reader = PageReader(index, executor)
    found: list[int] = []
    for number in range(len(index)):
        page = await reader.page(number)
        with pa.ipc.open_stream(page.payload) as stream:
            found += stream.read_all()["n"].to_pylist()
    reader.close()
    return found


async def test_a_recorded_result_reads_as_one_in_the_spool(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    payload = segment_of(tmp_path)
    results = StoredResults(LocalSpool(tmp_path))
    spooled = results.index("tenant", NAME, 1)
    recorded = results.recorded("tenant", NAME, 1, payload)
    assert recorded.totals == spooled.totals
    assert recorded.schema == spooled.schema
    assert [recorded[n] for n in range(len(recorded))] == [spooled[n] for n in range(len(spooled))]
    assert recorded.stored_bytes == spooled.stored_bytes == len(payload)
    assert recorded.held_bytes == spooled.held_bytes + len(payload)
    results.remove("tenant", NAME)
    assert await rows_of(results, payload, executor) == list(range(ROWS))


def test_a_recorded_result_is_cut_in_another_process(tmp_path: Path) -> None:
    payload = segment_of(tmp_path)
    results = StoredResults(LocalSpool(tmp_path))
    index = results.recorded("tenant", NAME, 1, payload)
    results.remove("tenant", NAME)
    order = CutOrder(
        source=index.source,
        entries=tuple(index[n] for n in range(len(index))),
        start_row=150,
        row_limit=200,
        bytes_max=1 << 20,
        as_rows=False,
    )
    there = CutOrder.from_json(order.to_json(), order.blob, LocalSpool(tmp_path))
    assert isinstance(there.source, RecordedPages)
    page = cut(there)
    assert pa.ipc.open_stream(page.payload).read_all()["n"].to_pylist() == list(range(150, 350))


def test_a_spooled_result_takes_its_pages_from_the_spool(tmp_path: Path) -> None:
    segment_of(tmp_path)
    index = StoredResults(LocalSpool(tmp_path)).index("tenant", NAME, 1)
    order = CutOrder(
        source=index.source, entries=(index[0],), start_row=0, row_limit=1, bytes_max=1 << 20, as_rows=False
    )
    assert order.blob == b""
    assert isinstance(CutOrder.from_json(order.to_json(), b"", LocalSpool(tmp_path)).source, SpooledPages)


@pytest.mark.parametrize(
    ("tenant", "name"), [("other", NAME), ("tenant", NAME[:-1] + "2"), ("tenant", NAME.replace("1.1", "2.1"))]
)
def test_bytes_of_another_result_are_not_read(tmp_path: Path, tenant: str, name: str) -> None:
    index = StoredResults(LocalSpool(tmp_path)).recorded("tenant", NAME, 1, segment_of(tmp_path, name, tenant))
    assert (len(index), index.schema, index.totals) == (0, None, None)


@pytest.mark.parametrize("cut_bytes", [1, 100, 2_000])
def test_bytes_that_are_cut_short_are_no_whole_result(tmp_path: Path, cut_bytes: int) -> None:
    payload = segment_of(tmp_path)[:-cut_bytes]
    assert StoredResults(LocalSpool(tmp_path)).recorded("tenant", NAME, 1, payload).totals is None


async def test_a_flipped_byte_is_found(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    payload = bytearray(segment_of(tmp_path))
    results = StoredResults(LocalSpool(tmp_path))
    entry = results.index("tenant", NAME, 1)[2]
    payload[entry.payload_offset + entry.payload_length // 2] ^= 1
    with pytest.raises(QueryEngineError) as caught:
        await rows_of(results, bytes(payload), executor)
    assert caught.value.failure.reason is Reason.RESULT_LOST


@dataclass
class Parts:
    """A store with one completed query whose result it holds, and what reads it."""

    store: Store
    registry: Registry
    indexes: Indexes
    payload: bytes
    asked: list[str]
    """Results that the store was asked for."""

    async def ended(self, number: int) -> LiveQuery:
        """A completed query that is in memory without its index."""
        running = await stored(self.store, QueryState.RUNNING, number)
        totals = {"rows": ROWS, "pages": 5, "bytes": self._bytes}
        changes = {**CHANGES[Event.COMPLETE], **totals, "expire_us": 1 << 60}
        _, done = await self.store.advance(running, Event.COMPLETE, changes=changes, payload=self.payload)
        assert (done.state, done.result_state) == (QueryState.COMPLETED, ResultState.READY)
        return self.registry.add(done)

    @property
    def _bytes(self) -> int:
        index = StoredResults(LocalSpool(Path("/nowhere"))).recorded("tenant", NAME, 1, self.payload)
        assert index.totals is not None
        return index.totals.bytes


@asynccontextmanager
async def parts(folder: Path, executor: ThreadPoolExecutor) -> AsyncIterator[Parts]:
    store = await Store.open(folder / "queries.db", owner="test")
    results = StoredResults(LocalSpool.made(folder / "spool"))
    lifetimes = Lifetimes(SystemClock(), keep_records_us=1 << 60)
    registry = Registry(store, Metrics([], "0"), lifetimes)
    asked: list[str] = []

    class Asked:
        """The store, and what is asked of it."""

        async def result_payload(self, tenant: str, name: str) -> bytes | None:
            asked.append(name)
            return await store.result_payload(tenant, name)

    indexes = Indexes(results, executor, lifetimes, store=cast("Any", Asked()), registry=registry)
    try:
        yield Parts(store, registry, indexes, segment_of(folder / "written"), asked)
    finally:
        await store.close()


async def test_the_record_is_asked_once_for_what_is_read_again(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    async with parts(tmp_path, executor) as made:
        live = await made.ended(1)
        for _ in range(3):
            index = await made.indexes.of(live)
            assert index is not None
            assert index.rows == ROWS
            assert isinstance(index.source, RecordedPages)
        assert made.asked == [NAME]


async def test_recorded_results_in_memory_are_bounded(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with parts(tmp_path, executor) as made:
        held = 3 * len(made.payload)
        monkeypatch.setattr(registry_module, "ENDED_BYTES_MAX", held)
        lives = [await made.ended(1)]
        index = await made.indexes.of(lives[0])
        assert index is not None
        for number in range(2, 9):
            # As the runner leaves them: with the index of what was just read from the worker.
            live = await made.ended(number)
            live.index = index
            made.registry.weigh(live)
            lives.append(live)
        kept = [live for live in lives if made.registry.in_memory(*live.key) is not None]
        assert kept == lives[-len(kept) :]
        assert 0 < sum(live.held_bytes for live in kept) <= held
