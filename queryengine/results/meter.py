"""Counts the bytes of stored results by tenant: exactly for pages that this server wrote, by folder size for older
ones.
"""

from queryengine.results.spool import Spool, tenant_hash


class SpoolMeter:
    """What lies in the spool. On the event loop, `measure` excepted."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._by_folder: dict[str, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    def of(self, tenant: str) -> int:
        return self._by_folder.get(tenant_hash(tenant), 0)

    def measure(self) -> None:
        """Count what lies on disk. Blocks; for the start."""
        for found in self._spool.walk():
            self._add(found.tenant_hash, found.bytes)

    def add(self, tenant: str, size: int) -> None:
        self._add(tenant_hash(tenant), size)

    def remove(self, tenant: str, size: int) -> None:
        self._add(tenant_hash(tenant), -size)

    def remove_folder(self, folder: str, size: int) -> None:
        self._add(folder, -size)

    def _add(self, folder: str, size: int) -> None:
        self._total = max(0, self._total + size)
        left = self._by_folder.get(folder, 0) + size
        if left > 0:
            self._by_folder[folder] = left
        else:
            self._by_folder.pop(folder, None)
