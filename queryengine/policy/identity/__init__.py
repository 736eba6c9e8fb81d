"""Who asks: credentials become principals, or the call is refused. Knows neither gRPC nor where settings come from."""

from queryengine.policy.identity.authentication import Authentication, Identified
from queryengine.policy.identity.authenticator import Authenticator
from queryengine.policy.identity.presented import Presented
from queryengine.policy.identity.unverified import Unverified

__all__ = ["Authentication", "Authenticator", "Identified", "Presented", "Unverified"]
