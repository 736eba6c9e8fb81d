"""The blocking client against a real gRPC server that misbehaves as told."""

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pyarrow as pa
import pytest

from queryengine.client import (
    CancelResult,
    Client,
    EngineCancel,
    LimitReached,
    NotFound,
    QueryCancelled,
    QueryEngineClientError,
    QueryFailed,
    QueryStatus,
    ResultCorrupt,
    ResultUnavailable,
    ServiceUnavailable,
)
from queryengine.codec.values import decode_parameters
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_pb2, query_service_pb2, value_pb2
from tests.unit.fake_service import (
    ID,
    FakeService,
    Hold,
    Refuse,
    end,
    event,
    numbers,
    page,
    page_message,
    rotate,
    schema,
    serving,
    start,
    status,
    whole,
)

PAGES = [numbers(10), numbers(5, start=10), numbers(3, start=15)]
TOTAL = 18
WAIT = 10.0


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def target(service: FakeService) -> Iterator[str]:
    with serving(service) as address:
        yield address


@pytest.fixture
def client(target: str) -> Iterator[Client]:
    with Client(target, tenant="acme", user="ann", metadata=(("authorization", "Bearer x"),)) as client:
        yield client


def accepted(**fields: object) -> query_service_pb2.SubmitResponse:
    fields.setdefault("status", status("QUEUED", 1))
    return query_service_pb2.SubmitResponse(**fields)  # type: ignore[arg-type]


def test_a_query_is_read_through_cuts_rotations_and_silence(client: Client, service: FakeService) -> None:
    service.replies["Submit"].append(accepted())
    service.streams["StreamResults"].extend(
        [
            [Refuse(grpc.StatusCode.UNAVAILABLE)],
            [*whole(PAGES)[:4], Refuse(grpc.StatusCode.INTERNAL)],
            [*whole(PAGES, from_row=10)[:4], Refuse(grpc.StatusCode.UNAVAILABLE)],
            [start(10)],
            [*whole(PAGES, from_row=10)[:5], rotate(15)],
            whole(PAGES, from_row=15),
        ]
    )
    seen: list[QueryState] = []

    result = client.query("SELECT n", on_status=lambda each: seen.append(each.state))
    table = result.to_arrow()

    assert table["n"].to_pylist() == list(range(TOTAL))
    assert [request.start_row for request in service.requests["StreamResults"]] == [0, 0, 10, 10, 10, 15]
    assert seen == ["QUEUED", "RUNNING", "COMPLETED"]
    assert result.end is not None
    assert result.end.total_rows == TOTAL
    assert not result.end.truncated


def test_every_call_says_who_asks(client: Client, service: FakeService) -> None:
    service.replies["ListEngines"].append(query_service_pb2.ListEnginesResponse())
    service.streams["StreamResults"].append(whole([]))

    client.engines()
    client.attach(ID).result().to_arrow()

    for metadata in service.metadata:
        assert metadata["x-tenant-id"] == "acme"
        assert metadata["x-user-id"] == "ann"
        assert metadata["authorization"] == "Bearer x"


def test_a_short_query_takes_one_call(client: Client, service: FakeService) -> None:
    service.replies["Submit"].append(
        accepted(
            status=status("COMPLETED", 5),
            schema=query_service_pb2.StreamResultsResponse.FromString(schema()).schema,
            pages=[page_message(numbers(3), 0)],
            end=query_service_pb2.StreamResultsResponse.FromString(end(3)).end,
        )
    )

    with client.query("SELECT 1") as result:
        assert result.schema == numbers(0).schema
        assert result.to_pylist() == numbers(3).to_pylist()
        assert result.to_pylist() == []

    assert not service.requests["StreamResults"]
    assert service.requests["Submit"][0].wait_timeout.ToTimedelta() > dt.timedelta(0)


def test_an_empty_result_has_columns(client: Client, service: FakeService) -> None:
    service.streams["StreamResults"].append(whole([]))

    frame = client.attach(ID).result().to_pandas()

    assert list(frame.columns) == ["n", "text"]
    assert frame.empty


