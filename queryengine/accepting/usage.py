"""What queries that ended have used, day by day: a user's own, the tenant's for its admins, all of it for an admin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from queryengine.domain.clock import Clock
from queryengine.domain.consumption import DAY_HOURS, DAY_US, Consumption
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.policy.rights import Right, require, viewer
from queryengine.store.ledger import Ledger

DAYS: Final = 30
"""Shown when nothing is said of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which usage is wanted. Days count from 1970 UTC."""

    from_day: int | None = None
    to_day: int | None = None
    """The last one."""
    subject: str = ""
    all_tenants: bool = False


class UsageReport:
    """Reads the record; nothing is counted here."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def of(self, principal: Principal, wanted: UsageFilter, *, skip: int, limit: int) -> Sequence[Consumption]:
        """One for each day, tenant, subject and engine, in this order, the oldest day first. Scanned bytes are those
        that the principal may know of. Raises ROLE_MISSING.
        """
        require(principal, Right.READ)
        is_admin = Role.ADMIN in principal.roles
        if wanted.all_tenants and not is_admin:
            message = f"to see the usage of all tenants takes the role {Role.ADMIN.value!r}"
            raise error(Reason.ROLE_MISSING, message, role=Role.ADMIN.value)
        to_day = self._clock.now_us() // DAY_US if wanted.to_day is None else wanted.to_day
        from_day = to_day - DAYS + 1 if wanted.from_day is None else wanted.from_day
        subject: str | None = wanted.subject or None
        seen = viewer(principal)
        if seen is not None:
            if not seen.subject or wanted.subject not in ("", seen.subject):
                return []
            subject = seen.subject
        found = await self._ledger.days(
            tenant=None if wanted.all_tenants else principal.tenant,
            subject=subject,
            from_hour=from_day * DAY_HOURS,
            to_hour=(to_day + 1) * DAY_HOURS,
            skip=skip,
            limit=limit,
        )
        return found if is_admin else [_shown(each) for each in found]


def _shown(found: Consumption) -> Consumption:
    """Without bytes of rows that policies hide, as no status shows them."""
    return replace(found, bytes_scanned=found.bytes_scanned - found.bytes_scanned_hidden)
