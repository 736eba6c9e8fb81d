"""How many streams each tenant, subject and API key has open, of all kinds together."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from queryengine.domain.errors import Reason
from queryengine.domain.identity import Principal
from queryengine.policy.limits.accounts import AccountId, Scope, TenantLimits
from queryengine.policy.limits.refusing import refused

RETRY_SECONDS: Final = 1.0


class OpenStreams:
    """Counts streams, and refuses those that are too many."""

    def __init__(self, limits: TenantLimits) -> None:
        self._limits = limits
        self._open: Counter[AccountId] = Counter()

    @property
    def total(self) -> int:
        return sum(count for (scope, *_), count in self._open.items() if scope is Scope.TENANT)

    @contextmanager
    def one(self, tenant: str, reader: Principal | None = None) -> Iterator[None]:
        """A stream of a tenant, and of who reads it, while the block lasts. Raises TENANT_STREAM_LIMIT."""
        accounts = (
            self._limits.of(tenant) if reader is None else self._limits.of(tenant, reader.subject, reader.api_key)
        )
        for account, bound in accounts.bounds("streams"):
            if self._open[account.id] >= bound.value:
                message = f"{bound.value} streams of {account} are open already, as many as {bound.key} allows"
                raise refused(Reason.TENANT_STREAM_LIMIT, message, account, bound, retry_after_seconds=RETRY_SECONDS)
        self._open.update(accounts.ids)
        try:
            yield
        finally:
            self._open.subtract(accounts.ids)
            for each in accounts.ids:
                if not self._open[each]:
                    del self._open[each]
