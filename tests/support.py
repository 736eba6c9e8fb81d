"""What tests of a whole service share: a service in this process, a caller of it, and patience with a bound."""

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import google_crc32c
import grpc
import psutil
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2, status_pb2

from queryengine.app.service import Service
from queryengine.codec.memory import keep_malloc_memory
from queryengine.domain.clock import Clock
from queryengine.settings import Settings
from queryengine.v1 import query_pb2, result_pb2
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

ROOT = Path(__file__).parents[1]
SERVICE = pb.DESCRIPTOR.services_by_name["QueryService"]
STEP_SECONDS = 0.01

QUEUED = query_pb2.QUERY_STATE_QUEUED
RUNNING = query_pb2.QUERY_STATE_RUNNING
COMPLETED = query_pb2.QUERY_STATE_COMPLETED
FAILED = query_pb2.QUERY_STATE_FAILED
CANCELLED = query_pb2.QUERY_STATE_CANCELLED
FINAL = frozenset({COMPLETED, FAILED, CANCELLED})

ROWS = result_pb2.PAGE_FORMAT_ROWS
WAIT = timedelta(seconds=30)
"""Longer than any query of a test takes."""

ENGINES: Mapping[str, Any] = MappingProxyType(
    {"duckdb": {"type": "duckdb", "workers": 2}, "scripted": {"type": "scripted", "workers": 2}}
)
LOOPBACK = MappingProxyType({"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0"})

keep_malloc_memory()


HANG_SECONDS = 60.0
"""What has not happened by then never will, on however busy a machine."""


async def until(check: Callable[[], Any], *, seconds: float = HANG_SECONDS) -> Any:
    """What `check` returns or awaits to, once it is true. Fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"did not happen within {seconds:g} seconds"
        await asyncio.sleep(STEP_SECONDS)


def until_sync(check: Callable[[], Any], *, seconds: float = HANG_SECONDS) -> Any:
    """As `until`, without an event loop."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"did not happen within {seconds:g} seconds"
        time.sleep(STEP_SECONDS)
    return found


@contextmanager
def suspended(pids: list[int]) -> Iterator[None]:
    """Processes that do not get on meanwhile."""
    processes = [psutil.Process(pid) for pid in pids]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@asynccontextmanager
async def serving(
    directory: Path, *, clock: Clock | None = None, down: Collection[str] = (), **groups: Any
) -> AsyncIterator[Service]:
    """A service of its own with these settings, ready but for engines that stay `down`, on free ports; stopped at the
    end without a drain.
    """
    defaults = {"server": dict(LOOPBACK), "engines": dict(ENGINES)}
    settings = Settings(**{**defaults, **groups, "state": {"directory": directory}})
    service = Service(settings, clock)
    await service.start()
    try:
        expected = [name for name in settings.engines if name not in down]
        await until(lambda: all(len(service.pool.load(name).worker_pids) for name in expected))
        yield service
    finally:
        await service.stop(0)


@dataclass(frozen=True)
class Refusal:
    """A non-OK status with what its details hold."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: Mapping[str, str]
    field: str
    retry_seconds: float | None
    quota: bool
    violations: tuple[tuple[str, str], ...]
    """Of quotas: whose, and which."""
    trailers: tuple[tuple[str, str | bytes], ...]

    @classmethod
    def of(cls, cause: grpc.aio.AioRpcError) -> "Refusal":
        trailers = tuple(cause.trailing_metadata() or ())
        packed = dict(trailers).get("grpc-status-details-bin", b"")
        status = status_pb2.Status.FromString(packed)
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        bad, quota = error_details_pb2.BadRequest(), error_details_pb2.QuotaFailure()
        for detail in status.details:
            _ = detail.Unpack(info) or detail.Unpack(retry) or detail.Unpack(bad) or detail.Unpack(quota)
        if packed:
            assert status.code == cause.code().value[0]
            assert status.message == cause.details()
        delay = retry.retry_delay
        return cls(
            code=cause.code(),
            message=cause.details() or "",
            reason=info.reason,
            domain=info.domain,
            metadata=dict(info.metadata),
            field=bad.field_violations[0].field if bad.field_violations else "",
            retry_seconds=delay.seconds + delay.nanos / 1e9 if retry.HasField("retry_delay") else None,
            quota=bool(quota.violations),
            violations=tuple((each.subject, each.description) for each in quota.violations),
            trailers=trailers,
        )


async def refused(call: Any) -> Refusal:
    """How a call, or the reading of a stream, is refused. Fails when it is not."""
    answer = call.all() if isinstance(call, Reading) else call
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await answer
    return Refusal.of(refusal.value)


class Gate:
    """A gate that scripts wait at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.script = f"gate {path}"

    def open(self) -> None:
        self.path.touch()


