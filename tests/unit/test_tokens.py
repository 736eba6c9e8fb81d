"""Which JSON Web Tokens are accepted, what they give, and that every other one is refused by name."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from jwt.algorithms import get_default_algorithms

from queryengine.domain.errors import Code, QueryEngineError, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.policy.identity import Authentication, Authenticator, Presented, Unverified
from queryengine.policy.identity.claims import ClaimRules, Verified
from queryengine.policy.identity.key_sources import ConfiguredKeys
from queryengine.policy.identity.remembered import Remembered
from queryengine.policy.identity.tokens import Tokens
from queryengine.policy.identity.verifying_keys import ALGORITHMS, VerifyingKey, public_key, secret_key
from tests.unit.jwt_keys import (
    AUDIENCE,
    ED25519,
    ISSUER,
    NOW,
    OTHER_RSA,
    P256,
    P384,
    P521,
    RSA,
    SECRET,
    SIGNING,
    SetClock,
    bearer,
    claims,
    public_pem,
    token,
)

UUID = "6f1c1e9e-0d7b-4c6d-9a51-0a3f5f4f2f10"


def rules(**changed: Any) -> ClaimRules:
    given: dict[str, Any] = {
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE, "other-name"}),
        "tenant_claim": "tenant",
        "subject_claim": "sub",
        "roles_claim": "roles",
        "roles": {role.value: role for role in Role},
        "default_roles": frozenset({Role.READ}),
        "leeway_seconds": 30,
        "require_uuids": False,
    }
    return ClaimRules(**{**given, **changed})


PUBLIC = [public_key(public_pem(each)) for each in (RSA, P256, P384, P521, ED25519)]
ASYMMETRIC = frozenset(each for each in ALGORITHMS if not each.startswith("HS"))


def tokens(
    keys: Sequence[VerifyingKey] = PUBLIC,
    algorithms: frozenset[str] = ASYMMETRIC,
    clock: SetClock | None = None,
    **changed: Any,
) -> Tokens:
    return Tokens(rules(**changed), ConfiguredKeys(keys), algorithms=algorithms, clock=clock or SetClock())


async def identified(
    metadata: Sequence[tuple[str, str]], *authenticators: Authenticator, clock: SetClock | None = None
) -> Principal:
    authentication = Authentication(authenticators or (tokens(),), clock or SetClock())
    return (await authentication.identify(Presented(metadata))).principal


async def refusal(metadata: Sequence[tuple[str, str]], *authenticators: Authenticator) -> tuple[Reason, str]:
    """Why a call is not accepted. Nothing of a credential is in the message, nor anywhere behind it."""
    with pytest.raises(QueryEngineError) as refused:
        await identified(metadata, *authenticators)
    failure = refused.value.failure
    for key, value in metadata:
        if key == "authorization":
            for part in (*value.split()[1:], *value.split(".")):
                assert len(part) < 8 or part not in f"{failure}"
    return failure.reason, failure.message


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC))
async def test_a_token_is_accepted_by_each_public_key_algorithm(algorithm: str) -> None:
    principal = await identified(bearer(token(algorithm=algorithm)))
    assert (principal.tenant, principal.subject, principal.authenticator) == ("acme", "ann", "jwt")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_token_is_accepted_by_each_secret_algorithm(algorithm: str) -> None:
    only = frozenset({algorithm})
    authenticator = tokens([secret_key(SECRET, only)], only)
    assert (await identified(bearer(token(algorithm=algorithm)), authenticator)).tenant == "acme"


async def test_a_principal_has_what_the_token_says() -> None:
    said = claims(roles=["submit", "write"], jti="id-7", region={"name": "eu"})
    principal = await identified(bearer(token(said)))
    assert principal.roles == {Role.SUBMIT, Role.WRITE}
    assert principal.claims["region"] == {"name": "eu"}
    assert principal.credential_id == "id-7"
    assert principal.expires_us == (NOW + 300 + 30) * 1_000_000
    assert (principal.home_tenant, principal.authenticator) == ("", "jwt")


ROLES: dict[str, tuple[Any, frozenset[Role]]] = {
    "no claim": (None, frozenset({Role.READ})),
    "a list": (["read", "cancel"], frozenset({Role.READ, Role.CANCEL})),
    "text with spaces": ("read  submit", frozenset({Role.READ, Role.SUBMIT})),
    "an unknown role among others": (["read", "janitor", "Admin", "admin "], frozenset({Role.READ})),
    "unknown roles alone": (["janitor"], frozenset()),
    "an empty list": ([], frozenset()),
}


@pytest.mark.parametrize("case", ROLES)
async def test_roles_come_from_their_claim_and_unknown_ones_give_none(case: str) -> None:
    given, expected = ROLES[case]
    assert (await identified(bearer(token(claims(roles=given))))).roles == expected


async def test_names_of_claims_and_roles_are_configured() -> None:
    authenticator = tokens(
        tenant_claim="https://acme.test/tenant",
        subject_claim="preferred_username",
        roles_claim="realm_access.roles",
        roles={"qe-writer": Role.WRITE},
    )
    said = claims(
        tenant=None,
        preferred_username="Ann",
        realm_access={"roles": ["qe-writer", "admin"]},
        **{"https://acme.test/tenant": "b"},
    )
    principal = await identified(bearer(token(said)), authenticator)
    assert (principal.tenant, principal.subject, principal.roles) == ("b", "Ann", {Role.WRITE})


async def test_sub_is_required_also_where_another_claim_has_the_user() -> None:
    authenticator = tokens(subject_claim="preferred_username")
    said = claims(sub=None, preferred_username="Ann")
    assert await refusal(bearer(token(said)), authenticator) == (
        Reason.CREDENTIAL_INVALID,
        "the token is not accepted: it has no claim sub",
    )


def unsigned(header: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> str:
    parts = [json.dumps(each).encode() for each in (header, said or claims())]
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)


def confused(secret: bytes) -> str:
    """A token whose HMAC has a public key, which everybody has, as its secret."""
    head = unsigned({"alg": "HS256", "typ": "JWT"})
    signature = hmac.new(secret, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def edited(part: int, change: Callable[[dict[str, Any]], Any]) -> str:
    """A good token with another header or other claims under the same signature."""
    parts = token().split(".")
    value = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    change(value)
    parts[part] = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return ".".join(parts)


GOOD = token()
FORGED: dict[str, tuple[str, str]] = {
    "alg none": (unsigned({"alg": "none"}) + ".", "algorithm is not one of the configured"),
    "alg None": (unsigned({"alg": "None"}) + ".", "algorithm is not one of the configured"),
    "alg missing": (unsigned({"typ": "JWT"}) + ".", "algorithm is not one of the configured"),
    "alg a list": (unsigned({"alg": ["RS256"]}) + ".", "algorithm is not one of the configured"),
    "alg null": (unsigned({"alg": None}) + ".", "algorithm is not one of the configured"),
    "no signature": (GOOD.rpartition(".")[0] + ".", "signature is not"),
    "RS256 to HS256 by PEM": (confused(public_pem(RSA)), "algorithm is not one of the configured"),
    "RS256 to HS256 by stripped PEM": (confused(public_pem(RSA).strip()), "algorithm is not one of the configured"),
    "another key": (token(key=OTHER_RSA), "signature is not"),
    "another key, in the header as jwk": (token(key=OTHER_RSA, jwk={"kty": "RSA", "n": "AQAB"}), "signature is not"),
    "another key, at jku": (token(key=OTHER_RSA, jku="http://127.0.0.1:1/keys"), "signature is not"),
    "another key, at x5u": (token(key=OTHER_RSA, x5u="http://127.0.0.1:1/keys"), "signature is not"),
    "another key, as x5c": (token(key=OTHER_RSA, x5c=["MIIB"]), "signature is not"),
    "kid a path": (token(key=OTHER_RSA, kid="../../../../dev/null"), "signature is not"),
    "kid SQL": (token(key=OTHER_RSA, kid="' UNION SELECT 'x"), "signature is not"),
    "kid a URL": (token(key=OTHER_RSA, kid="http://127.0.0.1:1/key"), "signature is not"),
    "kid a number": (unsigned({"alg": "RS256", "kid": 1}) + ".c2ln", "kid is not a name"),
    "kid an object": (unsigned({"alg": "RS256", "kid": {}}) + ".c2ln", "kid is not a name"),
    "kid very long": (token(kid="k" * 257), "kid is not a name"),
    "claims edited": (edited(1, lambda value: value.update(tenant="other")), "signature is not"),
    "header edited": (edited(0, lambda value: value.update(kid="a")), "signature is not"),
    "ES256 key for ES384": (unsigned({"alg": "ES384"}) + "." + token(algorithm="ES256").split(".")[2], "signature"),
    "crit": (token(crit=["exp"]), "extensions that are not supported"),
    "b64 false": (unsigned({"alg": "RS256", "b64": False, "crit": ["b64"]}) + ".c2ln", "extensions"),
    "typ of a logout token": (token(typ="logout+jwt"), "another type than access tokens"),
    "typ of a DPoP proof": (token(typ="dpop+jwt"), "another type than access tokens"),
    "typ null": (unsigned({"alg": "RS256", "typ": None}) + ".c2ln", "another type than access tokens"),
    "not a token": ("not-a-token", "not a JWT: three parts"),
    "empty": ("", "not a JWT: three parts"),
    "five parts": ("a.b.c.d.e", "not a JWT: three parts"),
    "two parts": ("a.b", "not a JWT: three parts"),
    "not base64": ("%%%.%%%.%%%", "not JSON in base64url"),
    "not JSON": ("YWJj.YWJj.YWJj", "not JSON in base64url"),
    "JSON, no objects": ("W10.W10.W10", "not JSON objects"),
    "signature with junk": (GOOD + "!", "signature is not"),
    "claims with junk": (GOOD.replace(".", ".!", 1), "not JSON in base64url"),
    "claims with junk that keeps their length": (GOOD.replace(".", ".!!!!", 1), "signature is not"),
    "huge": (token(claims(note="x" * 12_000)), "bytes; at most 12288 are read"),
    "nested deeply": (unsigned({"alg": "RS256"}, {"a": 1})[:-8] + "W1" * 2000 + ".c2ln", "not JSON in base64url"),
}
"""Tokens that nobody who holds the key made, with a part of what they are refused with."""


@pytest.mark.parametrize("case", FORGED)
async def test_a_token_that_the_issuer_did_not_make_is_refused(case: str) -> None:
    text, why = FORGED[case]
    reason, message = await refusal(bearer(text))
    assert reason is Reason.CREDENTIAL_INVALID
    assert why in message


async def test_the_public_key_is_no_secret_even_where_both_algorithms_are_named() -> None:
    """Settings refuse the mixture; the keys hold without that."""
    both = frozenset({"RS256", "HS256"})
    for secret in (public_pem(RSA), public_pem(RSA).strip()):
        reason, message = await refusal(bearer(confused(secret)), tokens(algorithms=both))
        assert (reason, "no key is known" in message) == (Reason.CREDENTIAL_INVALID, True)


NAN = float("nan")
WRONG: dict[str, tuple[dict[str, Any], Reason, str]] = {
    **{
        f"no {name}": ({name: None}, Reason.CREDENTIAL_INVALID, f"no claim {name}")
        for name in ("exp", "iat", "iss", "aud", "sub", "tenant")
    },
    "another iss": ({"iss": "https://evil.test/"}, Reason.CREDENTIAL_INVALID, f"expects a JWT of {ISSUER}"),
    "iss without its slash": ({"iss": ISSUER[:-1]}, Reason.CREDENTIAL_INVALID, f"expects a JWT of {ISSUER}"),
    "another aud": ({"aud": "billing"}, Reason.CREDENTIAL_INVALID, "another audience"),
    "other auds": ({"aud": ["billing", "mail"]}, Reason.CREDENTIAL_INVALID, "another audience"),
    "aud with ours inside": ({"aud": "queryengine2"}, Reason.CREDENTIAL_INVALID, "another audience"),
    "aud empty": ({"aud": []}, Reason.CREDENTIAL_INVALID, "another audience"),
    "aud an object": ({"aud": {"queryengine": 1}}, Reason.CREDENTIAL_INVALID, "neither text nor a list"),
    "expired": ({"exp": NOW - 31}, Reason.TOKEN_EXPIRED, "has expired"),
    "expired to the second": ({"exp": NOW - 30}, Reason.TOKEN_EXPIRED, "has expired"),
    "iat in the future": ({"iat": NOW + 31}, Reason.CREDENTIAL_INVALID, "iat is in the future"),
    "nbf in the future": ({"nbf": NOW + 31}, Reason.CREDENTIAL_INVALID, "not valid yet"),
    "exp text": ({"exp": str(NOW + 300)}, Reason.CREDENTIAL_INVALID, "not a number of seconds"),
    "exp true": ({"exp": True}, Reason.CREDENTIAL_INVALID, "not a number of seconds"),
    "exp beyond time": ({"exp": 10**400}, Reason.CREDENTIAL_INVALID, "from 1970 to 9999"),
    "exp infinite": ({"exp": float("inf")}, Reason.CREDENTIAL_INVALID, "not JSON"),
    "iat not a number": ({"iat": NAN}, Reason.CREDENTIAL_INVALID, "not JSON"),
    "nbf null text": ({"nbf": "soon"}, Reason.CREDENTIAL_INVALID, "not a number of seconds"),
    "sub empty": ({"sub": ""}, Reason.CREDENTIAL_INVALID, "sub is not text"),
    "sub a list": ({"sub": ["ann"]}, Reason.CREDENTIAL_INVALID, "sub is not text"),
    "sub not ASCII": ({"sub": "änn"}, Reason.CREDENTIAL_INVALID, "printable ASCII"),
    "sub with a line break": ({"sub": "a\nb"}, Reason.CREDENTIAL_INVALID, "printable ASCII"),
    "sub with a blank behind": ({"sub": "ann "}, Reason.CREDENTIAL_INVALID, "without a blank at either end"),
    "sub with a blank before": ({"sub": " ann"}, Reason.CREDENTIAL_INVALID, "without a blank at either end"),
    "tenant with a blank behind": ({"tenant": "acme "}, Reason.CREDENTIAL_INVALID, "without a blank at either end"),
    "one of the tenants with a blank": ({"tenant": ["acme", " b"]}, Reason.CREDENTIAL_INVALID, "without a blank"),
    "tenant of a blank alone": ({"tenant": " "}, Reason.CREDENTIAL_INVALID, "without a blank at either end"),
    "tenant too long": ({"tenant": "t" * 129}, Reason.CREDENTIAL_INVALID, "printable ASCII"),
    "tenant a number": ({"tenant": 7}, Reason.CREDENTIAL_INVALID, "tenant is not text"),
    "tenants none": ({"tenant": []}, Reason.CREDENTIAL_INVALID, "tenant is not a list of texts"),
    "tenants not text": ({"tenant": ["a", 7]}, Reason.CREDENTIAL_INVALID, "tenant is not a list of texts"),
    "tenants too many": ({"tenant": [str(n) for n in range(101)]}, Reason.CREDENTIAL_INVALID, "more than 100"),
    "roles a number": ({"roles": 7}, Reason.CREDENTIAL_INVALID, "neither text nor a list"),
    "roles not text": ({"roles": ["read", 7]}, Reason.CREDENTIAL_INVALID, "neither text nor a list"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_token_that_says_something_else_is_refused_by_the_claim(case: str) -> None:
    changed, expected, why = WRONG[case]
    # By hand: the library that makes tokens would refuse some of these itself.
    head = unsigned({"alg": "RS256", "typ": "JWT"}, claims(**changed))
    signature = get_default_algorithms()["RS256"].sign(head.encode(), RSA)
    text = f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    reason, message = await refusal(bearer(text))
    assert reason is expected
    assert why in message


async def test_clocks_may_differ_by_the_leeway() -> None:
    for changed in ({"exp": NOW - 29}, {"iat": NOW + 29}, {"nbf": NOW + 30}, {"aud": ["x", "other-name"]}):
        assert (await identified(bearer(token(claims(**changed))))).tenant == "acme"


async def test_a_remembered_token_expires_as_any() -> None:
    clock = SetClock()
    authenticator, metadata = tokens(clock=clock), bearer(token())
    authentication = Authentication((authenticator,), clock)
    identified_once = await authentication.identify(Presented(metadata))
    identified_once.still_valid()
    assert len(authenticator._remembered) == 1
    again = await authentication.identify(Presented(metadata))
    assert again.principal is identified_once.principal
    clock.seconds = NOW + 330
    with pytest.raises(QueryEngineError) as refused:
        await authentication.identify(Presented(metadata))
    assert refused.value.failure.reason is Reason.TOKEN_EXPIRED
    assert refused.value.failure.code is Code.UNAUTHENTICATED
    with pytest.raises(QueryEngineError) as ended:
        again.still_valid()
    assert ended.value.failure.reason is Reason.TOKEN_EXPIRED
    assert len(authenticator._remembered) == 0


async def test_what_was_not_accepted_is_not_remembered() -> None:
    authenticator = tokens()
    for text, _ in FORGED.values():
        await refusal(bearer(text), authenticator)
    assert len(authenticator._remembered) == 0


async def test_what_is_remembered_has_bounds_and_the_oldest_goes_first() -> None:
    known = await identified(bearer(GOOD))
    few = Remembered(tokens_max=3, bytes_max=100)
    for number in range(5):
        few.add(f"token-{number}", Verified(known, ["acme"]), 0)
    assert [few.get(f"token-{number}", 0) is not None for number in range(5)] == [False, False, True, True, True]
    few.add("x" * 90, Verified(known, ["acme"]), 0)
    assert (len(few), few.get("token-4", 0) is None) == (2, False)
    few.add("x" * 101, Verified(known, ["acme"]), 0)
    assert (len(few), few._bytes) == (0, 0)
    few.add("again", Verified(known, ["acme"]), 1)
    few.add("again", Verified(known, ["acme"]), 2)
    assert (len(few), few._bytes, few.get("again", 1)) == (1, 5, None)


NAMED: dict[str, tuple[tuple[tuple[str, str], ...], Reason | None]] = {
    "both agree": ((("x-tenant-id", "acme"), ("x-user-id", "ann")), None),
    "another tenant": ((("x-tenant-id", "other"),), Reason.TENANT_MISMATCH),
    "another case": ((("x-tenant-id", "ACME"),), Reason.TENANT_MISMATCH),
    "another user": ((("x-user-id", "bob"),), Reason.TENANT_MISMATCH),
    "tenant twice": ((("x-tenant-id", "acme"), ("x-tenant-id", "acme")), Reason.INVALID_FIELD),
}


@pytest.mark.parametrize("case", NAMED)
async def test_names_that_are_sent_must_be_those_of_the_token(case: str) -> None:
    sent, expected = NAMED[case]
    if expected is None:
        assert (await identified(bearer(GOOD, *sent))).tenant == "acme"
    else:
        assert (await refusal(bearer(GOOD, *sent)))[0] is expected


async def test_an_admin_may_act_in_another_tenant_and_nobody_else() -> None:
    elsewhere = ("x-tenant-id", "other")
    admin = await identified(bearer(token(claims(roles=["admin"])), elsewhere))
    assert (admin.tenant, admin.home_tenant, admin.subject) == ("other", "acme", "ann")
    assert (await refusal(bearer(token(claims(roles=["tenant_admin"])), elsewhere)))[0] is Reason.TENANT_MISMATCH
    as_other = (elsewhere, ("x-user-id", "bob"))
    assert (await refusal(bearer(token(claims(roles=["admin"])), *as_other)))[0] is Reason.TENANT_MISMATCH


async def test_a_token_of_several_tenants_acts_in_the_one_that_the_call_names() -> None:
    several = token(claims(tenant=["a", "b"]))
    assert (await identified(bearer(several, ("x-tenant-id", "b")))).tenant == "b"
    # Whatever is wrong, the advice is the same.
    for sent, reason in (((), Reason.INVALID_FIELD), ((("x-tenant-id", "c"),), Reason.TENANT_MISMATCH)):
        found, message = await refusal(bearer(several, *sent))
        assert found is reason
        assert "name one of them" in message
        assert "leave it out" not in message
    admin = await identified(bearer(token(claims(tenant=["a", "b"], roles=["admin"])), ("x-tenant-id", "c")))
    assert (admin.tenant, admin.home_tenant) == ("c", "a")
    assert (await identified(bearer(token(claims(tenant=["a"]))))).tenant == "a"


async def test_tenants_and_users_can_be_required_to_be_uuids() -> None:
    authenticator = tokens(require_uuids=True)
    assert (await identified(bearer(token(claims(tenant=UUID, sub=UUID))), authenticator)).tenant == UUID
    for changed in ({"tenant": UUID}, {"sub": UUID}, {"tenant": UUID + "0", "sub": UUID}):
        reason, message = await refusal(bearer(token(claims(**changed))), authenticator)
        assert (reason, "is not a UUID" in message) == (Reason.CREDENTIAL_INVALID, True)


async def test_a_key_with_a_kid_is_for_tokens_with_that_kid_alone() -> None:
    named = [public_key(public_pem(RSA), kid="new"), public_key(public_pem(OTHER_RSA), kid="old")]
    for text in (token(kid="new"), token(key=OTHER_RSA, kid="old"), token(), token(key=OTHER_RSA)):
        assert (await identified(bearer(text), tokens(named))).tenant == "acme"
    assert "signature is not" in (await refusal(bearer(token(kid="old")), tokens(named)))[1]
    assert "no key is known" in (await refusal(bearer(token(kid="newer")), tokens(named)))[1]


async def test_a_signature_is_compared_with_a_few_keys_at_most() -> None:
    many = [public_key(public_pem(OTHER_RSA), kid=str(number)) for number in range(9)]
    assert "its header needs a kid" in (await refusal(bearer(token()), tokens(many)))[1]


CREDENTIALS: dict[str, tuple[Sequence[tuple[str, str]], Reason, str]] = {
    "none": ((), Reason.CREDENTIAL_MISSING, f"expects a JWT of {ISSUER}"),
    "only names": ((("x-tenant-id", "acme"),), Reason.CREDENTIAL_MISSING, "has no credential"),
    "two": ((*bearer(GOOD), *bearer(GOOD)), Reason.CREDENTIAL_INVALID, "sent once, not 2 times"),
    "another scheme": ((("authorization", f"Basic {GOOD}"),), Reason.CREDENTIAL_INVALID, "no configured authenticator"),
    "no scheme": ((("authorization", GOOD),), Reason.CREDENTIAL_INVALID, "no configured authenticator"),
    "scheme alone": ((("authorization", "Bearer"),), Reason.CREDENTIAL_INVALID, "not a JWT"),
    "empty": ((("authorization", ""),), Reason.CREDENTIAL_INVALID, "no configured authenticator"),
    "an API key": (bearer("qe_123456789012345678"), Reason.CREDENTIAL_INVALID, "no configured authenticator"),
}


@pytest.mark.parametrize("behind", [False, True], ids=["alone", "before none"])
@pytest.mark.parametrize("case", CREDENTIALS)
async def test_without_one_good_credential_nothing_is_accepted(case: str, behind: bool) -> None:
    metadata, expected, why = CREDENTIALS[case]
    authenticators: list[Authenticator] = [tokens()]
    if behind:
        authenticators.append(Unverified(stands_alone=False))
    if behind and expected is Reason.CREDENTIAL_MISSING:
        # What none is for: calls that have none at all.
        assert (await identified(metadata, *authenticators)).authenticator == "none"
        return
    reason, message = await refusal(metadata, *authenticators)
    assert reason is expected
    assert why in message


@pytest.mark.parametrize("case", ["alg none", "another key", "not a token", "huge", "RS256 to HS256 by PEM"])
async def test_a_bad_token_never_counts_for_less_than_none(case: str) -> None:
    text, _ = FORGED[case]
    assert (await refusal(bearer(text), tokens(), Unverified(stands_alone=False)))[0] is Reason.CREDENTIAL_INVALID
    expired = token(claims(exp=NOW - 100))
    assert (await refusal(bearer(expired), tokens(), Unverified(stands_alone=False)))[0] is Reason.TOKEN_EXPIRED


async def test_the_issuer_decides_which_of_two_is_asked() -> None:
    second = tokens([public_key(public_pem(OTHER_RSA))], issuer="https://second.test")
    theirs = token(claims(iss="https://second.test", tenant="theirs"), key=OTHER_RSA)
    assert (await identified(bearer(theirs), tokens(), second)).tenant == "theirs"
    assert (await identified(bearer(GOOD), second, tokens())).tenant == "acme"
    # The key of one issuer does not vouch for another one.
    mixed = token(claims(iss="https://second.test"), key=RSA)
    assert (await refusal(bearer(mixed), tokens(), second))[0] is Reason.CREDENTIAL_INVALID


async def test_without_authenticators_a_token_means_nothing() -> None:
    clock = SetClock()
    found = await Authentication((), clock).identify(Presented((*bearer(GOOD), ("x-tenant-id", "other"))))
    assert (found.principal.tenant, found.principal.authenticator) == ("other", "none")
    found.still_valid()


def test_every_algorithm_has_a_key_that_signs_in_these_tests() -> None:
    assert set(SIGNING) == set(ALGORITHMS)
