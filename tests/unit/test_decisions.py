"""Answers of a decision point: what is one, what becomes of it, and what is refused."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import duckdb
import pytest

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.domain.row_policy import Condition, RelationPolicy, RowPolicy
from queryengine.engines.clickhouse.row_security import secured as in_clickhouse
from queryengine.engines.duckdb.row_security import secured as in_duckdb
from queryengine.engines.postgresql.row_security import secured as in_postgresql
from queryengine.engines.spark.row_security import secured as in_spark
from queryengine.engines.sqlalchemy.sqlite_security import secured as in_sqlite
from queryengine.engines.trino.row_security import secured as in_trino
from queryengine.policy.decisions.answers import decision_of
from queryengine.policy.decisions.decision_point import DecisionPoint, Endpoint, principal_key
from queryengine.policy.fetching import Document
from queryengine.policy.row_security.policies import EffectivePolicy, Profile
from tests.opa_server import OpaServer, opa_server

ANN = Principal(tenant="acme", subject="ann", roles=frozenset({Role.SUBMIT}), claims={"team": "a", "exp": 1})
ANALYSIS = Analysis(kinds=frozenset({"SELECT"}), tables=frozenset({("main", "b"), ("a",)}))


def condition(**fields: Any) -> Any:
    return {"result": {"allow": True, "filters": {"t": [fields]}}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"operator": "eq", "value": "x"}, ("x",)),
        ({"operator": "eq", "value": ""}, ("",)),
        ({"operator": "neq", "value": False}, (False,)),
        ({"operator": "lt", "value": -1.5}, (-1.5,)),
        ({"operator": "in", "values": [1, 2]}, (1, 2)),
        ({"operator": "not_in", "values": ["x"]}, ("x",)),
        ({"operator": "is_null"}, ()),
        ({"operator": "is_not_null", "values": []}, ()),
    ],
)
def test_conditions_are_read(fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    decision = decision_of(json.dumps(condition(column="c", **fields)).encode())
    assert decision.conditions == {"t": (Condition("c", fields["operator"], expected),)}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no",
        b"[]",
        b"{}",
        b"[" * 100_000,
        {"result": None},
        {"result": True},
        {"result": {}},
        {"result": {"allow": "true"}},
        {"result": {"allow": 1}},
        {"result": {"allow": True, "reason": 1}},
        {"result": {"allow": True, "filter": {}}},
        {"result": {"allow": True, "filters": []}},
        {"result": {"allow": True, "filters": None}},
        {"result": {"allow": True, "filters": {"t": {}}}},
        {"result": {"allow": True, "filters": {"t": "1 = 1"}}},
        {"result": {"allow": True, "filters": {"t": ["1 = 1"]}}},
        {"result": {"allow": True, "filters": {"t": [{"column": "c", "operator": "is_null"}] * 101}}},
        condition(),
        condition(column="c"),
        condition(column="", operator="is_null"),
        condition(column=1, operator="is_null"),
        condition(column="c", operator="sql", value="1 = 1"),
        condition(column="c", operator=["eq"], value=1),
        condition(column="c", operator="like", value="%"),
        condition(column="c", operator="EQ", value=1),
        condition(column="c", operator="eq"),
        condition(column="c", operator="eq", value=None),
        condition(column="c", operator="eq", value=[1]),
        condition(column="c", operator="eq", value={"sql": "1"}),
        condition(column="c", operator="eq", value="a\0"),
        condition(column="c", operator="eq", value="a" * 10_001),
        condition(column="c", operator="eq", value=1 << 63),
        condition(column="c", operator="eq", value=float("inf")),
        condition(column="c", operator="eq", value=float("nan")),
        condition(column="c", operator="eq", values=[1, 2]),
        condition(column="c", operator="eq", value=1, values=[1]),
        condition(column="c", operator="in", values=[]),
        condition(column="c", operator="in", values="ab"),
        condition(column="c", operator="in", values=[1] * 1001),
        condition(column="c", operator="is_null", value=1),
        condition(column="c", operator="eq", value=1, unless="x"),
    ],
)
def test_what_is_not_understood_is_no_answer(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"^(it |result|a condition|the filters)"):
        decision_of(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@asynccontextmanager
async def point(server: OpaServer, *, seconds: float = 5, cache_seconds: float = 60) -> AsyncIterator[DecisionPoint]:
    clock = [0.0]
    document = Document(f"{server.url}/v1/data/x", seconds=seconds, bytes_max=1000, threads=2)
    found = DecisionPoint(Endpoint(document=document, cache_seconds=cache_seconds), now=lambda: clock[0])
    found.clock = clock  # type: ignore[attr-defined]
    try:
        yield found
    finally:
        found.close()


async def decided(found: DecisionPoint, principal: Principal = ANN, analysis: Analysis = ANALYSIS) -> Failure | None:
    """Why a query of an engine without policies is refused, if it is."""
    try:
        assert await found.decide(principal, "duck", analysis, None, leave_turn=lambda: None) is None
    except QueryEngineError as cause:
        return cause.failure
    return None


async def test_one_question_has_all_that_is_known_of_a_query() -> None:
    async with opa_server() as server, point(server) as found:
        assert await decided(found) is None
        assert await decided(found, analysis=Analysis()) is None
    principal = {"tenant": "acme", "subject": "ann", "roles": ["submit"], "claims": {"team": "a"}}
    asked = {"principal": principal, "engine": "duck", "kinds": ["SELECT"], "tables": ["a", "main.b"]}
    assert server.questions == [asked, {**asked, "kinds": None, "tables": None}]
    assert server.requests[0].startswith("POST /v1/data/x HTTP/1.1")


async def test_a_denial_is_said_with_its_reason() -> None:
    async with opa_server() as server, point(server) as found:
        server.answer = {"result": {"allow": False, "reason": "not\n on Sundays"}}
        failure = await decided(found)
        assert failure is not None
        assert (failure.reason, failure.metadata) == (Reason.POLICY_DENIED, {"engine": "duck"})
        assert failure.message.endswith(": not on Sundays")


OPEN = RowPolicy(
    schema="main",
    default_open=True,
    relations=(
        RelationPolicy(path=("main", "orders"), columns=("id",), rule="own", rows="id > 1", masks=MappingProxyType({})),
    ),
)


@pytest.mark.parametrize("secure", [in_duckdb, in_postgresql, in_clickhouse, in_trino, in_spark])
@pytest.mark.parametrize(
    ("sql", "relations", "unlisted"),
    [
        ("SELECT id FROM orders", ["orders"], []),
        ("SELECT id FROM other", [], ["other"]),
        ("SELECT a.id FROM main.other a JOIN orders b ON a.id = b.id", ["orders"], ["other"]),
        (
            "WITH x AS (SELECT id FROM other) SELECT id FROM x WHERE id IN (SELECT id FROM third)",
            [],
            ["other", "third"],
        ),
    ],
)
def test_tables_that_are_open_by_default_are_named(
    secure: Any, sql: str, relations: list[str], unlisted: list[str]
) -> None:
    found = secure(sql, OPEN)
    assert found.relations == tuple(("main", name) for name in relations)
    assert found.unlisted == tuple(("main", name) for name in unlisted)


async def test_a_decision_point_is_asked_about_tables_that_are_open_by_default() -> None:
    policy = EffectivePolicy(Profile(OPEN, enforces=False), {}, "main", "acme")
    analysis = replace(ANALYSIS, policed=policy.policed("", [("main", "orders")], [("main", "other")]))
    async with opa_server() as server, point(server, cache_seconds=0) as found:
        assert await found.decide(ANN, "duck", analysis, policy, leave_turn=lambda: None) is policy
        assert server.questions[0]["tables"] == ["main.orders", "main.other"]
        server.answer = {
            "result": {"allow": True, "filters": {"main.other": [{"column": "id", "operator": "eq", "value": 1}]}}
        }
        # Nothing would apply it there.
        with pytest.raises(QueryEngineError) as refusal:
            await found.decide(ANN, "duck", analysis, policy, leave_turn=lambda: None)
        assert refusal.value.failure.reason is Reason.POLICY_UNAVAILABLE


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Error\r\nContent-Length: 27\r\n\r\n" + b'{"result": {"allow": true}}',
        b"HTTP/1.1 302 Found\r\nLocation: /v1/data/y\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"result": {"allow": true}}',
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2000,
        {},
        condition(column="c", operator="eq", value=1),
    ],
)
async def test_whatever_goes_wrong_refuses_the_query(answer: Any) -> None:
    async with opa_server() as server, point(server) as found:
        server.answer = answer
        failure = await decided(found)
        assert failure is not None
        assert failure.reason is Reason.POLICY_UNAVAILABLE
        assert failure.retry_after_seconds
        # What went wrong is not remembered, or at least not as an answer.
        server.answer = {"result": {"allow": True}}
        found.adopt(
            found._endpoint
            and replace(found._endpoint, document=Document(f"{server.url}/v1/data/x", seconds=5, bytes_max=1000))
        )
        assert await decided(found) is None


async def test_silence_and_absence_refuse_the_query() -> None:
    async with opa_server() as server:
        server.answer = None
        async with point(server, seconds=0.2) as found:
            failure = await decided(found)
            assert failure is not None
            assert failure.reason is Reason.POLICY_UNAVAILABLE
    async with point(server) as found:
        failure = await decided(found)
        assert failure is not None
        assert failure.reason is Reason.POLICY_UNAVAILABLE


async def test_answers_hold_for_one_principal_and_question_for_a_while() -> None:
    async with opa_server() as server, point(server) as found:
        for _ in range(3):
            assert await decided(found) is None
            # A fresh token of the same principal.
            assert await decided(found, replace(ANN, claims={"team": "a", "exp": 2})) is None
        assert len(server.questions) == 1
        others = (replace(ANN, tenant="b"), replace(ANN, subject="b"), replace(ANN, claims={"team": "b"}))
        for number, other in enumerate((*others, replace(ANN, roles=frozenset())), 2):
            assert principal_key(other) != principal_key(ANN)
            assert await decided(found, other) is None
            assert len(server.questions) == number
        server.answer = {"result": {"allow": False}}
        assert await decided(found) is None
        found.clock[0] = 60.0  # type: ignore[attr-defined]
        assert await decided(found) is not None
    async with opa_server() as server, point(server, cache_seconds=0) as found:
        assert [await decided(found) for _ in range(2)] == [None, None]
        assert len(server.questions) == 2


# ---- conditions as predicates

ROWS = [(1, "a'b", 1.5, True), (2, 'x" OR 1=1 --', -2.0, False), (3, "\\", 0.0, None), (4, None, None, True)]
CASES: list[tuple[list[Condition], list[int]]] = [
    ([Condition("name", "eq", ("a'b",))], [1]),
    ([Condition("name", "eq", ("' OR '1' = '1",))], []),
    ([Condition("name", "eq", ("\\",))], [3]),
    ([Condition("name", "neq", ('x" OR 1=1 --',))], [1, 3]),
    ([Condition("id", "in", (1, 3, 9))], [1, 3]),
    ([Condition("id", "not_in", (1, 3))], [2, 4]),
    ([Condition("amount", "lt", (0,))], [2]),
    ([Condition("amount", "gte", (0.0,)), Condition("id", "gt", (1,))], [3]),
    ([Condition("amount", "lte", (-2.0,))], [2]),
    ([Condition("name", "is_null")], [4]),
    ([Condition("name", "is_not_null"), Condition("id", "lt", (3,))], [1, 2]),
    ([Condition("name", "in", ("", "{tenant}"))], []),
]


def policy(conditions: list[Condition], *, rows: str = "") -> RowPolicy:
    relation = RelationPolicy(
        path=("main", "t"),
        columns=("id", "name", "amount", "flag"),
        rule="own",
        rows=rows,
        masks=MappingProxyType({"name": "null"}),
        conditions=tuple(conditions),
    )
    return RowPolicy.decode(RowPolicy(schema="main", relations=(relation,)).encode())


@pytest.mark.parametrize(("conditions", "expected"), CASES)
@pytest.mark.parametrize("rows", ["", "id < 4 OR id = 4"])
def test_conditions_choose_rows_behind_masks(conditions: list[Condition], expected: list[int], rows: str) -> None:
    sql, made = "SELECT id FROM t ORDER BY id", "CREATE TABLE t (id INTEGER, name TEXT, amount DOUBLE, flag BOOLEAN)"
    with closing(sqlite3.connect(":memory:")) as lite:
        lite.execute(made)
        lite.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", ROWS)
        found = lite.execute(in_sqlite(sql, policy(conditions, rows=rows)).sql).fetchall()
        assert [row[0] for row in found] == expected
    with closing(duckdb.connect()) as duck:
        duck.execute(made)
        duck.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", ROWS)
        found = duck.execute(in_duckdb(sql, policy(conditions, rows=rows)).sql).fetchall()
        assert [row[0] for row in found] == expected


@pytest.mark.parametrize("secure", [in_postgresql, in_clickhouse, in_trino], ids=["pg", "ch", "tr"])
@pytest.mark.parametrize(("conditions", "expected"), CASES)
def test_conditions_are_printed_and_read_again_in_every_dialect(
    secure: Any, conditions: list[Condition], expected: list[int]
) -> None:
    found = secure("SELECT id FROM t ORDER BY id", policy(conditions))
    assert "WHERE" in found.sql
    assert expected is not None
