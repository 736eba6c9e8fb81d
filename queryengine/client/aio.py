"""The client for asyncio. As queryengine.client.sync, which says what each call promises; here the calls are
awaited.
"""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from queryengine.client import calls
from queryengine.client.aio_result import AsyncQueryResult
from queryengine.client.arguments import Seconds, text
from queryengine.client.base import ClientBase, HandleBase, documented_by
from queryengine.client.calls import Call, Parameters
from queryengine.client.channel import STREAM_SECONDS, path
from queryengine.client.errors import QueryEngineClientError, rpc_failure
from queryengine.client.model import CancelOutcome, EngineInfo, QueryList, QueryStatus, ResultPage
from queryengine.client.options import QueryOptions, SubmitOptions, takes
from queryengine.client.refresh import EngineRefresh
from queryengine.client.result import OnStatus
from queryengine.client.stream import WatchReader
from queryengine.client.sync import Client, QueryHandle
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_service_pb2

T = TypeVar("T")


@documented_by(Client)
class AsyncClient(ClientBase):
    """As Client. Made, used and closed within one running event loop."""

    def _open(self) -> None:
        self._channel = self._connection.open_aio()
        self._abandoning: set[asyncio.Task[None]] = set()

    @takes(SubmitOptions)
    async def submit(
        self, sql: str, parameters: Parameters = None, **options: Unpack[SubmitOptions]
    ) -> "AsyncQueryHandle":
        """As Client.submit, awaited."""
        call = calls.submit(sql, parameters, options)
        return AsyncQueryHandle(self, call.query_id, await self.call(call))

    @takes(QueryOptions)
    async def query(
        self,
        sql: str,
        parameters: Parameters = None,
        *,
        on_status: OnStatus | None = None,
        **options: Unpack[QueryOptions],
    ) -> AsyncQueryResult:
        """As Client.query: `async for batch in await client.query(sql)`.

        Cancelling the task that awaits this or reads the rows cancels the query, as Ctrl-C does there.
        """
        call = calls.query(sql, parameters, options)
        ends_query = not options.get("detach")
        try:
            handle = AsyncQueryHandle(self, call.query_id, await self.call(call))
            return AsyncQueryResult(handle, self, start_row=0, on_status=on_status, ends_query=ends_query)
        except QueryEngineClientError:
            raise
        except BaseException:
            if ends_query:
                await self.abandon(call.query_id)
            raise

    def attach(self, query_id: str) -> "AsyncQueryHandle":
        return AsyncQueryHandle(self, text("query_id", query_id), None)

    async def list_queries(
        self,
        *,
        states: Iterable[QueryState | str] = (),
        labels: Mapping[str, str] | None = None,
        engine: str = "",
        subject: str = "",
        query_id_prefix: str = "",
        submitted_after: dt.datetime | None = None,
        submitted_before: dt.datetime | None = None,
        page_size: int = 50,
        page_token: str = "",
    ) -> QueryList:
        return await self.call(
            calls.list_queries(
                states=states,
                labels=labels,
                engine=engine,
                subject=subject,
                query_id_prefix=query_id_prefix,
                submitted_after=submitted_after,
                submitted_before=submitted_before,
                page_size=page_size,
                page_token=page_token,
            )
        )

    async def engines(self) -> tuple[EngineInfo, ...]:
        return await self.call(calls.list_engines())

    async def refresh_engine(self, name: str = "") -> EngineRefresh:
        """Have the workers of an engine look at its folder now; what has changed since anybody's last refresh. Queries
        see changes without it, within about a second. Without a name it is the default engine.
        """
        return await self.call(calls.refresh_engine(name))

    async def close(self) -> None:
        if self._abandoning:
            await asyncio.wait(self._abandoning)
        self._is_closed = True
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, call: Call[T]) -> T:
        try:
            return await self.run(call)
        except grpc.RpcError as error:
            raise rpc_failure(error, self._connection.target).to_error(call.query_id) from error

    async def run(self, call: Call[T]) -> T:
        """As `call`, but raises grpc.RpcError as it comes."""
        self._check_open()
        method = self._channel.unary_unary(
            path(call.method),
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.reply_type.FromString,
        )
        timeout = self._connection.call_seconds + call.wait_seconds
        return call.convert(await method(call.request, timeout=timeout, metadata=self._connection.identity))

    def abandoned(self, query_id: str) -> "asyncio.Task[None]":
        """A task that cancels a query whose reader goes away. `close` waits for it."""
        task = asyncio.get_running_loop().create_task(self._abandon(query_id), name=f"abandon-{query_id}")
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)
        return task

    async def abandon(self, query_id: str) -> None:
        """As Client.abandon; the cancel is sent also when the caller is cancelled once more."""
        await asyncio.wait([self.abandoned(query_id)])

    async def _abandon(self, query_id: str) -> None:
        with suppress(grpc.RpcError, QueryEngineClientError, TimeoutError):
            async with asyncio.timeout(calls.ABANDON_SECONDS):
                await self.run(calls.abandon(query_id))

    def open_stream(self, method: str, request: Any, deserializer: Any) -> Any:
        self._check_open()
        stream = self._channel.unary_stream(
            path(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=deserializer,
        )
        return stream(request, timeout=STREAM_SECONDS, metadata=self._connection.identity)


@documented_by(QueryHandle)
class AsyncQueryHandle(HandleBase):
    """As QueryHandle."""

    def __init__(self, client: AsyncClient, query_id: str, reply: query_service_pb2.SubmitResponse | None) -> None:
        super().__init__(query_id, reply)
        self._client = client

    async def status(self, *, after_version: int = 0, wait_for_change: Seconds = 0.0) -> QueryStatus:
        return await self._client.call(
            calls.get_status(self.query_id, after_version=after_version, wait_timeout=wait_for_change)
        )

    async def watch(self, *, after_version: int = 0) -> AsyncIterator[QueryStatus]:
        backoff = self._client.connection.backoff()
        reader = WatchReader(self.query_id, backoff=backoff, after_version=after_version)
        while not reader.is_done:
            deserializer = query_service_pb2.WatchStatusResponse.FromString
            call = self._client.open_stream("WatchStatus", reader.request(), deserializer)
            failure = None
            try:
                async for message in call:
                    status = reader.receive(message)
                    if status is not None:
                        yield status
            except grpc.RpcError as error:
                failure = rpc_failure(error, self._client.connection.target)
            finally:
                call.cancel()
            if not reader.is_done:
                await asyncio.sleep(reader.closed(failure, time.monotonic()))

    def result(self, *, start_row: int = 0, on_status: OnStatus | None = None) -> AsyncQueryResult:
        return AsyncQueryResult(self, self._client, start_row=start_row, on_status=on_status)

    async def fetch_page(
        self,
        *,
        page: int | None = None,
        offset: int | None = None,
        page_token: str = "",
        page_size: int = 1000,
    ) -> ResultPage:
        return await self._client.call(
            calls.fetch_page(self.query_id, page=page, offset=offset, page_token=page_token, page_size=page_size)
        )

    async def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        return await self._client.call(calls.cancel(self.query_id, reason=reason, wait_timeout=wait))

    async def release(self) -> QueryStatus:
        return await self._client.call(calls.release(self.query_id))

    async def extend(self, until: dt.datetime) -> QueryStatus:
        return await self._client.call(calls.release(self.query_id, extend_to=until))
