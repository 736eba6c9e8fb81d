"""Submit: durable when it answers, rows in the answer when they are there in time, and safe to repeat."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from queryengine.app.service import Service
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import result_pb2
from tests.support import (
    COMPLETED,
    FAILED,
    QUEUED,
    ROWS,
    RUNNING,
    WAIT,
    Api,
    Gate,
    batch_of,
    but_version,
    new_id,
    refused,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_answer_holds_the_whole_result_when_it_is_there_in_time(api: Api) -> None:
    reply = await api.submit("SELECT 42 AS answer, 'x' AS name", wait_timeout=WAIT)
    assert reply.status.state == COMPLETED
    assert [column.name for column in reply.schema.columns] == ["answer", "name"]
    assert batch_of(reply.pages[0]).to_pylist() == [{"answer": 42, "name": "x"}]
    assert reply.HasField("end")
    assert (reply.end.total_rows, reply.end.total_pages, reply.next_row) == (1, 1, 1)
    assert reply.end.status == reply.status
    assert not reply.existing


async def test_typed_rows_come_in_the_answer_when_asked_for(api: Api) -> None:
    reply = await api.submit("SELECT 42 AS answer", wait_timeout=WAIT, result={"inline_format": ROWS})
    assert reply.pages[0].rows.rows[0].values[0].int_value == 42
    assert reply.HasField("end")


async def test_what_came_in_the_answer_can_be_read_again(api: Api) -> None:
    reply = await api.submit("SELECT range AS n FROM range(1000)", wait_timeout=WAIT)
    assert sum(page.row_count for page in reply.pages) == 1000
    received = await api.read(reply.status.query_id)
    assert received.table()["n"].to_pylist() == list(range(1000))
    fetched = await api.fetch(reply.status.query_id, page_size=10)
    assert batch_of(fetched.page)["n"].to_pylist() == list(range(10))


async def test_a_larger_result_begins_in_the_answer_and_goes_on_in_the_stream(api: Api) -> None:
    reply = await api.submit("SELECT range AS n FROM range(250_000)", wait_timeout=WAIT)
    rows = sum(page.row_count for page in reply.pages)
    assert 0 < rows <= 10_000
    assert reply.next_row == rows
    assert not reply.HasField("end")
    rest = await api.read(reply.status.query_id, start_row=reply.next_row)
    assert rest.table()["n"].to_pylist() == list(range(rows, 250_000))


async def test_an_empty_result_is_whole_in_the_answer(api: Api) -> None:
    reply = await api.submit("SELECT 1 AS a WHERE false", wait_timeout=WAIT)
    assert [column.name for column in reply.schema.columns] == ["a"]
    assert not reply.pages
    assert reply.end.total_rows == 0
    assert reply.HasField("end")


async def test_without_a_wait_the_answer_comes_at_once(api: Api, gate: Gate) -> None:
    reply = await api.script(f"{gate.script}; rows 3")
    assert reply.status.state in (QUEUED, RUNNING)
    assert not reply.pages
    assert not reply.HasField("schema")
    gate.open()
    received = await api.read(reply.status.query_id)
    assert received.next_row == 3


async def test_when_the_wait_is_too_short_the_stream_has_the_rows(api: Api, gate: Gate) -> None:
    reply = await api.script(f"rows 2; {gate.script}; rows 3", wait_timeout=timedelta(milliseconds=50))
    assert reply.status.state == RUNNING
    assert not reply.pages
    gate.open()
    received = await api.read(reply.status.query_id)
    assert received.table()["n"].to_pylist() == [0, 1, 2, 3, 4]


async def test_a_query_that_fails_in_time_says_so_in_its_status(api: Api) -> None:
    reply = await api.submit("SELECT error('out of cheese')", wait_timeout=WAIT)
    assert reply.status.state == FAILED
    assert reply.status.error.reason == "STATEMENT_REJECTED"
    assert "out of cheese" in reply.status.error.message
    assert not reply.pages


async def test_the_server_makes_an_id_when_there_is_none(api: Api) -> None:
    reply = await api.submit("SELECT 1", wait_timeout=WAIT)
    assert str(uuid.UUID(reply.status.query_id)) == reply.status.query_id


async def test_an_id_is_told_in_lower_case(api: Api) -> None:
    chosen = new_id()
    reply = await api.submit("SELECT 1", query_id=chosen.upper(), wait_timeout=WAIT)
    assert reply.status.query_id == chosen
    assert (await api.status(chosen.upper())).query_id == chosen


async def test_the_same_submit_again_is_the_same_query(api: Api) -> None:
    chosen = new_id()
    first = await api.submit("SELECT 1 AS a", query_id=chosen, wait_timeout=WAIT)
    again = await api.submit("SELECT 1 AS a", query_id=chosen, wait_timeout=WAIT)
    assert (first.existing, again.existing) == (False, True)
    assert but_version(again.status) == but_version(first.status)
    assert [page.arrow for page in again.pages] == [page.arrow for page in first.pages]
    assert again.HasField("end")


async def test_fifty_equal_submits_at_once_are_one_query(api: Api, service: Service) -> None:
    chosen = new_id()
    replies = await asyncio.gather(
        *(api.submit("SELECT 7 AS a", query_id=chosen, wait_timeout=WAIT) for _ in range(50))
    )
    assert {reply.status.state for reply in replies} == {COMPLETED}
    assert {reply.status.attempt for reply in replies} == {1}
    assert [reply.existing for reply in replies].count(False) == 1
    assert all(batch_of(reply.pages[0]).to_pylist() == [{"a": 7}] for reply in replies)
    assert len((await api.listed()).queries) == 1
    assert service.pool.load("duckdb").running == 0


async def test_an_id_is_not_taken_for_another_request(api: Api) -> None:
    chosen = new_id()
    await api.submit("SELECT 1", query_id=chosen, wait_timeout=WAIT)
    refusal = await refused(api.submit("SELECT 2", query_id=chosen))
    assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "QUERY_ID_REUSED")
    assert refusal.metadata == {"query_id": chosen}
    assert len((await api.listed()).queries) == 1


async def test_fifty_different_submits_of_one_id_leave_one_query(api: Api) -> None:
    chosen = new_id()
    calls = (api.submit(f"SELECT {number} AS a", query_id=chosen, wait_timeout=WAIT) for number in range(50))
    replies = await asyncio.gather(*calls, return_exceptions=True)
    accepted = [reply for reply in replies if isinstance(reply, pb.SubmitResponse)]
    assert len(accepted) == 1
    assert accepted[0].status.state == COMPLETED
    listed = (await api.listed()).queries
    assert [query.sql_preview for query in listed] == [accepted[0].status.sql_preview]


async def test_two_tenants_may_use_one_id(api: Api, other: Api) -> None:
    chosen = new_id()
    mine = await api.submit("SELECT 1 AS a", query_id=chosen, wait_timeout=WAIT)
    theirs = await other.submit("SELECT 2 AS a", query_id=chosen, wait_timeout=WAIT)
    assert not theirs.existing
    assert batch_of(mine.pages[0]).to_pylist() == [{"a": 1}]
    assert batch_of(theirs.pages[0]).to_pylist() == [{"a": 2}]


async def test_a_submit_whose_caller_leaves_is_found_by_its_id(api: Api) -> None:
    chosen = new_id()
    call = api.submit("SELECT 5 AS a", query_id=chosen, wait_timeout=WAIT)
    await asyncio.sleep(0)
    call.cancel()
    again = await api.submit("SELECT 5 AS a", query_id=chosen, wait_timeout=WAIT)
    assert batch_of(again.pages[0]).to_pylist() == [{"a": 5}]
    assert len((await api.listed()).queries) == 1


async def test_parameters_are_bound_and_not_pasted(api: Api) -> None:
    reply = await api.submit(
        "SELECT $name AS name, $many AS many",
        parameters=[
            {"name": "name", "value": {"string_value": "'; DROP TABLE x"}},
            {"name": "many", "value": {"int_value": 7}},
        ],
        wait_timeout=WAIT,
    )
    assert batch_of(reply.pages[0]).to_pylist() == [{"name": "'; DROP TABLE x", "many": 7}]
    reply = await api.submit(
        "SELECT ? + ? AS a", parameters=[{"value": {"int_value": n}} for n in (1, 2)], wait_timeout=WAIT
    )
    assert batch_of(reply.pages[0]).to_pylist() == [{"a": 3}]


async def test_the_status_repeats_what_was_asked(api: Api) -> None:
    reply = await api.submit(
        "SELECT  1\n AS a", engine="duckdb", labels={"team": "blue"}, priority=3, wait_timeout=WAIT
    )
    status = reply.status
    assert status.sql_preview == "SELECT 1 AS a"
    assert dict(status.labels) == {"team": "blue"}
    assert (status.priority, status.engine, status.engine_type) == (3, "duckdb", "duckdb")
    assert status.routing_reason == "explicit"
    assert (await api.submit("SELECT 1", wait_timeout=WAIT)).status.routing_reason == "default"
    assert status.submit_time.ToMicroseconds() <= status.start_time.ToMicroseconds() <= status.end_time.ToMicroseconds()
    assert status.expire_time.seconds == pytest.approx(status.end_time.seconds + 24 * 3600, abs=1)
    assert status.result_state == 3
    assert (status.stats.rows, status.stats.pages) == (1, 1)
    same = await api.submit("SELECT 1 AS a", wait_timeout=WAIT)
    assert same.status.query_hash == status.query_hash


@pytest.mark.parametrize("compression", [result_pb2.COMPRESSION_LZ4, result_pb2.COMPRESSION_ZSTD])
async def test_stored_pages_are_compressed_on_request(api: Api, compression: int) -> None:
    sql = "SELECT 'the same text again and again' AS s FROM range(20_000)"
    plain = await api.submit(sql, wait_timeout=WAIT)
    small = await api.submit(sql, wait_timeout=WAIT, result={"compression": compression})
    assert small.status.stats.bytes * 4 < plain.status.stats.bytes
    read, expected = await api.read(small.status.query_id), await api.read(plain.status.query_id)
    assert read.table().equals(expected.table())
