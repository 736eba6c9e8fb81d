"""Which tables a statement may name under row policies, and which stored rows may still be read."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.postgresql.row_security import secured
from queryengine.policy.row_security.policies import Policies
from queryengine.policy.row_security.rules import EnginePolicy, Relation, Rule
from tests.store_values import query

CALLER = Principal(tenant="acme", subject="ann")
ORDERS = RelationPolicy(path=("public", "orders"), columns=("id",), masks=MappingProxyType({}))
POLICY = RowPolicy(schema="public", relations=(ORDERS,))


def reason(sql: str, policy: RowPolicy) -> Reason:
    with pytest.raises(QueryEngineError) as refusal:
        secured(sql, policy)
    return refusal.value.failure.reason


@pytest.mark.parametrize("name", ["secrets", "public.secrets", '"secrets"', "orders"])
def test_a_name_behind_lateral_is_no_way_to_a_table(name: str) -> None:
    assert reason(f"SELECT * FROM orders AS o, LATERAL {name} AS s", POLICY) is Reason.STATEMENT_NOT_ALLOWED
    assert reason(f"SELECT * FROM LATERAL {name}", POLICY) is Reason.STATEMENT_NOT_ALLOWED


def test_the_schema_of_a_submission_opens_no_catalog() -> None:
    by_default = replace(POLICY, default_open=True)
    assert "events" in secured("SELECT * FROM events", by_default).sql
    for schema in ("information_schema", "pg_catalog", "Information_Schema"):
        assert reason("SELECT * FROM tables", replace(by_default, schema=schema)) is Reason.RELATION_NOT_ALLOWED


def relation(name: str) -> Relation:
    rules = (Rule(name="own", rows="tenant = {tenant}"),)
    return Relation(key=f"main.{name}", path=("main", name), columns=("id", "tenant"), rules=rules)


def test_rows_of_a_table_that_was_open_are_kept_back_once_a_policy_names_it() -> None:
    before = EnginePolicy(schema="main", default_open=True, relations=(relation("orders"),))
    policies = Policies({"lite": before})
    effective = policies.of("lite", CALLER)
    assert effective is not None
    # It read main.ledger, which no policy names.
    read = effective.policed("SELECT * FROM main.ledger", [])
    plan = Plan(engine="lite", policy_version=read.version, row_policies=read.policies)
    stored = replace(query(), plan=plan)
    policies.require_same(CALLER, stored)
    policies.adopt({"lite": replace(before, relations=(relation("orders"), relation("ledger")))})
    with pytest.raises(QueryEngineError) as refusal:
        policies.require_same(CALLER, stored)
    assert refusal.value.failure.reason is Reason.RESULT_RESTRICTED


def test_what_is_remembered_of_a_text_is_for_one_tenant_and_what_it_sees() -> None:
    open_table = Relation(key="main.orders", path=("main", "orders"), columns=("id",), is_open=True)
    policies = Policies({"lite": EnginePolicy(schema="main", relations=(open_table,))})

    def key(principal: Principal, schema: str = "") -> str:
        found = policies.of("lite", principal, schema=schema)
        assert found is not None
        return found.key

    assert key(CALLER) == key(replace(CALLER, subject="bob"))
    # The other tenant sees the same, and would learn by the time of a check that this one has sent the text.
    assert len({key(CALLER), key(replace(CALLER, tenant="globex")), key(CALLER, "other")}) == 3
