"""The authenticator `jwt`: JSON Web Tokens of one issuer.

What decides how a token is verified is the configuration: of its header only `alg` and `kid` are read, to choose among
the keys that are configured. A token names no key and no place of one by itself: jwk, jku, x5c and x5u are ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from jwt import PyJWTError
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode

from queryengine.domain.clock import Clock
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.domain.key_text import PREFIX as API_KEY_PREFIX
from queryengine.policy.identity.claims import KIND, ClaimRules, Verified, invalid, verified
from queryengine.policy.identity.expiry import expired
from queryengine.policy.identity.key_sources import KeySource
from queryengine.policy.identity.presented import TENANT_KEY, Presented
from queryengine.policy.identity.remembered import Remembered

SCHEME: Final = "bearer"
TOKEN_BYTES_MAX: Final = 12 << 10
KID_CHARACTERS_MAX: Final = 256
TRIED_MAX: Final = 8
"""Keys that one signature is compared with, where the token does not say which."""
TYPES: Final = frozenset({"", "jwt", "at+jwt"})
"""Of tokens that are for access, in lower case and without `application/`; others, as logout tokens, are not."""


class Tokens:
    """Verifies the tokens of one issuer."""

    kind = KIND
    by_certificate = False

    def __init__(self, rules: ClaimRules, keys: KeySource, *, algorithms: frozenset[str], clock: Clock) -> None:
        self._rules = rules
        self._keys = keys
        self._algorithms = algorithms
        self._clock = clock
        self._signatures = PyJWS(sorted(algorithms), {"enforce_minimum_key_length": True})
        self._remembered = Remembered()

    @property
    def expects(self) -> str:
        return f"a JWT of {self._rules.issuer} as `authorization: Bearer`"

    async def authenticate(self, presented: Presented) -> Principal | None:
        """None for a token of another issuer, too, which another authenticator may know."""
        authorization = presented.authorization()
        if authorization is None or authorization.scheme != SCHEME or authorization.value.startswith(API_KEY_PREFIX):
            return None
        token = authorization.value
        if len(token) > TOKEN_BYTES_MAX:
            raise invalid(f"it has {len(token)} bytes; at most {TOKEN_BYTES_MAX} are read")
        known = self._remembered.get(token, self._keys.generation)
        if known is None:
            header, claims = _read(token)
            if claims.get("iss", self._rules.issuer) != self._rules.issuer:
                return None
            generation = self._keys.generation
            await self._check_signature(token, header)
            known = verified(claims, self._rules, self._clock.now_us())
            self._remembered.add(token, known, generation)
        elif known.principal.expires_us is not None and known.principal.expires_us <= self._clock.now_us():
            self._remembered.forget(token)
            raise expired(KIND)
        return _in_tenant(known, presented)

    def still_valid(self, _: Principal) -> None:
        """A token is good until it expires."""

    async def _check_signature(self, token: str, header: Mapping[str, Any]) -> None:
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise invalid("its algorithm is not one of the configured ones")
        if not isinstance(kid, str) or len(kid) > KID_CHARACTERS_MAX:
            raise invalid("its kid is not a name")
        if str(header.get("typ", "")).lower().removeprefix("application/") not in TYPES:
            raise invalid("it is of another type than access tokens are")
        if "crit" in header or "b64" in header:
            raise invalid("its header asks for extensions that are not supported")
        keys = await self._keys.find(kid, algorithm)
        if not keys:
            raise invalid("no key is known for it: the issuer does not publish its kid, or it is not configured")
        if len(keys) > TRIED_MAX:
            raise invalid("it does not say which of many keys it is signed with; its header needs a kid")
        if not any(self._is_signed_by(token, key.key, algorithm) for key in keys):
            raise invalid("its signature is not that of a key which the service trusts")

    def _is_signed_by(self, token: str, key: Any, algorithm: str) -> bool:
        try:
            self._signatures.decode_complete(token, key, [algorithm])
        except PyJWTError:
            return False
        return True


def _read(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, of which nothing is verified. Raises CREDENTIAL_INVALID."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise invalid("it is not a JWT: three parts with dots between them")
    try:
        header, claims = (_json(base64url_decode(part)) for part in parts[:2])
    except (ValueError, RecursionError):
        raise invalid("it is not a JWT: its parts are not JSON in base64url") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise invalid("it is not a JWT: its parts are not JSON objects")
    return header, claims


def _json(text: bytes) -> Any:
    """Raises ValueError and RecursionError, also for numbers and characters that JSON and UTF-8 do not have."""
    value = json.loads(text, parse_constant=_no_number)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _in_tenant(known: Verified, presented: Presented) -> Principal:
    """The principal, in the tenant that the call names where the token has several. Raises INVALID_FIELD when it names
    none, and TENANT_MISMATCH for one that is not among them.
    """
    if len(known.tenants) == 1:
        return known.principal
    named = presented.name(TENANT_KEY)
    if not named:
        message = f"the token is for {len(known.tenants)} tenants; name one of them by {TENANT_KEY}"
        raise error(Reason.INVALID_FIELD, message, field=TENANT_KEY)
    if named in known.tenants:
        return replace(known.principal, tenant=named)
    if Role.ADMIN in known.principal.roles:
        # It acts in any tenant, and is then recorded as one of another.
        return known.principal
    message = f"{TENANT_KEY} names none of the {len(known.tenants)} tenants that the token is for; name one of them"
    raise error(Reason.TENANT_MISMATCH, message, field=TENANT_KEY)
