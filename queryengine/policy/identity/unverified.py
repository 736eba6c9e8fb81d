"""Without authentication: the caller is whoever it says it is."""

from queryengine.domain.identity import Principal
from queryengine.policy.identity.presented import (
    AUTHORIZATION_KEY,
    DEFAULT_TENANT,
    SUBJECT_KEY,
    TENANT_KEY,
    Presented,
)


class Unverified:
    """The authenticator `none`. Recognises every call, unless it stands behind others and the call has a credential,
    which none of them recognised: a bad credential never counts for less than none.
    """

    kind = "none"
    expects = "no credential"
    by_certificate = False

    def __init__(self, *, stands_alone: bool) -> None:
        self._stands_alone = stands_alone

    async def authenticate(self, presented: Presented) -> Principal | None:
        """As x-tenant-id and x-user-id say; the tenant is `default` when they do not. Raises INVALID_FIELD."""
        if not self._stands_alone and presented.has(AUTHORIZATION_KEY):
            return None
        tenant = presented.name(TENANT_KEY) or DEFAULT_TENANT
        return Principal(tenant=tenant, subject=presented.name(SUBJECT_KEY))

    def still_valid(self, _: Principal) -> None:
        """Always."""
