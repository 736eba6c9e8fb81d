"""What accounts have used of their engines in the present hour and day of UTC: those that have a limit on it."""

from collections.abc import Iterable
from dataclasses import dataclass

from queryengine.domain.consumption import DAY_HOURS, DAY_US, HOUR_US, Consumption
from queryengine.policy.limits.accounts import AccountId, Scope


@dataclass(slots=True)
class Used:
    """An amount of each."""

    engine_us: int = 0
    scanned_bytes: int = 0


class Spent:
    """Counts in memory; `load` takes over what is in the record."""

    def __init__(self) -> None:
        self._periods = (-1, -1)
        self._hour: dict[AccountId, Used] = {}
        self._day: dict[AccountId, Used] = {}

    def add(self, ids: Iterable[AccountId], engine_us: int, scanned_bytes: int, now_us: int) -> None:
        self._turn(now_us)
        for each in ids:
            for period in (self._hour, self._day):
                used = period.setdefault(each, Used())
                used.engine_us += engine_us
                used.scanned_bytes += scanned_bytes

    def in_hour(self, account: AccountId, now_us: int) -> Used:
        self._turn(now_us)
        return self._hour.get(account, Used())

    def in_day(self, account: AccountId, now_us: int) -> Used:
        self._turn(now_us)
        return self._day.get(account, Used())

    def load(self, recorded: Iterable[Consumption], now_us: int) -> None:
        """Count at least what the record has of this day."""
        self._turn(now_us)
        hour = now_us // HOUR_US
        found: tuple[dict[AccountId, Used], dict[AccountId, Used]] = ({}, {})
        for each in recorded:
            if each.hour < hour // DAY_HOURS * DAY_HOURS:
                continue
            for period in found if each.hour == hour else found[1:]:
                for account in _accounts_of(each):
                    used = period.setdefault(account, Used())
                    used.engine_us += each.engine_us
                    used.scanned_bytes += each.bytes_scanned
        for period, known in zip(found, (self._hour, self._day), strict=True):
            for account, used in period.items():
                now = known.setdefault(account, Used())
                now.engine_us = max(now.engine_us, used.engine_us)
                now.scanned_bytes = max(now.scanned_bytes, used.scanned_bytes)

    def _turn(self, now_us: int) -> None:
        hour, day = now_us // HOUR_US, now_us // DAY_US
        if self._periods != (hour, day):
            self._hour = {}
            if self._periods[1] != day:
                self._day = {}
            self._periods = (hour, day)


def _accounts_of(each: Consumption) -> Iterable[AccountId]:
    yield (Scope.TENANT, each.tenant, "")
    if each.subject:
        yield (Scope.SUBJECT, each.tenant, each.subject)
    if each.api_key:
        yield (Scope.API_KEY, each.tenant, each.api_key)
