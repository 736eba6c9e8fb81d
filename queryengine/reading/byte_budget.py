"""Bytes in flight: one budget for decoded pages that wait for their readers, with a share for each tenant.

A reader that does not fit waits, in turn by tenant. A tenant with nothing in flight is admitted whatever others hold,
so that stalled readers never block another tenant; the budget may be exceeded by one page for each such tenant.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error

RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteBudgetLimits:
    """The budget."""

    bytes_max: int
    tenant_bytes_max: int
    tenant_waiting: int
    """Readers of one tenant that wait; more are refused."""
    wait_seconds: float


@dataclass(eq=False, slots=True)
class _Waiting:
    size: int
    granted: asyncio.Future[None]


class ByteBudget:
    """Counts bytes in flight. Every `take` that returned is followed by one `give` of the same size."""

    def __init__(self, limits: ByteBudgetLimits) -> None:
        self._limits = limits
        self._held: Counter[str] = Counter()
        self._total = 0
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    @property
    def total(self) -> int:
        return self._total

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def held(self, tenant: str, size: int) -> AsyncIterator[Callable[[int], None]]:
        """Count bytes while the block lasts. Call what it yields if the size turns out another. Raises TENANT_BUSY."""
        await self.take(tenant, size)
        held = size

        def resize(actual: int) -> None:
            nonlocal held
            self._add(tenant, actual - held)
            self._let_in()
            held = actual

        try:
            yield resize
        finally:
            self.give(tenant, held)

    async def take(self, tenant: str, size: int) -> None:
        """Wait for room. Raises TENANT_BUSY when too many of the tenant wait, or this one for too long."""
        if tenant not in self._waiting and self._fits(tenant, size):
            self._add(tenant, size)
            return
        line = self._waiting.setdefault(tenant, deque())
        if len(line) >= self._limits.tenant_waiting:
            raise _busy(self._limits.tenant_waiting)
        call = _Waiting(size, asyncio.get_running_loop().create_future())
        line.append(call)
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await call.granted
        except BaseException as cause:
            if call in line:
                line.remove(call)
                if not line:
                    del self._waiting[tenant]
                self._let_in()
            elif call.granted.done() and not call.granted.cancelled():
                self.give(tenant, size)
            if isinstance(cause, TimeoutError):
                raise _busy(self._limits.tenant_bytes_max) from cause
            raise

    def add(self, tenant: str, size: int) -> Callable[[], None]:
        """Count bytes that are there already, whatever the budget says. Call what it returns once they are gone."""
        self._add(tenant, size)
        return lambda: self.give(tenant, size)

    def give(self, tenant: str, size: int) -> None:
        """The bytes are no longer in flight."""
        self._add(tenant, -size)
        self._let_in()

    def _let_in(self) -> None:
        for tenant in list(self._waiting):
            line = self._waiting[tenant]
            before = len(line)
            while line and self._fits(tenant, line[0].size):
                call = line.popleft()
                if not call.granted.done():
                    self._add(tenant, call.size)
                    call.granted.set_result(None)
            if not line:
                del self._waiting[tenant]
            elif len(line) < before:
                # The next room is for those behind it.
                self._waiting.move_to_end(tenant)

    def _fits(self, tenant: str, size: int) -> bool:
        held = self._held.get(tenant, 0)
        within = held + size <= self._limits.tenant_bytes_max and self._total + size <= self._limits.bytes_max
        return within or not held

    def _add(self, tenant: str, size: int) -> None:
        self._total += size
        self._held[tenant] += size
        if not self._held[tenant]:
            del self._held[tenant]


def _busy(limit: int) -> QueryEngineError:
    message = "pages that are being sent to this tenant's readers take as much memory as they may; read them first"
    return error(Reason.TENANT_BUSY, message, retry_after_seconds=RETRY_SECONDS, limit=limit)
