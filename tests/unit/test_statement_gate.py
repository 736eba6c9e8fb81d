"""The statement gate, as tables: what its rules refuse, in which words, and what passes."""

from pathlib import Path
from typing import Any

import pytest

from queryengine.app.planning import gate_rules
from queryengine.domain.analysis import NOT_ANALYSED, Analysis, Measures
from queryengine.domain.errors import Failure, QueryEngineError, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.domain.plan import Plan
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.kit.checking import allowing
from queryengine.engines.spark.engine import SparkEngine
from queryengine.engines.sqlalchemy import parsed
from queryengine.engines.trino.engine import TrinoEngine
from queryengine.policy.statement_gate import GateRules, StatementGate
from queryengine.settings import Settings, SettingsError, load, reloaded
from tests.store_values import submission

ENGINES = {"duckdb": {"type": "duckdb"}, "pg": {"type": "sqlalchemy", "options": {"url": "postgresql://u@h/d"}}}
KNOWN = {
    "duckdb": lambda sql: DuckDBEngine.analyse(sql, {}),
    "pg": lambda sql: SQLAlchemyEngine.analyse(sql, {"url": "postgresql:///x"}),
}
READER = Principal(tenant="t", roles=frozenset({Role.SUBMIT, Role.READ}))
OWNER = Principal(tenant="t", roles=frozenset({Role.SUBMIT, Role.TENANT_ADMIN}))
NOBODY = Principal(tenant="t", roles=frozenset())


def settings(**statements: Any) -> Settings:
    return Settings(engines=ENGINES, statements=statements)


def gate(**statements: Any) -> StatementGate:
    return StatementGate(gate_rules(settings(**statements)))


def passed(gate: StatementGate, sql: str, *, engine: str = "duckdb", principal: Principal = READER) -> None:
    asked, plan = submission(sql=sql), Plan(engine=engine, cache_key="k")
    assert gate.refuse_long_text(principal, asked, NOT_ANALYSED, plan) is plan
    assert gate(principal, asked, KNOWN[engine](sql), plan) is plan


def refusal(gate: StatementGate, sql: str, *, engine: str = "duckdb", principal: Principal = READER) -> Failure:
    with pytest.raises(QueryEngineError) as caught:
        passed(gate, sql, engine=engine, principal=principal)
    failure = caught.value.failure
    assert failure.reason is Reason.STATEMENT_NOT_ALLOWED
    assert failure.metadata["engine"] == engine
    assert f"statements.{failure.metadata['rule']}" in failure.message
    return failure


@pytest.mark.parametrize("engine", KNOWN)
def test_without_rules_everything_passes(engine: str) -> None:
    passed(gate(), f"SELECT {'(' * 99}1{')' * 99} IN ({'1, ' * 999} 1)", engine=engine, principal=NOBODY)
    assert gate_rules(settings()) == {}


KINDS = {"any": ["SELECT"], "tenant_admin": ["EXPLAIN", "DESCRIBE", "SUMMARIZE"]}


@pytest.mark.parametrize(
    ("sql", "refused_for_reader", "refused_for_owner"),
    [
        ("SELECT 1", "", ""),
        ("FROM range(3)", "", ""),
        ("VALUES (1)", "", ""),
        ("DESCRIBE SELECT 1", "DESCRIBE", ""),
        ("EXPLAIN SELECT 1", "EXPLAIN", ""),
        ("SHOW TABLES", "SHOW", "SHOW"),
        ("explain /* x */ analyze select 1", "EXPLAIN", ""),
        ("SELECT * FROM (SUMMARIZE SELECT 1)", "SUMMARIZE", ""),
        ("WITH a AS (FROM (SHOW TABLES)) FROM a", "SHOW", "SHOW"),
        ("PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)", "PIVOT", "PIVOT"),
    ],
)
def test_kinds_are_those_of_the_roles(sql: str, refused_for_reader: str, refused_for_owner: str) -> None:
    rules = gate(kinds=KINDS)
    for principal, kind in ((READER, refused_for_reader), (OWNER, refused_for_owner)):
        if kind:
            failure = refusal(rules, sql, principal=principal)
            assert (failure.metadata["statement_type"], failure.metadata["rule"]) == (kind, "kinds")
            assert "allowed: " in failure.message
            assert "SELECT" in failure.metadata["allowed"]
        else:
            passed(rules, sql, principal=principal)


