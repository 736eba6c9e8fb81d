"""As queryengine.client.sync_result, for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import pyarrow as pa

from queryengine.client.arguments import Seconds
from queryengine.client.base import documented_by
from queryengine.client.errors import QueryEngineClientError, rpc_failure
from queryengine.client.frames import to_pandas, to_polars
from queryengine.client.model import CancelOutcome
from queryengine.client.presence import AsyncPresence
from queryengine.client.pylist import python_rows, python_tuples
from queryengine.client.result import OnStatus, ResultState
from queryengine.client.sync_result import QueryResult

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from queryengine.client.aio import AsyncClient, AsyncQueryHandle

T = TypeVar("T")


@documented_by(QueryResult)
class AsyncQueryResult(ResultState):
    """As QueryResult, read by one task at a time. Cancelling that task ends a query of `AsyncClient.query`.

    Libraries that read Arrow cannot await rows: give them `await result.to_arrow()`.
    """

    def __init__(
        self,
        handle: "AsyncQueryHandle",
        client: "AsyncClient",
        *,
        start_row: int,
        on_status: OnStatus | None,
        ends_query: bool = False,
    ) -> None:
        super().__init__(
            handle.query_id, client.connection, reply=handle.reply, start_row=start_row, on_status=on_status
        )
        self.handle = handle
        self._client = client
        self._call: Any = None
        if ends_query and not self._reader.is_over:
            self._stay(AsyncPresence(client.run, self.query_id, client.connection.backoff()))

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        async with self._reading():
            self._check_unread()
            try:
                while (batch := await self._next_batch()) is not None:
                    yield batch
            finally:
                self._disconnect()
            self._is_read = True

    async def schema(self) -> pa.Schema:
        async with self._reading():
            while self._reader.schema is None:
                await self._advance()
        return self._reader.schema

    async def to_arrow(self) -> pa.Table:
        batches: list[pa.RecordBatch] = []
        try:
            async for batch in self:
                batches.append(batch)  # noqa: PERF401 - what has come is put back when the next batch does not.
        except BaseException:
            self._put_back(batches)
            raise
        return pa.Table.from_batches(batches, schema=await self.schema())

    async def to_pandas(self, **options: Any) -> "pd.DataFrame":
        return await self._converted(partial(to_pandas, **options))

    async def to_polars(self) -> "pl.DataFrame":
        return await self._converted(to_polars)

    async def to_pylist(self) -> list[dict[str, Any]]:
        return await self._converted(python_rows)

    async def rows(self) -> list[tuple[Any, ...]]:
        return await self._converted(python_tuples)

    async def _converted(self, convert: Callable[[pa.Table], T]) -> T:
        table = await self.to_arrow()
        try:
            return convert(table)
        except BaseException:
            self._put_back(table.to_batches())
            raise

    async def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        return await self.handle.cancel(reason=reason, wait=wait)

    def close(self) -> None:
        self._is_closed = True
        self._disconnect()
        if self._is_left_early():
            self._client.abandoned(self.query_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        try:
            yield
        except QueryEngineClientError:
            raise
        except BaseException:
            if self._is_left_early():
                await self._client.abandon(self.query_id)
            raise

    async def _next_batch(self) -> pa.RecordBatch | None:
        while not self._ready:
            if self._reader.end is not None:
                return None
            await self._advance()
        return self._ready.popleft()

    async def _advance(self) -> None:
        self._check_open()
        failure = None
        try:
            if self._call is None:
                request = self._reader.request()
                self._call = self._client.open_stream("StreamResults", request, None)
            message = await self._call.read()
            if message is not grpc.aio.EOF:  # type: ignore[attr-defined]
                self._take(self._reader.receive(message))
                return
        except grpc.RpcError as error:
            failure = rpc_failure(error, self._client.connection.target)
        except BaseException:
            self._disconnect()
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                # A read that `close` broke off looks like a cancelled task.
                self._check_open()
            raise
        self._disconnect()
        self._check_open()
        await asyncio.sleep(self._reader.closed(failure, time.monotonic()))

    def _disconnect(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
