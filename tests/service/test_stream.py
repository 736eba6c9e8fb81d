"""StreamResults: one order of events, any first row, no gap, and an end that tells a whole result from a cut one."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from queryengine.v1 import result_pb2
from tests.support import CANCELLED, COMPLETED, QUEUED, ROWS, RUNNING, WAIT, Api, Gate, Received, batch_of, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = "SELECT range AS n, 'row-' || range AS s FROM range(300_000)"


async def test_a_stream_may_be_opened_while_the_query_waits(api: Api, no_free_slot: Callable[[], None]) -> None:
    query_id = (await api.script("rows 2500")).status.query_id
    stream = api.stream(query_id)
    first = [await stream.read(), await stream.read()]
    assert first[0].start.attempt == 0
    assert first[1].status.state == QUEUED
    no_free_slot()
    received = Received(await stream.all())
    assert [kind for kind in received.kinds if kind not in ("status", "heartbeat", "page")] == [
        "start",
        "schema",
        "end",
    ]
    assert received.kinds.index("schema") < received.kinds.index("page")
    states = [event.status.state for event in received.events if event.HasField("status")]
    assert list(dict.fromkeys(states)) == [QUEUED, RUNNING, COMPLETED]
    assert received.schema is not None
    assert received.end is not None
    assert received.schema.attempt == received.end.attempt == 1
    assert received.table()["n"].to_pylist() == list(range(2500))


async def test_rows_come_while_the_query_runs(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 3; {gate.script}; rows 2")).status.query_id
    stream = api.stream(query_id)
    event = await stream.to("page")
    assert batch_of(event.page)["n"].to_pylist() == [0, 1, 2]
    assert (await api.status(query_id)).state == RUNNING
    gate.open()
    received = Received(await stream.all())
    assert received.table()["n"].to_pylist() == [0, 1, 2, 3, 4]


async def test_columns_come_before_rows_and_also_without_any(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"columns a:string, b:double; start; {gate.script}")).status.query_id
    stream = api.stream(query_id)
    event = await stream.to("schema")
    assert [column.name for column in event.schema.columns] == ["a", "b"]
    gate.open()
    received = Received(await stream.all())
    assert received.end is not None
    assert (received.end.total_rows, received.end.total_pages) == (0, 0)
    assert received.table().num_rows == 0


async def test_the_end_sums_up(api: Api) -> None:
    query_id = (await api.submit(MANY, wait_timeout=WAIT)).status.query_id
    received = await api.read(query_id)
    end = received.end
    assert end is not None
    assert (end.total_rows, end.total_pages) == (300_000, len(received.pages))
    assert end.total_bytes == end.status.stats.bytes
    assert not end.truncated
    assert end.expire_time == end.status.expire_time
    assert end.status.state == COMPLETED


async def test_the_first_page_is_small(api: Api) -> None:
    query_id = (await api.submit(MANY, wait_timeout=WAIT)).status.query_id
    pages = (await api.read(query_id)).pages
    assert len(pages[0].arrow) < 128 << 10
    assert 512 << 10 < len(pages[1].arrow) < 2 << 20


@pytest.mark.parametrize("row", [1, 999, 1000, 150_001, 299_999])
async def test_a_stream_begins_at_any_row(api: Api, row: int) -> None:
    query_id = (await api.submit(MANY, wait_timeout=WAIT)).status.query_id
    received = await api.read(query_id, start_row=row, attempt=1)
    assert received.start.next_row == row
    table = received.table()
    assert table["n"].to_pylist() == list(range(row, 300_000))
    assert table["s"][0].as_py() == f"row-{row}"
    assert received.end is not None
    assert received.end.total_rows == 300_000


async def test_at_the_end_there_is_just_the_end(api: Api) -> None:
    query_id = (await api.submit("SELECT 1 AS a FROM range(5)", wait_timeout=WAIT)).status.query_id
    received = await api.read(query_id, start_row=5)
    assert received.kinds == ["start", "status", "schema", "end"]


async def test_past_the_end_is_refused_with_the_number_of_rows(api: Api) -> None:
    query_id = (await api.submit("SELECT 1 AS a FROM range(5)", wait_timeout=WAIT)).status.query_id
    refusal = await refused(api.stream(query_id, start_row=6))
    assert (refusal.code.name, refusal.reason) == ("OUT_OF_RANGE", "ROW_PAST_END")
    assert refusal.metadata == {"total_rows": "5"}


async def test_a_row_past_the_end_of_a_running_query_may_still_come(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 5; {gate.script}; rows 5")).status.query_id
    await api.reached(query_id, RUNNING)
    reading = asyncio.ensure_future(api.read(query_id, start_row=7))
    gate.open()
    assert (await reading).table()["n"].to_pylist() == [7, 8, 9]


async def test_rows_of_another_attempt_are_not_mixed_in(api: Api) -> None:
    query_id = (await api.submit("SELECT 1 AS a", wait_timeout=WAIT)).status.query_id
    refusal = await refused(api.stream(query_id, attempt=2))
    assert (refusal.code.name, refusal.reason) == ("ABORTED", "RESULT_RESTARTED")
    assert refusal.metadata == {"attempt": "1"}


async def test_typed_rows_are_the_same_rows(api: Api) -> None:
    sql = "SELECT range AS n, 'row-' || range AS s, if(range % 7 = 0, NULL, range / 2) AS f FROM range(50_000)"
    query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
    arrow = (await api.read(query_id)).table().to_pylist()
    received = await api.read(query_id, format=ROWS)
    assert received.start.format == ROWS
    rows = received.rows()
    assert len(rows) == 50_000
    for row, expected in zip(rows, arrow, strict=True):
        n, s, f = row.values
        assert (n.int_value, s.string_value) == (expected["n"], expected["s"])
        assert (None if f.HasField("null_value") else f.double_value) == expected["f"]


async def test_one_huge_row_comes_in_chunks(api: Api) -> None:
    query_id = (await api.submit("SELECT repeat('0123456789', 1_000_000) AS s", wait_timeout=WAIT)).status.query_id
    received = await api.read(query_id)
    chunks = [event.page for event in received.events if event.HasField("page")]
    assert len(chunks) >= 3
    assert {chunk.chunk_count for chunk in chunks} == {len(chunks)}
    table = received.table()
    assert table["s"][0].as_py() == "0123456789" * 1_000_000


async def test_one_huge_typed_row_comes_in_chunks(api: Api) -> None:
    query_id = (await api.submit("SELECT repeat('0123456789', 1_000_000) AS s", wait_timeout=WAIT)).status.query_id
    received = await api.read(query_id, format=ROWS)
    chunks = [event.page for event in received.events if event.HasField("page")]
    assert len(chunks) >= 3
    assert {(chunk.chunk_count, chunk.WhichOneof("payload")) for chunk in chunks} == {(len(chunks), "rows_chunk")}
    (row,) = received.rows()
    assert row.values[0].string_value == "0123456789" * 1_000_000


async def test_a_failed_query_ends_its_stream_with_its_error(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 3; {gate.script}; fail OUT_OF_MEMORY no more")).status.query_id
    stream = api.stream(query_id)
    await stream.to("page")
    gate.open()
    refusal = await refused(stream)
    assert (refusal.code.name, refusal.reason, refusal.message) == ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "no more")
    # Again, after it has ended: no rows of a failed query are served.
    late = api.stream(query_id)
    events = [await late.read(), await late.read()]
    assert [event.WhichOneof("event") for event in events] == ["start", "status"]
    assert (await refused(late)).reason == "OUT_OF_MEMORY"


async def test_a_cancelled_query_ends_its_stream_with_a_cancel(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 3; {gate.script}")).status.query_id
    stream = api.stream(query_id)
    await stream.to("page")
    await api.cancel(query_id, reason="enough", wait_timeout=WAIT)
    refusal = await refused(stream)
    assert (refusal.code.name, refusal.reason) == ("CANCELLED", "QUERY_CANCELLED")
    assert refusal.metadata == {"cancel_reason": "enough"}
    assert (await api.status(query_id)).state == CANCELLED


async def test_a_quiet_stream_has_heartbeats(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)
    stream = api.stream(query_id, heartbeat_interval=timedelta(seconds=1))
    await stream.to("heartbeat")
    gate.open()
    assert (await stream.all())[-1].HasField("end")


async def test_readers_do_not_disturb_each_other(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 2000; {gate.script}; rows 3000 size 100")).status.query_id
    readings = [asyncio.ensure_future(api.read(query_id, start_row=start)) for start in (0, 0, 10, 2500)]
    gate.open()
    starts = [reading.table()["n"].to_pylist() for reading in await asyncio.gather(*readings)]
    assert starts == [list(range(start, 5000)) for start in (0, 0, 10, 2500)]


async def test_a_reader_who_leaves_does_not_stop_the_query(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 1; {gate.script}; rows 1")).status.query_id
    stream = api.stream(query_id)
    await stream.read()
    stream.leave()
    gate.open()
    assert (await api.ended(query_id)).state == COMPLETED
    assert (await api.read(query_id)).next_row == 2


async def test_row_limit_cuts_the_result_and_says_so(api: Api) -> None:
    reply = await api.submit(MANY, limits={"row_limit": 12_345}, wait_timeout=WAIT)
    received = await api.read(reply.status.query_id)
    assert received.next_row == 12_345
    assert received.end is not None
    assert received.end.truncated
    assert received.end.truncation_reason == result_pb2.TRUNCATION_REASON_ROW_LIMIT


async def test_a_result_that_just_fits_is_not_cut(api: Api) -> None:
    reply = await api.submit("SELECT 1 FROM range(100)", limits={"row_limit": 100}, wait_timeout=WAIT)
    assert reply.end.total_rows == 100
    assert not reply.end.truncated


async def test_an_endless_query_ends_at_its_row_limit(api: Api) -> None:
    reply = await api.script("endless", limits={"row_limit": 5000}, wait_timeout=WAIT)
    assert (reply.status.state, reply.status.stats.rows) == (COMPLETED, 5000)


async def test_byte_limit_cuts_the_result_and_says_so(api: Api) -> None:
    reply = await api.submit(MANY, limits={"byte_limit": 1 << 20}, wait_timeout=WAIT)
    received = await api.read(reply.status.query_id)
    assert received.end is not None
    assert received.end.truncation_reason == result_pb2.TRUNCATION_REASON_BYTE_LIMIT
    assert 1 << 20 <= received.end.total_bytes < 4 << 20
    assert 0 < received.next_row < 300_000