def test_a_role_without_kinds_may_send_none() -> None:
    assert "allowed: none" in refusal(gate(kinds={"tenant_admin": ["SELECT"]}), "SELECT 1").message


@pytest.mark.parametrize(
    ("engine", "functions", "sql", "name"),
    [
        ("duckdb", {"deny": ["RANDOM"]}, "SELECT random()", "random"),
        ("duckdb", {"deny": ["random"]}, 'SELECT "Random"()', "random"),
        ("duckdb", {"deny": ["range"]}, "FROM range(3)", "range"),
        ("duckdb", {"deny": ["current_date"]}, "SELECT current_date", "current_date"),
        ("duckdb", {"deny": ["random"]}, f"SELECT {'1, ' * 3000} random()", "random"),
        ("duckdb", {"deny": ["random"], "allow": ["random"]}, "SELECT random()", "random"),
        ("duckdb", {"only": ["sum"]}, "SELECT sum(1), max(1)", "max"),
        ("duckdb", {"only": ["@computing"]}, "SELECT my_macro(1)", "my_macro"),
        ("duckdb", {"only": ["@computing"]}, "FROM duckdb_tables()", "duckdb_tables"),
        ("pg", {"deny": ["pg_sleep"]}, r'SELECT pg_catalog . U&"pg\005fsleep" /* x */ (1)', "pg_sleep"),
        ("pg", {"only": ["@computing"]}, "SELECT 1 WHERE current_setting('x') = ''", "current_setting"),
        ("pg", {"only": ["@computing"]}, "SELECT * FROM pg_get_keywords()", "pg_get_keywords"),
    ],
)
def test_functions_are_refused_by_name(engine: str, functions: dict[str, Any], sql: str, name: str) -> None:
    failure = refusal(gate(functions=functions), sql, engine=engine)
    assert failure.metadata["name"] == name
    assert failure.metadata["rule"] in {"functions.deny", "functions.only"}
    assert repr(name) in failure.message


@pytest.mark.parametrize(
    ("engine", "functions", "sql"),
    [
        ("duckdb", {"only": ["@computing"]}, "SELECT sum(upper(a)), current_date FROM range(3) t(a)"),
        ("duckdb", {"only": ["@computing", "my_macro"]}, "SELECT my_macro(sum(1))"),
        ("duckdb", {"only": ["@computing"], "allow": ["my_macro"]}, "SELECT my_macro(sum(1))"),
        ("duckdb", {"only": ["sum"], "allow": ["max"]}, "SELECT sum(1), max(2)"),
        ("duckdb", {"deny": ["random"]}, "SELECT 'random()', random FROM t"),
        (
            "pg",
            {"only": ["@computing"]},
            "WITH x(a) AS (SELECT 1) SELECT CAST(a AS numeric(9, 2)), max(a) OVER () FROM x",
        ),
    ],
)
def test_other_functions_pass(engine: str, functions: dict[str, Any], sql: str) -> None:
    passed(gate(functions=functions), sql, engine=engine)


