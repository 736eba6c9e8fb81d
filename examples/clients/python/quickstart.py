"""Every call of queryengine from generated code: python quickstart.py [host:port]."""

import sys
import uuid
from datetime import date, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from parameters import PARAMETERS
from pyarrow import compute
from results import Results, error_info

from queryengine.v1 import query_pb2, result_pb2, value_pb2
from queryengine.v1 import query_service_pb2 as api
from queryengine.v1.query_service_pb2_grpc import QueryServiceStub

ROWS = result_pb2.ResultOptions(inline_format=result_pb2.PAGE_FORMAT_ROWS)
FINAL = {query_pb2.QUERY_STATE_COMPLETED, query_pb2.QUERY_STATE_FAILED, query_pb2.QUERY_STATE_CANCELLED}
LABELS = {"client": "python"}
DEADLINE = 60  # Of one call, in seconds. It does not bound the query: limits.execution_timeout does.


def seconds(count: int) -> Duration:
    return Duration(seconds=count)


def step(name: str, text: str) -> None:
    print(f"{name:<12}{text}", flush=True)


def state_name(status: query_pb2.QueryStatus) -> str:
    return query_pb2.QueryState.Name(status.state).removeprefix("QUERY_STATE_")


def submit(stub: QueryServiceStub) -> str:
    # The client chooses the id. When the reply is lost, send the same request again: nothing runs twice.
    request = api.SubmitRequest(
        query_id=str(uuid.uuid4()), sql="SELECT range AS n, 'row ' || range AS name FROM range(1000000)", labels=LABELS
    )
    first = stub.Submit(request, timeout=DEADLINE)
    step("submit", f"{first.status.query_id} accepted")
    again = stub.Submit(request, timeout=DEADLINE)
    step("again", f"existing = {str(again.existing).lower()}")
    return request.query_id


def watch(stub: QueryServiceStub, query_id: str) -> None:
    """States are pushed. A state may be missed, the last one never is."""
    version, states = 0, []
    while not states or states[-1].state not in FINAL:
        # Like a stream of results, this one may rotate or break; the next one goes on after the version known.
        for message in stub.WatchStatus(api.WatchStatusRequest(query_id=query_id, after_version=version)):
            if message.HasField("status"):
                version = message.status.version
                states.append(message.status)
    names = list(dict.fromkeys(state_name(status) for status in states))
    step("watch", " > ".join(names))


def arrow(stub: QueryServiceStub, query_id: str) -> None:
    results = Results(stub, query_id)
    total = sum(compute.sum(batch["n"]).as_py() for batch in results)
    step("arrow", f"{results.next_row} rows in {results.pages} pages over {results.streams} streams, sum {total}")


def resume(stub: QueryServiceStub, query_id: str) -> None:
    first, total = Results(stub, query_id), 0
    for batch in first:
        total += compute.sum(batch["n"]).as_py()
        if first.next_row >= 300_000:
            break  # As if this process ended here. What it must have kept is next_row and attempt.
    second = Results(stub, query_id, first.next_row, first.attempt)
    for batch in second:
        total += compute.sum(batch["n"]).as_py()
    step("resume", f"left at row {first.next_row}, went on there to {second.next_row}, sum {total}")


def pages(stub: QueryServiceStub, query_id: str) -> None:
    """Random access to stored rows, back and forth."""
    seen = []

    def fetch(**position: int | str) -> api.FetchPageResponse:
        request = api.FetchPageRequest(query_id=query_id, page_size=1000, **position)
        reply = stub.FetchPage(request, timeout=DEADLINE)
        seen.append(f"{reply.page.start_row}-{reply.page.start_row + reply.page.row_count - 1}")
        return reply

    reply = fetch(page=0)
    reply = fetch(page_token=reply.next_page_token)
    fetch(page_token=reply.prev_page_token)
    reply = fetch(offset=reply.total_rows - 10)
    step("pages", f"{', '.join(seen)} of {reply.total_rows}, more = {str(bool(reply.next_page_token)).lower()}")


