"""Which engine runs what: rules as the settings write them, and cases with engines that are up, down and full."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from queryengine.app.routing import dialect_of, routing_rules
from queryengine.domain.analysis import NOT_ANALYSED
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.domain.plan import Plan
from queryengine.domain.routing import REASON_CHARACTERS_MAX, Estimate, PassedOver, RoutingDecision
from queryengine.engines.base import EngineTraits
from queryengine.engines.kit.dialects import facts_of
from queryengine.engines.registry import engine_class
from queryengine.policy.routing.engines import KnownEngine, KnownEngines
from queryengine.policy.routing.fitness import Unfit
from queryengine.policy.routing.routing import Routing, RoutingRules
from queryengine.settings import Settings
from queryengine.settings.routing import WhenSettings
from tests.store_values import submission

ENGINES = KnownEngines(
    {
        "duck": KnownEngine("duckdb", EngineTraits(schema=True), "duckdb"),
        "click": KnownEngine("clickhouse", EngineTraits(session_settings=("max_threads",)), "clickhouse"),
        "trino": KnownEngine("trino", EngineTraits(catalog=True, schema=True), "trino"),
        "spark": KnownEngine("spark", EngineTraits(catalog=True, schema=True), "spark"),
        "broken": KnownEngine("spark", Failure(Reason.ENGINE_UNAVAILABLE, "the driver is not installed"), "spark"),
    },
    "duck",
)
TYPES = {name: {"type": engine.type} for name, engine in ENGINES.engines.items()}
DOWN = Unfit("unavailable: connection refused", is_down=True)
FULL = Unfit("full: 9 waiting for 4 slots", is_down=False)
UNKNOWN = "rule interactive: kind SELECT, no estimate"
SALES = "SELECT * FROM sales.orders"
FAST, SLOW = Estimate(seconds=2.1, rows=10, bytes=1000), Estimate(seconds=45.0, rows=50_000, bytes=20_000_000_000)


def settings(text: str, **engines: Any) -> Settings:
    return Settings(engines={**TYPES, **engines}, routing=yaml.safe_load(text))


@cache
def rules_of(text: str) -> RoutingRules:
    return routing_rules(settings(text))


@dataclass(frozen=True)
class Asked:
    """Who asks for what, and how the engines are then."""

    sql: str
    principal: Principal
    fields: Mapping[str, Any]
    state: Mapping[str, Unfit]
    past: Mapping[str, Estimate]


def ask(sql: str = "SELECT 1", *, by: Mapping[str, Any] | None = None, **given: Any) -> Asked:
    """`state` and `past` say how the engines are; `by` who asks; everything else is the submission's."""
    principal = Principal(**{"tenant": "acme", "subject": "ann", **(by or {})})
    state, past = given.pop("state", {}), given.pop("past", {})
    return Asked(sql, principal, given, state, past)


def route(text: str, asked: Asked) -> Plan:
    """The plan as the planner gets it: by the submission alone if that will do, else by the text."""
    rules = rules_of(text)
    found = submission(sql=asked.sql, tenant=asked.principal.tenant, subject=asked.principal.subject, **asked.fields)
    known = facts_of(asked.sql, found.dialect or rules.dialect)

    def past(engine: str, principal: Principal, query_hash: str) -> Estimate:
        assert principal is asked.principal
        assert query_hash == known.query_hash(asked.sql)
        return asked.past.get(engine, Estimate())

    routing = Routing(ENGINES, rules, fitness=asked.state.get, past=past)
    plan = routing.early(asked.principal, found, NOT_ANALYSED, Plan())
    late = routing.late(asked.principal, found, known, Plan())
    # What the submission alone decides, the text does not change.
    assert plan in (Plan(), late)
    return late


