"""What Spark alone has under row policies; the oracle of tests/policies judges on a real server."""

from types import MappingProxyType

import pytest

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.kit.checking import options_of_check
from queryengine.engines.spark.engine import SparkEngine
from queryengine.engines.spark.row_security import secured

ORDERS = RelationPolicy(
    path=("sales", "orders"),
    columns=("id", "tenant"),
    rule="own",
    rows="tenant = {tenant}",
    masks=MappingProxyType({}),
    hidden=frozenset({"tenant"}),
)
POLICY = RowPolicy(schema="sales", relations=(ORDERS,), values={"tenant": "acme"})


def test_a_table_hands_on_none_of_its_hidden_columns_and_nothing_is_moved_behind_its_predicate() -> None:
    assert secured("SELECT id FROM orders o", POLICY).sql == (
        "SELECT `id` FROM (WITH `__qe_cte_0` AS (SELECT `__qe_t`.`id` AS `id` FROM `sales`.`orders` AS `__qe_t` "
        "WHERE (`__qe_t`.`tenant` = 'acme') AND rand() >= 0) SELECT * FROM `__qe_cte_0`) AS `o`"
    )


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT * FROM parquet.`/tmp/x`", "not among the tables"),
        ("SELECT * FROM IDENTIFIER('secrets')", "IDENTIFIER"),
        ("TABLE orders", "not understood as a query"),
        ("FROM orders SELECT id", "may read it otherwise"),
        ("FROM orders |> SELECT id", "may read it otherwise"),
        ("SELECT /*+ BROADCAST(o) */ id FROM orders o", "HINT"),
        ("SELECT id FROM orders TABLESAMPLE (5 ROWS)", "SAMPLE"),
        ("SELECT id FROM orders DISTRIBUTE BY id", "DISTRIBUTE"),
        ("SELECT id FROM orders LATERAL VIEW explode((SELECT collect_list(v) FROM secrets)) u AS x", "not among"),
        ("SELECT 'a' 'b' FROM orders", "Concat"),
        ("SELECT current_user() FROM orders", "current_user"),
    ],
)
def test_what_reaches_a_table_by_another_way_is_refused(sql: str, word: str) -> None:
    with pytest.raises(QueryEngineError) as refused:
        secured(sql, POLICY)
    assert word in refused.value.failure.message


def test_an_array_keeps_what_is_in_it() -> None:
    assert "array(`id`, 1)[0]" in secured("SELECT array(id, 1)[0] AS a FROM orders", POLICY).sql


def test_an_alias_of_a_lateral_view_cannot_leave_its_quotation_marks() -> None:
    found = secured("SELECT id FROM orders LATERAL VIEW explode(array(1)) `u, secrets` AS x", POLICY).sql
    assert "LATERAL VIEW explode(array(1)) `u, secrets` AS `x`" in found


def test_sessions_that_are_kept_and_policies_exclude_each_other() -> None:
    options = {"url": "sc://localhost", "token": "secret", "keep_sessions": True}
    assert options_of_check("spark", options) == {"keep_sessions": True}
    (problem,) = SparkEngine.policy_problems(POLICY, options_of_check("spark", options))
    assert problem[0] is None
    assert "keep_sessions" in problem[1]
    assert SparkEngine.policy_problems(POLICY, {}) == []
