"""What an authenticator is."""

from typing import Protocol

from queryengine.domain.identity import Principal
from queryengine.policy.identity.presented import Presented


class Authenticator(Protocol):
    """Verifies credentials of one kind."""

    @property
    def kind(self) -> str:
        """As the configuration and `Principal.authenticator` name it, such as `jwt`."""
        ...

    @property
    def expects(self) -> str:
        """What a caller has to send, for messages to those who sent something else."""
        ...

    @property
    def by_certificate(self) -> bool:
        """Whether its credential is the certificate of the connection, not an authorization of the call."""
        ...

    async def authenticate(self, presented: Presented) -> Principal | None:
        """The principal of a credential that is good now; None when the call has no credential of this kind, which
        leaves it to the next authenticator.

        Raises CREDENTIAL_INVALID, TOKEN_EXPIRED and AUTHENTICATION_UNAVAILABLE for one of this kind that is not
        accepted. Messages hold nothing of the credential that is secret. Waits for I/O only when the answer is not in
        memory.
        """
        ...

    def still_valid(self, principal: Principal) -> None:
        """Raise CREDENTIAL_INVALID when the credential of a principal that this authenticator made is revoked. Called
        between the pages of streams: answers from memory. `expires_us` of the principal is looked at elsewhere.
        """
        ...