@pytest.mark.parametrize(
    ("limit", "sql", "found"),
    [
        ({"text_bytes_max": 9}, "SELECT 'é'", 11),
        ({"depth_max": 2}, "SELECT (((1)))", 3),
        ({"joins_max": 1}, "SELECT 1 FROM a JOIN b ON (a.x = b.x), c", 2),
        ({"joins_max": 0}, "SELECT 1 FROM a, b", 1),
        ({"set_operations_max": 1}, "SELECT 1 UNION SELECT 2 UNION ALL SELECT 3", 2),
        ({"list_items_max": 3}, "SELECT 1 WHERE 1 IN (1, 2, 3, 4)", 4),
        ({"placeholders_max": 1}, "SELECT $1, $2", 2),
    ],
)
@pytest.mark.parametrize("engine", KNOWN)
def test_what_is_too_large_is_refused(engine: str, limit: dict[str, int], sql: str, found: int) -> None:
    [(key, most)] = limit.items()
    metadata = refusal(gate(**limit), sql, engine=engine).metadata
    assert (metadata["rule"], metadata["found"], metadata["limit"]) == (key, str(found), str(most))
    passed(gate(**{key: found}), sql, engine=engine)


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        ({"kinds": {"any": ["SELECT"]}}, "kinds"),
        ({"functions": {"deny": ["f"]}}, "functions"),
        ({"functions": {"only": ["@computing"]}}, "functions"),
        ({"depth_max": 9, "strict": True}, "strict"),
        ({"placeholders_max": 9, "strict": True}, "strict"),
        ({"depth_max": 9, "placeholders_max": 9}, ""),
    ],
)
def test_what_is_not_known_is_refused_by_rules_and_by_strict_limits(rules: dict[str, Any], rule: str) -> None:
    step, plan = gate(**rules), Plan(engine="duckdb")
    if not rule:
        assert step(READER, submission(), NOT_ANALYSED, plan) is plan
        return
    with pytest.raises(QueryEngineError) as caught:
        step(READER, submission(), NOT_ANALYSED, plan)
    assert caught.value.failure.metadata["rule"] == rule
    known = Analysis(
        kinds=frozenset({"SELECT"}),
        functions=frozenset(),
        unproven=frozenset(),
        measures=Measures(0, 0, 0, 0),
        placeholders=frozenset(),
    )
    assert step(READER, submission(), known, plan) is plan


def test_a_pivot_that_has_no_tree_is_refused_where_functions_have_rules() -> None:
    refusal(gate(functions={"deny": ["x"]}), "PIVOT (SELECT 1 AS a, 2 AS b) ON a USING sum(b)")


def test_an_engine_replaces_rules_key_by_key() -> None:
    rules = gate(
        joins_max=0,
        depth_max=5,
        functions={"deny": ["random"], "only": ["@computing"]},
        engines={"pg": {"joins_max": 3, "functions": {"deny": ["upper"]}}},
    )
    passed(rules, "SELECT 1 FROM a, b", engine="pg")
    refusal(rules, "SELECT 1 FROM a, b")
    passed(rules, "SELECT random()", engine="pg")
    assert refusal(rules, "SELECT upper('x')", engine="pg").metadata["name"] == "upper"
    assert refusal(rules, "SELECT f('x')", engine="pg").metadata["name"] == "f"
    assert refusal(rules, "SELECT ((((((1))))))", engine="pg").metadata["rule"] == "depth_max"


def test_other_rules_hold_for_what_comes_then() -> None:
    step = gate()
    passed(step, "SELECT ((1))")
    step.adopt(gate_rules(settings(depth_max=1)))
    refusal(step, "SELECT ((1))")


def test_what_is_allowed_by_name_is_that_of_the_engine() -> None:
    wanted = settings(functions={"allow": ["Setseed"]}, engines={"pg": {"functions": {"allow": []}}})
    assert wanted.statements.allowed_functions("duckdb") == ("setseed",)
    assert wanted.statements.allowed_functions("pg") == ()
    inherited = settings(functions={"allow": ["f"]}, engines={"pg": {"functions": {"deny": ["g"]}}})
    assert inherited.statements.allowed_functions("pg") == ("f",)
    for each in (wanted, inherited):
        for engine in ENGINES:
            assert each.statements.allowed_functions(engine) == each.statements.of(engine).functions.allow


def test_what_is_allowed_by_name_changes_at_once() -> None:
    running = settings(engines={"pg": {"depth_max": 1}})
    wanted = settings(functions={"allow": ["f"], "deny": ["g"]}, engines={"pg": {"functions": {"allow": ["h"]}}})
    done = reloaded(running, wanted)
    assert done.needs_restart == ()
    assert set(done.applied) == {"statements.functions", "statements.engines"}
    assert done.settings.statements == wanted.statements


