"""The limits of tenants, subjects and API keys, from the settings."""

from collections.abc import Mapping

from queryengine.domain.clock import Clock
from queryengine.domain.consumption import DAY_HOURS, DAY_US, Consumption
from queryengine.policy.limits.accounts import Bound, TenantLimits, TenantRules
from queryengine.settings import Settings
from queryengine.store import Store


def tenant_limits(settings: Settings) -> TenantLimits:
    return TenantLimits(service_bounds(settings), tenant_rules(settings))


def service_bounds(settings: Settings) -> Mapping[str, Bound]:
    """What each tenant has that is given nothing else."""
    limits = settings.limits
    return {
        "running": Bound(limits.tenant_running, "limits.tenant_running"),
        "queued": Bound(limits.tenant_queued, "limits.tenant_queued"),
        "streams": Bound(limits.tenant_streams, "limits.tenant_streams"),
        "stored_bytes": Bound(settings.results.tenant_bytes_max, "results.tenant_bytes_max"),
    }


def tenant_rules(settings: Settings) -> Mapping[str, TenantRules]:
    return {
        name: TenantRules(
            limits=tenant.limits(),
            subjects={each: subject.limits() for each, subject in tenant.subjects.items()},
            api_keys={each: key.limits() for each, key in tenant.api_keys.items()},
        )
        for name, tenant in settings.tenants.items()
    }


async def used_today(settings: Settings, store: Store, clock: Clock) -> list[Consumption]:
    """What queries that ended on this day have used; nothing where no limit asks for it."""
    if not settings.tenants:
        return []
    return await store.ledger.since(clock.now_us() // DAY_US * DAY_HOURS)
