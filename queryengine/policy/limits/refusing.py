"""How a limit is named when it refuses something."""

from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.policy.limits.accounts import Account, Bound


def refused(
    reason: Reason, message: str, account: Account, bound: Bound, *, retry_after_seconds: float
) -> QueryEngineError:
    """The message is to name the limit by its key, as it is the description of a quota, too."""
    scope, _, name = account.id
    metadata = {"limit": f"{bound.value:.15g}", "limit_key": bound.key}
    if name:
        metadata |= {"scope": scope.name.lower(), "name": name}
    return QueryEngineError(Failure(reason, message, metadata, retry_after_seconds=retry_after_seconds))
