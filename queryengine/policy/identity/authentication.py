"""The configured authenticators as one: the first that recognises the credential of a call decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from queryengine.domain.clock import Clock
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.policy.identity.authenticator import Authenticator
from queryengine.policy.identity.expiry import expired
from queryengine.policy.identity.presented import AUTHORIZATION_KEY, SUBJECT_KEY, TENANT_KEY, Presented
from queryengine.policy.identity.unverified import Unverified


@dataclass(frozen=True, slots=True)
class Identified:
    """Who asks, and how to see later on whether the credential still holds."""

    principal: Principal
    still_valid: Callable[[], None]
    """Raises TOKEN_EXPIRED or CREDENTIAL_INVALID once it does not. Answers from memory."""


class Authentication:
    """Identifies callers."""

    def __init__(self, authenticators: Sequence[Authenticator], clock: Clock) -> None:
        """In the order in which they are asked; without any, every caller is who it says it is."""
        self._clock = clock
        self.adopt(authenticators)

    def adopt(self, authenticators: Sequence[Authenticator]) -> None:
        """Ask these from now on. Callers that were identified before keep what they have."""
        self._authenticators = tuple(authenticators) or (Unverified(stands_alone=True),)
        self._by_certificate = any(each.by_certificate for each in self._authenticators)

    async def identify(self, presented: Presented) -> Identified:
        """Raises CREDENTIAL_MISSING, CREDENTIAL_INVALID, TOKEN_EXPIRED, TENANT_MISMATCH, AUTHENTICATION_UNAVAILABLE,
        and INVALID_FIELD for a name that cannot be one.
        """
        if self._by_certificate and presented.certificates and presented.has(AUTHORIZATION_KEY):
            message = "the call has two credentials, a client certificate and an authorization; send one of them"
            raise error(Reason.CREDENTIAL_INVALID, message)
        for authenticator in self._authenticators:
            principal = await authenticator.authenticate(presented)
            if principal is None:
                continue
            if isinstance(authenticator, Unverified):
                return Identified(principal, _always_valid)
            return Identified(_agreed(principal, presented), self._validity(authenticator, principal))
        raise self._unrecognised(presented)

    def _validity(self, authenticator: Authenticator, principal: Principal) -> Callable[[], None]:
        def still_valid() -> None:
            if principal.expires_us is not None and self._clock.now_us() >= principal.expires_us:
                raise expired(authenticator.kind)
            authenticator.still_valid(principal)

        return still_valid

    def _unrecognised(self, presented: Presented) -> QueryEngineError:
        """For a call with a credential of no kind that is configured, or with none."""
        accepted = ",".join(dict.fromkeys(each.kind for each in self._authenticators))
        expected = "; or ".join(dict.fromkeys(each.expects for each in self._authenticators))
        if presented.has(AUTHORIZATION_KEY):
            message = f"no configured authenticator takes this credential; the service expects {expected}"
            return error(Reason.CREDENTIAL_INVALID, message, accepted=accepted)
        message = f"the call has no credential; the service expects {expected}"
        return error(Reason.CREDENTIAL_MISSING, message, accepted=accepted)


def _agreed(principal: Principal, presented: Presented) -> Principal:
    """The principal, in the tenant where it acts. Raises TENANT_MISMATCH for other names than the credential's."""
    subject, tenant = presented.name(SUBJECT_KEY), presented.name(TENANT_KEY)
    if subject and subject != principal.subject:
        raise _mismatch(SUBJECT_KEY, "user")
    if not tenant or tenant == principal.tenant:
        return principal
    if Role.ADMIN not in principal.roles:
        raise _mismatch(TENANT_KEY, "tenant")
    return replace(principal, tenant=tenant, home_tenant=principal.tenant)


def _mismatch(key: str, what: str) -> QueryEngineError:
    message = f"{key} names another {what} than the credential does; leave it out"
    return error(Reason.TENANT_MISMATCH, message, field=key)


def _always_valid() -> None:
    """What is not verified does not end."""