REST = """
rules:
  etl: {when: {labels: {workload: [etl, batch]}}, to: [spark, trino]}
  exports: {when: {row_limit_least: 10000, roles: [write]}, to: spark}
  interactive:
    when:
      kinds: [SELECT, PIVOT]
      estimate: {below_seconds: 30, below_bytes: 10000000000, below_rows: 10000, or_unknown: true}
    to: [duck, click, trino]
  batch: {to: [spark, trino]}
"""
"""Short queries go to fast engines, long ones and ETL to large ones."""
TABLES = """
rules:
  sales: {when: {tables: ["sales.*"]}, to: click}
  lake: {when: {any_table: ["lake.*.events", "archive"]}, to: trino}
"""
WHO = """
rules:
  ops: {when: {tenants: [ops], subjects: ["svc-*"]}, to: spark}
  admins: {when: {roles: [tenant_admin, admin]}, to: trino}
  tests: {when: {tenants: ["test-*"]}, to: click}
  nightly: {when: {labels: {job: "nightly-*", stage: prod}}, to: spark}
  hive: {when: {catalogs: [hive]}, to: trino}
  marts: {when: {schemas: ["mart_*"]}, to: trino}
  reports: {when: {named: ["report-*"]}, to: click}
"""
TEXT = """
rules:
  shows: {when: {kinds: [SHOW, DESCRIBE]}, to: trino}
  sketches: {when: {functions: [approx_distinct, "hll_*"]}, to: trino}
  small: {when: {row_limit_below: 100}, to: click}
"""
HINTS = """
explicit: refuse
rules:
  ops: {when: {tenants: [ops]}, to: [click, trino], explicit: refuse}
  etl: {when: {labels: {workload: etl}}, to: spark, explicit: override}
  all: {when: {tenants: [acme]}, to: duck}
"""
STRICT = """
rules:
  pinned: {when: {tenants: [pinned]}, to: [click, duck], strict: true}
  broken: {when: {tenants: [broken]}, to: [broken, trino]}
  useless: {when: {tenants: [useless]}, to: [broken]}
  rest: {to: [click, trino, duck]}
"""
DIALECTS = """
dialect: clickhouse
rules:
  trino: {when: {dialects: [trino, spark]}, to: [trino, spark]}
  arrays: {when: {functions: [arrayjoin]}, to: click}
"""
MOVING = """
rules:
  moved: {when: {labels: {move: "1"}}, to: [duck, trino], translate_from: trino}
"""
MOVE, MOVED = {"move": "1"}, "rule moved: label move=1"
ADMIN = {"roles": frozenset({Role.TENANT_ADMIN, Role.READ})}
READER = {"roles": frozenset({Role.READ, Role.SUBMIT})}
WRITER = {"roles": frozenset({Role.WRITE})}
NOBODYS = {"tenant": "other", **READER}

