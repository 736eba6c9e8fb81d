"""What Trino alone has under row policies; the oracle of tests/policies judges on a real server."""

from types import MappingProxyType

import pytest

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.trino.row_security import policy_problems, secured

ORDERS = RelationPolicy(
    path=("hive", "sales", "orders"),
    columns=("id", "tenant"),
    rule="own",
    rows="tenant = {tenant}",
    masks=MappingProxyType({}),
    hidden=frozenset({"tenant"}),
)
POLICY = RowPolicy(schema="sales", relations=(ORDERS,), values={"tenant": "acme"})
WRAPPED = (
    '(SELECT "__qe_t"."id" AS "id" FROM "hive"."sales"."orders" AS "__qe_t" '
    'WHERE ("__qe_t"."tenant" = \'acme\') LIMIT 9223372036854775807)'
)


@pytest.mark.parametrize("name", ["orders", "sales.orders", "hive.sales.orders", '"HIVE"."Sales".ORDERS'])
def test_a_table_is_found_with_and_without_its_catalog(name: str) -> None:
    assert secured(f"SELECT id FROM {name} o", POLICY).sql == f'SELECT "id" FROM {WRAPPED} AS "o"'


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT * FROM tpch.sales.orders", "not among the tables"),
        ('SELECT * FROM "orders$files"', "not among the tables"),
        ("SELECT * FROM orders FOR VERSION AS OF 1", "VERSION"),
        ("SELECT * FROM orders TABLESAMPLE BERNOULLI (10)", "SAMPLE"),
        ("SELECT * FROM TABLE(system.query('SELECT 1'))", "TABLE"),
        ("TABLE orders", "may read it otherwise"),
        ("SELECT id FROM orders UNION ALL TABLE secrets", "not among the tables"),
        ("WITH FUNCTION f() RETURNS int RETURN 1 SELECT f()", "f"),
        ("SELECT x FROM UNNEST((SELECT array_agg(v) FROM secrets)) AS t(x)", "not among the tables"),
        ("SELECT fail('x') FROM orders", "fail"),
        ("SELECT id FROM orders OFFSET 1 ROWS LIMIT 2", "may read it otherwise"),
        ("SELECT sum(id) FROM orders MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE)", "MATCH"),
    ],
)
def test_what_reaches_a_table_by_another_way_is_refused(sql: str, word: str) -> None:
    with pytest.raises(QueryEngineError) as refused:
        secured(sql, POLICY)
    assert word in refused.value.failure.message


@pytest.mark.parametrize(
    "sql", ["SELECT :a AS a FROM orders WHERE id = :b", "SELECT ? AS a FROM orders OFFSET ? LIMIT ?"]
)
def test_placeholders_keep_their_order_and_their_text(sql: str) -> None:
    found = secured(sql, POLICY).sql
    assert [found.count(mark) for mark in ("?", ":a", ":b")] == [sql.count(mark) for mark in ("?", ":a", ":b")]


def test_a_table_is_named_with_its_catalog() -> None:
    short = RelationPolicy(path=("sales", "orders"), columns=("id",), masks=MappingProxyType({}))
    problems = policy_problems(RowPolicy(schema="sales", relations=(ORDERS, short)))
    assert problems == [(1, "name its catalog, too, as in hive.sales.orders")]


@pytest.mark.parametrize("condition", ["NOT id IS NULL", "id IS NOT NULL", "NOT id IS NOT NULL", "NOT (id IS NULL)"])
def test_a_not_stays_where_it_was_written(condition: str) -> None:
    written = condition.replace("id", '"id"')
    assert secured(f"SELECT id FROM orders WHERE {condition}", POLICY).sql.endswith(f"WHERE {written}")
