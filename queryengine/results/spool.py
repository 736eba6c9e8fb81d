"""The spool: `<root>/<tenant hash>/<query id>/<attempt>/`. Knows paths and sizes, makes and removes; reads no page."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from queryengine.results.index import PageIndex
from queryengine.results.segment import StoredResult, load, shrink, unread


@dataclass(frozen=True, slots=True)
class SpooledQuery:
    """One query's folder as found on disk."""

    tenant_hash: str
    query_id: str
    bytes: int
    changed_us: int


@lru_cache(1024)
def tenant_hash(tenant: str) -> str:
    """The folder name of a tenant: fixed length and free of whatever the tenant's name holds."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:24]


class Spool:
    """A folder of results. Methods block on the disk; call those that walk or remove off the event loop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def directory(self, tenant: str, query_id: str, attempt: int) -> Path:
        return self.root.joinpath(tenant_hash(tenant), query_id, str(attempt))

    def holds(self, tenant: str, query_id: str) -> bool:
        """Whether there is a folder of a query. Quick enough for the event loop."""
        try:
            os.stat(f"{self.root}/{tenant_hash(tenant)}/{query_id}")  # noqa: PTH116 - A Path takes as long as the call.
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def load(self, tenant: str, query_id: str, attempt: int) -> StoredResult:
        """What is stored for an attempt; empty when nothing is."""
        return load(self.directory(tenant, query_id, attempt))

    def index(self, tenant: str, query_id: str, attempt: int) -> PageIndex:
        """The index of a stored result, walked from its segments. Raises STORE_UNAVAILABLE when they cannot be read."""
        directory = self.directory(tenant, query_id, attempt)
        try:
            return PageIndex.of_stored(directory, attempt, load(directory))
        except OSError as cause:
            raise unread(cause) from cause

    def remove(self, tenant: str, query_id: str) -> int:
        """Remove every attempt of a query; returns the bytes freed. Open readers keep what they have open.
        Idempotent.
        """
        return self.remove_folder(tenant_hash(tenant), query_id)

    def remove_folder(self, tenant_folder: str, query_id: str) -> int:
        """As `remove`, for a folder found by `walk`."""
        folder = self.root / tenant_folder / query_id
        freed = _size(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return freed

    def remove_other_attempts(self, tenant: str, query_id: str, attempt: int) -> None:
        """Remove what earlier attempts of a query left."""
        folder = self.root / tenant_hash(tenant) / query_id
        if folder.exists():
            for each in folder.iterdir():
                if each.name != str(attempt):
                    shutil.rmtree(each, ignore_errors=True)

    def holds_any(self) -> bool:
        """Whether there is a folder of any query. Raises OSError."""
        return any(query for tenant in self.root.iterdir() if tenant.is_dir() for query in tenant.iterdir())

    def shrink_unfinished(self) -> None:
        """Cut every result without an END marker back to its first page. It will never be whole, and what is left says
        that rows of it were published.
        """
        for attempt in self.root.glob("*/*/*"):
            with suppress(OSError):
                shrink(attempt)

    def shrink(self, tenant: str, query_id: str, attempt: int) -> None:
        """As `shrink_unfinished`, for one attempt."""
        with suppress(OSError):
            shrink(self.directory(tenant, query_id, attempt))

    def remove_empty(self, before_us: int) -> None:
        """Remove the folders of tenants that have held nothing since a time."""
        for tenant in self.root.iterdir():
            # One that is not empty, or not a folder, stays.
            with suppress(OSError):
                if tenant.stat().st_mtime_ns // 1000 < before_us:
                    tenant.rmdir()

    def walk(self) -> Iterator[SpooledQuery]:
        """Every query's folder, in no order."""
        for tenant in self.root.iterdir():
            if tenant.is_dir():
                for query in tenant.iterdir():
                    try:
                        changed_us = query.stat().st_mtime_ns // 1000
                    except FileNotFoundError:
                        continue
                    yield SpooledQuery(tenant.name, query.name, _size(query), changed_us)

    def free_bytes(self) -> int:
        """Bytes the file system has left for this user."""
        stats = os.statvfs(self.root)
        return stats.f_bavail * stats.f_frsize


def _size(folder: Path) -> int:
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(directory) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total
