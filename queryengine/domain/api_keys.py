"""API keys, as they are stored: everything about a key but its secret."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from queryengine.domain.identity import Role

KEYS_MAX: Final = 1_000
"""Keys of one tenant that work at a time."""
ENDED_KEYS_MAX: Final = 1_000
"""Keys of one tenant that have ended and are remembered; those that ended first are forgotten early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key. Times are microseconds since 1970."""

    key_id: str
    """Names it in calls, lists and logs."""
    tenant: str
    subject: str
    """Of whoever calls with it."""
    roles: frozenset[Role]
    label: str = ""
    cidrs: tuple[str, ...] = ()
    """Networks that it works from; empty for all."""
    created_us: int
    created_by: str = ""
    """The subject that created it; empty when that is not known."""
    replaces: str = ""
    """Id of the key that this one was created to replace."""
    expire_us: int | None = None
    revoke_us: int | None = None
    last_use_us: int | None = None

    def but(self, **changes: Any) -> Self:
        return replace(self, **changes)
