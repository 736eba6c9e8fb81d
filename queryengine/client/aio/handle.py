"""One query of the tenant, for asyncio."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from queryengine.client import calls
from queryengine.client.aio.following import followed
from queryengine.client.aio.result import AsyncQueryResult
from queryengine.client.arguments import Seconds, row_range
from queryengine.client.base import HandleBase
from queryengine.client.details import QueryDetails
from queryengine.client.model import CancelOutcome, QueryStatus, ResultPage
from queryengine.client.pages import StoredPages
from queryengine.client.result import OnStatus
from queryengine.client.stream import WatchReader
from queryengine.v1 import query_service_pb2

if TYPE_CHECKING:
    from queryengine.client.aio.client import AsyncClient


class AsyncQueryHandle(HandleBase):
    """One query of the tenant. Every call may raise NotFound and ServiceUnavailable."""

    def __init__(self, client: "AsyncClient", query_id: str, reply: query_service_pb2.SubmitResponse | None) -> None:
        super().__init__(query_id, reply)
        self._client = client

    async def status(self, *, after_version: int = 0, wait_for_change: Seconds = 0.0) -> QueryStatus:
        """The newest status; with `wait_for_change` as soon as its version is above `after_version`, or
        unchanged after so many seconds, 60 at most. A failed query is a normal answer.
        """
        return await self._client.call(
            calls.get_status(self.query_id, after_version=after_version, wait_timeout=wait_for_change)
        )

    async def details(self) -> QueryDetails:
        """What was submitted, names and types of its parameters, and the limits in force; also when the query has
        ended.
        """
        return await self._client.call(calls.details(self.query_id))

    def watch(self, *, after_version: int = 0) -> AsyncIterator[QueryStatus]:
        """Every new status until the final one, pushed; survives lost connections."""
        backoff = self._client.connection.backoff()
        reader = WatchReader(self.query_id, backoff=backoff, after_version=after_version)
        return followed(self._client, "WatchStatus", query_service_pb2.WatchStatusResponse, reader)

    def result(
        self, *, start_row: int = 0, end_row: int | None = None, on_status: OnStatus | None = None
    ) -> AsyncQueryResult:
        """Read the rows, also while the query waits or runs, and any number of times: from a row on, and up to another
        one, which is not read. Readers whose ranges meet share a result; each ends when the query has completed.
        """
        first, last = row_range(start_row, end_row)
        return AsyncQueryResult(self, self._client, start_row=first, end_row=last, on_status=on_status)

    async def list_pages(self, *, page_size: int = 1000, page_token: str = "") -> StoredPages:
        """Where the stored pages of the result begin, for planning several readers; of a query that runs, those that
        are stored so far. A range that begins and ends where pages do is sent as it is stored.

        Raises ResultUnavailable when none can be read yet, or not any more.
        """
        return await self._client.call(calls.list_pages(self.query_id, page_size=page_size, page_token=page_token))

    async def fetch_page(
        self,
        *,
        page: int | None = None,
        offset: int | None = None,
        page_token: str = "",
        page_size: int = 1000,
    ) -> ResultPage:
        """Some stored rows: by page number, by row number, or by the token of another page; the first by default.

        Raises ResultUnavailable when they are not stored yet, or not any more.
        """
        return await self._client.call(
            calls.fetch_page(self.query_id, page=page, offset=offset, page_token=page_token, page_size=page_size)
        )

    async def cancel(self, *, reason: str = "", wait: Seconds = 0.0) -> CancelOutcome:
        """Stop the query, also on its engine; with `wait` until that is confirmed, 60 seconds at most.
        Idempotent.
        """
        return await self._client.call(calls.cancel(self.query_id, reason=reason, wait_timeout=wait))

    async def release(self) -> QueryStatus:
        """Free the stored rows of an ended query. Idempotent."""
        return await self._client.call(calls.release(self.query_id))

    async def extend(self, until: dt.datetime) -> QueryStatus:
        """Keep the stored rows until then, at most 7 days from now. ValueError for a time without a zone."""
        return await self._client.call(calls.release(self.query_id, extend_to=until))
