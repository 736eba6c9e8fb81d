"""The client for asyncio."""

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack

from queryengine.client import calls, configuration, keys
from queryengine.client.aio.following import followed
from queryengine.client.aio.handle import AsyncQueryHandle
from queryengine.client.aio.named import AsyncNamedQueries
from queryengine.client.aio.result import AsyncQueryResult
from queryengine.client.aio.transport import AsyncTransport
from queryengine.client.arguments import Seconds, text
from queryengine.client.calls import Parameters
from queryengine.client.changes import ChangesReader, QueryChange, watch_request
from queryengine.client.configuration import ServerConfiguration
from queryengine.client.errors import QueryEngineClientError
from queryengine.client.explanation import Explanation
from queryengine.client.keys import ApiKey, ApiKeyList, NewApiKey
from queryengine.client.model import CancelledQueries, EngineInfo, QueryList
from queryengine.client.options import QueryOptions, SubmitOptions, takes
from queryengine.client.refresh import EngineRefresh
from queryengine.client.result import OnStatus
from queryengine.client.usage import UsageList
from queryengine.domain.identity import Role
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_service_pb2


class AsyncClient(AsyncTransport):
    """A connection to one server, as one tenant and user. A context manager: leaving it closes it.

    Made, used and closed within one running event loop.
    """

    @takes(SubmitOptions)
    async def submit(
        self, sql: str = "", parameters: Parameters = None, **options: Unpack[SubmitOptions]
    ) -> AsyncQueryHandle:
        """Hand in a statement, or a named query; when this returns, it is durable and runs with a reader or without.

        Parameters are a mapping for named placeholders, a sequence for positional ones; see
        queryengine.codec.values for the types. Raises QueryFailed when the SQL is refused at once, LimitReached,
        ServiceUnavailable, or QueryEngineClientError for a request that makes no sense; ValueError or TypeError for
        options and values that cannot be sent.
        """
        call = calls.submit(sql, parameters, options)
        return AsyncQueryHandle(self, call.query_id, await self.call(call))

    @takes(QueryOptions)
    async def query(
        self,
        sql: str = "",
        parameters: Parameters = None,
        *,
        on_status: OnStatus | None = None,
        **options: Unpack[QueryOptions],
    ) -> AsyncQueryResult:
        """Submit and read: `async for batch in await client.query(sql)`; with named="report@prod", a named query.

        The query lives no longer than its reader. It is cancelled at once
        by cancelling the task that awaits this or reads the rows, by any other exception here or while reading,
        by leaving the loop or the `async with` block of the result early, and by closing it; and after
        `disconnect_grace`, 10 seconds, when the process died or nothing refers to the result any more. `detach=True`
        lets it run on, as submit does. A query whose result is kept and read later runs on meanwhile.

        on_status is called with each new QueryStatus while the rows are read. Raises as submit does; errors of the
        query itself are raised by reading.
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

    @takes(SubmitOptions)
    async def explain(
        self, sql: str = "", parameters: Parameters = None, **options: Unpack[SubmitOptions]
    ) -> Explanation:
        """What a submit of this moment would do: which engine would run it and why, what it reads, and what it is
        expected to take. Nothing runs. Raises as submit does, for what that would be refused for; limits on how much
        may wait and be stored are not counted.
        """
        return await self.call(calls.explain(sql, parameters, options))

    def attach(self, query_id: str) -> AsyncQueryHandle:
        """The handle of a query submitted before, by anybody of the tenant. No call is made."""
        return AsyncQueryHandle(self, text("query_id", query_id), None)

    async def list_queries(
        self,
        *,
        states: Iterable[QueryState | str] = (),
        labels: Mapping[str, str] | None = None,
        engine: str = "",
        subject: str = "",
        query_id_prefix: str = "",
        named: str = "",
        submitted_after: dt.datetime | None = None,
        submitted_before: dt.datetime | None = None,
        page_size: int = 50,
        page_token: str = "",
    ) -> QueryList:
        """Queries of the tenant, newest first, that match every filter; `next_page_token` continues.

        subject: the user who submitted them. named: the named query that they ran, in any version, or name@version.
        submitted_after is included in the range, submitted_before is not; both
        have a time zone.
        """
        return await self.call(
            calls.list_queries(
                states=states,
                labels=labels,
                engine=engine,
                subject=subject,
                query_id_prefix=query_id_prefix,
                named=named,
                submitted_after=submitted_after,
                submitted_before=submitted_before,
                page_size=page_size,
                page_token=page_token,
            )
        )

    @property
    def named_queries(self) -> AsyncNamedQueries:
        """Calls that manage the named queries of the tenant."""
        return AsyncNamedQueries(self)

    def watch_queries(
        self,
        *,
        states: Iterable[QueryState | str] = (),
        labels: Mapping[str, str] | None = None,
        engine: str = "",
        subject: str = "",
        position: str = "",
    ) -> AsyncIterator[QueryChange]:
        """Every query of the tenant that is accepted or changes and then matches every filter, pushed, without an end;
        survives lost connections.

        A change whose status is None says that others may be missing before it, as one does at the beginning, after a
        restart of the server and for a reader who is too slow: list the queries then. `position` goes on after that
        change. Raises ServiceUnavailable when no server answered for `give_up_after` seconds, and LimitReached when
        the tenant had too many streams for as long.
        """
        request = watch_request(states=states, labels=labels, engine=engine, subject=subject, position=position)
        reader = ChangesReader(request, backoff=self._connection.backoff())
        return followed(self, "WatchQueries", query_service_pb2.WatchQueriesResponse, reader)

    async def cancel_queries(
        self,
        labels: Mapping[str, str],
        *,
        engine: str = "",
        subject: str = "",
        reason: str = "",
        wait: Seconds = 0.0,
    ) -> CancelledQueries:
        """Stop the queries that wait or run and carry all of these labels, at least one; with `wait` until that is
        confirmed, 60 seconds at most. Idempotent.

        One call stops at most 1,000, the first submitted first, and says how many are left.
        """
        return await self.call(
            calls.cancel_queries(labels, engine=engine, subject=subject, reason=reason, wait_timeout=wait)
        )

    async def engines(self) -> tuple[EngineInfo, ...]:
        """The configured engines, what each can do and how busy it is."""
        return await self.call(calls.list_engines())

    async def usage(
        self,
        *,
        from_date: dt.date | None = None,
        to_date: dt.date | None = None,
        subject: str = "",
        all_tenants: bool = False,
        page_token: str = "",
    ) -> UsageList:
        """What queries that ended have used, by day of UTC, tenant, subject and engine, the oldest day first.

        The caller's own, all of the tenant for a tenant admin; all_tenants takes the role admin. By default the last 30
        days, to_date included. A long answer comes in parts: pass next_page_token as page_token for the following one.
        """
        call = calls.usage(
            from_date=from_date, to_date=to_date, subject=subject, all_tenants=all_tenants, page_token=page_token
        )
        return await self.call(call)

    async def refresh_engine(self, name: str = "") -> EngineRefresh:
        """Have the workers of an engine look at its folder now; what has changed since anybody's last refresh. Queries
        see changes without it, within about a second. Without a name it is the default engine.
        """
        return await self.call(calls.refresh_engine(name))

    async def create_api_key(
        self,
        subject: str,
        roles: Iterable[Role | str],
        *,
        label: str = "",
        cidrs: Sequence[str] = (),
        expires: dt.datetime | None = None,
    ) -> NewApiKey:
        """Make an API key of the tenant with which `subject` calls; the secret is in the reply and nowhere else.

        Takes the role tenant_admin or admin, and each role that the key gets. cidrs: networks that it works from, such
        as "10.0.0.0/8"; none means all. expires has a time zone; None means never. Not tried again when the reply is
        lost: list the keys then, and revoke the one that nobody has.
        """
        return await self.call(keys.create(subject, roles, label=label, cidrs=cidrs, expires=expires))

    async def list_api_keys(
        self, *, subject: str = "", include_ended: bool = False, page_size: int = 50, page_token: str = ""
    ) -> ApiKeyList:
        """API keys of the tenant, newest first; `next_page_token` continues. include_ended: also those of the last 30
        days that were revoked or have expired.
        """
        return await self.call(
            keys.list_keys(subject=subject, include_ended=include_ended, page_size=page_size, page_token=page_token)
        )

    async def rotate_api_key(
        self, key_id: str, *, grace: Seconds = 0.0, expires: dt.datetime | None = None
    ) -> NewApiKey:
        """Make a key in the place of another one, which works for `grace` more, 30 days at most; without, it ends now.
        Without expires the new key lasts as long as the old one was made to last. Not tried again, as create_api_key.
        """
        return await self.call(keys.rotate(key_id, grace=grace, expires=expires))

    async def revoke_api_key(self, key_id: str) -> ApiKey:
        """End a key: the server that answers accepts it no more, others within 5 seconds. Idempotent."""
        return await self.call(keys.revoke(key_id))

    async def reload_status(self) -> ServerConfiguration:
        """Which configuration the server that answers uses, and what came of the last attempt to load another. Takes
        the role admin.
        """
        return await self.call(configuration.reload_status())

    async def reload(self) -> ServerConfiguration:
        """Have the server that answers load its configuration again; see `last_attempt` for whether it was applied.
        Takes the role admin. Idempotent.
        """
        return await self.call(configuration.reload())

    async def close(self) -> None:
        """Idempotent. Streams still open break off, and later calls are refused. A query of `query` that was not read
        to its end is cancelled once its grace has passed; others run on.
        """
        await self._shut()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
