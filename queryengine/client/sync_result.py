"""The rows of one query for code that blocks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import pyarrow as pa

from queryengine.client.arguments import Seconds
from queryengine.client.errors import QueryEngineClientError, rpc_failure
from queryengine.client.frames import to_pandas, to_polars
from queryengine.client.model import CancelOutcome
from queryengine.client.presence import Presence
from queryengine.client.pylist import python_rows, python_tuples
from queryengine.client.result import OnStatus, ResultState

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from queryengine.client.sync import Client, QueryHandle

T = TypeVar("T")


class QueryResult(ResultState):
    """The rows of one query, once, as they come. A context manager: leaving it closes it.

    Lost connections, restarts of the server and planned ends of streams are dealt with. Reading raises
    QueryFailed or QueryCancelled when the query did, ResultUnavailable, ResultCorrupt, and ServiceUnavailable
    when no server answered for `give_up_after` seconds.
    """

    def __init__(
        self,
        handle: "QueryHandle",
        client: "Client",
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
            self._stay(Presence(client.start, self.query_id, client.connection.backoff()))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches in order. Iterating again goes on where the last iteration stopped, and raises when all are read."""
        with self._reading():
            self._check_unread()
            try:
                while (batch := self._next_batch()) is not None:
                    yield batch
            finally:
                self._disconnect()
            self._is_read = True

    @property
    def schema(self) -> pa.Schema:
        """Waits until the columns are known."""
        with self._reading():
            while self._reader.schema is None:
                self._advance()
        return self._reader.schema

    def to_arrow(self) -> pa.Table:
        """All rows not read yet; raises when all are. When it fails, the rows it had are there to be read."""
        batches: list[pa.RecordBatch] = []
        try:
            batches.extend(self)
        except BaseException:
            self._put_back(batches)
            raise
        return pa.Table.from_batches(batches, schema=self.schema)

    def to_pandas(self, **options: Any) -> "pd.DataFrame":
        """As to_arrow, as a DataFrame; options are those of pyarrow.Table.to_pandas. Needs pandas."""
        return self._converted(partial(to_pandas, **options))

    def to_polars(self) -> "pl.DataFrame":
        """As to_arrow, as a DataFrame of Polars. Needs polars."""
        return self._converted(to_polars)

    def to_pylist(self) -> list[dict[str, Any]]:
        """As to_arrow, as dicts of Python's own values.

        Raises ValueError when two columns have one name: name them apart, or call rows(). Raises OverflowError that
        names row and column of a value that Python's types cannot hold, such as infinity.
        """
        return self._converted(python_rows)

    def rows(self) -> list[tuple[Any, ...]]:
        """As to_pylist, as tuples in the order of the columns, of whatever names."""
        return self._converted(python_tuples)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """For libraries that read Arrow, such as Polars, DuckDB, pandas and pyarrow: they take this object itself, and
        its rows as they come. An error while they read reaches the caller as an error of theirs, with its text.
        """
        reader = pa.RecordBatchReader.from_batches(self.schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns alone, for libraries that look at them first."""
        return self.schema.__arrow_c_schema__()

    def _converted(self, convert: Callable[[pa.Table], T]) -> T:
        table = self.to_arrow()
        try:
            return convert(table)
        except BaseException:
            self._put_back(table.to_batches())
            raise

    def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        """Cancel the query; rows on their way may still come, then reading raises QueryCancelled."""
        return self.handle.cancel(reason=reason, wait=wait)

    def close(self) -> None:
        """End the stream, and a query of `Client.query` that was not read to its end; no other query is touched.
        Idempotent, from any thread; reading then raises.
        """
        self._is_closed = True
        self._disconnect()
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What ends the reading early but is no failure of the query or the service, such as Ctrl-C, is a reader who
        leaves.
        """
        try:
            yield
        except QueryEngineClientError:
            raise
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        if self._is_left_early():
            self._client.abandon(self.query_id)

    def _next_batch(self) -> pa.RecordBatch | None:
        while not self._ready:
            if self._reader.end is not None:
                return None
            self._advance()
        return self._ready.popleft()

    def _advance(self) -> None:
        """Take one message, or get past the end of a stream."""
        self._check_open()
        failure = None
        try:
            if self._call is None:
                request = self._reader.request()
                self._call = self._client.open_stream("StreamResults", request, None)
                # `close` may have come from another thread meanwhile, and found no stream to end.
                self._check_open()
            self._take(self._reader.receive(next(self._call)))
        except StopIteration:
            pass
        except grpc.RpcError as error:
            failure = rpc_failure(error, self._client.connection.target)
        except BaseException:
            self._disconnect()
            raise
        else:
            return
        self._disconnect()
        self._check_open()
        time.sleep(self._reader.closed(failure, time.monotonic()))

    def _disconnect(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
