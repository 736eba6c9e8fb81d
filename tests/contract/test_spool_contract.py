"""What every spool keeps: one test for each sentence of `results/spool/base.py`.

A new kind of spool is one more entry of SPOOLS. A segment that is still being written is looked at only where the spool
shows it.
"""

import errno
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.results.spool.base import SegmentReader, Spool
from queryengine.results.spool.keys import result_key, tenant_hash
from queryengine.results.spool.local import PARTS_MAX, LocalSpool
from queryengine.results.spool.locations import spool_at
from queryengine.results.stored import StoredResults
from queryengine.results.writer import ResultWriter
from tests.contract.put_spool import PutSpool
from tests.unit.test_result_writer import SCHEMA, batch, limits

RESULT = "tenant/query/1"
KEY = f"{RESULT}/00000.seg"

SPOOLS: Mapping[str, Callable[[Path], Spool]] = {
    "local": lambda folder: LocalSpool.made(folder / "spool"),
    "put": lambda _: PutSpool(),
}


@pytest.fixture(params=SPOOLS)
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    return SPOOLS[request.param](tmp_path)


def put(spool: Spool, key: str, *parts: bytes, sync: bool = True) -> None:
    """One whole segment; its result must have been begun."""
    writer = spool.create(key)
    writer.append([memoryview(part) for part in parts])
    writer.finish(sync=sync)


def content(spool: Spool, key: str) -> bytes:
    reader = spool.open(key)
    try:
        return reader.read(0, reader.size() + 1)
    finally:
        reader.close()


def failing_with(reason: Reason, call: Callable[[], object]) -> QueryEngineError:
    with pytest.raises(QueryEngineError) as caught:
        call()
    assert caught.value.failure.reason is reason
    return caught.value


def keys(spool: Spool, prefix: str = "") -> set[str]:
    return {found.key for found in spool.list(prefix)}


@pytest.mark.parametrize("sync", [False, True])
def test_a_segment_is_read_as_it_was_put(spool: Spool, sync: bool) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"one ", b"", b"two", sync=sync)
    assert content(spool, KEY) == b"one two"


def test_appends_come_one_after_another_and_pieces_in_order(spool: Spool) -> None:
    spool.begin(RESULT)
    pieces = [bytes([n % 251]) * (n % 7) for n in range(2 * PARTS_MAX + 3)]
    writer = spool.create(KEY)
    writer.append([memoryview(piece) for piece in pieces])
    writer.append([memoryview(b"end")])
    writer.finish(sync=True)
    assert content(spool, KEY) == b"".join(pieces) + b"end"


def test_what_was_appended_is_read_as_soon_as_the_spool_says(spool: Spool) -> None:
    spool.begin(RESULT)
    writer = spool.create(KEY)
    writer.append([memoryview(b"page")])
    if spool.shows_appended:
        assert content(spool, KEY) == b"page"
    writer.finish(sync=False)
    assert content(spool, KEY) == b"page"


@pytest.mark.parametrize(("offset", "length"), [(0, 3), (3, 4), (6, 1), (0, 7), (5, 10), (7, 5), (100, 5)])
def test_ranges_are_read_and_fewer_bytes_come_at_the_end_only(spool: Spool, offset: int, length: int) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"one two")
    reader = spool.open(KEY)
    expected = b"one two"[offset : offset + length]
    assert reader.size() == 7
    assert reader.read(offset, length) == expected
    assert reader.read_now(offset, length) in (None, expected)
    reader.close()
    reader.close()


def test_a_key_is_written_once(spool: Spool) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"first")
    failure = failing_with(Reason.STORE_UNAVAILABLE, lambda: put(spool, KEY, b"second"))
    assert failure.failure.retryable
    assert content(spool, KEY) == b"first"