def test_what_is_submitted_is_what_was_asked(client: Client, service: FakeService) -> None:
    service.replies["Submit"].extend([accepted(), accepted()])

    first = client.submit("SELECT $a", {"a": 5})
    second = client.submit(
        "SELECT ?",
        ["x"],
        engine="duckdb",
        query_id=ID,
        row_limit=10,
        on_limit="fail",
        execution_timeout=1.5,
        compression="zstd",
        labels={"team": "a"},
        cancel_on_disconnect=True,
    )

    default, chosen = service.requests["Submit"]
    assert first.query_id == default.query_id
    assert len(first.query_id) == 36
    assert decode_parameters(value_pb2.ParameterList(parameters=default.parameters).SerializeToString())[0].name
    assert not default.limits.HasField("execution_timeout")
    assert default.disconnect_policy == query_pb2.DISCONNECT_POLICY_CONTINUE
    assert second.query_id == ID == chosen.query_id
    assert chosen.limits.execution_timeout.ToTimedelta() == dt.timedelta(seconds=1.5)
    assert chosen.limits.on_limit == query_pb2.LIMIT_ACTION_FAIL
    assert chosen.limits.row_limit == 10
    assert chosen.labels == {"team": "a"}
    assert chosen.disconnect_policy == query_pb2.DISCONNECT_POLICY_CANCEL


def test_what_cannot_be_submitted_is_refused_before_any_call(client: Client, service: FakeService) -> None:
    with pytest.raises(ValueError, match="parameter 'a'"):
        client.submit("SELECT $a", {"a": object()})
    with pytest.raises(ValueError, match="NEVER"):
        client.submit("SELECT 1", on_limit="never")
    assert not service.requests["Submit"]


