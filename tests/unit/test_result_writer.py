"""The result writer: every row once and in order, in pages near their target, whatever the engine's batches are."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from queryengine.codec.page import checksum, parse_event
from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.query import Truncation
from queryengine.domain.submission import Compression, LimitAction
from queryengine.results.segment import PageEntry, StoredResult
from queryengine.results.segment import load as load_from
from queryengine.results.slicing import CutOrder, cut
from queryengine.results.source import SpooledPages
from queryengine.results.spool.local import PARTS_MAX, LocalSpool
from queryengine.results.writer import (
    COLUMNS_IN_PLACE,
    FIRST_PAGE_BYTES,
    SCHEMA_SHARE,
    ResultLimits,
    ResultWriter,
)

PAGE_BYTES = 256 << 10
SCHEMA = pa.schema([pa.field("n", pa.int64()), pa.field("text", pa.string())])
ROW_BYTES = 8 + 4 + 20
RESULT = "tenant/query/1"


def limits(**changes: object) -> ResultLimits:
    values: dict[str, object] = {
        "page_bytes": PAGE_BYTES,
        "page_bytes_max": 4 * PAGE_BYTES,
        "segment_bytes": 1 << 20,
        "compression": Compression.NONE,
        "row_limit": 0,
        "byte_limit": 0,
        "on_limit": LimitAction.TRUNCATE,
        "bytes_max": 1 << 40,
        "record_bytes": 0,
        "sync_segments": False,
    }
    return ResultLimits(**{**values, **changes})  # type: ignore[arg-type]


def begun(root: Path) -> Path:
    """The folder of a result that is begun."""
    LocalSpool(root).begin(RESULT)
    return root / RESULT


def writer_in(
    root: Path, schema: pa.Schema, limits: ResultLimits, published: Callable[[PageEntry], None] = lambda _: None
) -> ResultWriter:
    begun(root)
    return ResultWriter(LocalSpool(root), RESULT, schema, limits, published)


def load(root: Path) -> StoredResult:
    return load_from(SpooledPages(LocalSpool(root), RESULT))


def batch(start: int, rows: int) -> pa.RecordBatch:
    numbers = range(start, start + rows)
    return pa.record_batch([pa.array(numbers, pa.int64()), pa.array([f"{n:020}" for n in numbers])], schema=SCHEMA)


def numbers(root: Path, pages: list[PageEntry]) -> list[int]:
    """The first column of all pages, read back from the disk."""
    rows = pages[-1].end_row
    order = CutOrder(
        source=SpooledPages(LocalSpool(root), RESULT),
        entries=tuple(pages),
        start_row=0,
        row_limit=rows,
        bytes_max=1 << 30,
        as_rows=False,
    )
    found: list[int] = pa.ipc.open_stream(cut(order).payload).read_all().column(0).to_pylist()
    return found


@pytest.mark.parametrize("batch_rows", [1, 700, 7_000, 20_000, 100_000])
def test_pages_hold_every_row_and_are_near_their_target(tmp_path: Path, batch_rows: int) -> None:
    rows = 1_000 if batch_rows == 1 else 100_000
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, SCHEMA, limits(), published.append)
    for start in range(0, rows, batch_rows):
        writer.write(batch(start, min(batch_rows, rows - start)))
    totals = writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()

    assert (totals.rows, totals.pages) == (rows, len(published))
    assert load(tmp_path).pages == tuple(published)
    assert numbers(tmp_path, published) == list(range(rows))
    assert published[0].row_count * ROW_BYTES <= FIRST_PAGE_BYTES * 1.2
    for page in published[1:-1]:
        # A batch is never cut into a page and a small rest, and small batches gather.
        assert 0.5 * PAGE_BYTES < page.row_count * ROW_BYTES < 1.2 * PAGE_BYTES


def test_rows_that_wait_are_stored_by_flush(tmp_path: Path) -> None:
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, SCHEMA, limits(), published.append)
    writer.write(batch(0, 10))
    assert (published, writer.has_unseen) == ([], True)
    writer.show()
    assert [(page.start_row, page.row_count) for page in published] == [(0, 10)]
    assert not writer.has_unseen
    writer.close()
    assert load(tmp_path).totals is None


@pytest.mark.parametrize("row_limit", [1, 2_500, 9_999])
def test_a_row_limit_cuts_exactly(tmp_path: Path, row_limit: int) -> None:
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, SCHEMA, limits(row_limit=row_limit), published.append)
    start = 0
    while not writer.is_full:
        writer.write(batch(start, 1_000))
        start += 1_000
    totals = writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    assert (totals.rows, totals.truncation) == (row_limit, Truncation.ROW_LIMIT)
    assert numbers(tmp_path, published) == list(range(row_limit))


def test_a_result_that_just_fits_is_whole(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, SCHEMA, limits(row_limit=1_000))
    writer.write(batch(0, 1_000))
    assert not writer.is_full
    assert writer.finish(rows_scanned=None, bytes_scanned=None).truncation is None
    writer.close()


def test_too_many_rows_fail_when_asked_to(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, SCHEMA, limits(row_limit=10, on_limit=LimitAction.FAIL))
    with pytest.raises(QueryEngineError) as caught:
        writer.write(batch(0, 11))
    assert caught.value.failure.reason is Reason.RESULT_LIMIT
    writer.close()


@pytest.mark.parametrize("compression", list(Compression))
def test_a_row_of_more_columns_than_one_call_writes_is_whole(tmp_path: Path, compression: Compression) -> None:
    columns = PARTS_MAX
    wide = pa.record_batch([pa.array([f"value {n}"]) for n in range(columns)], [f"c{n}" for n in range(columns)])
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, wide.schema, limits(compression=compression), published.append)
    writer.write(wide)
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    entry = published[0]
    with (tmp_path / RESULT / "00000.seg").open("rb") as file:
        file.seek(entry.offset)
        page = parse_event(file.read(entry.length))
    assert page is not None
    assert checksum(page.payload) == entry.crc32c
    assert pa.ipc.open_stream(page.payload).read_all().to_pylist() == wide.to_pylist()


@pytest.mark.parametrize("sync_segments", [False, True])
def test_the_last_segment_is_synced_and_the_others_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync_segments: bool
) -> None:
    synced = []
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
    )
    writer = writer_in(tmp_path, SCHEMA, limits(sync_segments=sync_segments))
    for start in range(0, 100_000, 10_000):
        writer.write(batch(start, 10_000))
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    segments = sorted((tmp_path / RESULT).iterdir())
    assert len(segments) > 2
    assert synced == (segments if sync_segments else segments[-1:])


def test_a_segment_that_is_gone_leaves_no_whole_result(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, SCHEMA, limits())
    writer.write(batch(0, 100_000))
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    first, second, *_, last = sorted((tmp_path / RESULT).iterdir())
    assert load(tmp_path).totals is not None
    for damage in (second.unlink, lambda: os.truncate(first, 0)):
        damage()
        assert last.exists()
        assert load(tmp_path).totals is None


def test_a_first_segment_that_is_empty_leaves_no_whole_result(tmp_path: Path) -> None:
    """Also when it held no page: the first one did not fit behind the schema."""
    writer = writer_in(tmp_path, SCHEMA, limits(segment_bytes=1))
    writer.write(batch(0, 100))
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    assert load(tmp_path).totals is not None
    os.truncate(min((tmp_path / RESULT).iterdir()), 0)
    assert load(tmp_path).totals is None


def test_a_folder_is_made_empty_and_one_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    (folder / "00000.seg").write_bytes(b"left by another run")
    assert begun(tmp_path) == folder
    assert list(folder.iterdir()) == []
    folder.rmdir()
    folder.parent.rmdir()
    folder.parent.touch()
    with pytest.raises(QueryEngineError) as caught:
        begun(tmp_path)
    assert caught.value.failure.reason is Reason.STORE_UNAVAILABLE
    assert "Not a directory" in caught.value.failure.message


def stored(root: Path) -> None:
    """Store a result of several segments, from its beginning to its END record."""
    writer = writer_in(root, SCHEMA, limits(sync_segments=True))
    try:
        writer.write(batch(0, 100_000))
        writer.finish(rows_scanned=None, bytes_scanned=None)
    finally:
        writer.close()


DISK_ERRORS = (
    (errno.ENOSPC, Reason.SPOOL_FULL),
    (errno.EDQUOT, Reason.SPOOL_FULL),
    (errno.EACCES, Reason.STORE_UNAVAILABLE),
    (errno.EROFS, Reason.STORE_UNAVAILABLE),
    (errno.EIO, Reason.STORE_UNAVAILABLE),
    (errno.ENOENT, Reason.STORE_UNAVAILABLE),
    (errno.EMFILE, Reason.STORE_UNAVAILABLE),
)


@pytest.mark.parametrize(("number", "reason"), DISK_ERRORS)
def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason
) -> None:
    def failing(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", failing)
    with pytest.raises(QueryEngineError) as caught:
        begun(tmp_path)
    assert caught.value.failure.reason is reason


@pytest.mark.parametrize("disk_error", DISK_ERRORS)
@pytest.mark.parametrize("step", ["open", "writev", "fdatasync", "close"])
@pytest.mark.parametrize("calls", [0, 1])
def test_a_disk_that_takes_no_more_writes_is_named_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, calls: int, disk_error: tuple[int, Reason]
) -> None:
    """From the first call of a step on, or from the second one, which is that of a later segment or of the END
    marker.
    """
    number, reason = disk_error
    call = getattr(os, step)
    left = iter(range(calls))

    def failing(*arguments: object, **named: object) -> object:
        if next(left, None) is not None:
            return call(*arguments, **named)
        if step == "close":
            # The descriptor is free again whatever the call reports.
            call(*arguments, **named)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("queryengine.results.spool.local.os", SimpleNamespace(**{**vars(os), step: failing}))
    with pytest.raises(QueryEngineError) as caught:
        stored(tmp_path)
    assert caught.value.failure.reason is reason
    assert reason is Reason.SPOOL_FULL or os.strerror(number) in caught.value.failure.message
    monkeypatch.undo()
    assert load(tmp_path).totals is None


@pytest.mark.parametrize("segment_bytes", [1 << 20, 1 << 30])
def test_a_folder_that_is_removed_meanwhile_fails_the_result(tmp_path: Path, segment_bytes: int) -> None:
    """At the next segment, or at the end: the file takes writes as before, and nobody would find them."""
    writer = writer_in(tmp_path, SCHEMA, limits(segment_bytes=segment_bytes))
    writer.write(batch(0, 10_000))
    shutil.rmtree((tmp_path / RESULT).parent)

    def go_on() -> None:
        writer.write(batch(10_000, 100_000))
        writer.finish(rows_scanned=None, bytes_scanned=None)

    with pytest.raises(QueryEngineError) as caught:
        go_on()
    writer.close()
    assert caught.value.failure.reason is Reason.STORE_UNAVAILABLE
    assert caught.value.failure.retryable


@pytest.mark.parametrize("compression", list(Compression))
def test_many_columns_come_in_few_pages(tmp_path: Path, compression: Compression) -> None:
    """Their schema alone is larger than a page may be; cut into single rows, each would bring it again."""
    columns, rows = 3_000, 120
    fields = [pa.field(f"column {n}", pa.int64(), metadata={"engine_type": "BIGINT"}) for n in range(columns)]
    schema = pa.schema(fields)
    wide = pa.RecordBatch.from_arrays([pa.array(range(n, n + rows)) for n in range(columns)], schema=schema)
    schema_bytes = len(schema.serialize().to_pybytes())
    assert schema_bytes > 4 * 64 << 10
    published: list[PageEntry] = []
    writer = writer_in(
        tmp_path,
        schema,
        limits(page_bytes=32 << 10, page_bytes_max=64 << 10, compression=compression),
        published.append,
    )
    writer.write(wide.slice(0, 50))
    writer.write(wide.slice(50))
    totals = writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    assert totals.rows == rows
    assert numbers(tmp_path, published) == list(range(rows))
    assert len(published) <= 2 + wide.nbytes / (SCHEMA_SHARE * schema_bytes)
    assert totals.bytes <= 2.5 * wide.nbytes


@pytest.mark.parametrize("columns", [COLUMNS_IN_PLACE, COLUMNS_IN_PLACE + 1])
def test_pages_of_rows_of_uneven_size_stay_below_their_most(tmp_path: Path, columns: int) -> None:
    """Of many columns the sizes are shares of the whole, so what comes out too large is cut again."""
    schema = pa.schema([pa.field(f"c{n}", pa.string()) for n in range(columns)])
    texts = ["x"] * 500 + ["x" * 1_000] * 20
    wide = pa.RecordBatch.from_arrays([pa.array(texts)] * columns, schema=schema)
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, schema, limits(page_bytes_max=1 << 20), published.append)
    writer.write(wide)
    totals = writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    assert totals.rows == len(texts)
    assert max(page.length for page in published) < (1 << 20) + 1_000


def test_a_page_of_more_pieces_than_one_call_writes_is_whole(tmp_path: Path) -> None:
    columns = COLUMNS_IN_PLACE
    kind = pa.struct([pa.field(f"m{n}", pa.string()) for n in range(8)])
    schema = pa.schema([pa.field(f"c{n}", kind) for n in range(columns)])
    row = {f"m{n}": "x" * n for n in range(8)}
    wide = pa.RecordBatch.from_arrays([pa.array([row], kind)] * columns, schema=schema)
    published: list[PageEntry] = []
    writer = writer_in(tmp_path, schema, limits(page_bytes_max=64 << 20), published.append)
    writer.write(wide)
    writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()
    [page] = published
    stored = (tmp_path / RESULT / f"{page.segment:05}.seg").read_bytes()
    payload = stored[page.offset + page.prefix_length : page.offset + page.length]
    assert checksum(payload) == page.crc32c
    assert columns * 8 * 2 > PARTS_MAX
    assert pa.ipc.open_stream(payload).read_next_batch().equals(wide)


@pytest.mark.parametrize("compression", list(Compression))
def test_a_row_is_too_large_by_what_it_takes_uncompressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    monkeypatch.setattr("queryengine.results.writer.ROW_BYTES_MAX", 1 << 20)
    schema = pa.schema([pa.field("s", pa.string())])
    writer = writer_in(tmp_path, schema, limits(compression=compression))
    writer.write(pa.record_batch([["x" * ((1 << 20) - 1000)]], schema=schema))
    writer.show()
    with pytest.raises(QueryEngineError) as caught:
        # Larger than a page, so that it is stored at once.
        writer.write(pa.record_batch([["x" * (1 << 20)]], schema=schema))
    assert caught.value.failure.reason is Reason.ROW_TOO_LARGE
    writer.close()