def test_of_two_writers_of_a_key_one_wins(spool: Spool) -> None:
    spool.begin(RESULT)
    start = threading.Barrier(4)
    outcomes: list[bytes | Reason] = []

    def write(text: bytes) -> None:
        start.wait()
        try:
            put(spool, KEY, text)
            outcomes.append(text)
        except QueryEngineError as refusal:
            outcomes.append(refusal.failure.reason)

    writers = [threading.Thread(target=write, args=(b"writer %d" % n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert outcomes.count(Reason.STORE_UNAVAILABLE) == 3
    [winner] = [each for each in outcomes if isinstance(each, bytes)]
    assert content(spool, KEY) == winner


def test_close_without_finish_is_idempotent_and_shows_nothing_else(spool: Spool) -> None:
    spool.begin(RESULT)
    writer = spool.create(KEY)
    writer.append([memoryview(b"whole")])
    writer.close()
    writer.close()
    if spool.shows_appended:
        assert content(spool, KEY) == b"whole"
    else:
        failing_with(Reason.RESULT_LOST, lambda: spool.open(KEY).read(0, 1))


def test_close_after_finish_does_nothing(spool: Spool) -> None:
    spool.begin(RESULT)
    writer = spool.create(KEY)
    writer.append([memoryview(b"whole")])
    writer.finish(sync=True)
    writer.close()
    assert content(spool, KEY) == b"whole"


def test_what_is_not_there_is_lost(spool: Spool) -> None:
    for key in (KEY, f"{RESULT}/00001.seg", "nobody/nothing/1/00000.seg"):
        failing_with(Reason.RESULT_LOST, lambda key=key: spool.open(key).read(0, 1))  # type: ignore[misc]


def test_to_begin_removes_what_is_there_of_the_result_alone(spool: Spool) -> None:
    for result in (RESULT, "tenant/query/10", "tenant/other/1"):
        spool.begin(result)
        put(spool, f"{result}/00000.seg", result.encode())
    spool.begin(RESULT)
    assert keys(spool) == {"tenant/query/10/00000.seg", "tenant/other/1/00000.seg"}
    put(spool, KEY, b"again")
    assert content(spool, KEY) == b"again"


def filled(spool: Spool) -> None:
    for result in ("a/q/1", "a/q/2", "a/q2/1", "b/q/1"):
        spool.begin(result)
        for segment in range(2):
            put(spool, f"{result}/{segment:05}.seg", result.encode() * (segment + 1))


@pytest.mark.parametrize("prefix", ["", "a", "a/q", "a/q/1", "b", "c", "a/q/3", "a/q/1/00000.seg"])
def test_a_listing_has_what_lies_under_a_prefix(spool: Spool, prefix: str) -> None:
    filled(spool)
    every = {f"{result}/{n:05}.seg" for result in ("a/q/1", "a/q/2", "a/q2/1", "b/q/1") for n in range(2)}
    assert keys(spool, prefix) == {key for key in every if not prefix or key.startswith(prefix + "/")}
    for found in spool.list(prefix):
        assert found.bytes == len(content(spool, found.key))
        assert found.changed_us > 0


@pytest.mark.parametrize("prefix", ["a", "a/q", "a/q/1", "a/q/1/00001.seg", "c", "a/q/3", "a/q/1/00007.seg"])
def test_removal_takes_what_lies_under_a_prefix_and_says_how_much(spool: Spool, prefix: str) -> None:
    filled(spool)
    before = {found.key: found.bytes for found in spool.list()}
    going = {key for key in before if key == prefix or key.startswith(prefix + "/")}
    assert spool.remove(prefix) == sum(before[key] for key in going)
    assert keys(spool) == before.keys() - going
    # Again: nothing is left to remove, and that is no error.
    assert spool.remove(prefix) == 0
    for key in going:
        failing_with(Reason.RESULT_LOST, lambda key=key: spool.open(key).read(0, 1))  # type: ignore[misc]


def test_a_reader_keeps_what_it_has_open(spool: Spool) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"one two")
    reader: SegmentReader = spool.open(KEY)
    assert reader.read(0, 3) == b"one"
    spool.remove(RESULT)
    assert reader.read(4, 3) == b"two"
    reader.close()


def test_a_segment_that_was_removed_meanwhile_is_not_finished(spool: Spool) -> None:
    spool.begin(RESULT)
    writer = spool.create(KEY)
    writer.append([memoryview(b"gone")])
    spool.remove(RESULT)
    if spool.shows_appended:
        failing_with(Reason.STORE_UNAVAILABLE, lambda: writer.finish(sync=True))
        assert keys(spool) == set()
    writer.close()


def test_it_may_hold_what_it_holds(spool: Spool) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"x")
    assert spool.may_hold(RESULT)
    assert spool.may_hold("tenant/query")
    spool.remove(RESULT)
    if isinstance(spool, LocalSpool):
        # Of the others some cannot say so without asking.
        assert not spool.may_hold("tenant/query")


def test_a_cut_keeps_the_beginning(spool: Spool) -> None:
    spool.begin(RESULT)
    put(spool, KEY, b"one two")
    spool.cut(KEY, 3)
    assert content(spool, KEY) in (b"one", b"one two")
    spool.cut(f"{RESULT}/00009.seg", 3)


def test_tidying_leaves_every_segment(spool: Spool) -> None:
    filled(spool)
    before = keys(spool)
    spool.begin("a/begun/1")
    spool.tidy(1 << 62)
    assert keys(spool) == before


def test_room_is_a_number_where_it_is_bounded(spool: Spool) -> None:
    room = spool.free_bytes()
    assert room is None or room > 0


# Results over every kind of spool.


def write(spool: Spool, tenant: str, name: str, rows: int, *, whole: bool = True) -> None:
    """A result of some segments, with or without its END record."""
    writer = ResultWriter(spool, result_key(tenant, name), SCHEMA, limits(), lambda _: None)
    writer.write(batch(0, rows))
    writer.show()
    if whole:
        writer.finish(rows_scanned=None, bytes_scanned=None)
    writer.close()


def test_a_result_is_found_by_its_name(spool: Spool) -> None:
    results = StoredResults(spool)
    write(spool, "tenant", "query.1", 80_000)
    stored = results.load("tenant", "query.1")
    assert stored.totals is not None
    assert (stored.totals.rows, stored.pages[-1].end_row) == (80_000, 80_000)
    assert stored.pages[-1].segment > 0
    for tenant, name in (("other", "query.1"), ("tenant", "query.2"), ("tenant", "query2.1")):
        assert results.load(tenant, name).pages == ()


def test_a_result_without_its_end_is_not_whole(spool: Spool) -> None:
    write(spool, "tenant", "query.1", 80_000, whole=False)
    assert StoredResults(spool).load("tenant", "query.1").totals is None


def test_results_are_listed_with_their_sizes_and_removed_one_by_one(spool: Spool) -> None:
    results = StoredResults(spool)
    names = [("a", "query.1"), ("a", "query.2"), ("a", "query-2.1"), ("b", "query.1")]
    for tenant, name in names:
        write(spool, tenant, name, 50_000)
    listed = {(found.tenant_hash, found.result_id): found for found in results.list()}
    assert listed.keys() == {(tenant_hash(tenant), name) for tenant, name in names}
    for found in listed.values():
        assert found.bytes == sum(segment.bytes for segment in spool.list(found.key))
    assert results.holds_any()
    assert results.remove("a", "query.1") == listed[tenant_hash("a"), "query.1"].bytes
    assert results.load("a", "query.2").totals is not None
    for found in results.list():
        results.remove_listed(found)
    assert not results.holds_any()
    assert results.remove("a", "query.1") == 0


def test_an_unfinished_result_shrinks_to_what_says_that_rows_were_published(spool: Spool) -> None:
    results = StoredResults(spool)
    write(spool, "a", "query.1", 200_000, whole=False)
    write(spool, "a", "query.2", 200_000)
    before = {found.result_id: found.bytes for found in results.list()}
    results.shrink_unfinished()
    after = {found.result_id: found.bytes for found in results.list()}
    assert after["query.2"] == before["query.2"]
    assert after["query.1"] < before["query.1"] / 2
    assert results.load("a", "query.1").pages


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x.1", "a.b.c", "query.", ".1", "x" * 65, "a\x00.1"])
def test_what_could_name_another_place_is_no_result_id(name: str) -> None:
    with pytest.raises(ValueError, match="not the id of a result"):
        result_key("tenant", name)


# What only a folder can meet.


@pytest.fixture
def local(tmp_path: Path) -> LocalSpool:
    return LocalSpool.made(tmp_path / "spool")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO, errno.ESTALE, errno.ENOTDIR])
