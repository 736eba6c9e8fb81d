"""Which part of an engine's slots one tenant may use, and who holds them. Decides, does nothing."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Final

from queryengine.domain.query import Query
from queryengine.domain.viewer import is_shared
from queryengine.executing.discretion import Discretion
from queryengine.executing.throttle import Held, Throttle
from queryengine.live.query import Key
from queryengine.policy.limits.accounts import AccountId

HELD_SECONDS: Final = 60.0
"""Once the oldest run has lasted this long, a query that waits shows who holds the slots."""
NAMED_MAX: Final = 3


class Length(IntEnum):
    """How long a query may run, by its execution timeout."""

    SHORT = 0
    USUAL = 1
    LONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLimits:
    """The bounds on one tenant, and on long runs of all."""

    tenant_slots_percent: int
    """Part of an engine's slots that one tenant may use; it has one at least."""
    shared_us: int
    """For so long after a tenant asked something of an engine, those who have a slot there leave it one."""
    short_run_ms: int
    """A query that may not run for longer may have that slot, too."""
    long_run_ms: int
    """A query that may run for longer is a long run."""

    def tenant_slots(self, slots: int) -> int:
        return max(1, slots * self.tenant_slots_percent // 100)

    def all_long_runs(self, slots: int) -> int:
        """One slot is left to queries that end soon, where there are two."""
        return max(1, slots - 1)

    def tenant_long_runs(self, slots: int) -> int:
        return max(1, slots // 2)

    def length(self, query: Query) -> Length:
        timeout_ms = query.plan.execution_timeout_ms
        if timeout_ms > self.long_run_ms:
            return Length.LONG
        return Length.SHORT if timeout_ms <= self.short_run_ms else Length.USUAL


class Rule(StrEnum):
    """What keeps a query waiting: the setting of that name, or no limit at all, just that slots are in use.
    TENANT_RUNNING and USAGE are limits of a tenant, a subject or a key, see Throttle.
    """

    SLOTS = ""
    TENANT_RUNNING = "limits.tenant_running"
    TENANT_SLOTS = "limits.tenant_slots_percent"
    LEFT_TO_OTHERS = "limits.shared_seconds"
    LONG_RUNS = "limits.long_run_seconds"
    USAGE = "usage"
    """A limit on what an hour or a day uses; no setting has this name."""


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """A run, from the moment that a slot was given to it."""

    key: Key
    start_us: int
    is_long: bool
    past: str
    """Names the runs from which it is guessed how long it takes."""
    timeout_ms: int
    """How long it may run."""
    subject: str
    is_shared: bool
    accounts: tuple[AccountId, ...]
    """What it counts for."""

    @property
    def tenant(self) -> str:
        return self.key[0]


class Shares:
    """The queries that hold slots, from the moment that a slot is given to them."""

    def __init__(
        self,
        engines: Iterable[str],
        limits: ShareLimits,
        now_us: Callable[[], int],
        throttle: Throttle,
        discretion: Discretion = Discretion(),  # noqa: B008 - It is a value.
    ) -> None:
        """`now_us` is the time of a steady clock, from any beginning."""
        self._discretion = discretion
        self._limits = limits
        self._now_us = now_us
        self.throttle = throttle
        self._runs: dict[str, dict[Key, HeldSlot]] = {engine: {} for engine in engines}
        self._asked: dict[str, OrderedDict[str, int]] = {engine: OrderedDict() for engine in self._runs}
        """When each tenant asked something of an engine last, the latest at the end; recent ones only."""

    def adopt(self, limits: ShareLimits) -> None:
        """Hold to other limits from now on. What runs goes on."""
        self._limits = limits

    def length(self, query: Query) -> Length:
        return self._limits.length(query)

    def asked(self, query: Query) -> None:
        """Take note that a tenant uses an engine."""
        asked, now_us = self._asked[query.plan.engine], self._now_us()
        asked[query.tenant] = now_us
        asked.move_to_end(query.tenant)
        while next(iter(asked.values())) < now_us - self._limits.shared_us:
            asked.popitem(last=False)

    def runs(self, engine: str) -> Collection[HeldSlot]:
        return self._runs[engine].values()

    def may_run(self, query: Query, slots: int) -> bool:
        """Whether a slot of its engine, which has so many, may be given to a query."""
        return self._limit(query, slots) is Rule.SLOTS

    def kept_waiting_by(self, query: Query, slots: int) -> tuple[Rule, list[HeldSlot]]:
        """The limit that a query waits for, and the runs of which one has to end for it to start, the oldest first."""
        rule = self._limit(query, slots)
        runs: Iterable[HeldSlot] = self._runs[query.plan.engine].values()
        if rule is Rule.TENANT_RUNNING:
            runs = (run for each in self._runs.values() for run in each.values())
            held = self.limit_of(query)
            runs = [run for run in runs if held is not None and held.account.id in run.accounts]
        if rule is Rule.TENANT_SLOTS:
            runs = (run for run in runs if run.tenant == query.tenant)
        if rule is Rule.USAGE:
            runs = ()
        if rule is Rule.LONG_RUNS:
            runs = (run for run in runs if run.is_long)
        return rule, sorted(runs, key=_start)

    def limit_of(self, query: Query) -> Held | None:
        """The limit of its tenant, subject or key that keeps a query waiting."""
        return self.throttle.held_by(self.throttle.accounts(query))

    def kind(self, query: Query) -> tuple[Hashable, ...]:
        """Of queries of one tenant and engine, those with the same have the same answer of `may_run`."""
        return (self._limits.length(query), *self.throttle.kind(query))

    def _limit(self, query: Query, slots: int) -> Rule:
        limits, tenant = self._limits, query.tenant
        if (held := self.limit_of(query)) is not None:
            return Rule.TENANT_RUNNING if held.until_us is None else Rule.USAGE
        runs, length = self._runs[query.plan.engine].values(), limits.length(query)
        mine = sum(run.key[0] == tenant for run in runs)
        if mine >= limits.tenant_slots(slots):
            return Rule.TENANT_SLOTS
        if length is not Length.SHORT and mine and self._leaves_one(query, slots):
            return Rule.LEFT_TO_OTHERS
        if length is not Length.LONG:
            return Rule.SLOTS
        mine = sum(run.is_long and run.key[0] == tenant for run in runs)
        if sum(run.is_long for run in runs) >= limits.all_long_runs(slots) or mine >= limits.tenant_long_runs(slots):
            return Rule.LONG_RUNS
        return Rule.SLOTS

    def _leaves_one(self, query: Query, slots: int) -> bool:
        """Whether the last free slot is left to a tenant who used the engine recently and has none."""
        engine = query.plan.engine
        if len(self._runs[engine]) != slots - 1:
            return False
        since = self._now_us() - self._limits.shared_us
        having = {run.tenant for run in self._runs[engine].values()}
        for tenant, at in reversed(self._asked[engine].items()):
            if at < since:
                return False
            if tenant not in having:
                return True
        return False

    def begin(self, query: Query, now_us: int) -> None:
        key = (query.tenant, query.query_id)
        self.throttle.begin(query)
        self._runs[query.plan.engine][key] = HeldSlot(
            key=key,
            start_us=now_us,
            is_long=self.length(query) is Length.LONG,
            past=self._discretion.past_of(query),
            timeout_ms=query.plan.execution_timeout_ms,
            subject=query.subject,
            is_shared=is_shared(query.submission.labels),
            accounts=self.throttle.accounts(query).ids,
        )

    def end(self, query: Query) -> None:
        self.throttle.end(query)
        self._runs[query.plan.engine].pop((query.tenant, query.query_id), None)

    def held_by(self, engine: str, now_us: int) -> list[str]:
        """Every run on the engine, the oldest first, as the log names it; empty while all of them are young."""
        runs = self._oldest_first(engine, now_us)
        return [f"{tenant}/{query_id} since {_at(run.start_us)}" for run in runs for tenant, query_id in [run.key]]

    def why_limited(self, query: Query, slots: int) -> str:
        """Which limit keeps a query waiting, beside a free slot or not; empty when none does but for the share of an
        engine's slots that it may use.
        """
        if (held := self.limit_of(query)) is not None:
            return str(held)
        if self._limit(query, slots) is not Rule.LEFT_TO_OTHERS:
            return ""
        seconds = self._limits.short_run_ms / 1000
        return (
            "the last free slot is left to other tenants, who used this engine recently and have none; "
            f"a query with an execution_timeout of at most {seconds:g} seconds may have it"
        )

    def may_name(self, query: Query, run: HeldSlot) -> bool:
        """Whether a query that waits may say which run this is, and when it began."""
        return self._discretion.may_name(query, tenant=run.tenant, subject=run.subject, shared=run.is_shared)

    def why_held(self, query: Query, now_us: int) -> str:
        """Who holds the slots of its engine, for a query that waits: those of its tenant by id where they may be named,
        others by number. Empty while all runs are young.
        """
        engine = query.plan.engine
        runs = self._oldest_first(engine, now_us)
        if not runs:
            return ""
        oldest = runs[0]
        since = (
            f"since {_at(oldest.start_us)}" if self.may_name(query, oldest) else f"for over {HELD_SECONDS:g} seconds"
        )
        text = f"{len(runs)} slots of engine {engine!r} are in use, the longest {since}"
        mine = [run for run in runs if run.tenant == query.tenant]
        if not mine:
            return text
        text += f"; {len(mine)} by queries of this tenant"
        named = [run.key[1] for run in mine if self.may_name(query, run)][:NAMED_MAX]
        if not named:
            return text
        more = f" and {len(mine) - len(named)} more" if len(mine) > len(named) else ""
        return f"{text}: {', '.join(named)}{more}"

    def _oldest_first(self, engine: str, now_us: int) -> list[HeldSlot]:
        runs = sorted(self._runs[engine].values(), key=_start)
        return runs if runs and now_us - runs[0].start_us >= HELD_SECONDS * 1e6 else []


def _start(run: HeldSlot) -> int:
    return run.start_us


def _at(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
