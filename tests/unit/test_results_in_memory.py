"""A result that is small and whole before rows must be shown stays in memory; every other one goes to the spool."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.query import Truncation
from queryengine.domain.submission import Compression, LimitAction
from queryengine.results.segment import PageEntry, StoredResult, load
from queryengine.results.source import RecordedPages, SpooledPages
from queryengine.results.spool.local import LocalSpool
from queryengine.results.writer import ResultLimits, ResultWriter

RESULT = "0123456789abcdef01234567/0ef5a7c1-2d9e-4b4e-8f65-0a3d4b7a2a55/1"
SCHEMA = pa.schema([("number", pa.int64())])
RECORD_BYTES = 4096


class Written:
    """A writer on a spool of its own, and what it published."""

    def __init__(self, root: Path, **changes: Any) -> None:
        values: dict[str, Any] = {
            "page_bytes": 1 << 20,
            "page_bytes_max": 3 << 20,
            "segment_bytes": 1 << 20,
            "compression": Compression.NONE,
            "row_limit": 0,
            "byte_limit": 0,
            "on_limit": LimitAction.TRUNCATE,
            "bytes_max": 1 << 40,
            "record_bytes": RECORD_BYTES,
            "sync_segments": False,
        }
        self.spool = LocalSpool(root)
        self.published: list[PageEntry] = []
        limits = ResultLimits(**{**values, **changes})
        self.writer = ResultWriter(self.spool, RESULT, SCHEMA, limits, self.published.append)

    def rows(self, start: int, count: int) -> None:
        numbers = pa.array(range(start, start + count), pa.int64())
        self.writer.write(pa.record_batch([numbers], schema=SCHEMA))

    def finish(self) -> bytes | None:
        self.totals = self.writer.finish(rows_scanned=7, bytes_scanned=None)
        payload = self.writer.payload
        self.writer.close()
        return payload

    def spooled(self) -> StoredResult:
        return load(SpooledPages(self.spool, RESULT))


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_a_small_result_is_the_bytes_of_its_segment_and_leaves_the_spool_alone(tmp_path: Path, rows: int) -> None:
    small, large = Written(tmp_path / "small"), Written(tmp_path / "large", record_bytes=0)
    payloads = []
    for written in (small, large):
        if rows:
            written.rows(0, rows)
        payloads.append(written.finish())
    assert payloads[1] is None
    assert payloads[0] == (tmp_path / "large" / RESULT / "00000.seg").read_bytes()
    assert small.published == []
    assert not (tmp_path / "small").exists()

    stored = load(RecordedPages(RESULT, payloads[0]))
    assert stored == large.spooled()
    assert stored.totals == small.totals
    assert stored.totals.rows == rows


@pytest.mark.parametrize("spare", [1, 0, -1])
def test_as_many_bytes_as_the_limit_stay_in_memory_and_one_more_does_not(tmp_path: Path, spare: int) -> None:
    small = Written(tmp_path / "small")
    small.rows(0, 10)
    payload = small.finish()
    assert payload is not None
    written = Written(tmp_path, record_bytes=len(payload) + spare)
    written.rows(0, 10)
    assert written.finish() == (payload if spare >= 0 else None)
    assert (written.spooled().totals == written.totals) == (spare < 0)


def test_rows_that_must_be_shown_go_to_the_spool_and_what_follows_goes_after_them(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.rows(0, 10)
    assert written.writer.has_unseen
    assert not written.writer.has_shown
    written.writer.show()
    assert [(page.start_row, page.row_count) for page in written.published] == [(0, 10)]
    assert not written.writer.has_unseen
    assert written.writer.has_shown
    written.rows(10, 5)
    assert written.finish() is None
    assert [(page.start_row, page.row_count) for page in written.spooled().pages] == [(0, 10), (10, 5)]
    assert written.spooled().totals == written.totals


def test_a_result_that_outgrows_memory_is_whole_in_the_spool(tmp_path: Path) -> None:
    written = Written(tmp_path, segment_bytes=64 << 10)
    for start in range(0, 100_000, 10_000):
        written.rows(start, 10_000)
    assert written.finish() is None
    assert written.spooled().totals == written.totals
    assert written.spooled().pages == tuple(written.published)
    assert sum(page.row_count for page in written.published) == 100_000


@pytest.mark.parametrize("kept", [RECORD_BYTES, 0])
def test_limits_hold_in_memory_as_in_the_spool(tmp_path: Path, kept: int) -> None:
    written = Written(tmp_path / "rows", record_bytes=kept, row_limit=3)
    written.rows(0, 10)
    assert written.writer.is_full
    written.finish()
    assert (written.totals.rows, written.totals.truncation) == (3, Truncation.ROW_LIMIT)

    strict = Written(tmp_path / "strict", record_bytes=kept, row_limit=3, on_limit=LimitAction.FAIL)
    with pytest.raises(QueryEngineError) as refused:
        strict.rows(0, 10)
    assert refused.value.failure.reason is Reason.RESULT_LIMIT
    strict.writer.close()
    assert strict.published == []


def test_what_a_run_left_that_nobody_heard_of_goes_when_the_next_one_needs_the_spool(tmp_path: Path) -> None:
    left = Written(tmp_path, record_bytes=0)
    left.rows(0, 10)
    left.writer.show()
    left.writer.close()
    written = Written(tmp_path)
    written.rows(0, 20)
    written.writer.show()
    written.finish()
    assert written.spooled().totals == written.totals
