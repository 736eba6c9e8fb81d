"""The asyncio client against a real gRPC server that misbehaves as scripted; what it shares with the other is
tested there.
"""

import asyncio
import datetime as dt
import gc
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from queryengine.client import (
    AsyncClient,
    NotFound,
    QueryCancelled,
    QueryEngineClientError,
    ServiceUnavailable,
)
from queryengine.v1 import query_service_pb2
from tests.support import until
from tests.unit.fake_service import (
    ID,
    FakeService,
    Hold,
    Refuse,
    numbers,
    page_message,
    rotate,
    start,
    status,
    whole,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
TOTAL = 18
WAIT = 10.0

# gRPC's asyncio side wants one event loop per process.
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(fake_target: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(fake_target, tenant="acme") as client:
        yield client


async def left(fake: FakeService) -> bool:
    return await asyncio.to_thread(fake.left.wait, WAIT)


async def reached(hold: Hold) -> None:
    assert await asyncio.to_thread(hold.reached.wait, WAIT)


async def test_a_query_is_read_through_cuts_rotations_and_silence(client: AsyncClient, fake: FakeService) -> None:
    fake.replies["Submit"].append(query_service_pb2.SubmitResponse(status=status("QUEUED", 1)))
    fake.streams["StreamResults"].extend(
        [
            [Refuse(grpc.StatusCode.UNAVAILABLE)],
            [*whole(PAGES)[:4], Refuse(grpc.StatusCode.INTERNAL)],
            [start(10)],
            [*whole(PAGES, from_row=10)[:5], rotate(15)],
            whole(PAGES, from_row=15),
        ]
    )
    seen: list[str] = []

    result = await client.query("SELECT n", on_status=lambda each: seen.append(each.state))
    table = await result.to_arrow()

    assert table["n"].to_pylist() == list(range(TOTAL))
    assert [request.start_row for request in fake.requests["StreamResults"]] == [0, 0, 10, 10, 15]
    assert seen == ["QUEUED", "RUNNING", "COMPLETED"]
    assert fake.metadata[0]["x-tenant-id"] == "acme"


async def test_leaving_the_loop_ends_the_stream_and_reading_can_go_on(client: AsyncClient, fake: FakeService) -> None:
    fake.streams["StreamResults"].extend([[*whole(PAGES)[:4], Hold()], whole(PAGES, from_row=10)])
    result = client.attach(ID).result()

    async for batch in result:
        assert batch.num_rows == 10
        break

    assert await left(fake)
    assert (await result.to_arrow())["n"].to_pylist() == list(range(10, TOTAL))


async def test_leaving_the_context_ends_the_stream(client: AsyncClient, fake: FakeService) -> None:
    fake.streams["StreamResults"].append([*whole(PAGES)[:3], Hold()])

    async with client.attach(ID).result() as result:
        assert (await result.schema()).names == ["n", "text"]

    assert await left(fake)
    with pytest.raises(QueryEngineClientError, match="closed"):
        await result.to_arrow()


async def test_cancelling_the_task_ends_the_stream(client: AsyncClient, fake: FakeService) -> None:
    hold = Hold()
    fake.streams["StreamResults"].append([start(), hold])
    task = asyncio.create_task(client.attach(ID).result().to_arrow())
    await reached(hold)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left(fake)


async def test_closing_from_another_task_ends_a_blocked_read(client: AsyncClient, fake: FakeService) -> None:
    hold = Hold()
    fake.streams["StreamResults"].append([start(), hold])
    result = client.attach(ID).result()
    task = asyncio.create_task(result.to_arrow())
    await reached(hold)

    result.close()

    with pytest.raises(QueryEngineClientError, match="closed"):
        await task


async def test_a_cancelled_query_is_not_a_cancelled_task(client: AsyncClient, fake: FakeService) -> None:
    fake.streams["StreamResults"].append([start(), Refuse(grpc.StatusCode.CANCELLED, "QUERY_CANCELLED")])

    with pytest.raises(QueryCancelled):
        await client.attach(ID).result().to_pylist()


async def test_a_stream_the_transport_cancelled_is_resumed(client: AsyncClient, fake: FakeService) -> None:
    fake.streams["StreamResults"].extend([[start(), Refuse(grpc.StatusCode.CANCELLED)], whole(PAGES)])

    assert len(await client.attach(ID).result().to_pandas()) == TOTAL


async def test_a_watch_survives_cuts_and_can_be_left(client: AsyncClient, fake: FakeService) -> None:
    def said(state: str, version: int) -> query_service_pb2.WatchStatusResponse:
        return query_service_pb2.WatchStatusResponse(status=status(state, version))

    fake.streams["WatchStatus"].extend(
        [[said("QUEUED", 1), Refuse(grpc.StatusCode.UNAVAILABLE)], [said("RUNNING", 2), Hold()]]
    )

    states = []
    async for each in client.attach(ID).watch():
        states.append(each.state)
        if each.state == "RUNNING":
            break

    assert states == ["QUEUED", "RUNNING"]
    assert await left(fake)


async def test_a_watch_reports_when_going_on_fails(fake: FakeService, fake_target: str) -> None:
    gone = Refuse(grpc.StatusCode.UNAVAILABLE)
    said = query_service_pb2.WatchStatusResponse(status=status("COMPLETED", 1))
    fake.streams["WatchStatus"].extend([[gone], [gone], [gone], [said]])
    reported: list[QueryEngineClientError] = []

    async with AsyncClient(fake_target, on_retry=reported.append) as client:
        states = [each.state async for each in client.attach(ID).watch()]

    assert states == ["COMPLETED"]
    assert [error.code for error in reported] == [grpc.StatusCode.UNAVAILABLE]


async def test_unary_calls(client: AsyncClient, fake: FakeService) -> None:
    away = Refuse(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")
    fake.replies["GetStatus"].extend([away, query_service_pb2.GetStatusResponse(status=status("RUNNING", 3))])
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page_message(numbers(5), 0)))
    released = query_service_pb2.ReleaseResultsResponse(status=status("COMPLETED", 4))
    fake.replies["ReleaseResults"].extend([released, released])
    fake.replies["ListQueries"].append(query_service_pb2.ListQueriesResponse())
    fake.replies["ListEngines"].append(query_service_pb2.ListEnginesResponse(engines=[{"name": "duckdb"}]))
    fake.replies["Cancel"].append(Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"))
    handle = client.attach(ID)

    assert (await handle.status()).state == "RUNNING"
    assert (await handle.fetch_page()).batch.num_rows == 5
    assert (await handle.release()).is_final
    assert (await handle.extend(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))).is_final
    assert (await client.list_queries()).queries == ()
    assert [engine.name for engine in await client.engines()] == ["duckdb"]
    with pytest.raises(NotFound):
        await handle.result().cancel()


async def test_a_closed_client_refuses_calls(client: AsyncClient) -> None:
    await client.close()

    with pytest.raises(QueryEngineClientError, match="client is closed"):
        await client.engines()
    with pytest.raises(QueryEngineClientError, match="client is closed"):
        await client.attach(ID).result().to_arrow()


@pytest.mark.parametrize("reads", ["rows", "states", "states after one"])
async def test_closing_the_client_breaks_off_what_is_being_read(
    client: AsyncClient, fake: FakeService, reads: str
) -> None:
    hold = Hold()
    handle = client.attach(ID)
    if reads == "rows":
        fake.streams["StreamResults"].append([start(), hold])
        task = asyncio.create_task(handle.result().to_arrow())
    else:
        fake.streams["WatchStatus"].append([hold])
        watch = handle.watch(after_version=7 if reads == "states after one" else 0)
        task = asyncio.create_task(anext(watch))
    await reached(hold)

    await client.close()

    # Nobody cancelled the task, so it does not end as a cancelled one, which its owner would not hear of.
    with pytest.raises(QueryEngineClientError, match="client is closed"):
        await task


async def test_presence_is_shown_until_the_query_ends(client: AsyncClient, fake: FakeService) -> None:
    fake.replies["Submit"].append(query_service_pb2.SubmitResponse(status=status("QUEUED", 1)))
    hold = Hold()
    fake.replies["GetStatus"].extend(
        [
            query_service_pb2.GetStatusResponse(status=status("RUNNING", 2)),
            Refuse(grpc.StatusCode.INTERNAL),
            query_service_pb2.GetStatusResponse(status=status("RUNNING", 3)),
            hold,
            query_service_pb2.GetStatusResponse(status=status("COMPLETED", 4)),
        ]
    )

    result = await client.query("SELECT 1")

    await reached(hold)
    hold.open.set()
    fake.streams["StreamResults"].append(whole(PAGES))
    assert (await result.to_arrow()).num_rows == TOTAL
    assert len(fake.requests["GetStatus"]) == 4


async def test_presence_ends_with_a_result_that_nothing_refers_to(client: AsyncClient, fake: FakeService) -> None:
    fake.replies["Submit"].append(query_service_pb2.SubmitResponse(status=status("QUEUED", 1)))
    result = await client.query("SELECT 1")
    query_id = result.query_id
    await until(lambda: fake.requests["GetStatus"])

    del result
    gc.collect()

    await until(lambda: query_id in fake.waits_ended)
    assert not fake.requests["Cancel"]


async def test_without_a_server_a_stream_is_given_up() -> None:
    async with AsyncClient("127.0.0.1:1", give_up_after=0.2) as client:
        with pytest.raises(ServiceUnavailable):
            await client.attach(ID).result().to_arrow()
