"""What ClickHouse alone has under row policies; the oracle of tests/policies judges on a real server."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.clickhouse.row_security import secured
from queryengine.engines.clickhouse.settings import Known, policed_settings

ORDERS = RelationPolicy(
    path=("db", "orders"),
    columns=("id", "tenant", "note"),
    rule="own",
    rows="tenant = {tenant}",
    masks=MappingProxyType({"note": "null"}),
    hidden=frozenset({"tenant"}),
)
POLICY = RowPolicy(schema="db", relations=(ORDERS,), values={"tenant": "acme"})


def refusal(sql: str, policy: RowPolicy = POLICY) -> str:
    with pytest.raises(QueryEngineError) as refused:
        secured(sql, policy)
    failure = refused.value.failure
    assert failure.reason in (Reason.STATEMENT_NOT_ALLOWED, Reason.RELATION_NOT_ALLOWED)
    return failure.message


def test_a_table_becomes_a_subquery_that_nothing_is_pushed_into() -> None:
    assert secured("SELECT id FROM orders o", POLICY).sql == (
        'SELECT "id" FROM (SELECT "__qe_t"."id" AS "id", (CASE WHEN FALSE THEN "__qe_t"."note" END) AS "note" '
        'FROM "db"."orders" AS "__qe_t" WHERE ("__qe_t"."tenant" = \'acme\') LIMIT 18446744073709551615) AS "o"'
    )


@pytest.mark.parametrize(
    "sql",
    [
        # The lambda would be called for the `=` of the predicate.
        "WITH (a, b) -> 1 AS equals SELECT * FROM orders",
        "WITH ((a, b) -> 1) AS equals SELECT * FROM orders",
        "SELECT arrayMap((a, b) -> 1 AS equals, [1], [2]) FROM orders",
        "SELECT arrayMap(((a, b) -> 1) AS equals, [1], [2]) FROM orders",
        "SELECT (a, b) -> 1 AS equals FROM orders",
        "SELECT sum(id AS tenant) FROM orders",
    ],
)
def test_no_function_and_no_part_of_an_expression_gets_a_name(sql: str) -> None:
    refusal(sql)


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT * FROM orders ARRAY JOIN (SELECT groupArray(v) FROM secrets) AS x", "query in it"),
        ("SELECT * FROM orders FINAL", "Final"),
        ("SELECT * FROM orders PREWHERE id = 1", "PREWHERE"),
        ("SELECT * FROM orders SAMPLE 0.1", "SAMPLE"),
        ("SELECT id FROM orders WHERE id IN secrets", "FIELD"),
        ("SELECT id FROM orders WHERE id IN (secrets)", "takes for a table"),
        ("SELECT id FROM orders WHERE id NOT IN ((db.secrets))", "takes for a table"),
        ("SELECT id FROM orders WHERE in(id, secrets)", "not understood"),
        ("SELECT * FROM merge('db', 'secrets')", "merge"),
        ("SELECT joinGet('db.secrets', 'v', 1)", "joinGet"),
        ("SELECT `a\\\\b` FROM orders", "backslash"),
        ("SELECT {c:Identifier} FROM orders", "Identifier"),
        ("SELECT orders.id FROM orders AS o", "another name by AS"),
        ("SELECT id FROM ORDERS", "not among the tables"),
        ("SELECT id FROM orders LIMIT ?, ?", "another order"),
        ("SELECT id FROM orders LIMIT 1, 2", "may read it otherwise"),
        ("SELECT $$x$$ FROM orders", "RawString"),
        ("SELECT id ? 1 : 2 FROM orders", "write if"),
    ],
)
def test_what_reaches_a_table_by_another_way_is_refused(sql: str, word: str) -> None:
    assert word in refusal(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, ? AS a FROM orders WHERE id > ? LIMIT ?",
        "SELECT id FROM orders WHERE id IN (?)",
        "SELECT {a:String} AS a, {b:Array(UInt8)} AS b, {a:String} AS c FROM orders",
    ],
)
def test_placeholders_keep_their_order_and_their_text(sql: str) -> None:
    found = secured(sql, POLICY).sql
    assert [found.count(mark) for mark in ("?", "{a:String}", "{b:Array(UInt8)}")] == [
        sql.count(mark) for mark in ("?", "{a:String}", "{b:Array(UInt8)}")
    ]


def test_a_value_cannot_stand_for_a_placeholder() -> None:
    hostile = replace(POLICY, values={"tenant": "__qe_p_0"})
    assert "another kind" in refusal("SELECT ? FROM orders", hostile)


class Setting:
    value, readonly = "0", 0


def test_a_policed_statement_has_the_analyzer_and_no_cache_of_conditions() -> None:
    known: Mapping[str, Known] = {"allow_experimental_analyzer": Setting(), "use_query_condition_cache": Setting()}
    assert policed_settings(known) == {"allow_experimental_analyzer": "1", "use_query_condition_cache": "0"}
    with pytest.raises(QueryEngineError) as refused:
        policed_settings({})
    assert refused.value.failure.reason is Reason.UNSUPPORTED
