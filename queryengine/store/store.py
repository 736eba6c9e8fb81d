"""The record of queries. What `submit`, `advance` and `update` returned is durable; a state moves by
compare-and-set.

One server process uses a database at a time. Methods are called from one event loop; a caller may be cancelled at
any await, and then the write happens or not, as a whole. What is read holds every write that returned before, and
every one that may linger, as those are reported early. Every method of a tenant's data takes the tenant first and reads
nothing of another one. All raise STORE_UNAVAILABLE, to be tried again, while the database cannot be used.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.filters import EVERYTHING, QueryFilter
from queryengine.domain.lifecycle import HOLDS_ROWS, Event, QueryState, ResultState, sources
from queryengine.domain.plan import id_reused, is_same_submission
from queryengine.domain.query import Query
from queryengine.domain.submission import SQL_CHARACTERS_KEPT
from queryengine.domain.viewer import Viewer
from queryengine.store import statements
from queryengine.store.database import Database, Results, StoreUnusable
from queryengine.store.folder_lock import FileLock
from queryengine.store.keys import KeyStore
from queryengine.store.ledger import Ledger
from queryengine.store.named import NamedQueryStore
from queryengine.store.opening import open_database
from queryengine.store.prepared import Prepared
from queryengine.store.reader import Reader
from queryengine.store.rows import to_columns, to_query, to_row
from queryengine.store.steps import Change, Dropped, PastRun, changed_by, found, get_query, stored_bytes_of, usage_of
from queryengine.store.stored_bytes import StoredBytes
from queryengine.store.usage import Usage
from queryengine.store.writer import Writer

logger = logging.getLogger(__name__)

HEALTHY_SECONDS: Final = 5.0
DATABASE: Final = "queries.db"
"""The file whose lock stands for the whole folder of a server, wherever the record is."""

T = TypeVar("T")


class Store:
    """The record of queries in one database."""

    def __init__(self, database: Database, folder_lock: FileLock | None) -> None:
        """Use `open`."""
        self.usage = Usage(())
        self.stored_bytes = StoredBytes()
        self._database = database
        self._folder_lock = folder_lock
        self._writer = Writer(database)
        self._reader = Reader(database, self._writer)
        self.keys = KeyStore(self._writer, self._reader)
        self.ledger = Ledger(self._writer, self._reader)
        self.named = NamedQueryStore(self._writer, self._reader)
        self._is_healthy = True
        self._closed = False

    @classmethod
    async def open(
        cls, place: Path | str, *, owner: str, results: Results | None = None, folder: Path | None = None
    ) -> "Store":
        """Open the record, made or migrated as needed, for the server instance `owner`; `results` lie beside it. It is
        a SQLite file at a path, or a database at a URL of PostgreSQL. The folder of the server's state is kept from
        other servers, too, when it is given.

        Raises StoreLocked when another process has one of them, soon; StoreUnusable when one cannot be used.
        """
        default = place if folder is None else folder / DATABASE
        folder_lock = FileLock(default) if isinstance(default, Path) and default != place else None
        try:
            database = await open_database(place, application=f"queryengine {owner}", results=results)
        except BaseException:
            if folder_lock is not None:
                folder_lock.release()
            raise
        store = cls(database, folder_lock)
        try:
            await store._writer.write(lambda connection: statements.MOVE_IN.run(connection, {"owner": owner}).rowcount)
            database.move_in(owner)
            store.usage = await store._reader.read(usage_of)
            store.stored_bytes = await store._reader.read(stored_bytes_of)
        except QueryEngineError as cause:
            await store.close()
            raise StoreUnusable(f"{database.title} cannot be written: {cause.failure.message}") from cause
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Write what is queued, then release the database. Idempotent."""
        await self._writer.stop()
        if not self._closed:
            self._closed = True
            await self._reader.stop()
            await self._database.close()
            if self._folder_lock is not None:
                self._folder_lock.release()

    async def submit(self, query: Query) -> tuple[Query, bool]:
        """Insert as given: QUEUED, or RUNNING when it was claimed at once.

        Submitting the same id again returns the stored query and True, and changes nothing. Raises
        QUERY_ID_REUSED when the stored one asks for something else.
        """
        return await self._submit(query, lambda _: query)

    async def submit_ended(
        self, query: Query, event: Event, *, changes: Mapping[str, Any], payload: bytes | None = None
    ) -> tuple[Query, bool]:
        """As `submit`, of a RUNNING query, and as `advance` right after it unless the id was known, in one transaction:
        for a query that is over before its record was written.
        """
        change, size = self._change_of(query, event, to_columns(changes), payload)
        return await self._submit(query, lambda connection: found(change(connection)[1]), size=size)

    async def _submit(
        self, query: Query, then: Callable[[sa.Connection], Query], *, size: int = 0
    ) -> tuple[Query, bool]:
        """`then` says what the query is once it is inserted."""
        row = to_row(query)

        def insert(connection: sa.Connection) -> tuple[Query | None, bool]:
            if statements.INSERT.run_row(connection, row).rowcount == 1:
                return then(connection), False
            return get_query(connection, query.tenant, query.query_id), True

        stored, is_old = await self._writer.write(insert, size=query.record_bytes + size)
        existing = found(stored)
        if not is_old:
            self.usage.add(query.tenant, existing.record_bytes)
            if existing.result_state is ResultState.READY:
                self.stored_bytes.stored(existing)
            return existing, False
        if not is_same_submission(existing.fingerprint, query.fingerprint, query.submission, query.plan):
            raise id_reused(query.query_id)
        return existing, True

    async def get(self, tenant: str, query_id: str, *, seen_by: Viewer | None = None) -> Query | None:
        """The query, without its parameters; None for one that the viewer does not see, of which nothing is read."""
        return await self._reader.read(lambda connection: get_query(connection, tenant, query_id, seen_by))

    async def parameters(self, tenant: str, query_id: str) -> bytes:
        """The parameters of a query, which are empty once it has ended. Raises QUERY_NOT_FOUND."""
        values = {"key_tenant": tenant, "key_query_id": query_id}
        row = await self._reader.read(lambda connection: statements.PARAMETERS.run(connection, values).one_or_none())
        if row is None:
            raise error(Reason.QUERY_NOT_FOUND, "no such query")
        return bytes(row[0])

    async def advance(
        self,
        query: Query,
        event: Event,
        *,
        changes: Mapping[str, Any] | None = None,
        payload: bytes | None = None,
        may_linger: bool = False,
    ) -> tuple[bool, Query]:
        """Let `event` happen to the query as the caller saw it, and set `changes` with it.

        Fires only when the event is legal in `query.state`, the query is still in that state and, once it
        runs, still in `query.attempt`; ORPHAN, moreover, only while no page is published. Returns whether it
        fired, and the query as it is now: being late is a normal answer. CLAIM adds one to the attempt,
        ORPHAN clears owner and start_us, FAIL and CANCEL make the result NONE; with the end of a query its parameters
        go. Raises QUERY_NOT_FOUND when
        there is none, ValueError for a change that is not a plain fact, and IntegrityError when the row would
        contradict itself (such as an end without a time).

        A COMPLETE with a READY result makes the query refer to the result of its attempt, and keeps `payload`, when it
        is given, as the bytes of that result, all in one transaction.

        With `may_linger` the write waits a moment for another one to share its commit. Unless it fails, whatever is
        written or read through this store afterwards comes after it all the same.
        """
        columns = to_columns(changes or {})
        if query.state not in sources(event):
            return False, await self._require(query)
        change, size = self._change_of(query, event, columns, payload)
        changed = await self._compare_and_set(change, query, size=size, may_linger=may_linger)
        if changed.fired and event is Event.COMPLETE and changed.query.result_state is ResultState.READY:
            self.stored_bytes.stored(changed.query)
        return changed.fired, changed.query

    def _change_of(
        self, query: Query, event: Event, columns: dict[str, Any], payload: bytes | None
    ) -> tuple[Change, int]:
        """Writes an event that is legal in the state of the query; and how many bytes that is beside the record."""
        result = None
        if event is Event.COMPLETE and columns.get("result_state") == ResultState.READY:
            columns["result_id"] = query.own_result_id
            size = columns.get("bytes", query.bytes) if payload is None else len(payload)
            result = (query.tenant, query.own_result_id, size, columns.get("end_us"), payload)
        prepared = statements.advance(event, query.state, frozenset(columns))
        columns["failure_bytes"] = len(columns.get("failure") or "")
        return changed_by(prepared, query, columns, result), len(payload or b"")

    async def update(
        self,
        query: Query,
        *,
        changes: Mapping[str, Any],
        where_result_state: Iterable[ResultState] | None = None,
        where_state: Iterable[QueryState] | None = None,
    ) -> tuple[bool, Query]:
        """Set facts that are no step of life, where the query is now in one of the states given.

        Facts about a query that the caller saw past QUEUED are set only while it is, in the same attempt. A
        time of cancel, once set, stays. Returns and raises as `advance` does.
        """
        changed = await self._update(query, changes, where_result_state, where_state)
        return changed.fired, changed.query

    async def drop_result(
        self, query: Query, state: ResultState, *, changes: Mapping[str, Any] | None = None
    ) -> Dropped:
        """End the reference of an ended query with rows to its result, whose state is then RELEASED or EXPIRED.

        Says whether another query refers to it still. The last reference takes the bytes of a result in the record with
        it, in the same transaction; those in the spool are for the caller to remove afterwards.
        """
        dropped = await self._update(query, {**(changes or {}), "result_state": state}, HOLDS_ROWS, None)
        if dropped.fired:
            self.stored_bytes.dropped(dropped.query)
        return dropped

    async def result_payload(self, tenant: str, result_id: str) -> bytes | None:
        """The bytes of a result that is in the record; None for one in the spool, and for one that is gone."""
        values = {"key_tenant": tenant, "key_result_id": result_id}
        row = await self._reader.read(lambda connection: statements.PAYLOAD.run(connection, values).one_or_none())
        return None if row is None else row[0]

    async def payload_bytes(self) -> dict[str, int]:
        """What the results in the record take, by tenant. Reads all of them; for the start of a server."""
        return await self._reader.read(
            lambda connection: dict(tuple(row) for row in statements.PAYLOAD_BYTES.run(connection, {}))
        )

    async def holding_results(self, result_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(tenant, result_id), of all tenants, of those results that a query refers to or that an unfinished one
        writes.

        For whoever removes what is in the spool without a record.
        """
        select = statements.holding_results(result_ids)
        return await self._reader.read(lambda connection: [tuple(row) for row in connection.execute(select)])

    async def _update(
        self,
        query: Query,
        changes: Mapping[str, Any],
        where_result_state: Iterable[ResultState] | None,
        where_state: Iterable[QueryState] | None,
    ) -> Dropped:
        columns = to_columns(changes)
        prepared = statements.update(
            frozenset(columns),
            None if where_state is None else frozenset(where_state),
            None if where_result_state is None else frozenset(where_result_state),
            query.state is not QueryState.QUEUED,
        )
        return await self._compare_and_set(changed_by(prepared, query, columns), query)

    async def recover(self) -> list[Query]:
        """Every query that has not ended, of all tenants, oldest first. For the start of a server, before it
        serves.

        Moves each to a new version, so that versions do not go back when the progress counted since the last
        durable change is forgotten.
        """
        rows = await self._writer.write(lambda connection: list(statements.RECOVER.run(connection, {})))
        return sorted((to_query(row) for row in rows), key=lambda query: (query.submit_us, query.query_id))

    async def expiring(self, now_us: int, limit: int) -> list[Query]:
        """Queries of all tenants whose rows on disk have outlived their expire_us, the longest expired first."""
        values = {"now_us": now_us, "count": limit}
        return await self._reader.read(
            lambda connection: [to_query(row) for row in statements.EXPIRING.run(connection, values)]
        )

    async def holding_rows(self, query_ids: Sequence[str]) -> list[tuple[str, str]]:
        """(tenant, query_id), of all tenants, of those queries whose rows can be read or are being written.

        For whoever removes what is in the spool without a record.
        """
        select = statements.holding_rows(query_ids)
        return await self._reader.read(lambda connection: [tuple(row) for row in connection.execute(select)])

    async def execution_times(self, limit: int = 1000) -> list[PastRun]:
        """Of completed queries of all tenants, newest first."""
        return await self._reader.read(
            lambda connection: [PastRun(*row) for row in statements.EXECUTION_TIMES.run(connection, {"count": limit})]
        )

    async def delete_ended_before(self, end_us: int, limit: int) -> int:
        """Forget up to `limit` queries that ended before `end_us`, oldest first; how many they were.

        Keeps those with rows on disk, which have a record that says whose they are.
        """
        return await self._delete(statements.DELETE_ENDED, {"ended_before_us": end_us, "count": limit})

    async def delete_oldest_of(self, tenant: str, end_us: int, limit: int) -> int:
        """As delete_ended_before, of one tenant, those first that were submitted first."""
        values = {"tenant": tenant, "ended_before_us": end_us, "count": limit}
        return await self._delete(statements.DELETE_OLDEST_OF, values)

    async def _delete(self, prepared: Prepared, values: Mapping[str, Any]) -> int:
        gone = await self._writer.write(lambda connection: list(prepared.run(connection, values)))
        for tenant, record_bytes in gone:
            self.usage.add(tenant, -record_bytes)
        return len(gone)

    async def give_back_pages(self) -> bool:
        """Hand some unused pages of the file back to the disk; False when few are left, which are kept for what comes.

        They go in small steps, between which others write.
        """
        return await self._writer.write(self._database.give_back_pages)

    def file_bytes(self) -> int:
        """What the database takes on the disk beside the results. Raises OSError when that cannot be looked at."""
        return self._database.size_bytes()

    async def healthy(self) -> bool:
        """Whether a write became durable within 5 s. Logs why not, once."""
        try:
            async with asyncio.timeout(HEALTHY_SECONDS):
                await self._writer.write(lambda connection: statements.BEAT.run(connection, {}).rowcount)
        except (TimeoutError, QueryEngineError) as cause:
            if self._is_healthy:
                reason = str(cause) or f"a write took longer than {HEALTHY_SECONDS:g} seconds"
                logger.error("no query is accepted: %s", reason)  # noqa: TRY400 - The reason is the whole of it.
            self._is_healthy = False
            return False
        self._is_healthy = True
        return True

    async def list(
        self,
        tenant: str,
        wanted: QueryFilter = EVERYTHING,
        *,
        before: tuple[int, str] | None = None,
        ended_since_us: int = 0,
        now_us: int = 0,
        limit: int,
    ) -> list[Query]:
        """Newest first by (submit_us, query_id), those strictly before `before`, that are wanted. Of those that
        ended before `ended_since_us` only the ones that have rows which can be read at `now_us`.
        """
        select = statements.listing(
            tenant,
            wanted,
            before=before,
            ended_since_us=ended_since_us,
            now_us=now_us,
            limit=limit,
        )
        return await self._reader.read(
            lambda connection: [to_query(row, SQL_CHARACTERS_KEPT) for row in connection.execute(select)]
        )

    async def _compare_and_set(
        self, change: Change, query: Query, *, size: int = 0, may_linger: bool = False
    ) -> Dropped:
        fired, now, dropped = await self._writer.write(change, size=size, may_linger=may_linger)
        if fired and now is not None and now.record_bytes != query.record_bytes:
            self.usage.add(query.tenant, now.record_bytes - query.record_bytes)
        if dropped is None:
            return Dropped(fired, found(now))
        return Dropped(fired, found(now), was_last=True, payload_bytes=dropped[0] or 0)

    async def _require(self, query: Query) -> Query:
        return found(await self.get(query.tenant, query.query_id))
