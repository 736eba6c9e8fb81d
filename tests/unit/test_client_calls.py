"""Calls and watches of the blocking client, against a real gRPC server that misbehaves as scripted."""

import datetime as dt
from collections.abc import Iterator

import grpc
import pytest

from queryengine.client import (
    CancelResult,
    Client,
    EngineCancel,
    QueryEngineClientError,
    ResultCorrupt,
)
from queryengine.codec.types import to_result_schema
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2, value_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Hold,
    Refuse,
    numbers,
    page_message,
    status,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
TOTAL = 18
WAIT = 10.0


@pytest.fixture
def client(fake_target: str) -> Iterator[Client]:
    with Client(fake_target, tenant="acme", user="ann", metadata=(("authorization", "Bearer x"),)) as client:
        yield client


def accepted(**fields: object) -> query_service_pb2.SubmitResponse:
    fields.setdefault("status", status("QUEUED", 1))
    return query_service_pb2.SubmitResponse(**fields)  # type: ignore[arg-type]


def test_a_watch_survives_cuts(client: Client, fake: FakeService) -> None:
    def said(state: str, version: int) -> query_service_pb2.WatchStatusResponse:
        return query_service_pb2.WatchStatusResponse(status=status(state, version))

    fake.streams["WatchStatus"].extend(
        [
            [said("QUEUED", 1), Refuse(grpc.StatusCode.UNAVAILABLE)],
            [said("RUNNING", 2)],
            [said("COMPLETED", 3)],
        ]
    )

    states = [each.state for each in client.attach(ID).watch()]

    assert states == ["QUEUED", "RUNNING", "COMPLETED"]
    assert [request.after_version for request in fake.requests["WatchStatus"]] == [0, 1, 2]


def test_leaving_a_watch_ends_its_stream(client: Client, fake: FakeService) -> None:
    said = query_service_pb2.WatchStatusResponse(status=status("RUNNING", 1))
    fake.streams["WatchStatus"].append([said, Hold()])

    for _ in client.attach(ID).watch():
        break

    assert fake.left.wait(WAIT)


def test_status_page_release_and_lists(client: Client, fake: FakeService) -> None:
    until = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    fake.replies["GetStatus"].append(
        query_service_pb2.GetStatusResponse(
            status=status("RUNNING", 3, progress={"fraction": 0.5}, submit_time={"seconds": 60})
        )
    )
    fake.replies["FetchPage"].append(
        query_service_pb2.FetchPageResponse(
            page=page_message(numbers(5, start=20), 20), next_page_token="next", total_rows=30
        )
    )
    fake.replies["ReleaseResults"].append(query_service_pb2.ReleaseResultsResponse(status=status("COMPLETED", 4)))
    fake.replies["ListQueries"].append(
        query_service_pb2.ListQueriesResponse(queries=[status("RUNNING", 1)], next_page_token="more")
    )
    fake.replies["Cancel"].append(
        query_service_pb2.CancelResponse(
            result=query_service_pb2.CANCEL_RESULT_CANCELLED,
            engine_cancel=query_service_pb2.ENGINE_CANCEL_STATE_CONFIRMED,
            status=status("CANCELLED", 5),
        )
    )
    handle = client.attach(ID)

    found = handle.status(after_version=2, wait_for_change=5)
    fetched = handle.fetch_page(offset=20, page_size=5)
    released = handle.extend(until)
    listed = client.list_queries(states=["running"], engine="duckdb")
    cancelled = handle.cancel(reason="because", wait=3)

    assert (found.fraction, found.queue_position) == (0.5, None)
    assert found.submit_time == dt.datetime(1970, 1, 1, 0, 1, tzinfo=dt.UTC)
    assert not found.is_final
    assert fake.requests["GetStatus"][0].wait_timeout.seconds == 5
    assert fetched.batch == numbers(5, start=20)
    assert (fetched.start_row, fetched.total_rows, fetched.next_page_token) == (20, 30, "next")
    assert released.is_final
    assert fake.requests["ReleaseResults"][0].extend_to.ToDatetime(tzinfo=dt.UTC) == until
    assert [each.state for each in listed.queries] == ["RUNNING"]
    assert fake.requests["ListQueries"][0].states == [query_pb2.QUERY_STATE_RUNNING]
    assert (cancelled.result, cancelled.engine) == (CancelResult.CANCELLED, EngineCancel.CONFIRMED)
    assert fake.requests["Cancel"][0].reason == "because"


