"""What unit tests of the core share: a clock set by hand, and queries by a short name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from queryengine.domain.clock import Clock
from queryengine.domain.query import Query
from queryengine.executing.shares import ShareLimits
from queryengine.executing.throttle import Throttle
from queryengine.live.query import LiveQuery
from queryengine.policy.limits.accounts import Bound, TenantLimits, TenantRules
from tests import store_values

NOW_US = 1_800_000_000_000_000
SECOND = 1_000_000
HOUR_MS = 3_600_000


@dataclass
class HandClock:
    """A clock that moves when a test moves it."""

    now: int = NOW_US

    def now_us(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def query(name: str, *, engine: str = "main", queue_timeout_ms: int = 10_000, **changes: Any) -> Query:
    """A query of the tenant that its name begins with, submitted now; one with an `l` in it may run for a day, one with
    an `h` has a high priority.
    """
    made = store_values.query(1, tenant=name[0], query_id=name, submit_us=NOW_US)
    timeout_ms = 24 * HOUR_MS if "l" in name else 600_000
    plan = replace(made.plan, engine=engine, queue_timeout_ms=queue_timeout_ms, execution_timeout_ms=timeout_ms)
    submission = replace(made.submission, priority=5 if "h" in name else 0)
    return made.but(plan=plan, submission=submission, **changes)


def live(name: str, **changes: Any) -> LiveQuery:
    return LiveQuery(query(name, **changes))


def share_limits(**limits: int) -> ShareLimits:
    given = {"tenant_slots_percent": 100, "long_run_ms": HOUR_MS}
    return ShareLimits(**{**given, "shared_us": 0, "short_run_ms": 0, **limits})


def throttle(
    clock: Clock, *, running: int = 10, queued: int = 100, tenants: Mapping[str, TenantRules] | None = None
) -> Throttle:
    """Limits on what each tenant has running and waiting, and those of some tenants, subjects and keys."""
    service = {
        "running": Bound(running, "limits.tenant_running"),
        "queued": Bound(queued, "limits.tenant_queued"),
    }
    return Throttle(TenantLimits(service, tenants), clock)
