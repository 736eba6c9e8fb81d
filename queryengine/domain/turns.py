"""Fair turns: so many at work at a time, and those that wait are let in tenant by tenant.

All of it is plain state on one event loop, so a bound is exact. A place that comes free is given to the next waiting
call before anybody else can ask for it.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import Reason, error

RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """How many may be at work, and what may wait for it."""

    places: int
    tenant_places: int
    """Of one tenant; fewer than all of them where others must always find one that is theirs to wait for."""
    tenant_waiting: int
    """Calls of one tenant that wait; more are refused."""
    tenant_waiting_bytes: int
    """What these calls may hold in memory meanwhile; a single call is let wait whatever it holds."""


@dataclass(eq=False, slots=True)
class _Waiting:
    entered: asyncio.Future[None]
    size_bytes: int


class _Line:
    """Waiting calls: first come, first served within a tenant; tenant after tenant among them."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[_Waiting]] = {}
        self._order: deque[str] = deque()

    def __bool__(self) -> bool:
        return bool(self._order)

    def push(self, tenant: str, call: _Waiting) -> None:
        if tenant not in self._calls:
            self._calls[tenant] = deque()
            self._order.append(tenant)
        self._calls[tenant].append(call)

    def pop(self, full: Counter[str], tenant_places: int) -> tuple[str, _Waiting] | None:
        """The next call of the next tenant that has a place left; that tenant then goes to the back."""
        tenant = next((each for each in self._order if full[each] < tenant_places), None)
        if tenant is None:
            return None
        calls = self._calls[tenant]
        call = calls.popleft()
        self._order.remove(tenant)
        if calls:
            self._order.append(tenant)
        else:
            del self._calls[tenant]
        return tenant, call

    def take_all(self, tenant: str) -> deque[_Waiting]:
        """The calls of a tenant, which are in the line no more."""
        if tenant not in self._calls:
            return deque()
        self._order.remove(tenant)
        return self._calls.pop(tenant)

    def remove(self, tenant: str, call: _Waiting) -> bool:
        """Whether the call was still in the line."""
        calls = self._calls.get(tenant)
        if calls is None or call not in calls:
            return False
        calls.remove(call)
        if not calls:
            del self._calls[tenant]
            self._order.remove(tenant)
        return True


class Turns:
    """Places to work at. Every `enter` that returned, and every `enter_now` that was granted, is followed by one
    `leave`.
    """

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._at_work: Counter[str] = Counter()
        self._free = limits.places
        self._lines = (_Line(), _Line())
        self._waiting: Counter[str] = Counter()
        self._waiting_bytes: Counter[str] = Counter()

    @property
    def at_work(self) -> int:
        return self._limits.places - self._free

    @property
    def waiting(self) -> int:
        return self._waiting.total()

    def enter_now(self, tenant: str) -> bool:
        """Take a place if one is free that nobody waits for."""
        if not self._free or self._at_work[tenant] >= self._limits.tenant_places or self._waiting[tenant]:
            return False
        # Who waits beside a free place waits for a place of its own tenant.
        self._take(tenant)
        return True

    async def enter(self, tenant: str, size_bytes: int = 0, *, last: bool = False) -> None:
        """Take a place, in turn. `last` lets all others go first. Raises TENANT_BUSY when as much of the tenant waits
        as may. A caller that is cancelled while it waits has no place.
        """
        if not last and self.enter_now(tenant):
            return
        self._admit(tenant, size_bytes)
        call = _Waiting(asyncio.get_running_loop().create_future(), size_bytes)
        self._lines[last].push(tenant, call)
        self._waiting[tenant] += 1
        self._waiting_bytes[tenant] += size_bytes
        self._let_in()
        try:
            await call.entered
        except BaseException:
            if not call.entered.cancelled():
                self.leave(tenant)
            elif any(line.remove(tenant, call) for line in self._lines):
                self._gone(tenant, call)
            raise

    def defer(self, tenant: str) -> None:
        """Let all others go before the calls of this tenant that wait."""
        first, last = self._lines
        for call in first.take_all(tenant):
            last.push(tenant, call)

    def leave(self, tenant: str) -> None:
        """Give a place back."""
        self._free += 1
        _subtract(self._at_work, tenant, 1)
        self._let_in()

    def _let_in(self) -> None:
        while self._free:
            found = None
            for line in self._lines:
                found = line and line.pop(self._at_work, self._limits.tenant_places)
                if found:
                    break
            if not found:
                return
            tenant, call = found
            self._gone(tenant, call)
            if not call.entered.done():
                self._take(tenant)
                call.entered.set_result(None)

    def _take(self, tenant: str) -> None:
        self._free -= 1
        self._at_work[tenant] += 1

    def _gone(self, tenant: str, call: _Waiting) -> None:
        _subtract(self._waiting, tenant, 1)
        _subtract(self._waiting_bytes, tenant, call.size_bytes)

    def _admit(self, tenant: str, size_bytes: int) -> None:
        limits = self._limits
        count, held = self._waiting[tenant], self._waiting_bytes[tenant]
        if count < limits.tenant_waiting and (not count or held + size_bytes <= limits.tenant_waiting_bytes):
            return
        many = count >= limits.tenant_waiting
        limit = limits.tenant_waiting if many else limits.tenant_waiting_bytes
        message = f"calls of this tenant wait for their turn already, {limit} {'of them' if many else 'bytes'} at most"
        raise error(
            Reason.TENANT_BUSY,
            f"{message}; send fewer at a time",
            retry_after_seconds=RETRY_SECONDS,
            limit=limit,
        )


def _subtract(counter: Counter[str], tenant: str, amount: int) -> None:
    """As `-=`, without a trace of tenants that are gone."""
    counter[tenant] -= amount
    if not counter[tenant]:
        del counter[tenant]
