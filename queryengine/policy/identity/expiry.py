"""What a credential whose time is over is refused with, of whatever kind it is."""

from queryengine.domain.errors import QueryEngineError, Reason, error


def expired(kind: str) -> QueryEngineError:
    """For a credential that an authenticator of this kind accepted before."""
    message = "the credential has expired; send the call again with a fresh one"
    return error(Reason.TOKEN_EXPIRED, message, authenticator=kind)
