"""Room in the spool: who uses how much, and when that is too much."""

from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.results.spool import Spool, tenant_hash

RETRY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds on stored results; the marks are parts of the room there is."""

    tenant_bytes_max: int
    spool_bytes_max: int | None
    """None: what the disk has left counts as room."""
    collect_mark: float
    refuse_mark: float
    fail_mark: float


class SpoolMeter:
    """Counts stored bytes per tenant. Counting is exact for pages this server wrote, and by folder size for older
    ones.
    """

    def __init__(self, spool: Spool, limits: SpoolLimits) -> None:
        self._spool = spool
        self._limits = limits
        self._by_folder: dict[str, int] = {}
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

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

    def fullness(self) -> float:
        """Part of the room that is used, 0 to 1. Raises STORE_UNAVAILABLE when the disk does not tell."""
        try:
            room = self._total + self._spool.free_bytes()
        except OSError as cause:
            message = f"the spool cannot be used now: {cause.strerror}"
            raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        if self._limits.spool_bytes_max is not None:
            room = min(room, self._limits.spool_bytes_max)
        return min(1.0, self._total / room) if room > 0 else 1.0

    def admit(self, tenant: str) -> None:
        """Raises SPOOL_FULL when no further query may begin."""
        used = self._by_folder.get(tenant_hash(tenant), 0)
        if used >= self._limits.tenant_bytes_max:
            message = (
                f"stored results of this tenant take {used} of {self._limits.tenant_bytes_max} bytes; "
                "release some with ReleaseResults"
            )
            raise error(Reason.SPOOL_FULL, message, retry_after_seconds=RETRY_SECONDS)
        if self.fullness() >= self._limits.refuse_mark:
            raise self.full_error()

    def must_collect(self) -> bool:
        """Whether removing what may go should not wait for its turn."""
        return self.fullness() >= self._limits.collect_mark

    def must_fail(self) -> bool:
        """Whether a running query has to make room."""
        return self.fullness() >= self._limits.fail_mark

    def full_error(self) -> QueryEngineError:
        message = "no room to store results; try again when older results have expired"
        return error(Reason.SPOOL_FULL, message, retry_after_seconds=RETRY_SECONDS)

    def _add(self, folder: str, size: int) -> None:
        self._total = max(0, self._total + size)
        left = self._by_folder.get(folder, 0) + size
        if left > 0:
            self._by_folder[folder] = left
        else:
            self._by_folder.pop(folder, None)
