"""A server that speaks the contract and does what a test says: answer, refuse, send exactly these messages,
break off.

Everything a test puts in is used up in order; what was asked is kept in `requests`.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from queryengine.codec.page import checksum, event_prefix, page_prefix
from queryengine.codec.types import to_result_schema
from queryengine.v1 import query_pb2, query_service_pb2, result_pb2

SERVICE = query_service_pb2.DESCRIPTOR.services_by_name["QueryService"]
ID = "11111111-1111-4111-8111-111111111111"


@dataclass(frozen=True)
class Refuse:
    """End the call with this status; without a reason it looks like a failure of the transport."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "refused"
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after: float = 0.0


@dataclass(frozen=True)
class Hold:
    """Send nothing more until `open` is set, or the client is gone."""

    reached: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


class FakeService:
    def __init__(self) -> None:
        self.replies: dict[str, deque[Any]] = defaultdict(deque)
        """By method: messages or Refuse."""
        self.streams: dict[str, deque[Sequence[Any]]] = defaultdict(deque)
        """By method, one script per call: bytes, messages, Refuse, Hold."""
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.metadata: list[dict[str, str]] = []
        self.waits_ended: list[str] = []
        """Queries whose caller waited for a change, without a scripted reply, and left."""
        self.left = threading.Event()
        """Set when a client ended a stream before its script was over."""

    def unary(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        self._note(method, request, context)
        if method == "GetStatus" and not self.replies[method]:
            # A query that goes on for as long as its caller waits for a change.
            gone = threading.Event()
            if context.add_callback(gone.set):
                gone.wait()
            self.waits_ended.append(request.query_id)
            context.abort(grpc.StatusCode.CANCELLED, "the caller left")
        reply = self.replies[method].popleft()
        if isinstance(reply, Hold):
            reply.reached.set()
            reply.open.wait()
            reply = self.replies[method].popleft()
        if isinstance(reply, Refuse):
            refuse(context, reply)
        return reply

    def stream(self, method: str, request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(method, request, context)
        context.add_callback(self._gone(script := list(self.streams[method].popleft())))
        for step in list(script):
            if isinstance(step, Refuse):
                refuse(context, step)
            elif isinstance(step, Hold):
                step.reached.set()
                while context.is_active() and not step.open.wait(0.01):
                    pass
            else:
                yield step if isinstance(step, bytes) else step.SerializeToString()
            script.pop(0)

    def _gone(self, script: list[Any]) -> Any:
        return lambda: self.left.set() if script else None

    def _note(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        self.requests[method].append(request)
        self.metadata.append(dict(context.invocation_metadata()))


def refuse(context: grpc.ServicerContext, refusal: Refuse) -> None:
    if refusal.reason:
        details = [error_details_pb2.ErrorInfo(domain="queryengine", reason=refusal.reason, metadata=refusal.metadata)]
        if refusal.retry_after:
            delay = duration_pb2.Duration(nanos=int(refusal.retry_after * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refusal.code, refusal.message)


@contextmanager
def serving(service: FakeService) -> Iterator[str]:
    """Host and port of a server with this service, stopped at the end."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers_of(service),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def handlers_of(service: FakeService) -> Any:
    """What a server of gRPC calls."""
    handlers = {}
    for method in SERVICE.methods:
        request = getattr(query_service_pb2, method.input_type.name)
        if method.server_streaming:
            handlers[method.name] = grpc.unary_stream_rpc_method_handler(
                lambda request, context, name=method.name: service.stream(name, request, context),
                request_deserializer=request.FromString,
            )
        else:
            reply = getattr(query_service_pb2, method.output_type.name)
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                lambda request, context, name=method.name: service.unary(name, request, context),
                request_deserializer=request.FromString,
                response_serializer=reply.SerializeToString,
            )
    return grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)


def numbers(count: int, *, start: int = 0) -> pa.RecordBatch:
    values = range(start, start + count)
    return pa.record_batch(
        {"n": pa.array(values, pa.int64()), "text": pa.array([f"row {n}" for n in values], pa.string())}
    )


SCHEMA = numbers(0).schema


def payload_of(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def page(batch: pa.RecordBatch, start_row: int, *, chunks: int = 1, **changes: int) -> list[bytes]:
    """The messages of one page, in so many chunks; `changes` falsify header fields."""
    payload = payload_of(batch)
    size = -(-len(payload) // chunks)
    messages = []
    for index in range(chunks):
        part = payload[index * size : (index + 1) * size]
        header: dict[str, int] = {
            "start_row": start_row,
            "row_count": batch.num_rows,
            "crc32c": checksum(payload),
            "chunk_index": index,
            "chunk_count": chunks if chunks > 1 else 0,
        }
        prefix = page_prefix(payload_length=len(part), **(header | changes))
        messages.append(event_prefix(prefix, len(part)) + part)
    return messages


def page_message(batch: pa.RecordBatch, start_row: int) -> result_pb2.Page:
    payload = payload_of(batch)
    return result_pb2.Page(start_row=start_row, row_count=batch.num_rows, crc32c=checksum(payload), arrow=payload)


def event(**fields: Any) -> bytes:
    encoded: bytes = query_service_pb2.StreamResultsResponse(**fields).SerializeToString()
    return encoded


def start(next_row: int = 0, attempt: int = 1) -> bytes:
    return event(
        start=result_pb2.StreamStart(
            query_id=ID, attempt=attempt, format=result_pb2.PAGE_FORMAT_ARROW, next_row=next_row
        )
    )


def status(state: str, version: int, **fields: Any) -> query_pb2.QueryStatus:
    fields.setdefault("result_state", "RESULT_STATE_NONE")
    fields.setdefault("engine", "duckdb")
    return query_pb2.QueryStatus(query_id=ID, version=version, state=f"QUERY_STATE_{state}", **fields)


def schema(attempt: int = 1, arrow: pa.Schema = SCHEMA) -> bytes:
    return event(schema=to_result_schema(arrow, attempt=attempt))


def end(total_rows: int, attempt: int = 1, **fields: Any) -> bytes:
    fields.setdefault("status", status("COMPLETED", 100, result_state="RESULT_STATE_READY"))
    return event(end=result_pb2.ResultEnd(total_rows=total_rows, attempt=attempt, **fields))


def rotate(next_row: int, reason: str = "AGE") -> bytes:
    return event(rotate=result_pb2.StreamRotate(next_row=next_row, attempt=1, reason=f"ROTATE_REASON_{reason}"))


def whole(pages: Sequence[pa.RecordBatch], *, from_row: int = 0) -> list[bytes]:
    """Every message of a stream that begins at this row, which is the first of a page or the end."""
    messages = [start(from_row), event(status=status("RUNNING", 2)), schema()]
    row = 0
    for index, batch in enumerate(pages):
        if row >= from_row:
            messages += page(batch, row, chunks=1 + index % 2)
        row += batch.num_rows
    return [*messages, end(row)]


def listing(*found: query_pb2.QueryStatus) -> query_service_pb2.ListQueriesResponse:
    return query_service_pb2.ListQueriesResponse(queries=found)