def test_unary_calls_are_tried_again_when_the_server_is_away(client: Client, service: FakeService) -> None:
    away = Refuse(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")
    service.replies["Submit"].extend([away, away, accepted()])

    handle = client.submit("SELECT 1")

    ids = {request.query_id for request in service.requests["Submit"]}
    assert ids == {handle.query_id}
    assert len(service.requests["Submit"]) == 3


def test_leaving_the_loop_ends_the_stream_and_reading_can_go_on(client: Client, service: FakeService) -> None:
    service.streams["StreamResults"].extend([[*whole(PAGES)[:4], Hold()], whole(PAGES, from_row=10)])
    result = client.attach(ID).result()

    for batch in result:
        assert batch.num_rows == 10
        break

    assert service.left.wait(WAIT)
    assert result.to_arrow()["n"].to_pylist() == list(range(10, TOTAL))


def test_leaving_the_context_ends_the_stream(client: Client, service: FakeService) -> None:
    service.streams["StreamResults"].append([*whole(PAGES)[:3], Hold()])

    with client.attach(ID).result() as result:
        assert result.schema.names == ["n", "text"]

    assert service.left.wait(WAIT)
    with pytest.raises(QueryEngineClientError, match="closed"):
        list(result)


def test_closing_from_another_thread_ends_a_blocked_read(client: Client, service: FakeService) -> None:
    hold = Hold()
    service.streams["StreamResults"].append([start(), hold])
    result = client.attach(ID).result()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(result.to_arrow)
        assert hold.reached.wait(WAIT)
        result.close()
        with pytest.raises(QueryEngineClientError, match="closed"):
            reading.result(WAIT)


def test_an_error_in_the_callback_ends_the_stream(client: Client, service: FakeService) -> None:
    def fail(_: QueryStatus) -> None:
        raise KeyError("callback")

    service.streams["StreamResults"].append([*whole(PAGES)[:2], Hold()])

    with pytest.raises(KeyError):
        client.attach(ID).result(on_status=fail).to_arrow()
    assert service.left.wait(WAIT)


@pytest.mark.parametrize(
    ("refusal", "kind", "reason"),
    [
        (Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"), NotFound, "QUERY_NOT_FOUND"),
        (Refuse(grpc.StatusCode.CANCELLED, "QUERY_CANCELLED"), QueryCancelled, "QUERY_CANCELLED"),
        (Refuse(grpc.StatusCode.INVALID_ARGUMENT, "SYNTAX_ERROR"), QueryFailed, "SYNTAX_ERROR"),
        (Refuse(grpc.StatusCode.DATA_LOSS, "RESULT_LOST"), ResultUnavailable, "RESULT_LOST"),
        (Refuse(grpc.StatusCode.UNIMPLEMENTED), QueryEngineClientError, ""),
    ],
)
def test_a_stream_ends_with_what_the_server_says(
    client: Client, service: FakeService, refusal: Refuse, kind: type[QueryEngineClientError], reason: str
) -> None:
    service.streams["StreamResults"].append([start(), refusal])

    with pytest.raises(kind) as caught:
        client.attach(ID).result().to_arrow()

    assert caught.value.reason == reason
    assert caught.value.code is refusal.code
    assert caught.value.query_id == ID


def test_a_refused_submit_says_why(client: Client, service: FakeService) -> None:
    service.replies["Submit"].append(
        Refuse(
            grpc.StatusCode.INVALID_ARGUMENT,
            "SYNTAX_ERROR",
            "near FORM",
            metadata={"line": "1", "column": "8", "sql_state": "42601"},
        )
    )
    with pytest.raises(QueryFailed, match="near FORM") as caught:
        client.submit("SELECT FORM")
    assert caught.value.position is not None
    assert (caught.value.position.line, caught.value.position.column) == (1, 8)
    assert caught.value.sql_state == "42601"
    assert not caught.value.retryable

    service.replies["Submit"].append(Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUEUE_FULL", retry_after=0.5))
    with pytest.raises(LimitReached) as full:
        client.submit("SELECT 1")
    assert full.value.retry_after == 0.5
    assert full.value.retryable


def test_a_damaged_page_is_told(client: Client, service: FakeService) -> None:
    service.streams["StreamResults"].append([start(), schema(), *page(numbers(5), 0, crc32c=1), Hold()])

    with pytest.raises(ResultCorrupt, match="checksum"):
        client.attach(ID).result().to_arrow()
    assert service.left.wait(WAIT)


def test_without_a_server_a_stream_is_given_up(target: str) -> None:
    with Client("127.0.0.1:1", give_up_after=0.2) as client, pytest.raises(ServiceUnavailable):
        client.attach(ID).result().to_arrow()


def test_a_watch_survives_cuts(client: Client, service: FakeService) -> None:
    def said(state: str, version: int) -> query_service_pb2.WatchStatusResponse:
        return query_service_pb2.WatchStatusResponse(status=status(state, version))

    service.streams["WatchStatus"].extend(
        [
            [said("QUEUED", 1), Refuse(grpc.StatusCode.UNAVAILABLE)],
            [said("RUNNING", 2)],
            [said("COMPLETED", 3)],
        ]
    )

    states = [each.state for each in client.attach(ID).watch()]

    assert states == ["QUEUED", "RUNNING", "COMPLETED"]
    assert [request.after_version for request in service.requests["WatchStatus"]] == [0, 1, 2]


def test_leaving_a_watch_ends_its_stream(client: Client, service: FakeService) -> None:
    said = query_service_pb2.WatchStatusResponse(status=status("RUNNING", 1))
    service.streams["WatchStatus"].append([said, Hold()])

    for _ in client.attach(ID).watch():
        break

    assert service.left.wait(WAIT)


def test_status_page_release_and_lists(client: Client, service: FakeService) -> None:
    until = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    service.replies["GetStatus"].append(
        query_service_pb2.GetStatusResponse(
            status=status("RUNNING", 3, progress={"fraction": 0.5}, submit_time={"seconds": 60})
        )
    )
    service.replies["FetchPage"].append(
        query_service_pb2.FetchPageResponse(
            page=page_message(numbers(5, start=20), 20), next_page_token="next", total_rows=30
        )
    )
    service.replies["ReleaseResults"].append(query_service_pb2.ReleaseResultsResponse(status=status("COMPLETED", 4)))
    service.replies["ListQueries"].append(
        query_service_pb2.ListQueriesResponse(queries=[status("RUNNING", 1)], next_page_token="more")
    )
    service.replies["Cancel"].append(
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
    assert service.requests["GetStatus"][0].wait_timeout.seconds == 5
    assert fetched.batch == numbers(5, start=20)
    assert (fetched.start_row, fetched.total_rows, fetched.next_page_token) == (20, 30, "next")
    assert released.is_final
    assert service.requests["ReleaseResults"][0].extend_to.ToDatetime(tzinfo=dt.UTC) == until
    assert [each.state for each in listed.queries] == ["RUNNING"]
    assert service.requests["ListQueries"][0].states == [query_pb2.QUERY_STATE_RUNNING]
    assert (cancelled.result, cancelled.engine) == (CancelResult.CANCELLED, EngineCancel.CONFIRMED)
    assert service.requests["Cancel"][0].reason == "because"


def test_an_empty_page_has_columns(client: Client, service: FakeService) -> None:
    service.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=page_message(numbers(0), 0)))

    assert client.attach(ID).fetch_page().batch.schema == numbers(0).schema


def test_a_damaged_stored_page_is_told(client: Client, service: FakeService) -> None:
    damaged = page_message(numbers(5), 0)
    damaged.crc32c += 1
    service.replies["FetchPage"].append(query_service_pb2.FetchPageResponse(page=damaged))

    with pytest.raises(ResultCorrupt):
        client.attach(ID).fetch_page()


def test_a_state_of_a_newer_contract_is_not_guessed(client: Client, service: FakeService) -> None:
    newer = query_pb2.QueryStatus(query_id=ID, version=1, state=99)  # type: ignore[arg-type]
    service.replies["GetStatus"].append(query_service_pb2.GetStatusResponse(status=newer))

    with pytest.raises(QueryEngineClientError, match="QUERY_STATE_99"):
        client.attach(ID).status()


def test_wrong_arguments_are_refused_before_any_call(client: Client) -> None:
    with pytest.raises(ValueError, match="one of page, offset and page_token"):
        client.attach(ID).fetch_page(page=1, offset=2)
    with pytest.raises(ValueError, match="without a zone"):
        client.attach(ID).extend(dt.datetime(2030, 1, 1))  # noqa: DTZ001 - wrong on purpose
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(tenant="münchen")


def test_two_threads_share_a_client(client: Client, service: FakeService) -> None:
    service.streams["StreamResults"].extend([whole(PAGES), whole(PAGES)])
    barrier = threading.Barrier(2)

    def read(_: int) -> pa.Table:
        barrier.wait(WAIT)
        return client.attach(ID).result().to_arrow()

    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(read, range(2)))
    assert [table.num_rows for table in tables] == [TOTAL, TOTAL]


def test_the_client_brings_no_engine_and_no_database() -> None:
    code = (
        "import sys, queryengine.client; "
        "print([name for name in ('duckdb', 'sqlalchemy', 'pandas', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_state_event_reaches_the_callback_while_the_query_waits(client: Client, service: FakeService) -> None:
    hold = Hold()
    queued = status("QUEUED", 2, progress={"queue_position": 3, "queue_depth": 4})
    service.streams["StreamResults"].append([start(), event(status=queued), hold, *whole(PAGES)[2:]])
    told = threading.Event()
    positions: list[int | None] = []

    def on_status(each: QueryStatus) -> None:
        positions.append(each.queue_position)
        told.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.attach(ID).result(on_status=on_status).to_arrow)
        assert told.wait(WAIT)
        hold.open.set()
        assert reading.result(WAIT).num_rows == TOTAL
    assert positions[0] == 3
