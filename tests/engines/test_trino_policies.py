"""Row and column policies on a Trino cluster: what it says of the tables that they name, and its own rules, which go by
the user of a query.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from trino_support import failure_of, opened, read, server

from queryengine.domain.errors import Reason
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.trino.engine import TrinoEngine

COLUMNS = ("name", "CLERK", "orderkey", "gone")


def test_the_catalog_says_what_tables_have() -> None:
    paths = (("tiny", "orders"), ("tpch", "sf1", "Orders"), ("tiny", "other"), ("memory", "default", "orders"))
    orders = LiveTable({"CLERK": "varchar(15)", "orderkey": "bigint"}, frozenset({"orderkey"}))
    with opened(server().options()) as engine:
        found = engine.live_tables([AskedTable(path, COLUMNS) for path in paths])
        assert found == [orders, orders, None, None]
        wrong = AskedTable(("no_catalog", "a", "b"), COLUMNS)
        assert "no_catalog" in failure_of(lambda: engine.live_tables([wrong])).message


def test_what_the_service_sees_is_not_what_its_callers_see() -> None:
    with opened({**server().options(), "impersonate": True}) as engine:
        failure = failure_of(lambda: engine.live_tables([AskedTable(("tiny", "orders"), COLUMNS)]))
    assert failure.reason is Reason.UNSUPPORTED


OWN = "memory.default.own_rows"
ROWS = "(1, 'acme/ann'), (2, 'acme/bob'), (3, 'globex/ann'), (4, 'acme%2Fann/x')"
WHO: dict[str, Any] = {"tenant": "acme", "subject": "ann", "enforced": (("memory", "default", "own"),)}
PATTERNS = ("", "x", "{tenant}{subject}", "{tenant}.{subject}", "{tenant}/{tenant}", "{who}", "a\n{tenant}")
HOSTILE = (
    "SET SESSION AUTHORIZATION 'globex/ann'",
    f"SELECT id FROM {OWN}; SET SESSION AUTHORIZATION 'globex/ann'",
    f"EXECUTE IMMEDIATE 'SELECT id FROM {OWN}'",
    f"WITH SESSION query_priority = 1 SELECT id FROM {OWN}; SELECT 1",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[TrinoEngine]:
    """With a view whose rows go by the user, as row filters of a cluster do."""
    with opened(server().options()) as making:
        making._ask(f"CREATE TABLE memory.default.all_rows AS SELECT * FROM (VALUES {ROWS}) AS t (id, owner)")
        making._ask(f"CREATE VIEW {OWN} AS SELECT * FROM memory.default.all_rows WHERE owner = current_user")
    with opened({**server().options(), "impersonate": "{tenant}/{subject}"}) as engine:
        yield engine


def rows(engine: TrinoEngine, sql: str = f"SELECT id FROM {OWN}", **who: Any) -> list[int]:
    found = read(
        engine, sql, **{"tenant": "acme", "subject": "ann", "enforced": (("memory", "default", "own"),), **who}
    )
    return sorted(found.column(0).to_pylist())


@pytest.mark.parametrize(
    ("tenant", "subject", "seen"),
    [("acme", "ann", [1]), ("acme", "bob", [2]), ("globex", "ann", [3]), ("acme/ann", "x", [4]), ("acme", "ann/x", [])],
)
def test_the_cluster_shows_each_caller_its_own_rows(
    engine: TrinoEngine, tenant: str, subject: str, seen: list[int]
) -> None:
    assert rows(engine, tenant=tenant, subject=subject) == seen


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_can_say_who_asks(engine: TrinoEngine, sql: str) -> None:
    assert failure_of(lambda: rows(engine, sql)).reason in {Reason.STATEMENT_NOT_ALLOWED, Reason.NOT_ONE_STATEMENT}
    assert failure_of(lambda: rows(engine, session_settings={"user": "x"})).reason is Reason.UNSUPPORTED


def test_a_caller_without_a_subject_is_nobody(engine: TrinoEngine) -> None:
    assert failure_of(lambda: rows(engine, subject="")).reason is Reason.RELATION_NOT_ALLOWED
    with opened({**server().options(), "impersonate": True}) as plain:
        assert failure_of(lambda: rows(plain, subject="")).reason is Reason.RELATION_NOT_ALLOWED
        # Without policies that rest on it, as before.
        assert rows(plain, "SELECT 1", subject="", enforced=None) == [1]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_keeps_principals_apart(pattern: str) -> None:
    with pytest.raises(ValueError, match="option 'impersonate' must be true, false, or a pattern"):
        TrinoEngine.traits({"url": "http://localhost", "impersonate": pattern})


def test_enforcement_needs_a_user() -> None:
    relation = RelationPolicy(path=("tiny", "orders"), columns=("clerk",), rule="own", masks={}, enforced=True)
    policy = RowPolicy(schema="tiny", relations=(relation,))
    assert "impersonate" in TrinoEngine.enforcement_problem({"url": "http://localhost"})
    assert any("impersonate" in text for _, text in TrinoEngine.judged(policy, {"url": "http://localhost"}).problems)
    assert TrinoEngine.enforcement_problem({"url": "http://localhost", "impersonate": "{tenant}"}) == ""