def test_queries_are_cancelled_by_their_labels(client: Client, fake: FakeService) -> None:
    reply = query_service_pb2.CancelQueriesResponse(cancelled=1, cancelling=2, already_ended=3, left=4, query_ids=[ID])
    fake.replies["CancelQueries"].extend([Refuse(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING"), reply])

    done = client.cancel_queries({"job": "nightly"}, engine="duckdb", subject="ann", reason="because", wait=3)

    assert (done.cancelled, done.cancelling, done.already_ended, done.left) == (1, 2, 3, 4)
    assert done.query_ids == (ID,)
    request = fake.requests["CancelQueries"][-1]
    assert (dict(request.labels), request.engine, request.subject) == ({"job": "nightly"}, "duckdb", "ann")
    assert (request.reason, request.wait_timeout.seconds) == ("because", 3)


def test_details_are_plain_values(client: Client, fake: FakeService) -> None:
    text = value_pb2.DataType(kind=value_pb2.TYPE_KIND_STRING)
    number = value_pb2.DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=64)
    types = {
        "STRING": text,
        "INT 64": number,
        "DECIMAL(12, -2)": value_pb2.DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=12, scale=-2),
        "TIMESTAMP(Asia/Tokyo)": value_pb2.DataType(kind=value_pb2.TYPE_KIND_TIMESTAMP, time_zone="Asia/Tokyo"),
        "LIST": value_pb2.DataType(kind=value_pb2.TYPE_KIND_LIST),
        "MAP(STRING, INT 64)": value_pb2.DataType(
            kind=value_pb2.TYPE_KIND_MAP, fields=[{"name": "key", "type": text}, {"name": "value", "type": number}]
        ),
        "STRUCT(a STRING, b INT 64)": value_pb2.DataType(
            kind=value_pb2.TYPE_KIND_STRUCT, fields=[{"name": "a", "type": text}, {"name": "b", "type": number}]
        ),
        "99": value_pb2.DataType(kind=99),  # type: ignore[arg-type]
        "": None,
    }
    fake.replies["GetStatus"].append(
        query_service_pb2.GetStatusResponse(
            status=status("RUNNING", 1),
            details=query_pb2.QueryDetails(
                sql="SELECT $a",
                executed_sql="SELECT $a LIMIT 5",
                parameters=[query_pb2.ParameterInfo(name="a", type=each) for each in types.values()],
                parameters_left_out=7,
                limits={"execution_timeout": {"seconds": 90}, "row_limit": 5, "on_limit": "LIMIT_ACTION_FAIL"},
            ),
        )
    )

    found = client.attach(ID).details()

    assert fake.requests["GetStatus"][0].view == query_service_pb2.QUERY_VIEW_FULL
    assert (found.sql, found.executed_sql) == ("SELECT $a", "SELECT $a LIMIT 5")
    assert [each.type for each in found.parameters] == list(types)
    assert (found.parameters[0].name, found.parameters_left_out) == ("a", 7)
    assert (found.execution_timeout, found.queue_timeout) == (dt.timedelta(seconds=90), dt.timedelta(0))
    assert (found.row_limit, found.byte_limit, found.fails_at_limit) == (5, None, True)


def test_an_empty_page_has_columns(client: Client, fake: FakeService) -> None:
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page_message(numbers(0), 0)))

    assert client.attach(ID).fetch_page().batch.schema == numbers(0).schema


def test_an_empty_result_has_columns_and_no_page(client: Client, fake: FakeService) -> None:
    columns = to_result_schema(numbers(0).schema, attempt=1)
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(schema=columns, total_rows=0))
    columns.ClearField("arrow_schema")
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(schema=columns, total_rows=0))

    for _ in range(2):
        assert client.attach(ID).fetch_page().batch == numbers(0)


@pytest.mark.parametrize("columns", [None, result_pb2.ResultSchema(arrow_schema=b"\xff\xff\xff\xff\x10")])
def test_a_reply_without_rows_and_columns_is_damaged(
    client: Client, fake: FakeService, columns: result_pb2.ResultSchema | None
) -> None:
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(schema=columns))

    with pytest.raises(ResultCorrupt, match="columns"):
        client.attach(ID).fetch_page()


def test_a_damaged_stored_page_is_reported(client: Client, fake: FakeService) -> None:
    damaged = page_message(numbers(5), 0)
    damaged.crc32c += 1
    fake.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=damaged))

    with pytest.raises(ResultCorrupt):
        client.attach(ID).fetch_page()


def test_a_state_of_a_newer_contract_is_not_guessed(client: Client, fake: FakeService) -> None:
    newer = query_pb2.QueryStatus(query_id=ID, version=1, state=99)  # type: ignore[arg-type]
    fake.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=newer))

    with pytest.raises(QueryEngineClientError, match="QUERY_STATE_99"):
        client.attach(ID).status()


def test_wrong_arguments_are_refused_before_any_call(client: Client) -> None:
    with pytest.raises(ValueError, match="one of page, offset and page_token"):
        client.attach(ID).fetch_page(page=1, offset=2)
    with pytest.raises(ValueError, match="until takes a datetime with a zone"):
        client.attach(ID).extend(dt.datetime(2030, 1, 1))  # noqa: DTZ001 - wrong on purpose
    with pytest.raises(ValueError, match="HOST:PORT, without a scheme"):
        Client("http://127.0.0.1:8815")
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(tenant="münchen")


def test_an_option_that_is_none_is_refused(client: Client, fake: FakeService) -> None:
    with pytest.raises(TypeError, match=r"unknown options: row_limits; known: .*row_limit"):
        client.submit("SELECT 1", row_limits=5)