class Reading:
    """An open stream, read message by message."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.events: list[Any] = []

    async def read(self) -> Any:
        """The next message, or None at the end."""
        message = await self.call.read()
        if message is grpc.aio.EOF:
            return None
        self.events.append(message)
        return message

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not None:
            yield message

    async def to(self, kind: str) -> Any:
        """The next message of a kind; others before it are passed over."""
        while (message := await self.read()) is not None:
            if message.WhichOneof("event") == kind:
                return message
        raise AssertionError(f"the stream ended without {kind}")

    def leave(self) -> None:
        """End the stream from this side."""
        self.call.cancel()

    async def all(self) -> list[Any]:
        """Every message, those read before included."""
        async for _ in self:
            pass
        return self.events


class Api:
    """The RPCs as one tenant calls them; messages are the contract's own."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str, *, user: str = "") -> None:
        self.tenant = tenant
        self.channel = channel
        self.stub = pb_grpc.QueryServiceStub(channel)
        self.metadata = (("x-tenant-id", tenant), *((("x-user-id", user),) if user else ()))

    def call(self, method: str, request: Any, *, timeout: float = 60.0) -> Any:
        return getattr(self.stub, method)(request, metadata=self.metadata, timeout=timeout)

    def submit(self, sql: str, **fields: Any) -> Any:
        return self.call("Submit", pb.SubmitRequest(sql=sql, **fields))

    def script(self, text: str, **fields: Any) -> Any:
        return self.submit(text, engine="scripted", **fields)

    async def status(self, query_id: str, **fields: Any) -> query_pb2.QueryStatus:
        return (await self.call("GetStatus", pb.GetStatusRequest(query_id=query_id, **fields))).status

    async def details(self, query_id: str, **fields: Any) -> query_pb2.QueryDetails:
        request = pb.GetStatusRequest(query_id=query_id, view=pb.QUERY_VIEW_FULL, **fields)
        reply = await self.call("GetStatus", request)
        assert reply.status.query_id == query_id
        return reply.details

    def stream(self, query_id: str, **fields: Any) -> Reading:
        return Reading(self.call("StreamResults", pb.StreamResultsRequest(query_id=query_id, **fields)))

    def watch(self, query_id: str, **fields: Any) -> Reading:
        return Reading(self.call("WatchStatus", pb.WatchStatusRequest(query_id=query_id, **fields)))

    def watch_all(self, **fields: Any) -> Reading:
        return Reading(self.call("WatchQueries", pb.WatchQueriesRequest(**fields)))

    def cancel(self, query_id: str, **fields: Any) -> Any:
        return self.call("Cancel", pb.CancelRequest(query_id=query_id, **fields))

    def cancel_matching(self, **fields: Any) -> Any:
        return self.call("CancelQueries", pb.CancelQueriesRequest(**fields))

    def fetch(self, query_id: str, **fields: Any) -> Any:
        return self.call("FetchPage", pb.FetchPageRequest(query_id=query_id, **fields))

    def pages(self, query_id: str, **fields: Any) -> Any:
        return self.call("ListPages", pb.ListPagesRequest(query_id=query_id, **fields))

    def release(self, query_id: str, **fields: Any) -> Any:
        return self.call("ReleaseResults", pb.ReleaseResultsRequest(query_id=query_id, **fields))

    def listed(self, **fields: Any) -> Any:
        return self.call("ListQueries", pb.ListQueriesRequest(**fields))

    def refresh(self, engine: str = "", *, timeout: float = 60.0) -> Any:
        return self.call("RefreshEngine", pb.RefreshEngineRequest(engine=engine), timeout=timeout)

    async def read(self, query_id: str, **fields: Any) -> "Received":
        return Received(await self.stream(query_id, **fields).all(), end_row=fields.get("end_row"))

    async def has_rows(self, query_id: str) -> None:
        """Return when rows of the query can be read."""
        await until(lambda: self._rows(query_id))

    async def _rows(self, query_id: str) -> int:
        return int((await self.status(query_id)).stats.rows)

    async def reached(self, query_id: str, *states: int, seconds: float = HANG_SECONDS) -> query_pb2.QueryStatus:
        """The status once the query is in one of the states."""

        async def look() -> query_pb2.QueryStatus | None:
            status = await self.status(query_id)
            return status if status.state in states else None

        return await until(look, seconds=seconds)

    async def ended(self, query_id: str, *, seconds: float = HANG_SECONDS) -> query_pb2.QueryStatus:
        return await self.reached(query_id, *FINAL, seconds=seconds)