REACHING: dict[str, list[tuple[str, str]]] = {
    "duckdb": [
        ("SELECT pg_sleep(1)", "pg_sleep"),
        ("SELECT current_setting('threads')", "current_setting"),
        ("FROM duckdb_settings()", "duckdb_settings"),
        ("FROM pg_settings", "pg_settings"),
        ("FROM query('SELECT 1')", "query"),
        ("SELECT content FROM read_text('/etc/passwd')", "read_text"),
        ("EXPLAIN SELECT sleep_ms(1)", "sleep_ms"),
        ("PIVOT (SELECT current_setting('x') AS a) ON a", "current_setting"),
    ],
    "pg": [
        ("SELECT pg_sleep(1)", "pg_sleep"),
        ("SELECT pg_catalog.PG_SLEEP_FOR('1s')", "pg_sleep_for"),
        ("SELECT current_setting('role')", "current_setting"),
        ("SELECT set_config('role', 'x', true)", "set_config"),
        ("TABLE pg_settings", "pg_settings"),
        ("SELECT * FROM pg_show_all_settings()", "pg_show_all_settings"),
        ("SELECT pg_cancel_backend(1)", "pg_cancel_backend"),
        ("SELECT pg_terminate_backend(1)", "pg_terminate_backend"),
        ("SELECT query FROM pg_catalog.pg_stat_activity", "pg_stat_activity"),
        ("SELECT * FROM pg_stat_get_activity(NULL)", "pg_stat_get_activity"),
        ("SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
        ("SELECT pg_try_advisory_xact_lock_shared(1, 2)", "pg_try_advisory_xact_lock_shared"),
        ("SELECT * FROM x.dblink('a', 'b') AS t(a int)", "dblink"),
        ("SELECT x.dblink_exec('a', 'b')", "dblink_exec"),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", "query_to_xml"),
        ("SELECT pg_read_file('x')", "pg_read_file"),
        ("SELECT lo_get(1)", "lo_get"),
    ],
    "pg2": [
        ("SELECT pg_sleep(1)", "pg_sleep"),
        ("SELECT 1 FROM pg_stat_activity", "pg_stat_activity"),
        ("SELECT CURRENT_SETTING('x')", "current_setting"),
    ],
    "mysql": [
        ("SELECT SLEEP(1)", "sleep"),
        ("SELECT benchmark(1000, md5('x'))", "benchmark"),
        ("SELECT get_lock('a', 1)", "get_lock"),
        ("SELECT load_file('/etc/passwd')", "load_file"),
        ("SELECT info FROM information_schema.processlist", "processlist"),
    ],
    "sqlite": [("SELECT readfile('x')", "readfile"), ("SELECT load_extension('x')", "load_extension")],
    "clickhouse": [
        ("SELECT sleep(1)", "sleep"),
        ("SELECT sleepEachRow(1) FROM t", "sleepeachrow"),
        ("SELECT * APPLY(sleepEachRow) FROM t", "sleepeachrow"),
        ("SELECT getSetting('max_threads')", "getsetting"),
        ("SELECT getServerSetting('x')", "getserversetting"),
        ("SELECT query FROM system.processes", "processes"),
        ("SELECT * FROM `system` . query_log", "query_log"),
        ("SELECT * FROM url('http://x', 'CSV')", "url"),
        ("SELECT * FROM remote('h', 'd', 't')", "remote"),
        ("SELECT * FROM s3('x')", "s3"),
        ("SELECT * FROM merge('system', 'x')", "merge"),
    ],
    "trino": [
        ("SELECT * FROM system.runtime.queries", "runtime"),
        ("SELECT * FROM TABLE(pg.system.query(query => 'SELECT 1'))", "query"),
        ("SELECT * FROM TABLE(raw_query('x'))", "raw_query"),
    ],
    "spark": [
        ("SELECT reflect('java.lang.Thread', 'sleep', 1L)", "reflect"),
        ("SELECT java_method('a', 'b')", "java_method"),
        ("SELECT * FROM read_files('x')", "read_files"),
    ],
}
TYPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "duckdb": (DuckDBEngine, {}),
    "pg": (SQLAlchemyEngine, {"url": "postgresql:///x"}),
    "sqlite": (SQLAlchemyEngine, {"url": "sqlite:////x.db"}),
    "clickhouse": (ClickHouseEngine, {}),
    "trino": (TrinoEngine, {}),
    "spark": (SparkEngine, {}),
}
GENERIC = {"pg2": "postgres", "mysql": "mysql"}
"""Databases without an adapter of their own, by sqlglot's name of their dialect."""


