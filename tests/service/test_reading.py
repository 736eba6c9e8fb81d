"""FetchPage, ListQueries, ReleaseResults, ListEngines: stored rows from anywhere, and what a tenant has."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from queryengine.app.service import Service
from queryengine.domain.clock import SystemClock
from queryengine.v1 import query_pb2
from queryengine.v1 import query_service_pb2 as pb
from tests.support import (
    CANCELLED,
    COMPLETED,
    FAILED,
    ROWS,
    RUNNING,
    WAIT,
    Api,
    Gate,
    batch_of,
    new_id,
    refused,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def numbers(api: Api, count: int) -> str:
    reply = await api.submit(f"SELECT range AS n FROM range({count})", wait_timeout=WAIT)
    return str(reply.status.query_id)


def later(delay: timedelta) -> datetime:
    return datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC) + delay


def rows_of(reply: pb.FetchPageResponse) -> list[int]:
    assert (reply.page.chunk_index, reply.page.chunk_count) in ((0, 0), (0, 1))
    rows = batch_of(reply.page)["n"].to_pylist()
    assert (reply.page.start_row, reply.page.row_count) == (rows[0], len(rows))
    return rows


async def test_the_first_page_without_asking_for_one(api: Api) -> None:
    query_id = await numbers(api, 5000)
    reply = await api.fetch(query_id)
    assert rows_of(reply) == list(range(1000))
    assert reply.total_rows == 5000
    assert reply.prev_page_token == ""
    assert reply.schema.columns[0].name == "n"


@pytest.mark.parametrize(
    ("position", "size", "rows"),
    [
        ({"page": 0}, 10, range(10)),
        ({"page": 7}, 10, range(70, 80)),
        ({"page": 499}, 10, range(4990, 5000)),
        ({"offset": 4995}, 10, range(4995, 5000)),
        ({"offset": 1}, 1, range(1, 2)),
        ({"offset": 0}, 5000, range(5000)),
        ({"offset": 0}, 2_000_000_000, range(5000)),
    ],
)
async def test_any_page_and_any_row(api: Api, position: dict[str, int], size: int, rows: range) -> None:
    reply = await api.fetch(await numbers(api, 5000), page_size=size, **position)
    assert rows_of(reply) == list(rows)


async def test_forth_and_back_by_tokens(api: Api) -> None:
    query_id = await numbers(api, 250)
    forth = [await api.fetch(query_id, page_size=100)]
    while forth[-1].next_page_token:
        forth.append(await api.fetch(query_id, page_token=forth[-1].next_page_token))
    assert [rows_of(reply) for reply in forth] == [list(range(100)), list(range(100, 200)), list(range(200, 250))]
    back = [forth[-1]]
    while back[-1].prev_page_token:
        back.append(await api.fetch(query_id, page_token=back[-1].prev_page_token))
    assert [rows_of(reply) for reply in back] == [rows_of(reply) for reply in reversed(forth)]


async def test_back_from_the_middle_ends_at_row_0(api: Api) -> None:
    reply = await api.fetch(await numbers(api, 250), offset=30, page_size=100)
    before = await api.fetch(
        reply.schema and (await api.listed()).queries[0].query_id, page_token=reply.prev_page_token
    )
    assert rows_of(before) == list(range(30))
    assert before.prev_page_token == ""


async def test_typed_rows_of_a_page(api: Api) -> None:
    reply = await api.fetch(await numbers(api, 100), offset=40, page_size=3, format=ROWS)
    assert [row.values[0].int_value for row in reply.page.rows.rows] == [40, 41, 42]


async def test_a_page_never_passes_the_size_of_a_message(api: Api) -> None:
    sql = "SELECT range AS n, repeat('x', 100_000) AS s FROM range(200)"
    query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
    reply = await api.fetch(query_id, page_size=200)
    assert reply.ByteSize() < 4 << 20
    assert 0 < reply.page.row_count < 200
    rest = await api.fetch(query_id, page_token=reply.next_page_token)
    assert rest.page.start_row == reply.page.row_count


async def test_a_row_that_fits_no_message_is_refused(api: Api) -> None:
    query_id = (await api.submit("SELECT repeat('x', 5_000_000) AS s", wait_timeout=WAIT)).status.query_id
    refusal = await refused(api.fetch(query_id))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "ROW_TOO_LARGE")


async def test_an_empty_result_has_columns_and_no_rows(api: Api) -> None:
    query_id = (await api.submit("SELECT 1 AS a WHERE false", wait_timeout=WAIT)).status.query_id
    reply = await api.fetch(query_id)
    assert not reply.HasField("page")
    assert reply.schema.columns[0].name == "a"
    assert (reply.total_rows, reply.next_page_token, reply.prev_page_token) == (0, "", "")


async def test_past_the_end_is_refused(api: Api) -> None:
    refusal = await refused(api.fetch(await numbers(api, 10), offset=10))
    assert (refusal.code.name, refusal.reason, refusal.metadata) == (
        "OUT_OF_RANGE",
        "ROW_PAST_END",
        {"total_rows": "10"},
    )


async def test_rows_of_a_running_query_can_be_fetched_as_far_as_they_are(api: Api, gate: Gate) -> None:
    query_id = (await api.script(f"rows 10; {gate.script}; rows 10")).status.query_id
    await api.has_rows(query_id)
    reply = await api.fetch(query_id, page_size=8)
    assert rows_of(reply) == list(range(8))
    assert not reply.HasField("total_rows")
    rest = await api.fetch(query_id, page_token=reply.next_page_token)
    assert rows_of(rest) == [8, 9]
    refusal = await refused(api.fetch(query_id, page_token=rest.next_page_token))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_NOT_READY")
    gate.open()
    await api.ended(query_id)
    assert rows_of(await api.fetch(query_id, page_token=rest.next_page_token)) == list(range(10, 18))


async def test_a_waiting_query_has_nothing_to_fetch(api: Api, no_free_slot: Callable[[], None]) -> None:
    query_id = (await api.script("rows 1")).status.query_id
    assert (await refused(api.fetch(query_id))).reason == "RESULT_NOT_READY"
    no_free_slot()
    await api.ended(query_id)


async def test_a_failed_query_has_nothing_to_fetch_but_its_error(api: Api) -> None:
    query_id = (await api.script("rows 5; fail ENGINE_ERROR gone", wait_timeout=WAIT)).status.query_id
    refusal = await refused(api.fetch(query_id))
    assert (refusal.code.name, refusal.reason) == ("INTERNAL", "ENGINE_ERROR")


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "%%%",
        forged("1:2"),
        forged("1:-5:10:0"),
        forged("1:0:0:0"),
        forged("1:5:5:3"),
        forged("1:0:5:" + "9" * 20),
        forged("a:b:c:d"),
        forged("1:" + "9" * 30 + ":5:0"),
        "é",
    ],
)
async def test_a_token_that_no_answer_held_is_refused(api: Api, token: str) -> None:
    refusal = await refused(api.fetch(await numbers(api, 10), page_token=token))
    assert refusal.reason in ("INVALID_FIELD", "ROW_PAST_END")
    assert refusal.reason == "ROW_PAST_END" or refusal.field == "page_token"


async def test_a_token_of_another_attempt_is_refused(api: Api) -> None:
    refusal = await refused(api.fetch(await numbers(api, 10), page_token=forged("2:5:5:0")))
    assert (refusal.code.name, refusal.reason) == ("ABORTED", "RESULT_RESTARTED")


async def test_queries_are_listed_newest_first_in_pages(api: Api) -> None:
    ids = [(await api.submit(f"SELECT {n}", wait_timeout=WAIT)).status.query_id for n in range(7)]
    seen: list[str] = []
    token = ""
    while True:
        reply = await api.listed(page_size=3, page_token=token)
        assert len(reply.queries) <= 3
        seen += [query.query_id for query in reply.queries]
        token = reply.next_page_token
        if not token:
            break
    assert seen == ids[::-1]
    assert len((await api.listed(page_size=7)).queries) == 7
    assert (await api.listed(page_size=7)).next_page_token == ""


async def test_a_list_can_be_narrowed(api: Api, other: Api, gate: Gate) -> None:
    done = (await api.submit("SELECT 1", labels={"team": "blue", "run": "7"}, wait_timeout=WAIT)).status.query_id
    failed = (await api.script("fail ENGINE_ERROR x", labels={"team": "blue"}, wait_timeout=WAIT)).status.query_id
    running = (await api.script(gate.script, labels={"team": "red"})).status.query_id
    await other.submit("SELECT 1", labels={"team": "blue"}, wait_timeout=WAIT)
    await api.reached(running, RUNNING)

    async def found(**fields: object) -> list[str]:
        return [query.query_id for query in (await api.listed(**fields)).queries]

    assert await found() == [running, failed, done]
    assert await found(states=[COMPLETED]) == [done]
    assert await found(states=[FAILED, RUNNING]) == [running, failed]
    assert await found(labels={"team": "blue"}) == [failed, done]
    assert await found(labels={"team": "blue", "run": "7"}) == [done]
    assert await found(engine="duckdb") == [done]
    assert await found(engine="nothing of that name") == []
    assert await found(states=[CANCELLED]) == []
    gate.open()
    await api.ended(running)


async def test_a_list_can_be_narrowed_to_a_time_and_a_subject(channel: grpc.aio.Channel, other: Api) -> None:
    tenant = f"tenant-{new_id()}"
    ann, bob = Api(channel, tenant, user="ann"), Api(channel, tenant, user="bob")
    queries = [(await each.submit(f"SELECT {n}", wait_timeout=WAIT)).status for n, each in enumerate((ann, bob, ann))]
    ids, times = [each.query_id for each in queries], [each.submit_time for each in queries]
    await other.submit("SELECT 1", wait_timeout=WAIT)

    async def found(**fields: object) -> list[str]:
        return [query.query_id for query in (await bob.listed(**fields)).queries][::-1]

    assert await found(subject="ann") == [ids[0], ids[2]]
    assert await found(subject="bob") == [ids[1]]
    assert await found(subject="carol") == []
    # The first time is within the range, the last one is not: ranges that meet have all queries, each once.
    assert await found(submitted_after=times[1]) == ids[1:]
    assert await found(submitted_before=times[1]) == ids[:1]
    assert await found(submitted_after=times[0], submitted_before=times[2]) == ids[:2]
    later = Timestamp(seconds=times[1].seconds, nanos=times[1].nanos + 1)
    assert await found(submitted_after=later) == ids[2:]
    assert await found(submitted_before=later) == ids[:2]
    assert await found(submitted_after=times[0], submitted_before=times[2], subject="ann") == [ids[0]]
    first = await bob.listed(submitted_after=times[0], page_size=2)
    rest = await bob.listed(submitted_after=times[0], page_size=2, page_token=first.next_page_token)
    assert [each.query_id for each in (*first.queries, *rest.queries)] == ids[::-1]
    assert not rest.next_page_token


async def test_wide_rows_are_read_backwards_without_a_gap(api: Api) -> None:
    """Fewer rows than asked for fit in a message; a page that is read backwards ends where the one after it begins."""
    sql = "SELECT range AS n, repeat('x', 3000) AS s FROM range(3000)"
    query_id = (await api.submit(sql, wait_timeout=WAIT)).status.query_id
    page = await api.fetch(query_id, page_size=100_000)
    forwards = [rows_of(page)]
    while page.next_page_token:
        page = await api.fetch(query_id, page_token=page.next_page_token)
        forwards.append(rows_of(page))
    assert len(forwards) > 2
    assert [row for rows in forwards for row in rows] == list(range(3000))
    backwards = [rows_of(page)]
    while page.prev_page_token:
        page = await api.fetch(query_id, page_token=page.prev_page_token)
        backwards.append(rows_of(page))
    assert [row for rows in backwards[::-1] for row in rows] == list(range(3000))
    # A first page that is short for want of rows before it does not make the next ones short.
    early = await api.fetch(query_id, offset=3, page_size=500)
    first = await api.fetch(query_id, page_token=early.prev_page_token)
    assert rows_of(first) == [0, 1, 2]
    assert rows_of(await api.fetch(query_id, page_token=first.next_page_token)) == list(range(3, 503))


async def test_released_rows_are_gone(api: Api, service: Service) -> None:
    query_id = await numbers(api, 100_000)
    released = (await api.release(query_id)).status
    assert released.result_state == query_pb2.RESULT_STATE_RELEASED
    assert released.state == COMPLETED
    for call in (api.stream(query_id), api.fetch(query_id)):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_RELEASED")
    again = (await api.release(query_id)).status
    assert again == released
    refusal = await refused(api.release(query_id, extend_to=later(timedelta(hours=1))))
    assert refusal.reason == "RESULT_RELEASED"
    assert not list(service.settings.state.spool.glob(f"*/{query_id}"))


async def test_rows_of_a_running_query_cannot_be_released(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    refusal = await refused(api.release(query_id))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "RESULT_NOT_READY")
    gate.open()
    await api.ended(query_id)


async def test_releasing_what_failed_changes_nothing(api: Api) -> None:
    failed = (await api.script("fail ENGINE_ERROR x", wait_timeout=WAIT)).status
    assert (await api.release(failed.query_id)).status == failed


async def test_rows_can_be_kept_for_longer(api: Api) -> None:
    query_id = await numbers(api, 10)
    until_then = later(timedelta(days=6))
    status = (await api.release(query_id, extend_to=until_then)).status
    assert status.expire_time.ToDatetime(UTC) == until_then
    assert (await api.read(query_id)).next_row == 10


@pytest.mark.parametrize("offset", [timedelta(days=8), timedelta(seconds=-1), timedelta(days=-9000)])
async def test_rows_cannot_be_kept_for_ever_or_until_yesterday(api: Api, offset: timedelta) -> None:
    refusal = await refused(api.release(await numbers(api, 10), extend_to=later(offset)))
    assert (refusal.reason, refusal.field) == ("INVALID_FIELD", "extend_to")


async def test_engines_are_listed_with_what_they_can_do(api: Api, gate: Gate) -> None:
    query_id = (await api.script(gate.script)).status.query_id
    await api.reached(query_id, RUNNING)
    engines = {engine.name: engine for engine in (await api.call("ListEngines", pb.ListEnginesRequest())).engines}
    assert list(engines) == ["duckdb", "scripted"]
    duckdb, scripted = engines["duckdb"], engines["scripted"]
    assert (duckdb.is_default, scripted.is_default) == (True, False)
    assert (duckdb.type, duckdb.slots, duckdb.available) == ("duckdb", 2, True)
    assert duckdb.detail.startswith("DuckDB 2")
    assert scripted.running == 1
    assert duckdb.traits.named_parameters
    gate.open()
    await api.ended(query_id)

    async def idle() -> bool:
        reply = await api.call("ListEngines", pb.ListEnginesRequest())
        return all(engine.running == 0 for engine in reply.engines)

    await until(idle)
