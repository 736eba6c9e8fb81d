"""The rows of one query for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import pyarrow as pa

from queryengine.client.aio.arrow import AsyncArrowStream
from queryengine.client.aio.transport import later, received
from queryengine.client.arguments import Seconds
from queryengine.client.errors import QueryEngineClientError
from queryengine.client.frames import to_pandas, to_polars
from queryengine.client.model import CancelOutcome
from queryengine.client.presence import Presence
from queryengine.client.pylist import python_rows, python_tuples
from queryengine.client.result import OnStatus

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from queryengine.client.aio.client import AsyncClient
    from queryengine.client.aio.handle import AsyncQueryHandle

T = TypeVar("T")


class AsyncQueryResult(AsyncArrowStream):
    """The rows of one query, once, as they come. A context manager: leaving it closes it.

    Lost connections, restarts of the server and planned ends of streams are dealt with. Reading raises
    QueryFailed or QueryCancelled when the query did, ResultUnavailable, ResultCorrupt, and ServiceUnavailable
    when no server answered for `give_up_after` seconds.

    Read by one task at a time. Libraries that read Arrow cannot await rows: give them `await result.to_arrow()`.
    """

    def __init__(
        self,
        handle: "AsyncQueryHandle",
        client: "AsyncClient",
        *,
        start_row: int,
        end_row: int | None = None,
        on_status: OnStatus | None,
        ends_query: bool = False,
    ) -> None:
        super().__init__(
            handle.query_id,
            client.connection,
            reply=handle.reply,
            start_row=start_row,
            end_row=end_row,
            on_status=on_status,
        )
        self.handle = handle
        self._client = client
        self._stream: Any = None
        if ends_query and not self._reader.is_over:
            self._stay(Presence(client.start, later, self.query_id, client.connection))

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        """Batches in order. Iterating again goes on where the last iteration stopped, and raises when all are read."""
        async with self._reading():
            self._check_unread()
            try:
                while (batch := await self._next_batch()) is not None:
                    yield batch
            finally:
                self._disconnect()
            self._is_read = True

    async def to_arrow(self) -> pa.Table:
        """All rows not read yet; raises when all are. When it fails, the rows it had are there to be read."""
        batches: list[pa.RecordBatch] = []
        try:
            async for batch in self:
                batches.append(batch)  # noqa: PERF401 - what has come is put back when the next batch does not.
        except BaseException:
            self._put_back(batches)
            raise
        return pa.Table.from_batches(batches, schema=await self._columns())

    async def to_pandas(self, **options: Any) -> "pd.DataFrame":
        """As to_arrow, as a DataFrame; options are those of pyarrow.Table.to_pandas. Needs pandas."""
        return await self._converted(partial(to_pandas, **options))

    async def to_polars(self) -> "pl.DataFrame":
        """As to_arrow, as a DataFrame of Polars. Needs polars."""
        return await self._converted(to_polars)

    async def to_pylist(self) -> list[dict[str, Any]]:
        """As to_arrow, as dicts of Python's own values.

        Raises ValueError when two columns have one name: name them apart, or call rows(). Raises OverflowError that
        names row and column of a value that Python's types cannot hold, such as infinity.
        """
        return await self._converted(python_rows)

    async def rows(self) -> list[tuple[Any, ...]]:
        """As to_pylist, as tuples in the order of the columns, of whatever names."""
        return await self._converted(python_tuples)

    async def _converted(self, convert: Callable[[pa.Table], T]) -> T:
        table = await self.to_arrow()
        try:
            return convert(table)
        except BaseException:
            self._put_back(table.to_batches())
            raise

    async def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        """Cancel the query; rows on their way may still come, then reading raises QueryCancelled."""
        return await self.handle.cancel(reason=reason, wait=wait)

    def close(self) -> None:
        """End the stream, and a query of `AsyncClient.query` that was not read to its end; no other query is touched.
        Idempotent, from any place of the event loop; reading then raises.
        """
        self._is_closed = True
        self._disconnect()
        if self._is_left_early():
            self._client.abandon(self.query_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """When anything but a failure of the query or the service ends the reading, such as
        a cancelled task, the reader has left.
        """
        try:
            yield
        except QueryEngineClientError:
            raise
        except BaseException:
            if self._is_left_early():
                await self._client.abandon(self.query_id)
            raise

    async def _columns(self) -> pa.Schema:
        async with self._reading():
            while self._reader.schema is None:
                await self._advance()
        return self._reader.schema

    async def _next_batch(self) -> pa.RecordBatch | None:
        while not self._ready:
            if self._reader.end is not None:
                return None
            await self._advance()
        return self._ready.popleft()

    async def _advance(self) -> None:
        """Take one message, or get past the end of a stream."""
        self._check_open()
        failure = None
        try:
            stream = self._stream
            if stream is None:
                request = self._reader.request()
                self._stream = stream = await self._client.open_stream("StreamResults", request, None)
                # `close` may have come meanwhile, and found no stream to end.
                self._check_open()
            message = await received(stream)
            if message is not None:
                self._take(self._reader.receive(message))
                return
        except grpc.RpcError as error:
            failure = self._client.connection.failure(error)
        except BaseException:
            self._disconnect()
            raise
        self._disconnect()
        self._check_open()
        await asyncio.sleep(self._reader.closed(failure, time.monotonic()))

    def _disconnect(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