@pytest.mark.parametrize("call", ["open", "pread"])
def test_what_cannot_be_read_now_is_not_lost(
    local: LocalSpool, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    local.begin(RESULT)
    put(local, KEY, b"x")

    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("queryengine.results.spool.local.os", SimpleNamespace(**{**vars(os), call: failing}))
    failure = failing_with(Reason.STORE_UNAVAILABLE, lambda: content(local, KEY))
    assert failure.failure.retryable
    assert os.strerror(number) in failure.failure.message


def test_a_folder_that_cannot_be_looked_at_does_not_read_as_empty(
    local: LocalSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("os.scandir", scandir)
    failure = failing_with(Reason.STORE_UNAVAILABLE, lambda: list(local.list()))
    assert local.location in failure.failure.message
    failing_with(Reason.STORE_UNAVAILABLE, lambda: StoredResults(local).holds_any())


def test_a_short_write_is_continued(local: LocalSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_byte(descriptor: int, parts: list[memoryview]) -> int:
        return os.write(descriptor, next(part for part in parts if part.nbytes)[:1])

    monkeypatch.setattr("queryengine.results.spool.local.os", SimpleNamespace(**{**vars(os), "writev": one_byte}))
    local.begin(RESULT)
    put(local, KEY, b"one", b"", b"two")
    assert content(local, KEY) == b"onetwo"


def test_nobody_else_reads_it(local: LocalSpool, tmp_path: Path) -> None:
    local.begin(RESULT)
    put(local, KEY, b"x")
    for path in (tmp_path / "spool", tmp_path / "spool" / KEY):
        assert path.stat().st_mode & 0o077 == 0


def test_another_process_finds_it_by_its_location(local: LocalSpool) -> None:
    other = spool_at(local.location)
    other.begin(RESULT)
    put(other, KEY, b"from a worker")
    assert content(local, KEY) == b"from a worker"
    assert other.folder == local.folder
