"""Which limit of a tenant, a subject or an API key keeps a query waiting, and for how long limits have done so.

A limit on running queries is exact: counted and changed without an await between. One on what queries use counts those
that ended in the hour or day, and of those that run what they have used so far.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from queryengine.domain.clock import Clock, steady_us
from queryengine.domain.consumption import DAY_US, HOUR_US, Consumption
from queryengine.domain.query import Query
from queryengine.executing.held_time import HeldClock
from queryengine.executing.spent import Spent
from queryengine.live.query import Key
from queryengine.policy.limits.accounts import Account, AccountId, Accounts, Bound, Scope, TenantLimits

RUNNING: Final = "running"
_HOURLY: Final = ("engine_seconds_per_hour", "scanned_bytes_per_hour")
_DAILY: Final = ("engine_seconds_per_day", "scanned_bytes_per_day")
USAGE: Final = (*_HOURLY, *_DAILY)
"""Limits on what the queries of an hour or a day use."""


@dataclass(frozen=True, slots=True)
class Held:
    """The limit that keeps a query waiting."""

    account: Account
    bound: Bound
    until_us: int | None = None
    """When an hour or a day is over; None for a limit on what runs, which ends with a run."""

    def __str__(self) -> str:
        if self.until_us is None:
            return f"{self.account} has as many queries running as {self.bound.key} allows ({self.bound.value})"
        what = "engine seconds" if "engine_seconds" in self.bound.key else "scanned bytes"
        period = "hour" if self.bound.key.endswith("hour") else "day"
        until = datetime.fromtimestamp(self.until_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"{self.account} has used the {self.bound.value:.15g} {what} that {self.bound.key} allows in "
            f"{'an' if period == 'hour' else 'a'} {period}; its queries start again at {until}"
        )


@dataclass(slots=True)
class _Run:
    accounts: Accounts
    start_us: int
    """By the steady clock."""
    scanned_bytes: int = 0


class LimitWait:
    """How long limits have kept one query waiting, from its making until `end`."""

    def __init__(self, chain: tuple[AccountId, ...], clock: HeldClock | None, now_us: int, before_us: int) -> None:
        """`clock`: None for a query without limits. `before_us`: what its earlier waits add."""
        self.chain = chain
        self._clock = clock
        self._before_us = before_us if clock is None else before_us - clock.at(now_us)

    def us(self, now_us: int) -> int:
        return self._before_us if self._clock is None else self._before_us + self._clock.at(now_us)

    def end(self, now_us: int) -> None:
        """It waits no more."""
        self._before_us, self._clock = self.us(now_us), None


@dataclass(slots=True)
class _Watched:
    """An account while a query waits that counts for it."""

    account: Account
    clock: HeldClock
    waiting: int = 0


class Throttle:
    """Counts the runs of all engines, from the moment that a slot is given to them, and the queries that wait."""

    def __init__(self, limits: TenantLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._runs: dict[Key, _Run] = {}
        self._running: Counter[AccountId] = Counter()
        self._queued: Counter[AccountId] = Counter()
        self._spent = Spent()
        self._watched: dict[tuple[AccountId, ...], _Watched] = {}
        """By the ids of the account and those above it."""
        self._chains: dict[AccountId, set[tuple[AccountId, ...]]] = {}
        """The keys of `_watched` that end with an account."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not (self._runs or self._running or self._queued or self._watched or self._chains)

    @property
    def running(self) -> int:
        """Queries of all tenants that run."""
        return len(self._runs)

    @property
    def waiting(self) -> int:
        """Queries of all tenants that wait, or are about to."""
        return sum(count for (scope, *_), count in self._queued.items() if scope is Scope.TENANT)

    def adopt(self, recorded: Iterable[Consumption] = ()) -> None:
        """The limits are other ones; every LimitWait is made anew. `recorded` is what the record has of this day."""
        for run in self._runs.values():
            tenant, subject, api_key = _caller(run.accounts)
            run.accounts = self._limits.of(tenant, subject, api_key)
        self._watched.clear()
        self._chains.clear()
        self._spent.load(recorded, self._clock.now_us())

    def accounts(self, query: Query) -> Accounts:
        return self._limits.of(query.tenant, query.subject, query.submission.api_key)

    def weight(self, tenant: str) -> int:
        """Its share of the turns."""
        bound = self._limits.of(tenant).nearest("weight")
        return 1 if bound is None else int(bound.value)

    def kind(self, query: Query) -> tuple[AccountId, ...]:
        """Of queries of one tenant, those with the same are kept waiting by the same limits here."""
        accounts = self.accounts(query)
        return tuple(each.id for each in accounts.limited if each.id[2] and _may_hold(each))

    def begin(self, query: Query) -> None:
        accounts, now_us = self.accounts(query), self._now_us()
        self._runs[query.tenant, query.query_id] = _Run(accounts, now_us)
        for each in accounts.ids:
            self._running[each] += 1
            self._look(each, now_us)

    def end(self, query: Query) -> None:
        run = self._runs.pop((query.tenant, query.query_id))
        now_us = self._now_us()
        spend = [each.id for each in run.accounts.limited if any(name in each.bounds for name in USAGE)]
        self._spent.add(spend, now_us - run.start_us, run.scanned_bytes, self._clock.now_us())
        for each in run.accounts.ids:
            _count_out(self._running, each)
            self._look(each, now_us)

    def scanned(self, key: Key, scanned_bytes: int) -> None:
        """So much a run has read by now."""
        if (run := self._runs.get(key)) is not None:
            run.scanned_bytes = scanned_bytes

    def held_by(self, accounts: Accounts) -> Held | None:
        """The limit that keeps queries of a caller waiting, of several the one that does so for longest."""
        found: Held | None = None
        for account in accounts.limited:
            held = self._held_by(account)
            if held is not None and (found is None or (held.until_us or 0) > (found.until_us or 0)):
                found = held
        return found

    def look(self) -> None:
        """To be called now and then while queries wait: time alone may use up a limit, or bring another hour."""
        now_us = self._now_us()
        for watched in self._watched.values():
            watched.clock.hold(holds=self._held_by(watched.account) is not None, now_us=now_us)

    def queued(self, accounts: Accounts) -> tuple[Account, Bound] | None:
        """The limit on waiting queries that allows no other one; None when there is room."""
        for account, bound in accounts.bounds("queued"):
            if self._queued[account.id] >= bound.value:
                return account, bound
        return None

    def count_queued(self, accounts: Accounts) -> None:
        """One more waits, or is about to."""
        self._queued.update(accounts.ids)

    def count_out_queued(self, accounts: Accounts) -> None:
        for each in accounts.ids:
            _count_out(self._queued, each)

    def wait(self, accounts: Accounts, before_us: int) -> LimitWait:
        """A query begins to wait; `end_wait` follows, unless `adopt` does."""
        now_us = self._now_us()
        clock: HeldClock | None = None
        chain: tuple[AccountId, ...] = ()
        for account in filter(_may_hold, accounts.limited):
            chain = (*chain, account.id)
            watched = self._watched.get(chain)
            if watched is None:
                watched = self._watched[chain] = _Watched(account, HeldClock(clock))
                watched.clock.hold(holds=self._held_by(account) is not None, now_us=now_us)
                self._chains.setdefault(account.id, set()).add(chain)
            watched.waiting += 1
            clock = watched.clock
        return LimitWait(chain, clock, now_us, before_us)

    def end_wait(self, wait: LimitWait) -> None:
        wait.end(self._now_us())
        for length in range(1, len(wait.chain) + 1):
            chain = wait.chain[:length]
            watched = self._watched[chain]
            watched.waiting -= 1
            if not watched.waiting:
                del self._watched[chain]
                chains = self._chains[chain[-1]]
                chains.discard(chain)
                if not chains:
                    del self._chains[chain[-1]]

    def waited_us(self, wait: LimitWait) -> int:
        return wait.us(self._now_us())

    def _look(self, account: AccountId, now_us: int) -> None:
        """What an account has running has changed."""
        for chain in self._chains.get(account, ()):
            watched = self._watched[chain]
            watched.clock.hold(holds=self._held_by(watched.account) is not None, now_us=now_us)

    def _held_by(self, account: Account) -> Held | None:
        bounds = account.bounds
        found: Held | None = None
        if (bound := bounds.get(RUNNING)) is not None and self._running[account.id] >= bound.value:
            found = Held(account, bound)
        now_us = 0
        for names, period_us in ((_HOURLY, HOUR_US), (_DAILY, DAY_US)):
            for name in names:
                if (bound := bounds.get(name)) is None:
                    continue
                now_us = now_us or self._clock.now_us()
                if self._used(account.id, name, now_us) >= bound.value:
                    found = Held(account, bound, (now_us // period_us + 1) * period_us)
        return found

    def _used(self, account: AccountId, name: str, now_us: int) -> float:
        used = self._spent.in_hour(account, now_us) if name in _HOURLY else self._spent.in_day(account, now_us)
        runs = [run for run in self._runs.values() if account in run.accounts.ids]
        if name.startswith("scanned"):
            return used.scanned_bytes + sum(run.scanned_bytes for run in runs)
        steady_us = self._now_us()
        return (used.engine_us + sum(steady_us - run.start_us for run in runs)) / 1e6

    def _now_us(self) -> int:
        return steady_us(self._clock)


def _may_hold(account: Account) -> bool:
    return RUNNING in account.bounds or any(name in account.bounds for name in USAGE)


def _caller(accounts: Accounts) -> tuple[str, str, str]:
    names = {scope.name: name for scope, _, name in accounts.ids}
    return accounts.ids[0][1], names.get("SUBJECT", ""), names.get("API_KEY", "")


def _count_out(counter: Counter[AccountId], each: AccountId) -> None:
    counter[each] -= 1
    if not counter[each]:
        del counter[each]
