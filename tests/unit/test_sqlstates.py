"""SQLSTATEs as reasons: none of PostgreSQL's list is left to chance."""

import psycopg.errors
import pytest

from queryengine.domain.errors import Reason
from queryengine.engines.kit.sqlstates import is_known, reason_of_state

STATES = {each.sqlstate for each in vars(psycopg.errors).values() if isinstance(getattr(each, "sqlstate", None), str)}
"""Those of the appendix of PostgreSQL's manual, from which psycopg makes a class each."""


def test_every_state_of_postgresql_is_sorted() -> None:
    assert len(STATES) > 250
    assert sorted(state for state in STATES if not is_known(state)) == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("55000", Reason.STATEMENT_REJECTED),
        ("55P03", Reason.ENGINE_UNAVAILABLE),
        ("23514", Reason.STATEMENT_REJECTED),
        ("34000", Reason.STATEMENT_REJECTED),
        ("42501", Reason.STATEMENT_REJECTED),
        ("42601", Reason.SYNTAX_ERROR),
        ("25006", Reason.STATEMENT_NOT_ALLOWED),
        ("25P04", Reason.QUERY_TIMEOUT),
        ("40001", Reason.ENGINE_UNAVAILABLE),
        ("53100", Reason.OUT_OF_MEMORY),
        ("53300", Reason.ENGINE_UNAVAILABLE),
        ("53400", Reason.OUT_OF_MEMORY),
        ("58030", Reason.ENGINE_ERROR),
        ("XX001", Reason.ENGINE_ERROR),
        ("99999", Reason.ENGINE_ERROR),
        ("", Reason.ENGINE_ERROR),
    ],
)
def test_the_class_decides_and_some_states_differ(state: str, reason: Reason) -> None:
    assert reason_of_state(state) is reason
