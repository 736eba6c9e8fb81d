"""The rules of reading, without a network: messages in, events and decisions out."""

import itertools
from collections.abc import Callable

import grpc
import pyarrow as pa
import pytest

from queryengine.client.backoff import Backoff
from queryengine.client.errors import (
    LimitReached,
    QueryCancelled,
    QueryFailed,
    ResultCorrupt,
    ResultUnavailable,
    RpcFailure,
    ServiceUnavailable,
)
from queryengine.domain.errors import Position
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2
from tests.unit.fake_service import (
    ID,
    SCHEMA,
    end,
    event,
    numbers,
    page,
    rotate,
    schema,
    start,
    status,
    whole,
)
from tests.unit.reading import CUT, PAGES, TOTAL, feed, reader, rows


def test_a_whole_stream_is_a_whole_result() -> None:
    target = reader()

    assert rows(feed(target, whole(PAGES))) == list(range(TOTAL))
    assert target.end is not None
    assert target.end.total_rows == TOTAL
    assert target.status is not None
    assert target.status.state == "COMPLETED"
    assert target.schema == SCHEMA


@pytest.mark.parametrize("failure", [CUT, None], ids=["error", "OK without an end"])
@pytest.mark.parametrize("cut", range(len(whole(PAGES))))
def test_a_cut_after_any_message_loses_and_repeats_nothing(cut: int, failure: RpcFailure | None) -> None:
    target = reader()
    batches = feed(target, whole(PAGES)[:cut])

    assert target.end is None
    assert target.closed(failure, now=0) > 0
    request = target.request()
    assert request.start_row == sum(batch.num_rows for batch in batches)
    assert request.attempt == (1 if batches else 0)
    batches += feed(target, whole(PAGES, from_row=request.start_row))

    assert rows(batches) == list(range(TOTAL))
    assert target.end is not None


def test_a_cut_after_every_message_still_ends() -> None:
    target = reader(give_up_after=10)
    batches: list[pa.RecordBatch] = []
    # Each stream gets one page further than the last: nothing else counts as going on.
    for turn in itertools.count():
        messages = whole(PAGES, from_row=target.request().start_row)
        batches += feed(target, messages[:5])
        if target.end is not None:
            break
        assert target.closed(CUT, now=turn * 9.0) > 0

    assert rows(batches) == list(range(TOTAL))


def test_batches_share_memory_with_the_message() -> None:
    target = reader()
    feed(target, [start(), schema()])
    (message,) = page(numbers(1000), 0)
    (batch,) = feed(target, [message])

    inside = pa.py_buffer(message)
    address = batch["n"].buffers()[1].address
    assert inside.address <= address < inside.address + inside.size


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        (page(numbers(5), 0, crc32c=1), "checksum"),
        ([page(numbers(500), 0)[0][:-1] + b"\x55"], "checksum"),
        (page(numbers(5), 0, row_count=6), "has 5 rows, not 6"),
        (page(numbers(5), 1), "row 0 is missing"),
        (page(pa.record_batch({"other": [1]}), 0), "other columns"),
        (page(numbers(5), 0, chunks=3)[1:], "chunk 0 of the page at row 0 is missing"),
        (page(numbers(5), 0, chunks=3)[::2], "chunk 1 of the page at row 0 is missing"),
        (page(numbers(5), 0, chunks=2)[:1] + page(numbers(5), 0), "before the last chunk"),
        ([*page(numbers(5), 0, chunks=2)[:1], end(0)], "before the last chunk"),
        ([*page(numbers(5), 0), end(6)], "has 6 rows, 5 have arrived"),
        ([*page(numbers(5), 0), end(4)], "has 4 rows, 5 have arrived"),
        ([page(numbers(5), 0)[0][:-1]], "cannot be read"),
        ([b"\xff\xff"], "cannot be read"),
        ([event(schema=result_pb2.ResultSchema(arrow_schema=b"x"))], "cannot be read"),
        ([event(page=result_pb2.Page(rows=result_pb2.RowSet()))], "not in Arrow format"),
    ],
)
def test_a_damaged_or_short_result_is_never_taken_for_a_whole_one(messages: list[bytes], complaint: str) -> None:
    target = reader()
    feed(target, [start(), schema()])

    with pytest.raises(ResultCorrupt, match=complaint):
        feed(target, messages)
    assert target.end is None
    with pytest.raises(ResultCorrupt, match=complaint):
        target.request()


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([start(next_row=3)], "begins at row 3, row 0 was asked for"),
        ([start(), *page(numbers(5), 0)], "before their columns"),
        ([start(), end(0)], "without its columns"),
        ([event(start=result_pb2.StreamStart(format=result_pb2.PAGE_FORMAT_ROWS))], "not in Arrow format"),
    ],
)
def test_messages_out_of_order_are_refused(messages: list[bytes], complaint: str) -> None:
    with pytest.raises(ResultCorrupt, match=complaint):
        feed(reader(), messages)


