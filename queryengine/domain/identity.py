"""Who asks: the principal of a call, as an authenticator has verified it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Role(StrEnum):
    """What a principal may do in its tenant; ADMIN in every tenant."""

    SUBMIT = "submit"
    READ = "read"
    CANCEL = "cancel"
    WRITE = "write"
    TENANT_ADMIN = "tenant_admin"
    ADMIN = "admin"
    NAMED_ONLY = "named_only"


UNVERIFIED_ROLES: Final = frozenset({Role.SUBMIT, Role.READ, Role.CANCEL, Role.TENANT_ADMIN})
"""Of whoever may call without credentials: everything in the tenant that the call names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks. Nothing in it comes from a caller whose credential was not verified, unless the service runs without
    authentication.
    """

    tenant: str
    """Who pays, and whose data it is."""
    home_tenant: str = ""
    """The tenant of an ADMIN's credential while it acts in another one; else empty."""
    subject: str = ""
    """The user or service that asks; empty when it is not known."""
    roles: frozenset[Role] = UNVERIFIED_ROLES
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What else the credential says, by name; JSON values."""
    authenticator: str = "none"
    """What verified it: none, jwt, api_key or mtls."""
    credential_id: str = ""
    """Names the credential in audit records, such as the id of an API key; never the secret."""
    api_key: str = ""
    """The label of the API key that it is; empty for other credentials, and for a key without a label."""
    expires_us: int | None = None
    """When the credential is no longer accepted, in microseconds since 1970; None for never."""


NOBODY: Final = Principal(tenant="", roles=frozenset())
"""Before a caller is identified."""
