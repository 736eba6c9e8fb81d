"""Planning steps, as tables of cases: what each adds to a plan, what it refuses, and in which order they act."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from queryengine.domain.analysis import NOT_ANALYSED, Analysis
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal
from queryengine.domain.live_table import AskedTable
from queryengine.domain.plan import Plan
from queryengine.domain.routing import Estimate
from queryengine.domain.submission import Submission
from queryengine.engines.base import EngineTraits
from queryengine.policy.apply_limits import ApplyLimits, DefaultLimits
from queryengine.policy.check_text import check_text
from queryengine.policy.decisions.decision_point import DecisionPoint
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.policy.planner import Planner
from queryengine.policy.routing.engines import KnownEngine, KnownEngines
from queryengine.policy.routing.routing import Routing, RoutingRules
from queryengine.policy.row_security.live_catalog import LiveCatalog
from queryengine.policy.row_security.policies import Policies
from queryengine.policy.step import Step
from tests.store_values import submission

CALLER = Principal(tenant="tenant")
DEFAULTS = DefaultLimits(queue_timeout_ms=10, execution_timeout_ms=20, interactive_timeout_ms=15, ttl_ms=30)
DRIVERLESS = Failure(Reason.ENGINE_UNAVAILABLE, "the driver is not installed")
ENGINES = {
    "small": KnownEngine("sqlalchemy", EngineTraits()),
    "large": KnownEngine("trino", EngineTraits(catalog=True, schema=True, session_settings=("threads",))),
    "broken": KnownEngine("spark", DRIVERLESS),
}
BEGUN = Plan(policy_version="7", cache_key="k", executed_sql="SELECT 2")
"""What steps before may have added, which stays."""


def chosen(asked: Submission) -> Plan:
    engines = KnownEngines(ENGINES, "small")
    routing = Routing(engines, RoutingRules(), fitness=lambda _: None, past=lambda *_: Estimate())
    return routing.early(CALLER, asked, NOT_ANALYSED, BEGUN)


@pytest.mark.parametrize(
    ("hint", "engine", "engine_type", "reason"),
    [
        ("", "small", "sqlalchemy", "default"),
        ("small", "small", "sqlalchemy", "explicit"),
        ("large", "large", "trino", "explicit"),
    ],
)
def test_the_engine_is_the_one_named_or_the_default(hint: str, engine: str, engine_type: str, reason: str) -> None:
    plan = replace(BEGUN, engine=engine, engine_type=engine_type, routing_reason=reason)
    assert chosen(submission(engine_hint=hint)) == plan


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "catalog": ({"catalog": "c"}, "small"),
    "schema": ({"schema": "s"}, "small"),
    "session_settings.threads": ({"session_settings": {"threads": "2"}}, "small"),
    "session_settings.x": ({"engine_hint": "large", "session_settings": {"threads": "2", "x": "1"}}, "large"),
}


@pytest.mark.parametrize("feature", UNSUPPORTED)
def test_what_the_engine_cannot_do_is_refused(feature: str) -> None:
    asked, engine = UNSUPPORTED[feature]
    with pytest.raises(QueryEngineError) as refusal:
        chosen(submission(**asked))
    failure = refusal.value.failure
    assert (failure.reason, failure.metadata) == (Reason.UNSUPPORTED, {"engine": engine, "feature": feature})


@pytest.mark.parametrize(
    ("hint", "reason", "metadata"),
    [
        ("nobody", Reason.UNKNOWN_ENGINE, {"engine": "nobody", "known": "broken,large,small"}),
        ("broken", Reason.ENGINE_UNAVAILABLE, {}),
    ],
)
def test_an_engine_that_cannot_be_used_is_refused(hint: str, reason: Reason, metadata: dict[str, str]) -> None:
    with pytest.raises(QueryEngineError) as refusal:
        chosen(submission(engine_hint=hint))
    assert (refusal.value.failure.reason, refusal.value.failure.metadata) == (reason, metadata)


def test_what_the_engine_can_do_passes() -> None:
    plan = chosen(submission(engine_hint="large", catalog="c", schema="s", session_settings={"threads": "2"}))
    assert plan.engine == "large"


@pytest.mark.parametrize(
    ("asked", "in_force"),
    [
        ({}, (10, 20, 0, 0, 30)),
        ({"queue_timeout_ms": 0}, (0, 20, 0, 0, 30)),
        ({"execution_timeout_ms": 1}, (10, 1, 0, 0, 30)),
        ({"row_limit": 5, "byte_limit": 6}, (10, 20, 5, 6, 30)),
        ({"ttl_ms": 99, "queue_timeout_ms": 10}, (10, 20, 0, 0, 99)),
    ],
)
def test_limits_left_open_are_those_of_the_service(asked: dict[str, int], in_force: tuple[int, ...]) -> None:
    step = ApplyLimits(DEFAULTS, TenantLimits({}))
    plan = step(CALLER, submission(**asked), NOT_ANALYSED, BEGUN)
    names = ("queue_timeout_ms", "execution_timeout_ms", "row_limit", "byte_limit", "ttl_ms")
    assert plan == replace(BEGUN, **dict(zip(names, in_force, strict=True)))


def test_other_defaults_hold_for_what_comes_then() -> None:
    step = ApplyLimits(DEFAULTS, TenantLimits({}))
    step.adopt(replace(DEFAULTS, ttl_ms=31))
    assert step(CALLER, submission(), NOT_ANALYSED, Plan()).ttl_ms == 31


@pytest.mark.parametrize("analysis", [NOT_ANALYSED, Analysis(kind="SELECT", functions=frozenset({"f"}))])
def test_a_text_that_is_not_refused_passes(analysis: Analysis) -> None:
    assert check_text(CALLER, submission(), analysis, BEGUN) is BEGUN


def test_a_text_that_the_engine_refuses_is_refused() -> None:
    failure = Failure(Reason.SYNTAX_ERROR, "near FORM")
    with pytest.raises(QueryEngineError) as refusal:
        check_text(CALLER, submission(), Analysis(refusal=failure), BEGUN)
    assert refusal.value.failure is failure


class KnownTexts:
    """Analyses of texts, some of which are remembered."""

    def __init__(self, **remembered: Analysis) -> None:
        self._remembered = remembered
        self.asked: list[tuple[str, str, str]] = []

    def remembered(self, engine: str, sql: str, policy: None, allowed: tuple[str, ...]) -> Analysis | None:
        assert policy is None
        assert allowed == ()
        return self._remembered.get(sql)

    async def of(
        self, tenant: str, engine: str, sql: str, *, size_bytes: int, policy: None, allowed: tuple[str, ...]
    ) -> Analysis:
        assert size_bytes
        assert policy is None
        assert allowed == ()
        self.asked.append((tenant, engine, sql))
        return Analysis(kind="NEW")


def adding(letter: str, seen: list[str | None]) -> Step:
    """A step that adds a letter to the cache key, and notes the kind of statement that it saw."""

    def step(_: Principal, __: Submission, analysis: Analysis, plan: Plan) -> Plan:
        seen.append(analysis.kind)
        return replace(plan, engine="small", cache_key=plan.cache_key + letter)

    return step


async def nobody(_: str, __: Sequence[AskedTable]) -> Failure:
    raise AssertionError("no engine has policies")


@pytest.mark.parametrize(("sql", "kind", "asked", "left"), [("old", "OLD", 0, 0), ("new", "NEW", 1, 1)])
async def test_steps_act_in_their_order_around_one_analysis(sql: str, kind: str, asked: int, left: int) -> None:
    texts, seen, turns = KnownTexts(old=Analysis(kind="OLD")), list[str | None](), list[int]()
    planner = Planner(
        first=[adding("a", seen), adding("b", seen)],
        then=[adding("c", seen), adding("d", seen)],
        analyses=texts,  # type: ignore[arg-type]
        policies=Policies({}),
        catalog=LiveCatalog(nobody),
        decisions=DecisionPoint(),
    )
    outline = planner.outline(CALLER, submission(sql=sql))
    assert outline.cache_key == "ab"
    assert not texts.asked
    plan, analysis = await planner.complete(CALLER, submission(sql=sql), outline, leave_turn=lambda: turns.append(1))
    assert (plan.cache_key, analysis.kind) == ("abcd", kind)
    assert seen == [None, None, kind, kind]
    # Whoever waits for no analysis keeps its turn.
    assert (len(texts.asked), len(turns)) == (asked, left)
