"""Counts the bytes of stored results by tenant: exactly for pages that this server wrote, by a listing for older
ones.
"""

from queryengine.results.spool.keys import tenant_hash
from queryengine.results.stored import StoredResults


class SpoolMeter:
    """What lies in the spool and, of small results, in the record. On the event loop, `measure` excepted."""

    def __init__(self, results: StoredResults) -> None:
        self._results = results
        self._by_tenant: dict[str, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    def of(self, tenant: str) -> int:
        return self._by_tenant.get(tenant_hash(tenant), 0)

    def measure(self) -> None:
        """Count what the spool holds. Blocks; for the start."""
        for found in self._results.list():
            self._add(found.tenant_hash, found.bytes)

    def add(self, tenant: str, size: int) -> None:
        self._add(tenant_hash(tenant), size)

    def remove(self, tenant: str, size: int) -> None:
        self._add(tenant_hash(tenant), -size)

    def remove_hashed(self, tenant: str, size: int) -> None:
        """As `remove`, by the hash of a tenant."""
        self._add(tenant, -size)

    def _add(self, tenant: str, size: int) -> None:
        self._total = max(0, self._total + size)
        left = self._by_tenant.get(tenant, 0) + size
        if left > 0:
            self._by_tenant[tenant] = left
        else:
            self._by_tenant.pop(tenant, None)
