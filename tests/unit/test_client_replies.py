"""The rules for rows in a reply and for watching, without a network."""

import grpc
import pyarrow as pa
import pytest

from queryengine.client.backoff import Backoff
from queryengine.client.errors import (
    QueryFailed,
    RpcFailure,
)
from queryengine.client.stream import WatchReader
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2
from tests.unit.fake_service import (
    ID,
    end,
    numbers,
    page_message,
    schema,
    status,
    whole,
)
from tests.unit.reading import CUT, PAGES, TOTAL, feed, reader, rows


def reply(**fields: object) -> query_service_pb2.SubmitResponse:
    return query_service_pb2.SubmitResponse(**fields)  # type: ignore[arg-type]


def test_a_reply_with_everything_needs_no_stream() -> None:
    target = reader()
    message = reply(
        status=status("COMPLETED", 5),
        schema=query_service_pb2.StreamResultsResponse.FromString(schema()).schema,
        pages=[page_message(numbers(10), 0), page_message(numbers(5, start=10), 10)],
        end=query_service_pb2.StreamResultsResponse.FromString(end(15)).end,
    )

    events = list(target.receive_reply(message))

    assert rows([each for each in events if isinstance(each, pa.RecordBatch)]) == list(range(15))
    assert target.end is not None


def test_a_reply_with_the_first_rows_is_continued_by_a_stream() -> None:
    target = reader()
    message = reply(
        status=status("COMPLETED", 5),
        schema=query_service_pb2.StreamResultsResponse.FromString(schema()).schema,
        pages=[page_message(numbers(10), 0)],
        next_row=10,
    )
    batches = [each for each in target.receive_reply(message) if isinstance(each, pa.RecordBatch)]

    assert target.request().start_row == 10
    batches += feed(target, whole(PAGES, from_row=10))
    assert rows(batches) == list(range(TOTAL))


def test_a_reply_that_reports_a_failure_is_the_failure() -> None:
    target = reader()
    failed = query_pb2.QueryError(code=13, reason="ENGINE_ERROR", message="boom")
    events = list(target.receive_reply(reply(status=status("FAILED", 5, error=failed))))

    assert [type(each) for each in events] == [query_pb2.QueryStatus]
    assert target.status is not None
    assert target.status.state == "FAILED"
    with pytest.raises(QueryFailed, match="ENGINE_ERROR: boom"):
        target.request()


def watched(version: int, state: str) -> query_service_pb2.WatchStatusResponse:
    return query_service_pb2.WatchStatusResponse(status=status(state, version))


def test_a_watch_reports_each_state_once_and_ends_after_the_last() -> None:
    target = WatchReader(ID, backoff=Backoff(give_up_after=10))
    first = target.receive(watched(1, "QUEUED"))
    assert first is not None
    assert target.receive(watched(1, "QUEUED")) is None
    assert target.closed(CUT, now=0) > 0
    assert target.request().after_version == 1

    assert target.receive(watched(2, "COMPLETED")) is not None
    assert target.is_done


def test_a_watch_that_ends_before_the_final_state_goes_on() -> None:
    target = WatchReader(ID, backoff=Backoff(give_up_after=10))
    target.receive(watched(1, "RUNNING"))

    assert target.closed(None, now=0) > 0
    assert not target.is_done


def test_a_watch_from_the_final_version_on_just_ends() -> None:
    target = WatchReader(ID, backoff=Backoff(give_up_after=10), after_version=9)

    target.closed(None, now=0)

    assert target.is_done


@pytest.mark.parametrize("reason", ["AGE", "DRAIN"])
def test_a_rotated_watch_goes_on(reason: str) -> None:
    target = WatchReader(ID, backoff=Backoff(give_up_after=10), after_version=9)
    rotated = result_pb2.StreamRotate(reason=f"ROTATE_REASON_{reason}")  # type: ignore[arg-type]
    target.receive(query_service_pb2.WatchStatusResponse(rotate=rotated))

    target.closed(None, now=0)

    assert not target.is_done


def test_a_watch_ends_with_what_the_server_says() -> None:
    target = WatchReader(ID, backoff=Backoff(give_up_after=10))
    with pytest.raises(Exception, match="QUERY_NOT_FOUND"):
        target.closed(RpcFailure(grpc.StatusCode.NOT_FOUND, "", reason="QUERY_NOT_FOUND"), now=0)
