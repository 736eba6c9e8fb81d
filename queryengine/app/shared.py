"""What parts of every room are given: time, metrics, the queries in memory, and tasks that outlive a call."""

from dataclasses import dataclass

from queryengine.app.auditing import Audit, AuditedEnds
from queryengine.domain.clock import Clock
from queryengine.live.lifetimes import Lifetimes
from queryengine.live.registry import Registry
from queryengine.live.tasks import Tasks
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One of each in a server."""

    clock: Clock
    metrics: Metrics
    audit: Audit | None
    """None when it is off."""
    ends: AuditedEnds | Metrics
    """Takes note of queries that end."""
    tasks: Tasks
    lifetimes: Lifetimes
    registry: Registry
    limits: TenantLimits
