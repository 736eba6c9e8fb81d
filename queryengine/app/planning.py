"""The steps of planning with what the settings say of each, and the planner that they make."""

from collections.abc import Mapping
from dataclasses import dataclass

from queryengine.app.execution import Execution
from queryengine.app.routing import FitnessNow, known_engines, routing_rules
from queryengine.domain.errors import Failure
from queryengine.engines.base import EngineTraits
from queryengine.policy.analyses import Analyses
from queryengine.policy.apply_limits import ApplyLimits, DefaultLimits
from queryengine.policy.check_text import check_text
from queryengine.policy.decisions.decision_point import DecisionPoint
from queryengine.policy.limits.accounts import TenantLimits
from queryengine.policy.planner import Planner
from queryengine.policy.routing.engines import KnownEngines
from queryengine.policy.routing.routing import Routing
from queryengine.policy.row_security.apply_policies import apply_policies
from queryengine.policy.row_security.policies import Policies
from queryengine.policy.statement_gate import GateRules, StatementGate
from queryengine.settings import Settings
from queryengine.settings.statements import COMPUTING, StatementRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """The planner, and those of its steps that others know or that take over new settings."""

    planner: Planner
    engines: KnownEngines
    routing: Routing
    fitness: FitnessNow
    limits: ApplyLimits
    gate: StatementGate

    def adopt(self, settings: Settings) -> None:
        """Plan what comes now by these settings."""
        self.routing.adopt(routing_rules(settings))
        self.fitness.adopt(settings.routing.full_queue)
        self.limits.adopt(default_limits(settings))
        self.gate.adopt(gate_rules(settings))


def make_planning(
    settings: Settings,
    traits: Mapping[str, EngineTraits | Failure],
    analyses: Analyses,
    policies: Policies,
    execution: Execution,
    *,
    tenant_limits: TenantLimits,
    decisions: DecisionPoint,
) -> Planning:
    """All planning steps, in their order."""
    engines = known_engines(settings, traits)
    fitness = FitnessNow(execution.pool, execution.dispatcher, settings.routing.full_queue)
    routing = Routing(engines, routing_rules(settings), fitness=fitness, past=execution.past)
    limits, gate = ApplyLimits(default_limits(settings), tenant_limits), StatementGate(gate_rules(settings))
    planner = Planner(
        first=(routing.early, gate.refuse_long_text, limits),
        then=(check_text, gate, apply_policies),
        analyses=analyses,
        policies=policies,
        allowed=gate.allowed,
        catalog=execution.catalog,
        decisions=decisions,
        routing=routing,
        routed=(gate.refuse_long_text,),
    )
    return Planning(planner=planner, engines=engines, routing=routing, fitness=fitness, limits=limits, gate=gate)


def gate_rules(settings: Settings) -> dict[str, GateRules]:
    """What the statement gate keeps, by engine; those without rules are left out."""
    found = {name: _rules_of(settings.statements.of(name)) for name in settings.engines}
    return {name: rules for name, rules in found.items() if rules != GateRules(limits={})}


def _rules_of(rules: StatementRules) -> GateRules:
    functions = rules.functions
    limits = {
        "depth": rules.depth_max,
        "joins": rules.joins_max,
        "set_operations": rules.set_operations_max,
        "list_items": rules.list_items_max,
        "placeholders": rules.placeholders_max,
    }
    return GateRules(
        kinds=None if rules.kinds is None else {role: frozenset(kinds) for role, kinds in rules.kinds.items()},
        allowed=frozenset(functions.allow),
        denied=frozenset(functions.deny),
        only=frozenset(functions.only) - {COMPUTING} if functions.only else None,
        computing=COMPUTING in functions.only,
        text_bytes=rules.text_bytes_max,
        limits={name: limit for name, limit in limits.items() if limit is not None},
        strict=rules.strict,
    )


def default_limits(settings: Settings) -> DefaultLimits:
    limits = settings.limits
    return DefaultLimits(
        queue_timeout_ms=int(limits.queue_timeout_seconds * 1000),
        execution_timeout_ms=int(limits.execution_timeout_seconds * 1000),
        interactive_timeout_ms=int(limits.interactive_timeout_seconds * 1000),
        ttl_ms=int(settings.results.ttl_seconds * 1000),
    )
