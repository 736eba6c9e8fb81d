"""API keys as credentials. A key that is refused is refused in the same words and the same time, whatever is wrong with
it: whether it is unknown, revoked, expired, or right but for the end.
"""

import hmac
import logging
from collections.abc import Sequence
from typing import Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.key_text import PREFIX, key_id_of, secret_hash
from queryengine.policy.identity.key_index import LOOK_SECONDS, Key, KeyIndex
from queryengine.policy.identity.peers import address_of, is_within
from queryengine.policy.identity.presented import DEFAULT_TENANT, Presented

SCHEME: Final = "apikey"
BEARER: Final = "bearer"
OPERATOR: Final = "operator"
"""The subject of whoever calls with a key of the configuration."""

logger = logging.getLogger(__name__)


class ApiKeys:
    """The authenticator `api_key`: keys of the record, and those of the configuration."""

    kind = "api_key"
    expects = f"an API key, as authorization: ApiKey {PREFIX}..."
    by_certificate = False

    def __init__(self, index: KeyIndex, admin_keys: Sequence[str] = ()) -> None:
        self._index = index
        self.adopt(admin_keys)

    def adopt(self, admin_keys: Sequence[str]) -> None:
        """From now on, these texts are keys with all roles, in every tenant. They need no record, which begins without
        any key.
        """
        self._admins = {secret_hash(text): _operator(text) for text in admin_keys}
        self._admin_ids = {principal.credential_id for principal in self._admins.values()}

    async def authenticate(self, presented: Presented) -> Principal | None:
        """Takes any credential of the scheme ApiKey, and of Bearer what begins as a key does. Never waits."""
        authorization = presented.authorization()
        if authorization is None:
            return None
        text = authorization.value
        if authorization.scheme != SCHEME and not (authorization.scheme == BEARER and text.startswith(PREFIX)):
            return None
        presented_hash = secret_hash(text)
        for admin_hash, principal in self._admins.items():
            if hmac.compare_digest(admin_hash, presented_hash):
                return principal
        self._check_followed()
        key = self._index.find(presented_hash)
        if key is None:
            raise _refused()
        self._check_network(key, presented.peer)
        self._index.note_use(key)
        return key.principal

    def still_valid(self, principal: Principal) -> None:
        """Raises AUTHENTICATION_UNAVAILABLE, too, when nobody knows."""
        if principal.credential_id in self._admin_ids:
            return
        self._check_followed()
        if not self._index.holds(principal.credential_id):
            raise _refused()

    def _check_followed(self) -> None:
        if not self._index.is_followed:
            message = "API keys cannot be verified now, as the record of them cannot be read; try again"
            reason = Reason.AUTHENTICATION_UNAVAILABLE
            raise error(reason, message, retry_after_seconds=LOOK_SECONDS, authenticator=ApiKeys.kind)

    def _check_network(self, key: Key, peer: str) -> None:
        if key.networks and not is_within(address_of(peer), key.networks):
            # Whoever has a stolen key learns nothing; whoever runs the service does.
            logger.warning("the API key %s was refused to %s, which is in none of its networks", _id(key), peer)
            raise _refused()


def _operator(text: str) -> Principal:
    return Principal(
        tenant=DEFAULT_TENANT,
        subject=OPERATOR,
        roles=frozenset(Role) - {Role.NAMED_ONLY},
        authenticator=ApiKeys.kind,
        credential_id=key_id_of(text) or "",
    )


def _id(key: Key) -> str:
    return key.principal.credential_id


def _refused() -> QueryEngineError:
    message = "the API key is not valid; it may be mistyped, revoked or expired, or not for use from this network"
    return error(Reason.CREDENTIAL_INVALID, message, authenticator=ApiKeys.kind)