def judged(engine: str, sql: str, allow: tuple[str, ...] = ()) -> None:
    """As a check in a sandbox worker and the gate judge a text."""
    if engine in GENERIC:
        analysis = parsed.analyse(sql, GENERIC[engine])
    else:
        kind, options = TYPES[engine]
        analysis = kind.analyse(sql, allowing(kind.type_name, options, allow))
    rules = {engine: GateRules(allowed=frozenset(allow), limits={})} if allow else {}
    StatementGate(rules)(READER, submission(sql=sql), analysis, Plan(engine=engine, cache_key="k"))


@pytest.mark.parametrize(("engine", "sql", "name"), [(key, *each) for key, found in REACHING.items() for each in found])
def test_what_reaches_out_is_refused_by_default_and_let_through_by_name(engine: str, sql: str, name: str) -> None:
    for allow in ((), ("other",)):
        with pytest.raises(QueryEngineError) as caught:
            judged(engine, sql, allow)
        assert caught.value.failure.reason is Reason.STATEMENT_NOT_ALLOWED
        assert name in caught.value.failure.message.lower()
    judged(engine, sql, (name,))


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        ("pg", "SELECT pg_sleep FROM t"),
        ("pg", "SELECT 'pg_sleep(1)' AS current_setting"),
        ("pg", "WITH pg_settings AS (SELECT 1) TABLE pg_settings"),
        ("pg", "SELECT mine.pg_sleep(1), mine.lo_get(1) FROM mine.pg_stat_activity"),
        ("clickhouse", "SELECT sleep, url FROM t WHERE file = 's3'"),
        ("clickhouse", "SELECT name FROM system.tables"),
        ("clickhouse", "SELECT icebergHash(1)"),
        ("trino", "SELECT query FROM t"),
        ("sqlite", "SELECT edit FROM t"),
        ("spark", "SELECT secret FROM t"),
        ("mysql", "SELECT sleep FROM t"),
    ],
)
def test_names_that_only_look_alike_pass(engine: str, sql: str) -> None:
    judged(engine, sql)


