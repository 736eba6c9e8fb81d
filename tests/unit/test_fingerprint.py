"""What makes two submissions the same: their fingerprint, and those that earlier versions stored."""

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryengine.domain.plan import Plan, is_same_submission, legacy_fingerprint
from queryengine.domain.submission import Compression, LimitAction, Submission, WideIntegers
from tests.store_values import plan, submission

OTHER: dict[str, Any] = {
    "sql": "SELECT 2",
    "named_query": "report@prod",
    "engine_hint": "warehouse",
    "parameters": b"x",
    "catalog": "c",
    "schema": "s",
    "session_settings": {"threads": "2"},
    "queue_timeout_ms": 600_000,
    "execution_timeout_ms": 1_800_000,
    "row_limit": 5,
    "byte_limit": 5,
    "on_limit": LimitAction.FAIL,
    "ttl_ms": 86_400_000,
    "compression": Compression.ZSTD,
    "wide_integers": WideIntegers.STRING,
    "dialect": "trino",
    "strict_routing": True,
    "scan_row_limit": 6,
    "scan_byte_limit": 6,
    "interactive": True,
}
"""Each makes another submission, also one that asks for what is the default of the service."""
LATER = {"named_query", "dialect", "strict_routing", "scan_row_limit", "scan_byte_limit", "interactive"}
"""Fields that came after the first fingerprints of this form."""
SAME: dict[str, Any] = {
    "tenant": "another",
    "api_key": "etl",
    "subject": "another",
    "parameter_types": b"they follow from the parameters",
    "priority": 7,
    "cancel_on_disconnect": True,
    "disconnect_grace_ms": 5,
    "labels": {"team": "growth"},
}


def is_same(stored: str, asked: Submission, planned: Plan) -> bool:
    return is_same_submission(stored, asked.fingerprint(), asked, planned)


def stored_by_earlier_versions(asked: Submission, planned: Plan) -> str:
    parts = [
        asked.sql,
        (asked.parameters or b"").hex(),
        planned.engine,
        asked.catalog,
        asked.schema,
        json.dumps(dict(sorted(asked.session_settings.items()))),
        planned.queue_timeout_ms,
        planned.execution_timeout_ms,
        asked.row_limit,
        asked.byte_limit,
        asked.on_limit.value,
        planned.ttl_ms,
        asked.compression.value,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def test_every_field_is_looked_at_here() -> None:
    assert {each.name for each in fields(Submission)} == OTHER.keys() | SAME.keys()


@pytest.mark.parametrize("name", OTHER)
def test_what_is_asked_makes_the_fingerprint(name: str) -> None:
    other = submission(**{name: OTHER[name]})
    assert other.fingerprint() != submission().fingerprint()
    assert not is_same(submission().fingerprint(), other, plan())
    # One part cannot be taken for another.
    others = {submission(**{each: value}).fingerprint() for each, value in OTHER.items()}
    assert len(others) == len(OTHER)


@pytest.mark.parametrize("name", SAME)
def test_who_asks_and_what_does_not_change_the_result_is_not_in_it(name: str) -> None:
    assert submission(**{name: SAME[name]}).fingerprint() == submission().fingerprint()


def test_a_fingerprint_stays_what_it_is() -> None:
    """It is compared with stored ones."""
    everything = submission(**{name: value for name, value in OTHER.items() if name not in LATER})
    assert submission().fingerprint() == "2:159416bccb54c135eb3eb8b3a2e71ccb11f34df091699e2f1b314a5315249269"
    assert everything.fingerprint() == "2:38a5752ae8275875c17cc419b26f11e9633c7fd8ec89c9fe817b9c791c6bd2ed"


def test_a_submission_without_its_parameters_has_none() -> None:
    with pytest.raises(ValueError, match="without its parameters"):
        submission(parameters=None).fingerprint()
    with pytest.raises(ValueError, match="without its parameters"):
        legacy_fingerprint(submission(parameters=None), plan())


@pytest.mark.parametrize(
    "planned",
    [
        plan(engine="another", routing_reason="rule 7"),
        plan(queue_timeout_ms=1, execution_timeout_ms=2, ttl_ms=3),
        plan(executed_sql="SELECT 1 WHERE mine", policy_version="7", cache_key="k"),
    ],
)
def test_another_plan_is_no_other_submission(planned: Plan) -> None:
    asked = submission()
    assert is_same(asked.fingerprint(), asked, planned)


@given(st.text(), st.binary(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_what_earlier_versions_stored_is_recognised(
    sql: str, parameters: bytes, schema: str, settings: dict[str, str]
) -> None:
    asked = submission(sql=sql, parameters=parameters, schema=schema, session_settings=settings)
    stored = stored_by_earlier_versions(asked, plan())
    assert legacy_fingerprint(asked, plan()) == stored
    assert is_same(stored, asked, plan())
    assert not is_same(stored, replace(asked, sql=sql + " "), plan())
    assert not is_same(stored, asked, plan(engine="another"))
    assert not is_same(stored, asked, plan(ttl_ms=1))


def test_a_named_query_is_compared_by_its_reference() -> None:
    asked = submission(sql="", named_query="report@prod")
    resolved = replace(asked, sql="SELECT 1", parameters=b"with defaults")
    assert is_same_submission(asked.fingerprint(), asked.fingerprint(), resolved, plan())
    assert not is_same(asked.fingerprint(), replace(asked, named_query="report@1"), plan())
    # Earlier versions had none, whatever SQL a reference stands for now.
    assert not is_same(legacy_fingerprint(resolved, plan()), resolved, plan())


def test_an_option_that_came_later_is_in_those_of_earlier_versions_only_when_it_is_used() -> None:
    wide = submission(wide_integers=WideIntegers.STRING)
    assert legacy_fingerprint(wide, plan()) != stored_by_earlier_versions(wide, plan())
