"""The blocking client against a real gRPC server that misbehaves as scripted."""

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
    Client,
    LimitReached,
    NotFound,
    QueryCancelled,
    QueryEngineClientError,
    QueryFailed,
    QueryStatus,
    ResultCorrupt,
    ResultUnavailable,
    ServiceUnavailable,
    ViewChange,
    ViewChangeKind,
)
from queryengine.codec.values import decode_parameters
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_pb2, query_service_pb2, value_pb2
from tests.support import until_sync
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
    start,
    status,
    whole,
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


def test_a_query_is_read_through_cuts_rotations_and_silence(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(accepted())
    fake.streams["StreamResults"].extend(
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
    assert [request.start_row for request in fake.requests["StreamResults"]] == [0, 0, 10, 10, 10, 15]
    assert seen == ["QUEUED", "RUNNING", "COMPLETED"]
    assert result.end is not None
    assert result.end.total_rows == TOTAL
    assert not result.end.truncated


def test_every_call_says_who_asks(client: Client, fake: FakeService) -> None:
    fake.replies["ListEngines"].append(query_service_pb2.ListEnginesResponse())
    fake.streams["StreamResults"].append(whole([]))

    client.engines()
    client.attach(ID).result().to_arrow()

    for metadata in fake.metadata:
        assert metadata["x-tenant-id"] == "acme"
        assert metadata["x-user-id"] == "ann"
        assert metadata["authorization"] == "Bearer x"


def test_a_refresh_says_what_has_changed(client: Client, fake: FakeService) -> None:
    service = query_service_pb2
    known = service.ViewChange(view="v", kind=service.VIEW_CHANGE_KIND_UNREADABLE, reason="empty")
    unknown = service.ViewChange(view="v", kind=99)  # type: ignore[arg-type]
    fake.replies["RefreshEngine"] += [
        service.RefreshEngineResponse(engine="lake", views=3, workers=2, changes=[known], changes_left_out=4),
        service.RefreshEngineResponse(changes=[unknown]),
    ]
    found = client.refresh_engine("lake")
    assert (found.engine, found.views, found.workers, found.changes_left_out) == ("lake", 3, 2, 4)
    assert found.changes == (ViewChange("v", ViewChangeKind.UNREADABLE, "empty"),)
    assert fake.requests["RefreshEngine"][0].engine == "lake"
    with pytest.raises(QueryEngineClientError, match="a change of the kind 99"):
        client.refresh_engine()


def test_a_short_query_takes_one_call(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(
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
        with pytest.raises(QueryEngineClientError, match=r"have been read.*result\.handle\.result"):
            result.to_pylist()

    assert not fake.requests["StreamResults"]
    assert fake.requests["Submit"][0].wait_timeout.ToTimedelta() > dt.timedelta(0)


def test_an_empty_result_has_columns(client: Client, fake: FakeService) -> None:
    fake.streams["StreamResults"].append(whole([]))

    frame = client.attach(ID).result().to_pandas()

    assert list(frame.columns) == ["n", "text"]
    assert frame.empty


def test_what_is_submitted_is_what_was_asked(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].extend([accepted(), accepted()])

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

    default, chosen = fake.requests["Submit"]
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


def test_what_cannot_be_submitted_is_refused_before_any_call(client: Client, fake: FakeService) -> None:
    with pytest.raises(ValueError, match="parameter 'a'"):
        client.submit("SELECT $a", {"a": object()})
    with pytest.raises(ValueError, match="on_limit takes one of 'truncate', 'fail', not 'never'"):
        client.submit("SELECT 1", on_limit="never")
    assert not fake.requests["Submit"]


def test_unary_calls_are_tried_again_when_the_server_is_away(client: Client, fake: FakeService) -> None:
    away = Refuse(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")
    fake.replies["Submit"].extend([away, away, accepted()])

    handle = client.submit("SELECT 1")

    ids = {request.query_id for request in fake.requests["Submit"]}
    assert ids == {handle.query_id}
    assert len(fake.requests["Submit"]) == 3


def test_leaving_the_loop_ends_the_stream_and_reading_can_go_on(client: Client, fake: FakeService) -> None:
    fake.streams["StreamResults"].extend([[*whole(PAGES)[:4], Hold()], whole(PAGES, from_row=10)])
    result = client.attach(ID).result()

    for batch in result:
        assert batch.num_rows == 10
        break

    assert fake.left.wait(WAIT)
    assert result.to_arrow()["n"].to_pylist() == list(range(10, TOTAL))


def test_leaving_the_context_ends_the_stream(client: Client, fake: FakeService) -> None:
    fake.streams["StreamResults"].append([*whole(PAGES)[:3], Hold()])

    with client.attach(ID).result() as result:
        assert result.schema.names == ["n", "text"]

    assert fake.left.wait(WAIT)
    with pytest.raises(QueryEngineClientError, match="closed"):
        list(result)


def test_closing_from_another_thread_ends_a_blocked_read(client: Client, fake: FakeService) -> None:
    hold = Hold()
    fake.streams["StreamResults"].append([start(), hold])
    result = client.attach(ID).result()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(result.to_arrow)
        assert hold.reached.wait(WAIT)
        result.close()
        with pytest.raises(QueryEngineClientError, match="closed"):
            reading.result(WAIT)


def test_an_error_in_the_callback_ends_the_stream(client: Client, fake: FakeService) -> None:
    def fail(_: QueryStatus) -> None:
        raise KeyError("callback")

    fake.streams["StreamResults"].append([*whole(PAGES)[:2], Hold()])

    with pytest.raises(KeyError):
        client.attach(ID).result(on_status=fail).to_arrow()
    assert fake.left.wait(WAIT)


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
    client: Client, fake: FakeService, refusal: Refuse, kind: type[QueryEngineClientError], reason: str
) -> None:
    fake.streams["StreamResults"].append([start(), refusal])

    with pytest.raises(kind) as caught:
        client.attach(ID).result().to_arrow()

    assert caught.value.reason == reason
    assert caught.value.code is refusal.code
    assert caught.value.query_id == ID


def test_a_refused_submit_says_why(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(
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

    fake.replies["Submit"].append(Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUEUE_FULL", retry_after=0.5))
    with pytest.raises(LimitReached) as full:
        client.submit("SELECT 1")
    assert full.value.retry_after == 0.5
    assert full.value.retryable


def test_a_damaged_page_is_reported(client: Client, fake: FakeService) -> None:
    fake.streams["StreamResults"].append([start(), schema(), *page(numbers(5), 0, crc32c=1), Hold()])

    with pytest.raises(ResultCorrupt, match="checksum"):
        client.attach(ID).result().to_arrow()
    assert fake.left.wait(WAIT)


def test_without_a_server_a_stream_is_given_up(fake_target: str) -> None:
    with Client("127.0.0.1:1", give_up_after=0.2) as client, pytest.raises(ServiceUnavailable):
        client.attach(ID).result().to_arrow()


def test_a_closed_client_refuses_calls_and_breaks_reads_off(client: Client, fake: FakeService) -> None:
    hold = Hold()
    fake.streams["StreamResults"].append([start(), hold])
    result = client.attach(ID).result()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(result.to_arrow)
        assert hold.reached.wait(WAIT)
        client.close()
        with pytest.raises(QueryEngineClientError, match="client is closed"):
            reading.result(WAIT)
    client.close()
    with pytest.raises(QueryEngineClientError, match="client is closed"):
        client.engines()


def test_two_threads_share_a_client(client: Client, fake: FakeService) -> None:
    fake.streams["StreamResults"].extend([whole(PAGES), whole(PAGES)])
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


def test_a_state_event_reaches_the_callback_while_the_query_waits(client: Client, fake: FakeService) -> None:
    hold = Hold()
    queued = status("QUEUED", 2, progress={"queue_position": 3, "queue_depth": 4})
    fake.streams["StreamResults"].append([start(), event(status=queued), hold, *whole(PAGES)[2:]])
    reported = threading.Event()
    positions: list[int | None] = []

    def on_status(each: QueryStatus) -> None:
        positions.append(each.queue_position)
        reported.set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.attach(ID).result(on_status=on_status).to_arrow)
        assert reported.wait(WAIT)
        hold.open.set()
        assert reading.result(WAIT).num_rows == TOTAL
    assert positions[0] == 3


def test_a_query_ends_with_its_reader_unless_it_is_detached(client: Client, fake: FakeService) -> None:
    for _ in range(4):
        fake.replies["Submit"].append(accepted(status=status("COMPLETED", 5)))
    client.query("SELECT 1")
    client.query("SELECT 1", disconnect_grace=3)
    client.query("SELECT 1", detach=True)
    client.submit("SELECT 1")

    attached, chosen, detached, submitted = fake.requests["Submit"]
    assert attached.disconnect_policy == chosen.disconnect_policy == query_pb2.DISCONNECT_POLICY_CANCEL
    assert attached.disconnect_grace.ToTimedelta() == dt.timedelta(seconds=10)
    assert chosen.disconnect_grace.ToTimedelta() == dt.timedelta(seconds=3)
    assert detached.disconnect_policy == submitted.disconnect_policy == query_pb2.DISCONNECT_POLICY_CONTINUE
    with pytest.raises(TypeError, match="cancel_on_disconnect"):
        client.query("SELECT 1", cancel_on_disconnect=True)  # type: ignore[call-arg]


def test_presence_is_shown_until_the_query_ends(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(accepted())
    waited = threading.Event()
    fake.replies["GetStatus"].extend(
        [
            query_service_pb2.GetStatusResponse(status=status("RUNNING", 2)),
            Refuse(grpc.StatusCode.INTERNAL),
            query_service_pb2.GetStatusResponse(status=status("RUNNING", 3)),
            hold := Hold(reached=waited),
            query_service_pb2.GetStatusResponse(status=status("COMPLETED", 4)),
        ]
    )

    result = client.query("SELECT 1")

    assert waited.wait(WAIT)
    hold.open.set()
    fake.streams["StreamResults"].append(whole(PAGES))
    assert result.to_arrow().num_rows == TOTAL
    assert len(fake.requests["GetStatus"]) == 4
    assert all(request.wait_timeout.ToTimedelta() > dt.timedelta(0) for request in fake.requests["GetStatus"])


def test_presence_ends_with_a_query_that_is_gone(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(accepted())
    fake.replies["GetStatus"].append(Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"))
    result = client.query("SELECT 1")
    fake.streams["StreamResults"].append([start(), Refuse(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND")])

    with pytest.raises(NotFound):
        result.to_arrow()

    assert until_sync(lambda: len(fake.requests["GetStatus"])) == 1


def test_nothing_is_cancelled_when_the_query_has_ended(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].extend([accepted(), accepted(status=status("FAILED", 3, error={"reason": "SYNTAX_ERROR"}))])
    fake.streams["StreamResults"].append(whole(PAGES))

    with client.query("SELECT 1") as result:
        result.to_arrow()
    with client.query("SELECT 1") as failed, pytest.raises(QueryFailed):
        failed.to_arrow()

    assert not fake.requests["Cancel"]


def test_a_result_that_was_left_says_so(client: Client, fake: FakeService) -> None:
    fake.replies["Submit"].append(accepted())
    fake.replies["Cancel"].append(Refuse(grpc.StatusCode.INTERNAL))
    fake.streams["StreamResults"].append([*whole(PAGES)[:4], Hold()])
    result = client.query("SELECT 1")

    for _ in result:
        break

    assert [request.query_id for request in fake.requests["Cancel"]] == [result.query_id]
    with pytest.raises(QueryEngineClientError, match="detach=True"):
        result.to_arrow()
