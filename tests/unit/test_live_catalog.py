"""What becomes of policies that do not fit the tables of an engine, with an engine that answers as a test says."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal
from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.plan import Plan
from queryengine.policy.row_security import live_catalog
from queryengine.policy.row_security.live_catalog import ExpectedTable, LiveCatalog
from queryengine.policy.row_security.policies import EffectivePolicy, Policies
from queryengine.policy.row_security.rules import EnginePolicy, Relation, Rule
from tests.store_values import query

DOWN = Failure(Reason.ENGINE_UNAVAILABLE, "no worker is up")
PATH = ("main", "orders")
RULE = "policy.yaml:9: policies.engines.lite.relations.main.orders.rules.own"
ORDERS = ExpectedTable(
    asked=AskedTable(PATH, ("id", "tenant", "secret")),
    place="policy.yaml:7: policies.engines.lite.relations.main.orders",
    compared={"tenant": RULE},
)
TYPES = {"id": "INTEGER", "tenant": "TEXT", "secret": "TEXT"}
FITS = LiveTable(TYPES, frozenset({"id"}))
NARROW = LiveTable({"id": "INTEGER", "tenant": "TEXT"}, frozenset({"id"}))
REJECTED = Failure(Reason.STATEMENT_REJECTED, "no such column: secret")


class Answers:
    """An engine, and how often it was looked at."""

    def __init__(self, now: LiveTable | Failure | None) -> None:
        self.now = now
        self.looks = 0

    async def __call__(self, engine: str, tables: Sequence[AskedTable]) -> Sequence[LiveTable | None] | Failure:
        assert (engine, list(tables)) == ("lite", [ORDERS.asked])
        self.looks += 1
        return self.now if isinstance(self.now, Failure) else [self.now]


def policy() -> EffectivePolicy:
    rule = Rule(name="own", rows="tenant = {tenant}", hidden=frozenset({"secret"}))
    relation = Relation(key="main.orders", path=PATH, columns=ORDERS.asked.columns, rules=(rule,))
    found = Policies({"lite": EnginePolicy(schema="main", relations=(relation,))}).of("lite", Principal(tenant="acme"))
    assert found is not None
    return found


def catalog(answers: Answers) -> LiveCatalog:
    found = LiveCatalog(answers)
    found.adopt({"lite": [ORDERS]})
    return found


async def refusal(found: LiveCatalog) -> str:
    """Empty where a query is planned."""
    try:
        await found.require("lite", policy(), [PATH], leave_turn=lambda: None)
    except QueryEngineError as cause:
        failure = cause.failure
    else:
        return ""
    assert failure.reason is Reason.RELATION_NOT_ALLOWED
    assert failure.metadata == {"relation": "main.orders"}
    return failure.message


@pytest.mark.parametrize(
    ("live", "said", "warned"),
    [
        (FITS, "", []),
        (None, "it has no table main.orders", ["orders: engine 'lite': it has no table main.orders"]),
        # The column that is gone is hidden from the caller, and is the operator's to know.
        (
            NARROW,
            "lacks a column that the policy names",
            ["orders: engine 'lite': its table main.orders lacks column 'secret'"],
        ),
        (LiveTable({"tenant": "TEXT", "secret": "TEXT"}, frozenset()), "lacks column 'id'", ["lacks column 'id'"]),
        (
            replace(FITS, not_text=frozenset({"tenant"})),
            "",
            ["policy.yaml:9: policies.engines.lite.relations.main.orders.rules.own: engine 'lite': column 'tenant'"],
        ),
    ],
)
async def test_what_does_not_fit_is_refused_and_warned_of(
    live: LiveTable | None, said: str, warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    found = catalog(Answers(live))
    with caplog.at_level(logging.WARNING):
        message = await refusal(found)
    assert said in message
    assert bool(message) == bool(said)
    warnings = found.warnings()
    assert len(warnings) == len(warned)
    assert all(part in line for part, line in zip(warned, warnings, strict=True))
    assert [record.message for record in caplog.records] == list(warnings)


async def test_an_engine_that_is_not_up_is_not_judged_until_it_is() -> None:
    answers = Answers(DOWN)
    found = catalog(answers)
    assert await refusal(found) == ""
    assert found.warnings() == ()
    answers.now = None
    assert "no table" in await refusal(found)


async def test_an_engine_that_does_not_say_is_asked_no_more_by_queries() -> None:
    answers = Answers(Failure(Reason.UNSUPPORTED, "not looked at"))
    found = catalog(answers)
    assert await refusal(found) == ""
    assert await refusal(found) == ""
    assert answers.looks == 1


async def test_a_table_that_was_mended_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(None)
    found = catalog(answers)
    assert await refusal(found)
    # Not looked at for each query.
    assert await refusal(found)
    assert answers.looks == 1
    monkeypatch.setattr(live_catalog, "LOOK_SECONDS", 0.0)
    answers.now = FITS
    assert await refusal(found) == ""
    assert found.warnings() == ()


async def test_new_policies_are_looked_at_anew() -> None:
    answers = Answers(FITS)
    found = catalog(answers)
    assert await refusal(found) == ""
    answers.now = None
    found.adopt({"lite": [ORDERS]})
    assert await refusal(found)


async def test_the_failure_of_a_query_whose_table_has_changed_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_catalog, "LOOK_SECONDS", 0.0)
    answers = Answers(FITS)
    found = catalog(answers)
    ran = replace(query(), plan=Plan(engine="lite", policy_version="7", row_policies=("main.orders:own",)))
    assert await found.explained(ran, REJECTED) is REJECTED
    answers.now = NARROW
    explained = await found.explained(ran, REJECTED)
    assert explained.reason is Reason.RELATION_NOT_ALLOWED
    assert "secret" not in explained.message
    other = replace(ran, plan=replace(ran.plan, row_policies=()))
    assert await found.explained(other, REJECTED) is REJECTED
    timeout = Failure(Reason.QUERY_TIMEOUT, "")
    assert await found.explained(ran, timeout) is timeout


def test_columns_are_asked_for_as_they_are_sent() -> None:
    assert AskedTable.from_json(ORDERS.asked.to_json()) == ORDERS.asked
    assert MappingProxyType(FITS.types) == LiveTable.from_json(FITS.to_json()).types
