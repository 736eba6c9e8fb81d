"""What the records of each tenant count for, in memory: read once at the start and kept with every write."""

from collections import Counter
from collections.abc import Iterable


class Usage:
    """Bytes of records by tenant. Changed on the event loop, after the commit of what changed it."""

    def __init__(self, used: Iterable[tuple[str, int]]) -> None:
        self._by_tenant = Counter(dict(used))
        self._total = self._by_tenant.total()

    @property
    def total(self) -> int:
        return self._total

    def of(self, tenant: str) -> int:
        return self._by_tenant[tenant]

    def above(self, size: int) -> list[str]:
        """The tenants that use more than this."""
        return [tenant for tenant, used in self._by_tenant.items() if used > size]

    def add(self, tenant: str, size: int) -> None:
        """Count a change, which is negative when something is gone."""
        self._total += size
        self._by_tenant[tenant] += size
        if self._by_tenant[tenant] <= 0:
            del self._by_tenant[tenant]