def test_what_an_engine_allows_by_its_own_option_passes_the_gate() -> None:
    options = {"url": "postgresql:///x", "allow_functions": ["PG_Sleep"]}
    analysis = SQLAlchemyEngine.analyse("SELECT pg_sleep(1)", options)
    assert analysis.reaching == frozenset()


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        ("kinds: {boss: [SELECT]}", "x.yaml:3: statements.kinds: unknown role 'boss'; expected one of admin, any,"),
        ("kinds: {any: [DROP]}", "statements.kinds.any.0: expected 'SELECT', 'PIVOT'"),
        ("functions: {deny: ['a.b']}", "statements.functions.deny: expected the name of a function without its schema"),
        ("functions: {deny: ['@computing']}", "statements.functions.deny: @computing can stand in `only` alone"),
        ("functions: {forbid: [a]}", "statements.functions.forbid: unknown key"),
        ("joins_max: -1", "statements.joins_max: expected at least 0"),
        ("joins: 1", "statements.joins: unknown key; did you mean joins_max?"),
        ("engines: {nope: {joins_max: 1}}", "statements: engines.nope: expected one of the configured engines: duckdb"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, mistake: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(f"engines: {{duckdb: {{type: duckdb}}}}\nstatements:\n  {lines}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        load("x.yaml")
    assert mistake in str(refusal.value)


@pytest.mark.parametrize(
    ("engine", "sql", "name"),
    [
        ("duckdb", "SELECT list_aggregate([1], 'sum')", "sum"),
        ("duckdb", "SELECT list_aggr([1], 'SUM')", "sum"),
        ("duckdb", "SELECT array_aggregate([1], 'sum'), 1", "sum"),
        ("duckdb", "SELECT [1].list_aggr('sum')", "sum"),
        ("duckdb", "SELECT list_sum([1])", "sum"),
        ("duckdb", "SELECT [1].list_sum()", "sum"),
        ("duckdb", "EXPLAIN SELECT \"list_aggr\"([1], 'sum')", "sum"),
        ("duckdb", "SELECT list_transform([[1]], lambda x: list_aggr(x, 'sum'))", "sum"),
        ("duckdb", "SELECT list_aggr([1], 's' || 'um')", ""),
        ("duckdb", "SELECT list_aggr([1], 'sum'::VARCHAR)", ""),
        ("duckdb", "SELECT list_aggr([1], $1)", ""),
        ("duckdb", "SELECT list_aggr([1], a) FROM t", ""),
        ("duckdb", f"SELECT {'1, ' * 3000} list_aggr([1], 'sum')", ""),
        ("clickhouse", "SELECT arrayReduce('sum', [1])", "sum"),
        ("clickhouse", "SELECT `arrayReduce`('sumIf', [1], [1])", "sum"),
        ("clickhouse", "SELECT arrayReduceInRanges('sum', [(1, 2)], [1])", "sum"),
        ("clickhouse", "SELECT initializeAggregation('sumState', 1)", "sum"),
        ("clickhouse", "SELECT sumIf(1, 1)", "sum"),
        ("clickhouse", "SELECT sumOrNullIfState(1, 1)", "sum"),
        ("clickhouse", "SELECT * APPLY(sumIf) FROM t", "sum"),
        ("clickhouse", "SELECT arrayReduce(concat('su', 'm'), [1])", ""),
        ("clickhouse", "SELECT arrayReduce('s\\x75m', [1])", ""),
        ("clickhouse", "SELECT arrayReduce({f:String}, [1])", ""),
    ],
)
def test_a_denied_function_is_not_called_by_another_name(engine: str, sql: str, name: str) -> None:
    rules = {engine: GateRules(denied=frozenset({"sum"}), limits={})}
    kind, options = TYPES[engine]
    analysis = kind.analyse(sql, options)
    with pytest.raises(QueryEngineError) as caught:
        StatementGate(rules)(READER, submission(sql=sql), analysis, Plan(engine=engine, cache_key="k"))
    found = caught.value.failure.metadata
    assert (found["rule"], found.get("name", "")) == ("functions.deny" if name else "functions", name)


@pytest.mark.parametrize(
    ("engine", "rules", "sql"),
    [
        ("duckdb", {"denied": {"max"}}, "SELECT list_aggr([1], 'sum'), list_sum([1])"),
        ("duckdb", {"only": {"list_aggr", "sum", "list_value"}}, "SELECT list_aggr([1], 'sum')"),
        ("duckdb", {"only": {"list_sum", "list_value"}}, "SELECT list_sum([1])"),
        ("duckdb", {"only": set(), "computing": True}, "SELECT list_aggr([1], 'sum')"),
        ("clickhouse", {"denied": {"max"}}, "SELECT sumIf(1, 1), arrayReduce('quantile(0.5)', [1])"),
        ("clickhouse", {"only": {"sumif"}}, "SELECT sumIf(1, 1)"),
        ("clickhouse", {"only": set(), "computing": True}, "SELECT arrayReduce('sumIf', [1], [1])"),
    ],
)
def test_names_in_texts_are_judged_as_calls(engine: str, rules: dict[str, Any], sql: str) -> None:
    kind, options = TYPES[engine]
    gate = StatementGate({engine: GateRules(limits={}, **rules)})
    gate(READER, submission(sql=sql), kind.analyse(sql, options), Plan(engine=engine, cache_key="k"))
