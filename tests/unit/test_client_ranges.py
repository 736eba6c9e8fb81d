"""A range of a result, and the list of its pages, as the client checks them: messages in, events and errors out."""

import grpc
import pytest

from queryengine.client import Client, StoredPage
from queryengine.client.backoff import Backoff
from queryengine.client.errors import ResultCorrupt, RpcFailure
from queryengine.client.stream import ResultReader
from queryengine.codec.types import to_result_schema
from queryengine.v1 import query_service_pb2
from tests.unit.fake_service import ID, SCHEMA, FakeService, end, numbers, page, page_message, schema, start, status

CUT = RpcFailure(grpc.StatusCode.UNAVAILABLE, "connection reset")


def feed(target: ResultReader, messages: list[bytes]) -> None:
    for message in messages:
        target.receive(message)


def reader(start_row: int, end_row: int | None) -> ResultReader:
    return ResultReader(ID, backoff=Backoff(give_up_after=120.0), start_row=start_row, end_row=end_row)


@pytest.mark.parametrize(
    ("end_row", "rows", "total"), [(15, 5, 100), (15, 5, 15), (40, 5, 15), (10, 0, 100), (None, 5, 15)]
)
def test_a_range_is_whole_with_the_rows_asked_for(end_row: int | None, rows: int, total: int) -> None:
    target = reader(10, end_row)
    messages = [start(next_row=10), schema(), *(page(numbers(rows, start=10), 10) if rows else ()), end(total)]
    for message in messages:
        assert target.end is None
        target.receive(message)
    assert target.end is not None
    assert target.end.total_rows == total


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([*page(numbers(4, start=10), 10), end(100)], "to be read up to row 15, 14 have arrived"),
        ([end(12)], "has 12 rows and was to be read up to row 15, 10 have arrived"),
        (page(numbers(6, start=10), 10), "the page at row 10 goes beyond the end asked for, 15"),
    ],
)
def test_a_short_or_long_range_is_never_taken_for_a_whole_one(messages: list[bytes], complaint: str) -> None:
    target = reader(10, 15)
    feed(target, [start(next_row=10), schema()])
    with pytest.raises(ResultCorrupt, match=complaint):
        feed(target, messages)
    assert target.end is None


def test_a_cut_range_goes_on_to_the_same_end() -> None:
    target = reader(10, 15)
    asked = []
    for row in (10, 13, 15):
        request = target.request()
        asked.append((request.start_row, request.end_row))
        for message in (start(next_row=row), schema(), *page(numbers(min(3, 15 - row), start=row), row)[: 15 - row]):
            target.receive(message)
        target.closed(CUT, now=0.0)
    assert asked == [(10, 15), (13, 15), (15, 15)]
    assert not reader(0, None).request().HasField("end_row")


def test_a_range_does_not_take_the_rows_in_the_reply_to_submit(fake: FakeService, fake_target: str) -> None:
    inline = page_message(numbers(10), 0)
    reply = query_service_pb2.SubmitResponse(
        status=status("COMPLETED", 1), schema=to_result_schema(SCHEMA), pages=[inline], next_row=10
    )
    fake.replies["Submit"].append(reply)
    fake.streams["StreamResults"].append([start(), schema(), *page(numbers(4), 0), end(10)])
    with Client(fake_target) as client:
        table = client.submit("SELECT 1").result(end_row=4).to_arrow()
    assert table["n"].to_pylist() == [0, 1, 2, 3]
    (request,) = fake.requests["StreamResults"]
    assert (request.start_row, request.end_row) == (0, 4)


def test_pages_are_plain_values(fake: FakeService, fake_target: str) -> None:
    pages = [{"start_row": 5, "row_count": 3, "bytes": 700, "crc32c": 1 << 31}]
    reply = query_service_pb2.ListPagesResponse
    fake.replies["ListPages"].extend([reply(pages=pages, next_page_token="more"), reply(total_rows=8)])
    with Client(fake_target) as client:
        handle = client.attach(ID)
        first = handle.list_pages(page_size=1)
        last = handle.list_pages(page_token=first.next_page_token)
    assert first.pages == (StoredPage(5, 3, 700, 1 << 31),)
    assert (first.pages[0].end_row, first.total_rows) == (8, None)
    assert (last.pages, last.total_rows, last.next_page_token) == ((), 8, "")
    assert [(each.page_size, each.page_token) for each in fake.requests["ListPages"]] == [(1, ""), (1000, "more")]


@pytest.mark.parametrize(("start_row", "end_row"), [(5, 4), (0, -1)])
def test_a_range_that_goes_back_is_refused_before_any_call(
    fake: FakeService, fake_target: str, start_row: int, end_row: int
) -> None:
    with Client(fake_target) as client, pytest.raises(ValueError, match="end_row takes start_row"):
        client.attach(ID).result(start_row=start_row, end_row=end_row)
    assert not fake.requests["StreamResults"]
