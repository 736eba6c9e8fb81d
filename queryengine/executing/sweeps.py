"""What a sweep does: results that have expired, those that no record names, records, API keys and usage that were kept
long enough.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from queryengine.domain.consumption import DAY_HOURS, DAY_US
from queryengine.domain.lifecycle import ResultState
from queryengine.domain.query import Query
from queryengine.executing.quota import RecordQuota
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.registry import Registry
from queryengine.results.removal import Removal
from queryengine.results.spool.keys import tenant_hash
from queryengine.results.stored import StoredResults
from queryengine.store.keys import KeyStore
from queryengine.store.ledger import Ledger
from queryengine.store.named import NamedQueryStore
from queryengine.store.store import Store

T = TypeVar("T")

BATCH: Final = 500
"""Records in one step of the store."""
STRAY_US: Final = 3600 * 1_000_000
"""Age at which a result that no record names is removed; younger ones may belong to a Submit under way."""
ENDED_KEY_KEPT_US: Final = 30 * 24 * 3600 * 1_000_000
"""How long an API key that has ended is listed."""
REMEMBERED_US: Final = 3600 * 1_000_000
"""For so long the id of an ended query is not forgotten, however little room there is: its Submit may be repeated."""


class Expiry:
    """Frees results whose time is over."""

    def __init__(self, *, store: Store, registry: Registry, lifetimes: Lifetimes, removal: Removal) -> None:
        self._store = store
        self._registry = registry
        self._lifetimes = lifetimes
        self._removal = removal

    async def sweep(self) -> None:
        now_us = self._lifetimes.now_us()
        while expired := await self._store.expiring(now_us, BATCH):
            for query in expired:
                await self.expire(query)

    async def expire(self, query: Query) -> None:
        """Free the rows of one, unless they were extended since the store was asked."""
        live = self._registry.in_memory(query.tenant, query.query_id)
        if live is not None and self._lifetimes.holds_rows(live.query):
            return
        dropped = await self._store.drop_result(query, ResultState.EXPIRED)
        expired = dropped.query
        if live is not None:
            live.take(expired)
            live.index = None
        if dropped.was_last and expired.result_id is not None:
            await self._removal.remove(expired.tenant, expired.result_id, recorded_bytes=dropped.payload_bytes)


class Strays:
    """Removes results whose rows nobody can read and nobody writes."""

    def __init__(
        self, *, store: Store, results: StoredResults, removal: Removal, lifetimes: Lifetimes, disk: Executor
    ) -> None:
        self._store = store
        self._results = results
        self._removal = removal
        self._lifetimes = lifetimes
        self._disk = disk

    async def sweep(self) -> None:
        before_us = self._lifetimes.now_us() - STRAY_US
        found = await self._on_disk(lambda: list(self._results.list()))
        old = [each for each in found if each.changed_us < before_us]
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            holders = await self._store.holding_results([each.result_id for each in batch])
            held = {(tenant_hash(tenant), result_id) for tenant, result_id in holders}
            for each in batch:
                if (each.tenant_hash, each.result_id) not in held:
                    await self._removal.remove_stray(each)
        await self._on_disk(lambda: self._results.tidy(before_us))

    async def _on_disk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)


class Forgetting:
    """Deletes the records of ended queries: of all after their time, of tenants that keep too many a little earlier."""

    def __init__(self, *, store: Store, records: RecordQuota, lifetimes: Lifetimes) -> None:
        self._store = store
        self._records = records
        self._lifetimes = lifetimes

    async def sweep(self) -> None:
        while await self._store.delete_ended_before(self._lifetimes.forgotten_before_us(), BATCH) == BATCH:
            continue
        await self._forget_early(self._lifetimes.now_us() - REMEMBERED_US)
        while await self._store.give_back_pages():
            continue

    async def _forget_early(self, ended_before_us: int) -> None:
        """Forget the oldest ended queries of those who keep too many records."""
        for tenant in self._records.tenants_to_shorten():
            while self._records.must_shorten(tenant):
                if not await self._store.delete_oldest_of(tenant, ended_before_us, BATCH):
                    break
        while self._records.must_shorten() and await self._store.delete_ended_before(ended_before_us, BATCH):
            continue


class ForgettingKeys:
    """Deletes API keys that ended long ago."""

    def __init__(self, *, keys: KeyStore, lifetimes: Lifetimes) -> None:
        self._keys = keys
        self._lifetimes = lifetimes

    async def sweep(self) -> None:
        before_us = self._lifetimes.now_us() - ENDED_KEY_KEPT_US
        while await self._keys.delete_ended_before(before_us, BATCH) == BATCH:
            continue


class TidyingUsage:
    """Adds up the usage of past days, once a day, and deletes what was kept long enough."""

    def __init__(self, *, ledger: Ledger, lifetimes: Lifetimes) -> None:
        self._ledger = ledger
        self._lifetimes = lifetimes
        self._tidied_day = -1

    async def sweep(self) -> None:
        today = self._lifetimes.now_us() // DAY_US
        if today == self._tidied_day:
            return
        # The limits of this hour and day count from hours that are as they were.
        await self._ledger.tidy(
            fold_before_hour=(today - 1) * DAY_HOURS,
            forget_before_hour=self._lifetimes.usage_forgotten_before_us() // DAY_US * DAY_HOURS,
        )
        self._tidied_day = today


class ForgettingNamedQueries:
    """Deletes versions of deleted named queries once no query refers to them."""

    def __init__(self, named: NamedQueryStore) -> None:
        self._named = named

    async def sweep(self) -> None:
        while await self._named.forget_unused():
            continue
