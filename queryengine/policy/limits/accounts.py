"""Which limits hold for whom. A submission counts for its tenant, for its subject in that tenant, and for the label of
the API key that it came with; each may have limits of its own, and all of them hold.

What a tenant is not given comes from the tenant `*`, and then from the service; what a subject or a key is not given
comes from the subject or key `*`. A bound on one query, such as its timeout, is that of the nearest who has one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

EVERY: Final = "*"
"""Stands for whoever is not named."""
KNOWN_MAX: Final = 10_000
"""Callers whose limits are kept at hand."""


class Scope(StrEnum):
    """Whose limit it is."""

    TENANT = "tenant"
    SUBJECT = "subject"
    API_KEY = "API key"


AccountId: TypeAlias = tuple[Scope, str, str]
"""Scope, tenant, and the name of a subject or a key; of a tenant it is empty."""


class Bound(NamedTuple):
    """A limit, and the key of the settings that gives it."""

    value: Any
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What queries are counted for, with its limits by name."""

    id: AccountId
    bounds: Mapping[str, Bound]

    def __str__(self) -> str:
        scope, _, name = self.id
        return f"this {scope}" if scope is Scope.TENANT else f"the {scope} {name!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """All that a caller's queries count for, the tenant first."""

    ids: tuple[AccountId, ...]
    limited: tuple[Account, ...]
    """Those of them that have limits."""

    def bounds(self, name: str) -> list[tuple[Account, Bound]]:
        """All limits of a name."""
        return [(each, bound) for each in self.limited if (bound := each.bounds.get(name)) is not None]

    def nearest(self, name: str) -> Bound | None:
        """The limit of a name that holds for one query: of its key, else of its subject, else of its tenant."""
        for each in reversed(self.limited):
            if (bound := each.bounds.get(name)) is not None:
                return bound
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRules:
    """What is configured for one tenant: limits by name."""

    limits: Mapping[str, Any] = field(default_factory=dict)
    subjects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    api_keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class TenantLimits:
    """The limits of everybody."""

    def __init__(self, service: Mapping[str, Bound], tenants: Mapping[str, TenantRules] | None = None) -> None:
        """`service`: what each tenant has that is given nothing else."""
        self._known: dict[tuple[str, str, str], Accounts] = {}
        self.adopt(service, tenants or {})

    def adopt(self, service: Mapping[str, Bound], tenants: Mapping[str, TenantRules]) -> None:
        """Hold to other limits from now on."""
        self._service = service
        self._tenants = tenants
        self._known.clear()

    def of(self, tenant: str, subject: str = "", api_key: str = "") -> Accounts:
        caller = (tenant, subject, api_key)
        found = self._known.get(caller)
        if found is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._known[caller] = self._made(tenant, subject, api_key)
        return found

    def _made(self, tenant: str, subject: str, api_key: str) -> Accounts:
        accounts = [Account((Scope.TENANT, tenant, ""), self._of_tenant(tenant))]
        if subject:
            accounts.append(Account((Scope.SUBJECT, tenant, subject), self._within(tenant, "subjects", subject)))
        if api_key:
            accounts.append(Account((Scope.API_KEY, tenant, api_key), self._within(tenant, "api_keys", api_key)))
        return Accounts(tuple(each.id for each in accounts), tuple(each for each in accounts if each.bounds))

    def _of_tenant(self, tenant: str) -> Mapping[str, Bound]:
        bounds = dict(self._service)
        for name in (EVERY, tenant):
            if (rules := self._tenants.get(name)) is not None:
                bounds |= _bounds(rules.limits, f"tenants.{name}")
        return bounds

    def _within(self, tenant: str, kind: str, name: str) -> Mapping[str, Bound]:
        bounds: dict[str, Bound] = {}
        for owner in (EVERY, tenant):
            rules = self._tenants.get(owner)
            for member in (EVERY, name) if rules is not None else ():
                bounds |= _bounds(getattr(rules, kind).get(member, {}), f"tenants.{owner}.{kind}.{member}")
        return bounds


def _bounds(limits: Mapping[str, Any], prefix: str) -> dict[str, Bound]:
    return {name: Bound(value, f"{prefix}.{name}") for name, value in limits.items()}
