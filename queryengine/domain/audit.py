"""What the audit log is about: decisions about calls, and ends of queries."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from queryengine.domain.analysis import Name
from queryengine.domain.identity import Principal

Record = Callable[..., Awaitable[None]]
"""To be awaited once a call is decided, and before it changes anything: has that recorded, with `key_id` for an API key
that the call makes. Raises AUDIT_UNAVAILABLE when the call is to be refused for its record. It may take seconds, so the
caller looks again at what may have changed meanwhile."""


async def unrecorded(key_id: str = "") -> None:
    """The Record of what nobody records."""


class Verdict(StrEnum):
    """What became of a call."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"
    """It had been allowed, which has a record of its own, and ended with a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What planning found out about a submission."""

    engine: str
    sql: str
    fingerprint: str
    """Of the statement without comments and white space; equal statements have equal ones."""
    tables: Iterable[Name] | None
    """Everything that is read by a name; None when that is not known."""
    row_policies: tuple[str, ...] = ()
    policy_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision about one call."""

    principal: Principal
    peer: str
    """As gRPC writes it, such as ipv4:192.0.2.1:50000."""
    rpc: str
    query_id: str = ""
    key_id: str = ""
    """Of the API key that the call makes or changes."""
    named_query: str = ""
    """That the call is about: its name or a reference to it; of a Submit the version that runs, as `name@version`."""
    planned: Planned | None = None
    verdict: Verdict
    reason: str = ""
    """By name, as in ErrorReason; empty for ALLOWED."""