def test_heartbeats_and_states_may_come_between_chunks() -> None:
    target = reader()
    first, second = page(numbers(5), 0, chunks=2)
    beat, state = event(heartbeat=result_pb2.Heartbeat()), event(status=status("RUNNING", 7))

    assert rows(feed(target, [start(), schema(), first, beat, state, second, end(5)])) == list(range(5))


def schema_chunks(size: int) -> list[bytes]:
    """The columns in chunks of so many bytes."""
    whole_schema = query_service_pb2.StreamResultsResponse.FromString(schema()).schema.SerializeToString()
    parts = [whole_schema[start : start + size] for start in range(0, len(whole_schema), size)]
    return [
        event(schema=result_pb2.ResultSchema(attempt=1, chunk_index=index, chunk_count=len(parts), chunk=part))
        for index, part in enumerate(parts)
    ]


def test_columns_come_in_chunks() -> None:
    target = reader()
    assert len(chunks := schema_chunks(50)) > 2
    beat = event(heartbeat=result_pb2.Heartbeat())

    assert rows(feed(target, [start(), chunks[0], beat, *chunks[1:], *page(numbers(5), 0), end(5)])) == list(range(5))
    assert target.schema == numbers(0).schema


def test_a_cut_between_chunks_of_the_columns_begins_them_again() -> None:
    target = reader()
    chunks = schema_chunks(50)
    feed(target, [start(), *chunks[:2]])
    target.closed(CUT, now=0)

    assert rows(feed(target, [start(), *chunks, *page(numbers(5), 0), end(5)])) == list(range(5))


@pytest.mark.parametrize("order", [[1], [0, 2], [0, 0]])
def test_a_missing_chunk_of_the_columns_is_reported(order: list[int]) -> None:
    target = reader()
    chunks = schema_chunks(50)

    with pytest.raises(ResultCorrupt, match=r"chunk [01] of the columns is missing"):
        feed(target, [start(), *(chunks[index] for index in order)])


def test_an_unknown_event_is_passed_over() -> None:
    assert reader().receive(query_service_pb2.StreamResultsResponse().SerializeToString()) is None


def test_columns_that_change_between_two_streams_are_refused() -> None:
    target = reader()
    feed(target, whole(PAGES)[:4])
    target.closed(CUT, now=0)
    feed(target, [start(10)])

    with pytest.raises(ResultCorrupt, match="columns differ"):
        target.receive(schema(arrow=pa.schema([("other", pa.int64())])))


@pytest.mark.parametrize("message", [start(10, attempt=2), schema(attempt=2), end(10, attempt=2)])
def test_rows_of_two_attempts_are_never_mixed(message: bytes) -> None:
    target = reader()
    feed(target, whole(PAGES)[:4])
    target.closed(CUT, now=0)

    with pytest.raises(ResultUnavailable, match="attempt 2 is current") as caught:
        target.receive(message)
    assert caught.value.reason == "RESULT_RESTARTED"
    assert caught.value.retryable


def test_another_attempt_before_the_first_row_is_read_like_the_first() -> None:
    target = reader()
    feed(target, [start(), schema()])
    restarted = RpcFailure(grpc.StatusCode.ABORTED, "", reason="RESULT_RESTARTED")

    assert target.closed(restarted, now=0) > 0
    assert target.request().attempt == 0
    feed(target, [start(attempt=2), schema(attempt=2), *page(numbers(5), 0), end(5, attempt=2)])

    assert target.end is not None


def test_another_attempt_after_the_first_row_ends_the_reading() -> None:
    target = reader()
    feed(target, whole(PAGES)[:4])

    with pytest.raises(ResultUnavailable):
        target.closed(RpcFailure(grpc.StatusCode.ABORTED, "", reason="RESULT_RESTARTED"), now=0)


def test_a_planned_end_costs_no_wait_and_a_drain_does() -> None:
    target = reader()
    feed(target, [*whole(PAGES)[:4], rotate(10)])
    assert target.closed(None, now=0) == 0

    feed(target, [*whole(PAGES, from_row=10)[:5], rotate(15, "DRAIN")])
    assert target.closed(None, now=1) > 0
    assert target.request().start_row == 15


def test_planned_ends_without_progress_wait_longer_each_time() -> None:
    target = reader()
    waits = []
    for turn in range(4):
        feed(target, [start(), rotate(0)])
        waits.append(target.closed(None, now=turn))

    assert waits == [0, 0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ],
)
def test_what_the_transport_says_is_tried_again(code: grpc.StatusCode) -> None:
    assert reader().closed(RpcFailure(code, "lost"), now=0) > 0


@pytest.mark.parametrize("reason", ["SERVER_DRAINING", "STORE_UNAVAILABLE"])
def test_what_the_server_says_of_itself_is_tried_again(reason: str) -> None:
    assert reader().closed(RpcFailure(grpc.StatusCode.UNAVAILABLE, "", reason=reason), now=0) > 0


