"""From the claims of a token whose signature is good to a principal: what must be there, and what it means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal, Role
from queryengine.policy.identity.expiry import expired
from queryengine.policy.identity.presented import NAME_FORM, is_name

KIND: Final = "jwt"
TENANTS_MAX: Final = 100
"""In the tenant claim of one token."""
TIME_MAX_SECONDS: Final = 253_402_300_799
"""The end of the year 9999."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """What tokens have to say, and by which names. A name is that of a claim or, with dots, the way to one inside of
    others, as `realm_access.roles` is.
    """

    issuer: str
    audiences: frozenset[str]
    """A token must be for one of them."""
    tenant_claim: str
    subject_claim: str
    roles_claim: str
    roles: Mapping[str, Role]
    """Values of the roles claim and the role that each gives; others give none."""
    default_roles: frozenset[Role]
    """Of a token without the roles claim."""
    leeway_seconds: float
    require_uuids: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token gives, in any of its tenants."""

    principal: Principal
    """In the first of them."""
    tenants: Sequence[str]


def verified(claims: Mapping[str, Any], rules: ClaimRules, now_us: int) -> Verified:
    """Raises CREDENTIAL_INVALID, and TOKEN_EXPIRED for a token that was good."""
    if _text(claims, "iss") != rules.issuer:
        raise invalid("it is of another issuer")
    if not rules.audiences & _audiences(claims):
        raise invalid("it is for another audience: its claim aud does not have what the service is configured for")
    now, leeway = now_us / 1e6, rules.leeway_seconds
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if issued > now + leeway:
        raise invalid("its claim iat is in the future; do the clocks agree?")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise invalid("it is not valid yet, by its claim nbf")
    if expires + leeway <= now:
        raise expired(KIND)
    _text(claims, "sub")
    tenants = tuple(_name(each, rules.tenant_claim, rules) for each in _tenants(claims, rules.tenant_claim))
    principal = Principal(
        tenant=tenants[0],
        subject=_name(_text(claims, rules.subject_claim), rules.subject_claim, rules),
        roles=_roles(claims, rules),
        claims=MappingProxyType(dict(claims)),
        authenticator=KIND,
        credential_id=_credential_id(claims.get("jti")),
        expires_us=int((expires + leeway) * 1e6),
    )
    return Verified(principal, tenants)


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or the one that its parts lead to; None without it."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def invalid(why: str) -> QueryEngineError:
    return error(Reason.CREDENTIAL_INVALID, f"the token is not accepted: {why}", authenticator=KIND)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claim(claims, name)
    if value is None:
        raise invalid(f"it has no claim {name}")
    if not isinstance(value, str) or not value:
        raise invalid(f"its claim {name} is not text")
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if value is None:
        raise invalid(f"it has no claim {name}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"its claim {name} is not a number of seconds")
    if not 0 <= value <= TIME_MAX_SECONDS:
        raise invalid(f"its claim {name} is not a time from 1970 to 9999")
    return float(value)


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("aud")
    if value is None:
        raise invalid("it has no claim aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise invalid("its claim aud is neither text nor a list of texts")
    return frozenset(values)


def _tenants(claims: Mapping[str, Any], name: str) -> Sequence[str]:
    value = claim(claims, name)
    if not isinstance(value, list):
        return [_text(claims, name)]
    if not value or not all(isinstance(each, str) and each for each in value):
        raise invalid(f"its claim {name} is not a list of texts")
    if len(value) > TENANTS_MAX:
        raise invalid(f"its claim {name} has more than {TENANTS_MAX} values")
    return value


def _name(value: str, source: str, rules: ClaimRules) -> str:
    if not is_name(value):
        raise invalid(f"its claim {source} is not {NAME_FORM}")
    if rules.require_uuids and not _UUID.fullmatch(value):
        raise invalid(f"its claim {source} is not a UUID, as auth.authenticators asks by require_uuids")
    return value


def _roles(claims: Mapping[str, Any], rules: ClaimRules) -> frozenset[Role]:
    """Of a list, or of a text with spaces between them, as scopes are."""
    value = claim(claims, rules.roles_claim)
    if value is None:
        return rules.default_roles
    values = value.split() if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise invalid(f"its claim {rules.roles_claim} is neither text nor a list of texts")
    return frozenset(rules.roles[each] for each in values if each in rules.roles)


def _credential_id(jti: Any) -> str:
    return jti if isinstance(jti, str) and is_name(jti) else ""
