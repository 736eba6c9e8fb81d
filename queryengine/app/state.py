"""What is durable, opened: the record of queries, the results, and how much of both there may be."""

import uuid
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from queryengine.app.configured import record_limits, spool_limits, stored_results
from queryengine.executing.quota import RecordQuota, SpoolQuota
from queryengine.policy.limits.accounts import AccountId, Scope
from queryengine.results.meter import SpoolMeter
from queryengine.results.removal import Removal
from queryengine.results.stored import StoredResults
from queryengine.settings import Settings
from queryengine.store import Store, StoreUnusable

DISK_THREADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state of one server."""

    owner: str
    """Of the queries that this server runs; new at each start."""
    disk: Executor
    """The threads in which results are read and removed."""
    store: Store
    results: StoredResults
    meter: SpoolMeter
    removal: Removal
    records: RecordQuota
    quota: SpoolQuota


async def open_state(settings: Settings, closing: AsyncExitStack) -> State:
    """Raises StoreLocked and StoreUnusable."""
    directory = settings.state.directory
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        raise StoreUnusable(f"state.directory {directory} cannot be made: {cause.strerror}") from cause
    disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="disk")
    closing.callback(disk.shutdown)
    owner = str(uuid.uuid4())
    results = stored_results(settings)
    store = await Store.open(settings.state.record, owner=owner, results=results, folder=settings.state.directory)
    closing.push_async_callback(store.close)
    meter = SpoolMeter(results)
    records = RecordQuota(store.usage, record_limits(settings))
    quota = SpoolQuota(
        results.spool,
        meter,
        spool_limits(settings),
        records_bytes=lambda: store.file_bytes() + records.pending_bytes,
        stored_of=lambda account: _stored_of(store, account),
    )
    return State(
        owner=owner,
        disk=disk,
        store=store,
        results=results,
        meter=meter,
        removal=Removal(results, meter, disk),
        records=records,
        quota=quota,
    )


def _stored_of(store: Store, account: AccountId) -> int:
    scope, tenant, name = account
    stored = store.stored_bytes
    return stored.of_subject(tenant, name) if scope is Scope.SUBJECT else stored.of_key(tenant, name)