def test_a_query_that_failed_by_what_passes_for_a_call_is_not_read_again() -> None:
    failed = query_pb2.QueryError(code=14, reason="STORE_UNAVAILABLE", message="no disk", retryable=True)
    target = reader()
    feed(target, [start(), event(status=status("FAILED", 3, error=failed))])
    failure = RpcFailure(grpc.StatusCode.UNAVAILABLE, "", reason="STORE_UNAVAILABLE", retry_after=1.0)
    with pytest.raises(QueryFailed, match="no disk") as caught:
        target.closed(failure, now=0)
    assert caught.value.retryable


def test_the_wait_the_server_asks_for_is_kept() -> None:
    failure = RpcFailure(grpc.StatusCode.RESOURCE_EXHAUSTED, "", reason="TENANT_STREAM_LIMIT", retry_after=7.0)
    target = reader(give_up_after=5)

    assert target.closed(failure, now=0) == 7.0
    with pytest.raises(LimitReached):
        target.closed(failure, now=6)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.CANCELLED, "QUERY_CANCELLED", QueryCancelled),
        (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST", QueryFailed),
        (grpc.StatusCode.INTERNAL, "ENGINE_ERROR", QueryFailed),
        (grpc.StatusCode.FAILED_PRECONDITION, "RESULT_EXPIRED", ResultUnavailable),
    ],
)
def test_what_the_query_says_ends_the_reading(code: grpc.StatusCode, reason: str, kind: type[Exception]) -> None:
    target = reader()
    with pytest.raises(kind, match=reason):
        target.closed(RpcFailure(code, "", reason=reason), now=0)
    with pytest.raises(kind, match=reason):
        target.request()


def test_a_failure_says_where_in_the_sql() -> None:
    failed = query_pb2.QueryError(
        code=3, reason="SYNTAX_ERROR", message="near FORM", sql_state="42601", position={"line": 2, "column": 8}
    )
    target = reader()
    feed(target, [start(), event(status=status("FAILED", 3, error=failed))])

    with pytest.raises(QueryFailed) as caught:
        target.closed(RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, "", reason="SYNTAX_ERROR"), now=0)

    error = caught.value
    assert (error.position, error.sql_state, error.query_id) == (Position(2, 8), "42601", ID)
    assert (error.reason, error.code) == ("SYNTAX_ERROR", grpc.StatusCode.INVALID_ARGUMENT)


def test_waits_double_up_to_two_seconds_and_progress_begins_again() -> None:
    target = reader()
    waits = [target.closed(CUT, now=float(turn)) for turn in range(8)]
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]

    feed(target, whole(PAGES)[:4])
    assert target.closed(CUT, now=9) == 0.05


def test_the_first_attempt_to_go_on_that_fails_is_reported_once_until_there_is_progress() -> None:
    reported: list[str] = []
    backoff = Backoff(give_up_after=120, on_retry=lambda error: reported.append(error.message))

    counts = []
    for failure in (CUT, None, CUT, CUT):
        backoff.delay(0.0, failure=failure)
        counts.append(len(reported))
    backoff.progressed()
    for is_planned in (True, False, False):
        backoff.delay(1.0, failure=None if is_planned else CUT, is_planned=is_planned)
        counts.append(len(reported))

    assert counts == [0, 0, 1, 1, 1, 2, 2]
    assert len(reported) == 2
    assert all("(UNAVAILABLE: connection reset)" in message for message in reported)


def test_without_progress_the_reader_gives_up() -> None:
    target = reader(give_up_after=10)
    feed(target, whole(PAGES)[:4])
    for now in (100, 105, 109):
        target.closed(CUT, now=now)
        # The start and a state already known are no progress.
        feed(target, [start(10), event(status=status("RUNNING", 2))])

    with pytest.raises(ServiceUnavailable, match="connection reset"):
        target.closed(CUT, now=110)
    with pytest.raises(ServiceUnavailable):
        target.request()


@pytest.mark.parametrize(
    "sign",
    [
        lambda now: event(heartbeat=result_pb2.Heartbeat()),
        lambda now: event(status=status("RUNNING", 9 + now)),
        lambda now: page(numbers(5), 0, chunks=2)[0],
    ],
    ids=["heartbeat", "new state", "chunk"],
)
def test_signs_of_life_are_progress(sign: Callable[[int], bytes]) -> None:
    target = reader(give_up_after=10)
    feed(target, [start(), schema()])
    for now in (0, 9, 18, 27):
        feed(target, [sign(now)])
        target.closed(CUT, now=now)


def test_streams_that_end_early_for_no_reason_are_given_up_too() -> None:
    target = reader(give_up_after=10)
    target.closed(None, now=0)

    with pytest.raises(ServiceUnavailable, match="ends every stream early"):
        target.closed(None, now=10)
