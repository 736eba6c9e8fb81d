"""Routing as the settings say: rules made of them, and what they see of engines at a moment."""

from collections.abc import Iterator, Mapping

from queryengine.domain.errors import Failure
from queryengine.domain.identity import Principal
from queryengine.domain.routing import DIALECTS, Estimate
from queryengine.engines.base import EngineTraits
from queryengine.executing.discretion import Discretion
from queryengine.executing.dispatcher import Dispatcher
from queryengine.executing.estimates import Estimates
from queryengine.policy.routing.conditions import (
    OfEstimate,
    OfSubmission,
    OfText,
    of_all_tables,
    of_any_table,
    of_catalog,
    of_dialect,
    of_functions,
    of_kinds,
    of_label,
    of_named,
    of_roles,
    of_row_limit,
    of_schema,
    of_subject,
    of_tenant,
)
from queryengine.policy.routing.engines import KnownEngine, KnownEngines
from queryengine.policy.routing.fitness import Unfit
from queryengine.policy.routing.patterns import Names, Tables
from queryengine.policy.routing.routing import Past, RoutingRules
from queryengine.policy.routing.rules import Hint, RoutingRule, Sticky, Target
from queryengine.settings import Settings
from queryengine.settings.model import EngineSettings
from queryengine.settings.routing import EstimateSettings, RoutingRuleSettings, WhenSettings
from queryengine.workers.pool import WorkerPool


def known_engines(settings: Settings, traits: Mapping[str, EngineTraits | Failure]) -> KnownEngines:
    known = {
        name: KnownEngine(engine.type, traits[name], dialect_of(engine)) for name, engine in settings.engines.items()
    }
    return KnownEngines(known, settings.default_engine)


def dialect_of(engine: EngineSettings) -> str:
    """In which an engine reads SQL; empty where that is not known."""
    word = engine.type
    if word == "sqlalchemy":
        word = str(engine.options.get("url", "")).partition(":")[0].partition("+")[0]
    return word if word in DIALECTS else ""


def routing_rules(settings: Settings) -> RoutingRules:
    routing = settings.routing
    return RoutingRules(
        rules=[_rule(name, rule) for name, rule in routing.rules.items()],
        dialect=routing.dialect or dialect_of(settings.engines[settings.default_engine]),
        refuses_hints=routing.explicit == "refuse",
    )


class FitnessNow:
    """What routing sees of engines: which are down, and which are full by the settings of the moment."""

    def __init__(self, pool: WorkerPool, dispatcher: Dispatcher, full_queue: int | None) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._full_queue = full_queue

    def adopt(self, full_queue: int | None) -> None:
        """Call engines full by another length of their queues from now on; None for their number of slots."""
        self._full_queue = full_queue

    def __call__(self, engine: str) -> Unfit | None:
        if why := self._pool.why_down(engine):
            return Unfit(f"unavailable: {why}", is_down=True)
        if self._pool.has_free(engine):
            return None
        waiting = self._dispatcher.waiting(engine)
        most = self._pool.slots(engine) if self._full_queue is None else self._full_queue
        return (
            Unfit(f"full: {waiting} waiting for {self._pool.slots(engine)} slots", is_down=False)
            if waiting >= most
            else None
        )


def past_of(estimates: Estimates, discretion: Discretion) -> Past:
    """What may be said of the past to who asks."""

    def of(engine: str, principal: Principal, query_hash: str) -> Estimate:
        return estimates.estimate(engine, discretion.past(principal.tenant, principal.subject, query_hash))

    return of


def _rule(name: str, rule: RoutingRuleSettings) -> RoutingRule:
    split = rule.split
    return RoutingRule(
        name=name,
        of_submission=tuple(_of_submission(rule.when)),
        of_text=tuple(_of_text(rule.when)),
        of_estimate=None if rule.when.estimate is None else _of_estimate(rule.when.estimate),
        target=Target(
            engines=rule.engines,
            weights=() if split is None else tuple(split.engines.values()),
            by=Sticky.TENANT if split is None else Sticky(split.by),
            strict=rule.strict,
        ),
        hint=Hint(rule.explicit),
        translate_from=rule.translate_from or "",
    )


def _of_submission(when: WhenSettings) -> Iterator[OfSubmission]:
    if when.tenants:
        yield of_tenant(Names(when.tenants))
    if when.roles:
        yield of_roles(frozenset(when.roles))
    if when.subjects:
        yield of_subject(Names(when.subjects))
    for key, values in when.labels.items():
        yield of_label(key, Names(values))
    if when.named:
        yield of_named(Names(when.named))
    if when.dialects:
        yield of_dialect(when.dialects)
    if when.catalogs:
        yield of_catalog(Names(when.catalogs))
    if when.schemas:
        yield of_schema(Names(when.schemas))
    if when.row_limit_below is not None or when.row_limit_least is not None:
        yield of_row_limit(below=when.row_limit_below, least=when.row_limit_least)


def _of_text(when: WhenSettings) -> Iterator[OfText]:
    if when.kinds:
        yield of_kinds(frozenset(when.kinds))
    if when.tables:
        yield of_all_tables(Tables(when.tables))
    if when.any_table:
        yield of_any_table(Tables(when.any_table))
    if when.functions:
        yield of_functions(Names(when.functions, folded=True))


def _of_estimate(bounds: EstimateSettings) -> OfEstimate:
    return OfEstimate(bounds.below, bounds.least, or_unknown=bounds.or_unknown)
