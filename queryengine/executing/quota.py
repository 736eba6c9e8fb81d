"""Room for results and for records: who uses how much, and when that is too much."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.policy.limits.accounts import AccountId, Accounts, Scope
from queryengine.policy.limits.refusing import refused
from queryengine.results.meter import SpoolMeter
from queryengine.results.spool.base import Spool
from queryengine.store.usage import Usage

RETRY_SECONDS: Final = 30.0
EARLY_PART: Final = 0.8
"""Of a bound on records, from which on the oldest are forgotten early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds on stored results; the marks are parts of the room there is."""

    spool_bytes_max: int | None
    """None: what the disk has left counts as room."""
    collect_mark: float
    refuse_mark: float
    fail_mark: float


class SpoolQuota:
    """Decides whether there is room for further results, from what the meter counts and what the disk has left."""

    def __init__(
        self,
        spool: Spool,
        meter: SpoolMeter,
        limits: SpoolLimits,
        *,
        records_bytes: Callable[[], int],
        stored_of: Callable[[AccountId], int],
    ) -> None:
        """`records_bytes`: what the record of queries takes on the disk, which is the same by default. `stored_of`:
        what the whole results of a subject or a key take.
        """
        self._stored_of = stored_of
        self._spool = spool
        self._meter = meter
        self._records_bytes = records_bytes
        self._limits = limits

    def adopt(self, limits: SpoolLimits) -> None:
        """Hold to other limits from now on."""
        self._limits = limits

    def fullness(self) -> float:
        """Part of the room that is used, 0 to 1: of the disk by results and records, or of spool_bytes_max by results.
        Raises STORE_UNAVAILABLE when the disk does not say. A spool without a bound of its own has the limit alone.
        """
        results_bytes = self._meter.total
        try:
            used = results_bytes + self._records_bytes()
            free_bytes = self._spool.free_bytes()
        except OSError as cause:
            message = f"the spool cannot be used now: {cause.strerror}"
            raise error(Reason.STORE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS) from cause
        part = 0.0
        if free_bytes is not None:
            room = used + free_bytes
            part = used / room if room > 0 else 1.0
        if self._limits.spool_bytes_max is not None:
            part = max(part, results_bytes / self._limits.spool_bytes_max)
        return min(1.0, part)

    def admit(self, accounts: Accounts) -> None:
        """Raises SPOOL_FULL when no further query may begin."""
        for account, bound in accounts.bounds("stored_bytes"):
            scope, tenant, _ = account.id
            used = self._meter.of(tenant) if scope is Scope.TENANT else self._stored_of(account.id)
            if used >= bound.value:
                message = (
                    f"stored results of {account} take {used} of {bound.value} bytes, as many as {bound.key} allows; "
                    "release some with ReleaseResults"
                )
                raise refused(Reason.SPOOL_FULL, message, account, bound, retry_after_seconds=RETRY_SECONDS)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLimits:
    """Bounds on the records of queries: of one tenant, and of all."""

    tenant_bytes_max: int
    bytes_max: int


class RecordQuota:
    """Decides whether a record may be written, and whose old records are to make room."""

    def __init__(self, usage: Usage, limits: RecordLimits) -> None:
        self._usage = usage
        self._limits = limits
        self._pending: Counter[str] = Counter()

    def adopt(self, limits: RecordLimits) -> None:
        """Hold to other limits from now on."""
        self._limits = limits

    @property
    def pending_bytes(self) -> int:
        """Of records that are being written."""
        return self._pending.total()

    @contextmanager
    def reserved(self, tenant: str, size: int) -> Iterator[None]:
        """Around the writing of a record of this size. Raises RECORDS_FULL."""
        self._admit(tenant, size)
        self._pending[tenant] += size
        try:
            yield
        finally:
            self._pending[tenant] -= size
            if not self._pending[tenant]:
                del self._pending[tenant]

    def tenants_to_shorten(self) -> list[str]:
        """Tenants whose oldest records should go before they are full."""
        return self._usage.above(int(EARLY_PART * self._limits.tenant_bytes_max))

    def must_shorten(self, tenant: str | None = None) -> bool:
        """Whether a tenant, or all together, should have less."""
        if tenant is None:
            return self._usage.total > EARLY_PART * self._limits.bytes_max
        return self._usage.of(tenant) > EARLY_PART * self._limits.tenant_bytes_max

    def _admit(self, tenant: str, size: int) -> None:
        limits = self._limits
        used, everybody = self._usage.of(tenant), self._usage.total
        if used + self._pending[tenant] + size > limits.tenant_bytes_max:
            message = (
                f"the records of this tenant's queries take {used} of {limits.tenant_bytes_max} bytes; "
                "try again when some have ended, or send smaller parameters"
            )
            raise error(Reason.RECORDS_FULL, message, retry_after_seconds=RETRY_SECONDS, limit=limits.tenant_bytes_max)
        if everybody + self.pending_bytes + size > limits.bytes_max:
            message = "the records of all queries take as much room as they may; try again later"
            raise error(Reason.RECORDS_FULL, message, retry_after_seconds=RETRY_SECONDS, limit=limits.bytes_max)
