"""Rights as a table: what each role allows, which queries a principal sees, and which it may change."""

from collections.abc import Mapping

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.identity import NOBODY, Principal, Role
from queryengine.domain.query import Query
from queryengine.domain.viewer import Viewer
from queryengine.policy.rights import ROLES, Right, has, may_change, require, require_change, sees_named_text, viewer
from tests.store_values import query, submission

ALLOWED: Mapping[Role, set[Right]] = {
    Role.SUBMIT: {Right.SUBMIT_TEXT, Right.SUBMIT_NAMED, Right.SEE_NAMED, Right.SEE_ENGINES},
    Role.READ: {Right.READ, Right.SEE_NAMED, Right.SEE_ENGINES},
    Role.CANCEL: {Right.CHANGE, Right.SEE_ENGINES},
    Role.WRITE: {Right.SEE_ENGINES},
    Role.TENANT_ADMIN: {
        Right.SEE_ENGINES,
        Right.REFRESH_ENGINE,
        Right.MANAGE_KEYS,
        Right.SEE_NAMED,
        Right.MANAGE_NAMED,
    },
    Role.ADMIN: {
        Right.SEE_ENGINES,
        Right.REFRESH_ENGINE,
        Right.MANAGE_KEYS,
        Right.SEE_NAMED,
        Right.MANAGE_NAMED,
        Right.CONFIGURE,
    },
    Role.NAMED_ONLY: {Right.SEE_ENGINES},
}


def principal(*roles: Role, subject: str = "ann") -> Principal:
    return Principal(tenant="tenant", subject=subject, roles=frozenset(roles))


def of(subject: str, **labels: str) -> Query:
    return query(asked=submission(subject=subject, labels=labels))


def test_every_right_takes_a_role() -> None:
    assert set(ROLES) == set(Right)
    assert all(ROLES.values())
    assert set(ALLOWED) == set(Role)


@pytest.mark.parametrize("role", Role)
def test_a_role_allows_what_it_says_and_no_more(role: Role) -> None:
    assert {right for right in Right if has(principal(role), right)} == ALLOWED[role]


@pytest.mark.parametrize("right", Right)
def test_a_refusal_names_a_role_that_would_do(right: Right) -> None:
    for nobody in (NOBODY, principal()):
        with pytest.raises(QueryEngineError) as refusal:
            require(nobody, right)
        failure = refusal.value.failure
        assert failure.reason is Reason.ROLE_MISSING
        assert has(principal(Role(failure.metadata["role"])), right)
        assert failure.metadata["role"] in failure.message


def test_named_queries_only_is_a_restriction_of_every_other_role() -> None:
    restricted = principal(*Role)
    taken = {right for right in Right if not has(restricted, right)}
    assert taken == {Right.SUBMIT_TEXT, Right.MANAGE_NAMED}
    assert not sees_named_text(restricted)
    assert sees_named_text(principal(Role.SUBMIT))
    for right in taken:
        with pytest.raises(QueryEngineError) as refusal:
            require(restricted, right)
        assert "named_only" in refusal.value.failure.message


QUERIES: Mapping[str, Query] = {
    "own": of("ann"),
    "own and shared": of("ann", shared="true"),
    "another's": of("bob"),
    "another's in other letters": of("Ann"),
    "shared": of("bob", shared="true"),
    "nobody's": of(""),
    "not shared": of("bob", shared="false"),
    "shared in other letters": of("bob", Shared="true"),
    "shared in another word": of("bob", shared="True"),
}
OWN = {"own", "own and shared"}
SHARED = {"own and shared", "shared"}


@pytest.mark.parametrize(
    ("roles", "subject", "seen", "changed"),
    [
        ({Role.READ}, "ann", OWN | SHARED, OWN),
        ({Role.SUBMIT}, "ann", OWN, OWN),
        (set(), "ann", OWN, OWN),
        ({Role.READ}, "", SHARED, set()),
        ({Role.CANCEL}, "", set(), set()),
        ({Role.TENANT_ADMIN}, "boss", set(QUERIES), set(QUERIES)),
        ({Role.ADMIN}, "root", set(QUERIES), set(QUERIES)),
        (set(Role) - {Role.ADMIN, Role.TENANT_ADMIN}, "ann", OWN | SHARED, OWN),
    ],
)
def test_who_sees_and_changes_what(roles: set[Role], subject: str, seen: set[str], changed: set[str]) -> None:
    caller = principal(*roles, subject=subject)
    eyes = viewer(caller)
    assert {name for name, each in QUERIES.items() if eyes is None or eyes.sees(each)} == seen
    assert {name for name, each in QUERIES.items() if may_change(caller, each)} == changed
    for name in seen - changed:
        with pytest.raises(QueryEngineError) as refusal:
            require_change(caller, QUERIES[name])
        assert refusal.value.failure.metadata == {"role": "tenant_admin"}


def test_callers_without_credentials_see_all_of_their_tenant() -> None:
    unverified = Principal(tenant="tenant")
    assert viewer(unverified) is None
    # What concerns all tenants takes a credential.
    assert {right for right in Right if not has(unverified, right)} == {Right.CONFIGURE}


def test_a_viewer_without_a_subject_owns_nothing() -> None:
    assert not Viewer("", sees_shared=False).sees(of(""))
