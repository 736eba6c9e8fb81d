"""How many streams each tenant has open, of all kinds together."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.domain.errors import Reason, error

RETRY_SECONDS: Final = 1.0


class OpenStreams:
    """Counts streams, and refuses those that are too many."""

    def __init__(self, tenant_max: int) -> None:
        self._tenant_max = tenant_max
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self._open.total()

    def adopt(self, tenant_max: int) -> None:
        """Hold further streams to another limit."""
        self._tenant_max = tenant_max

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """A stream of the tenant, while the block lasts. Raises TENANT_STREAM_LIMIT."""
        if self._open[tenant] >= self._tenant_max:
            raise error(
                Reason.TENANT_STREAM_LIMIT,
                f"{self._tenant_max} streams of this tenant are open already",
                retry_after_seconds=RETRY_SECONDS,
                limit=self._tenant_max,
            )
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]