def rows(stub: QueryServiceStub) -> None:
    """Typed values, for programs without an Arrow library."""
    sql = "SELECT 42 AS answer, 12.50 AS price, DATE '2026-01-31' AS day, ['a', 'b'] AS tags, NULL AS nothing"
    query_id = stub.Submit(api.SubmitRequest(sql=sql, labels=LABELS), timeout=DEADLINE).status.query_id
    columns, found = [], []
    request = api.StreamResultsRequest(query_id=query_id, format=result_pb2.PAGE_FORMAT_ROWS)
    for message in stub.StreamResults(request, timeout=DEADLINE):
        columns.extend(column.name for column in message.schema.columns)
        found.extend(message.page.rows.rows)
    pairs = zip(columns, found[0].values, strict=True)
    step("rows", ", ".join(f"{name} = {text(value)}" for name, value in pairs))


def text(value: value_pb2.Value) -> str:
    match value.WhichOneof("kind"):
        case "null_value":
            return "NULL"
        case "date_days":
            return str(date(1970, 1, 1) + timedelta(days=value.date_days))
        case "list_value":
            return f"[{', '.join(text(each) for each in value.list_value.values)}]"
        case kind:
            return str(getattr(value, kind))


def first_row(reply: api.SubmitResponse) -> list[value_pb2.Value]:
    if not reply.pages:
        raise RuntimeError(f"{state_name(reply.status)} {reply.status.error.reason}: {reply.status.error.message}")
    return list(reply.pages[0].rows.rows[0].values)


def in_band(stub: QueryServiceStub) -> None:
    """A short query in one call: its rows come in the reply to Submit, and stay readable."""
    request = api.SubmitRequest(sql="SELECT 42 AS answer", wait_timeout=seconds(30), result=ROWS, labels=LABELS)
    reply = stub.Submit(request, timeout=DEADLINE)
    # Without `end` the reply is not the whole result: read on by StreamResults from next_row.
    whole = reply.HasField("end") and reply.end.total_rows == reply.next_row
    step("in-band", f"answer = {text(first_row(reply)[0])}, whole result = {str(whole).lower()}")


def parameters(stub: QueryServiceStub) -> None:
    request = api.SubmitRequest(
        sql="SELECT " + ", ".join(f"${parameter.name}" for parameter, _ in PARAMETERS),
        parameters=[parameter for parameter, _ in PARAMETERS],
        wait_timeout=seconds(30),
        result=ROWS,
        labels=LABELS,
    )
    values = first_row(stub.Submit(request, timeout=DEADLINE))
    same = sum(value == expected for value, (_, expected) in zip(values, PARAMETERS, strict=True))
    step("parameters", f"{same} of {len(PARAMETERS)} kinds came back as they were sent")


def cancel(stub: QueryServiceStub) -> None:
    sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    status = stub.Submit(api.SubmitRequest(sql=sql, labels=LABELS), timeout=DEADLINE).status
    while status.state == query_pb2.QUERY_STATE_QUEUED:
        # A long poll: answers as soon as there is something newer than the version known.
        request = api.GetStatusRequest(query_id=status.query_id, after_version=status.version, wait_timeout=seconds(30))
        status = stub.GetStatus(request, timeout=DEADLINE).status
    request = api.CancelRequest(query_id=status.query_id, reason="no longer wanted", wait_timeout=seconds(30))
    reply = stub.Cancel(request, timeout=DEADLINE)
    engine = api.EngineCancelState.Name(reply.engine_cancel).removeprefix("ENGINE_CANCEL_STATE_")
    step("cancel", f"{state_name(reply.status)}, engine {engine}")


def errors(stub: QueryServiceStub) -> None:
    try:
        stub.Submit(api.SubmitRequest(sql="SELECT (1", labels=LABELS), timeout=DEADLINE)
    except grpc.RpcError as error:
        info = error_info(error)
        where = f"line {info.metadata['line']}, column {info.metadata['column']}"
        step("error", f"{error.code().name} {info.reason} of {info.domain} at {where}")
    # A query that fails is not a call that fails.
    request = api.SubmitRequest(sql="SELECT * FROM no_such_table", wait_timeout=seconds(30), labels=LABELS)
    status = stub.Submit(request, timeout=DEADLINE).status
    step("failed", f"{state_name(status)} {status.error.reason}, retryable = {str(status.error.retryable).lower()}")


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = QueryServiceStub(channel)
        query_id = submit(stub)
        watch(stub, query_id)
        arrow(stub, query_id)
        resume(stub, query_id)
        pages(stub, query_id)
        rows(stub)
        in_band(stub)
        parameters(stub)
        cancel(stub)
        errors(stub)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8815")