@asynccontextmanager
async def served(directory: Path, **groups: Any) -> AsyncIterator[tuple[Service, Api]]:
    """A service as of `serving` and a tenant who calls it."""
    async with serving(directory, **groups) as service, grpc.aio.insecure_channel(service.address) as channel:
        yield service, Api(channel, "tenant")


def but_version(status: query_pb2.QueryStatus) -> query_pb2.QueryStatus:
    """The status without its version, which grows once more when a completion that was told is written."""
    copy = query_pb2.QueryStatus()
    copy.CopyFrom(status)
    copy.ClearField("version")
    return copy


def joined(pages: list[result_pb2.Page]) -> list[result_pb2.Page]:
    """Pages with their chunks put together. Checks the order of the chunks and every checksum."""
    whole: list[result_pb2.Page] = []
    parts: list[result_pb2.Page] = []
    for page in pages:
        parts.append(page)
        assert page.chunk_index == len(parts) - 1
        assert page.ByteSize() < 4 << 20
        if len(parts) < page.chunk_count:
            continue
        first = parts[0]
        assert all((part.start_row, part.row_count) == (first.start_row, first.row_count) for part in parts)
        kind = first.WhichOneof("payload")
        if kind == "arrow":
            payload = b"".join(part.arrow for part in parts)
            whole.append(result_pb2.Page(start_row=first.start_row, row_count=first.row_count, arrow=payload))
        else:
            payload = b"".join(part.rows_chunk for part in parts) or first.rows.SerializeToString()
            rows = result_pb2.RowSet.FromString(payload)
            whole.append(result_pb2.Page(start_row=first.start_row, row_count=first.row_count, rows=rows))
        assert google_crc32c.value(payload) == first.crc32c
        parts = []
    assert not parts
    return whole


def batch_of(page: result_pb2.Page) -> pa.RecordBatch:
    with pa.ipc.open_stream(page.arrow) as stream:
        return stream.read_next_batch()


class Received:
    """The events of one stream, checked against each other."""

    def __init__(self, events: list[pb.StreamResultsResponse], *, end_row: int | None = None) -> None:
        self.events = events
        self.kinds = [event.WhichOneof("event") for event in events]
        self.start = events[0].start
        self.schema = next((event.schema for event in events if event.HasField("schema")), None)
        self.pages = joined([event.page for event in events if event.HasField("page")])
        self.end = events[-1].end if events[-1].HasField("end") else None
        self.rotate = events[-1].rotate if events[-1].HasField("rotate") else None
        self.next_row = self.start.next_row
        for page in self.pages:
            assert page.start_row == self.next_row
            self.next_row += page.row_count
        if self.end is not None:
            wanted = self.end.total_rows if end_row is None else min(end_row, self.end.total_rows)
            assert wanted == max(self.next_row, wanted if not self.pages else 0)
        if self.rotate is not None:
            assert self.rotate.next_row == self.next_row

    @property
    def arrow_schema(self) -> pa.Schema:
        assert self.schema is not None
        return pa.ipc.read_schema(pa.py_buffer(self.schema.arrow_schema))

    def table(self) -> pa.Table:
        return pa.Table.from_batches([batch_of(page) for page in self.pages], self.arrow_schema)

    def rows(self) -> list[result_pb2.Row]:
        return [row for page in self.pages for row in page.rows.rows]


def new_id() -> str:
    return str(uuid.uuid4())