CASES: list[tuple[str, str, Asked, str, str]] = [
    # Interactive and batch: by what is known of the same text, and by what the request says.
    ("unknown is interactive", REST, ask(), "duck", UNKNOWN),
    (
        "fast",
        REST,
        ask(past={"duck": FAST}),
        "duck",
        "rule interactive: kind SELECT, estimated 2.1 s, 10 rows, 1000 bytes by its past on duck",
    ),
    ("slow", REST, ask(past={"duck": SLOW}), "spark", "rule batch"),
    ("slow elsewhere", REST, ask(past={"spark": SLOW}), "spark", "rule batch"),
    ("the preferred engine's past counts", REST, ask(past={"spark": FAST, "click": SLOW}), "spark", "rule batch"),
    ("many rows", REST, ask(past={"duck": replace(FAST, rows=10_000)}), "spark", "rule batch"),
    ("many bytes", REST, ask(past={"duck": replace(FAST, bytes=10**10)}), "spark", "rule batch"),
    (
        "bytes unknown",
        REST,
        ask(past={"duck": replace(FAST, bytes=None)}),
        "duck",
        "rule interactive: kind SELECT, estimated 2.1 s, 10 rows by its past on duck",
    ),
    (
        "just below",
        REST,
        ask(past={"duck": Estimate(seconds=29.9, rows=9_999)}),
        "duck",
        "rule interactive: kind SELECT, estimated 29.9 s, 9999 rows by its past on duck",
    ),
    ("just above", REST, ask(past={"duck": Estimate(seconds=30.0)}), "spark", "rule batch"),
    ("etl", REST, ask(labels={"workload": "etl"}), "spark", "rule etl: label workload=etl"),
    (
        "etl, spark down",
        REST,
        ask(labels={"workload": "batch"}, state={"spark": DOWN}),
        "trino",
        "rule etl: label workload=batch; spark unavailable, next trino",
    ),
    ("another workload", REST, ask(labels={"workload": "web"}), "duck", UNKNOWN),
    ("an export without a limit", REST, ask(by=WRITER), "spark", "rule exports: role write, row limit none"),
    (
        "an export of many rows",
        REST,
        ask(by=WRITER, row_limit=10_000),
        "spark",
        "rule exports: role write, row limit 10000",
    ),
    (
        "an export of few rows",
        REST,
        ask(by=WRITER, row_limit=9_999),
        "duck",
        UNKNOWN,
    ),
    ("not a query", REST, ask("SHOW TABLES"), "spark", "rule batch"),
    ("a text that nobody reads", REST, ask("((("), "spark", "rule batch"),
    (
        "duck down",
        REST,
        ask(state={"duck": DOWN}),
        "click",
        f"{UNKNOWN}; duck unavailable, next click",
    ),
    (
        "duck full",
        REST,
        ask(state={"duck": FULL}),
        "click",
        f"{UNKNOWN}; duck full, next click",
    ),
    (
        "two out",
        REST,
        ask(state={"duck": FULL, "click": DOWN}),
        "trino",
        f"{UNKNOWN}; duck full, click unavailable, next trino",
    ),
    (
        "all out, one of them up",
        REST,
        ask(state={"duck": DOWN, "click": FULL, "trino": DOWN}),
        "click",
        f"{UNKNOWN}; duck unavailable, trino unavailable, waits for click, which is full",
    ),
    (
        "all down",
        REST,
        ask(state=dict.fromkeys(("duck", "click", "trino"), DOWN)),
        "duck",
        f"{UNKNOWN}; click unavailable, trino unavailable, waits for duck, which is unavailable",
    ),
    (
        "a catalog that duck and click have not",
        REST,
        ask(catalog="hive"),
        "trino",
        f"{UNKNOWN}; duck does not support catalog, click does not support catalog, next trino",
    ),
    (
        "a schema that click has not",
        REST,
        ask(schema="s", state={"duck": FULL}),
        "trino",
        f"{UNKNOWN}; duck full, click does not support schema, next trino",
    ),
    # Tables.
    ("a table of the pattern", TABLES, ask(SALES), "click", "rule sales: tables sales.*"),
    ("in any case", TABLES, ask('SELECT * FROM "SALES"."Orders"'), "click", "rule sales: tables sales.*"),
    ("with a catalog", TABLES, ask("SELECT * FROM hive.sales.orders"), "click", "rule sales: tables sales.*"),
    ("several", TABLES, ask("SELECT * FROM sales.a JOIN sales.b USING (id)"), "click", "rule sales: tables sales.*"),
    ("one that is none of them", TABLES, ask("SELECT * FROM sales.a, other.b"), "duck", "default"),
    ("a schema of the request", TABLES, ask("SELECT * FROM orders", schema="sales"), "", "UNSUPPORTED"),
    ("no schema", TABLES, ask("SELECT * FROM orders"), "duck", "default"),
    ("no table", TABLES, ask("SELECT 1"), "duck", "default"),
    ("any table", TABLES, ask("SELECT * FROM sales.a, lake.web.events"), "trino", "rule lake: table lake.*.events"),
    ("any table without a schema", TABLES, ask("SELECT * FROM x.y.archive"), "trino", "rule lake: table archive"),
    ("a part of a name", TABLES, ask("SELECT * FROM presales.a"), "duck", "default"),
    ("a subquery", TABLES, ask("SELECT (SELECT max(a) FROM sales.a)"), "click", "rule sales: tables sales.*"),
    ("a common table expression", TABLES, ask("WITH archive AS (SELECT 1) SELECT * FROM archive"), "duck", "default"),
    (
        "one that reads its namesake",
        TABLES,
        ask("WITH archive AS (SELECT * FROM archive) SELECT * FROM archive"),
        "trino",
        "rule lake: table archive",
    ),
    ("a name in a string", TABLES, ask("SELECT 'FROM sales.orders'"), "duck", "default"),
    ("a name in a comment", TABLES, ask("SELECT 1 -- FROM sales.orders"), "duck", "default"),
    ("a function in place of a table", TABLES, ask("SELECT * FROM read_csv('x'), sales.a"), "duck", "default"),
    # Who.
    (
        "tenant and subject",
        WHO,
        ask(by={"tenant": "ops", "subject": "svc-1", **READER}),
        "spark",
        "rule ops: tenant ops, subject svc-1",
    ),
    ("the tenant alone", WHO, ask(by={"tenant": "ops", "subject": "ann", **READER}), "duck", "default"),
    ("no subject", WHO, ask(by={"tenant": "ops", "subject": "", **READER}), "duck", "default"),
    ("a role", WHO, ask(by=ADMIN), "trino", "rule admins: role tenant_admin"),
    ("a tenant of a pattern", WHO, ask(by={"tenant": "test-7", **READER}), "click", "rule tests: tenant test-7"),
    ("a tenant in another case", WHO, ask(by={"tenant": "TEST-7", **READER}), "duck", "default"),
    (
        "both labels",
        WHO,
        ask(by=READER, labels={"job": "nightly-1", "stage": "prod"}),
        "spark",
        "rule nightly: label job=nightly-1, label stage=prod",
    ),
    ("one label", WHO, ask(by=READER, labels={"job": "nightly-1"}), "duck", "default"),
    ("another value", WHO, ask(by=READER, labels={"job": "nightly-1", "stage": "dev"}), "duck", "default"),
    ("a catalog", WHO, ask(by=READER, catalog="hive"), "trino", "rule hive: catalog hive"),
    ("a schema", WHO, ask(by=READER, schema="mart_a"), "trino", "rule marts: schema mart_a"),
    ("a named query", WHO, ask(by=READER, named_query="report-1@7"), "click", "rule reports: named query report-1"),
    ("the text of a named query", TABLES, ask(SALES, named_query="report-1"), "click", "rule sales: its text"),
    ("another named query", WHO, ask(by=READER, named_query="reports@prod"), "duck", "default"),
    ("nobody's", WHO, ask(by=NOBODYS), "duck", "default"),
    # The text.
    ("a kind", TEXT, ask("SHOW TABLES"), "trino", "rule shows: kind SHOW"),
    ("its other word", TEXT, ask("DESC orders"), "trino", "rule shows: kind DESCRIBE"),
    ("a function", TEXT, ask("SELECT Approx_Distinct(a) FROM t"), "trino", "rule sketches: function approx_distinct"),
    ("a function of a pattern", TEXT, ask("SELECT hll_merge (a) FROM t"), "trino", "rule sketches: function hll_merge"),
    ("a column of that name", TEXT, ask("SELECT approx_distinct FROM t"), "duck", "default"),
    ("few rows", TEXT, ask(row_limit=99), "click", "rule small: row limit 99"),
    ("no limit is not few", TEXT, ask(), "duck", "default"),
    # Requests that name an engine.
    ("a hint", REST, ask(engine_hint="trino", labels={"workload": "etl"}), "trino", "explicit"),
    ("a hint to an engine that is down", REST, ask(engine_hint="trino", state={"trino": DOWN}), "trino", "explicit"),
    (
        "a hint that a rule allows",
        HINTS,
        ask(by={"tenant": "ops"}, engine_hint="trino"),
        "trino",
        "rule ops: explicit, tenant ops",
    ),
    ("a hint that a rule refuses", HINTS, ask(by={"tenant": "ops"}, engine_hint="spark"), "", "ENGINE_HINT_REFUSED"),
    (
        "a hint that a rule overrides",
        HINTS,
        ask(engine_hint="duck", labels={"workload": "etl"}),
        "spark",
        "rule etl: label workload=etl",
    ),
    ("a hint that nothing allows", HINTS, ask(engine_hint="duck"), "", "ENGINE_HINT_REFUSED"),
    ("an unknown hint", HINTS, ask(engine_hint="duk", labels={"workload": "etl"}), "", "UNKNOWN_ENGINE"),
    ("no hint", HINTS, ask(), "duck", "rule all: tenant acme"),
    # Strictness, and engines that cannot be used.
    (
        "a strict rule",
        STRICT,
        ask(by={"tenant": "pinned"}, state={"click": DOWN}),
        "click",
        "rule pinned: tenant pinned; waits for click, which is unavailable",
    ),
    (
        "a strict request",
        STRICT,
        ask(strict_routing=True, state={"click": FULL}),
        "click",
        "rule rest; waits for click, which is full",
    ),
    ("a strict request for what it cannot do", STRICT, ask(strict_routing=True, catalog="c"), "", "UNSUPPORTED"),
    (
        "an engine without its driver",
        STRICT,
        ask(by={"tenant": "broken"}),
        "trino",
        "rule broken: tenant broken; broken unavailable, next trino",
    ),
    ("nothing but that", STRICT, ask(by={"tenant": "useless"}), "", "ENGINE_UNAVAILABLE"),
    ("a setting that one takes", STRICT, ask(session_settings={"max_threads": "2"}), "click", "rule rest"),
    ("a setting that none takes", STRICT, ask(session_settings={"x": "2"}), "", "UNSUPPORTED"),
    # Dialects.
    ("another dialect than the engine's", DIALECTS, ask(dialect="mysql"), "", "TRANSLATION_REFUSED"),
    ("the engine's own", DIALECTS, ask(dialect="duckdb"), "duck", "default"),
    (
        "an engine that is named reads another",
        "rules: {}",
        ask(dialect="trino", engine_hint="duck"),
        "",
        "TRANSLATION_REFUSED",
    ),
    ("translated as the rule says", MOVING, ask(labels=MOVE), "duck", f"{MOVED}; translated from trino"),
    (
        "translated as the request says",
        MOVING,
        ask(labels=MOVE, dialect="postgresql"),
        "duck",
        f"{MOVED}; translated from postgresql",
    ),
    ("nothing to translate", MOVING, ask(labels=MOVE, dialect="duckdb"), "duck", MOVED),
    (
        "nothing to translate for the next",
        MOVING,
        ask(labels=MOVE, state={"duck": DOWN}),
        "trino",
        f"{MOVED}; duck unavailable, next trino",
    ),
    (
        "an engine that reads another is passed over",
        DIALECTS,
        ask(dialect="spark"),
        "spark",
        "rule trino: dialect spark; trino reads trino, and the statement is spark, next spark",
    ),
    ("a dialect", DIALECTS, ask(dialect="trino"), "trino", "rule trino: dialect trino"),
    (
        "read in the dialect of the rules",
        DIALECTS,
        ask("SELECT arrayJoin([1, 2])"),
        "click",
        "rule arrays: function arrayjoin",
    ),
    ("no rules", "rules: {}", ask(), "duck", "default"),
    ("no rules, and a hint", "rules: {}", ask(engine_hint="click"), "click", "explicit"),
]


