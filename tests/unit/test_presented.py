"""Names of tenants and subjects, as calls present them."""

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.policy.identity.presented import SUBJECT_KEY, TENANT_KEY, Presented, is_name


@pytest.mark.parametrize("name", ["", "acme", "ACME", "a b", "o'neil", "a" * 128, "~", "ann@example.org"])
def test_names_that_can_be_told_apart_are_taken_as_they_are(name: str) -> None:
    assert is_name(name)
    assert Presented([(TENANT_KEY, name)]).name(TENANT_KEY) == name


@pytest.mark.parametrize(
    "name", [" ", "acme ", " acme", "acme  ", "acme\t", "acme\n", "acme\0", "acme\x7f", "münchen", "a\u00a0", "a" * 129]
)
@pytest.mark.parametrize("key", [TENANT_KEY, SUBJECT_KEY])
def test_names_that_a_database_may_take_for_others_are_refused(key: str, name: str) -> None:
    with pytest.raises(QueryEngineError, match="without a blank at either end") as caught:
        Presented([(key, name)]).name(key)
    assert caught.value.failure.reason is Reason.INVALID_FIELD