@pytest.mark.parametrize(
    ("rules", "asked", "engine", "reason"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_the_engine_and_the_reason(rules: str, asked: Asked, engine: str, reason: str) -> None:
    if reason.isupper():
        with pytest.raises(QueryEngineError) as refusal:
            route(rules, asked)
        assert refusal.value.failure.reason == reason
        return
    plan = route(rules, asked)
    assert (plan.engine, plan.routing_reason) == (engine, reason)
    assert plan.engine_type == ENGINES.engines[engine].type
    assert (plan.routing is not None) == reason.startswith("rule ")


def test_a_decision_holds_the_whole_of_what_was_passed_over() -> None:
    plan = route(REST, ask(state={"duck": FULL, "click": Unfit("unavailable: " + "no\n route " * 100, is_down=True)}))
    assert plan.routing is not None
    assert plan.routing.rule == "interactive"
    assert plan.routing.facts == ("kind SELECT", "no estimate")
    full, down = plan.routing.passed_over
    assert full == PassedOver("duck", "full: 9 waiting for 4 slots")
    assert down.why.startswith("unavailable: no route no route")
    assert len(down.why) == 200
    assert RoutingDecision.from_json(plan.routing.to_json()) == plan.routing


def test_a_reason_is_bounded() -> None:
    labels = {f"key{number}": "v" * 250 for number in range(20)}
    rule = yaml.safe_dump({"rules": {"long": {"when": {"labels": labels}, "to": "duck"}}})
    plan = route(rule, ask(labels=labels))
    assert len(plan.routing_reason) == REASON_CHARACTERS_MAX
    assert plan.routing is not None
    assert all(len(fact) <= 200 for fact in plan.routing.facts)


SPLIT = "rules: {canary: {split: {engines: {duck: 95, click: 5}, by: BY}, strict: STRICT}}"


def split(by: str, asked: list[Asked], *, strict: str = "false") -> list[str]:
    text = SPLIT.replace("BY", by).replace("STRICT", strict)
    return [route(text, each).engine for each in asked]


@pytest.mark.parametrize(
    ("by", "differing"),
    [
        ("tenant", [ask(by={"tenant": f"t{number}"}) for number in range(400)]),
        ("subject", [ask(by={"subject": f"s{number}"}) for number in range(400)]),
        ("statement", [ask(f"SELECT {number}") for number in range(400)]),
        ("request", [ask(parameters=str(number).encode()) for number in range(400)]),
    ],
)
def test_a_split_is_sticky_and_about_as_large_as_it_says(by: str, differing: list[Asked]) -> None:
    found = split(by, differing)
    # Chosen by hash, so these numbers are the same in every run.
    assert 8 <= found.count("click") <= 36
    assert split(by, differing) == found


def test_a_split_by_tenant_keeps_a_tenant_together_and_one_by_request_shares_it_out() -> None:
    requests = [ask(f"SELECT {number}", by={"subject": f"s{number}"}) for number in range(200)]
    assert len(set(split("tenant", requests))) == 1
    assert set(split("request", requests)) == {"duck", "click"}


def test_splits_of_two_rules_do_not_choose_the_same_callers() -> None:
    tenants = [ask(by={"tenant": f"t{number}"}) for number in range(400)]
    one = [route("rules: {a: {split: {engines: {duck: 50, click: 50}}}}", each).engine for each in tenants]
    two = [route("rules: {b: {split: {engines: {duck: 50, click: 50}}}}", each).engine for each in tenants]
    both = [pair == ("click", "click") for pair in zip(one, two, strict=True)]
    assert 60 <= sum(both) <= 140


@pytest.mark.parametrize(("strict", "instead"), [("false", "duck"), ("true", "click")])
def test_the_side_of_a_split_that_is_down_is_replaced_unless_strict(strict: str, instead: str) -> None:
    tenants = [ask(by={"tenant": f"t{number}"}, state={"click": DOWN}) for number in range(100)]
    drawn = [
        route(SPLIT.replace("BY", "tenant").replace("STRICT", "false"), replace(each, state={})) for each in tenants
    ]
    for asked, usual in zip(tenants, drawn, strict=True):
        (now,) = split("tenant", [asked], strict=strict)
        assert now == (instead if usual.engine == "click" else "duck")


def test_weights_of_nothing_draw_nothing() -> None:
    text = "rules: {none: {split: {engines: {duck: 0, click: 1}}}}"
    assert {route(text, ask(by={"tenant": f"t{number}"})).engine for number in range(50)} == {"click"}


NEEDS_TEXT = [
    ("rules: {a: {when: {tenants: [x]}, to: click}}", False),
    ("rules: {a: {when: {tenants: [x], kinds: [SHOW]}, to: click}}", False),
    ("rules: {a: {when: {tenants: [acme], kinds: [SHOW]}, to: click}}", True),
    ("rules: {a: {when: {tenants: [acme]}, to: click}, b: {when: {kinds: [SHOW]}, to: click}}", False),
    ("rules: {a: {when: {estimate: {below_rows: 5}}, to: click}}", True),
]


@pytest.mark.parametrize(("rules", "needed"), NEEDS_TEXT)
def test_a_text_is_read_only_where_a_rule_that_may_apply_asks_for_it(rules: str, needed: bool) -> None:
    routing = Routing(ENGINES, routing_rules(settings(rules)), fitness=lambda _: None, past=lambda *_: Estimate())
    plan = routing.early(Principal(tenant="acme"), submission(), NOT_ANALYSED, Plan())
    assert (not plan.engine) == needed


WRONG = {
    "rules: {a: {}}": "expected either `to` or `split`",
    "rules: {a: {to: duck, split: {engines: {duck: 1, click: 1}}}}": "expected either `to` or `split`",
    "rules: {a: {to: duk}}": "rules.a: there is no engine 'duk'; expected some of duck, click, trino, spark, broken",
    "rules: {a: {split: {engines: {duck: 1, duk: 1}}}}": "rules.a: there is no engine 'duk'",
    "rules: {a: {to: [duck, duck]}}": "to: an engine is listed twice",
    "rules: {a: {to: []}}": "expected either `to` or `split`",
    "rules: {a: {split: {engines: {duck: 0, click: 0}}}}": "expected weights from 0 to 1000000, not all 0",
    "rules: {a: {split: {engines: {duck: -1, click: 2}}}}": "expected weights from 0 to 1000000, not all 0",
    "rules: {a: {to: duck, when: {tables: [sales.]}}}": "'sales.' is no pattern of tables",
    "rules: {a: {to: duck, when: {tables: ['a\"b\"']}}}": "is no pattern of tables",
    "rules: {a: {to: duck, when: {estimate: {}}}}": "expected a bound such as below_seconds",
    "rules: {a: {to: duck, when: {kinds: [INSERT]}}}": "Input should be 'SELECT'",
    "rules: {a: {to: duck, when: {tenant: x}}}": "Extra inputs are not permitted",
    "rules: {A: {to: duck}}": "expected a name of a lower-case letter and up to 62",
    "rules: {a: {to: duck, translate_from: clickhouse}}": "Input should be 'duckdb'",
    "rules: {a: {to: duck, when: {labels: {}}}}": "must not be empty",
    "rules: {a: {to: duck, when: {labels: {team: []}}}}": "at least 1 item",
    "dialect: oracle": "Input should be 'clickhouse'",
}


@pytest.mark.parametrize(
    "condition",
    [name for name, field in WhenSettings.model_fields.items() if field.default == ()],
)
def test_a_condition_with_an_empty_list_is_refused(condition: str) -> None:
    """It would hold for every statement, as if it were not there."""
    with pytest.raises(ValidationError, match="must not be empty"):
        settings(f"rules: {{a: {{to: duck, when: {{{condition}: []}}}}}}")


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_the_settings_is_named(text: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(text)
    assert WRONG[text] in str(refusal.value)


def test_rules_are_read_in_the_dialect_of_the_default_engine() -> None:
    postgres = {"type": "sqlalchemy", "options": {"url": "postgresql+psycopg://db/x"}}
    sqlite = {"type": "sqlalchemy", "options": {"url": "sqlite:///x.db"}}
    other = {"type": "sqlalchemy", "options": {"url": "oracle://db"}}
    found = Settings(engines={"a": postgres, "b": sqlite, "c": other, "d": {"type": "trino"}})
    assert [dialect_of(each) for each in found.engines.values()] == ["postgresql", "sqlite", "", "trino"]
    assert routing_rules(found).dialect == "postgresql"


def test_what_runs_has_the_hash_by_which_its_past_is_looked_up() -> None:
    texts = ["select 1", "SELECT  a -- x\n FROM t ;", "SELECT 'it''s; --', \"a b\" FROM t WHERE a=1 /* c */ AND b<>2"]
    for name in ("duckdb", "trino", "spark"):
        for sql in texts:
            own = engine_class(name).analyse(sql, {"url": "http://x", "uri": "sc://x"})
            assert facts_of(sql, name).query_hash(sql) == own.query_hash(sql), (name, sql)
