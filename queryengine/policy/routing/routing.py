"""Chooses the engine: the one that a submission names, that of the first rule that is for it, or the default.

Rules that look at a submission alone decide before its text is analysed. When the first that may be for it asks for
more, the decision waits for what is known of the text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.routing import (
    FACT_CHARACTERS_MAX,
    FACTS_MAX,
    NO_ESTIMATE,
    REASON_CHARACTERS_MAX,
    Estimate,
    PassedOver,
    RoutingDecision,
    clipped,
)
from queryengine.domain.submission import Submission
from queryengine.policy.routing.engines import KnownEngines
from queryengine.policy.routing.fitness import Fitness, fitting, summary
from queryengine.policy.routing.rules import Hint, RoutingRule

Past = Callable[[str, Principal, str], Estimate]
"""What the completed runs of a statement on an engine say, by the engine, who asks, and the hash of the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRules:
    """In their order; none is no routing."""

    rules: Sequence[RoutingRule] = ()
    dialect: str = ""
    """In which texts are read for the rules, where the submission does not say."""
    refuses_hints: bool = False
    """Submissions that name an engine are refused, where no rule says otherwise."""
    of_hinted: Sequence[RoutingRule] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_hinted", [each for each in self.rules if each.hint is not Hint.ALLOW])


class Routing:
    """A planning step, and its second half for rules that ask for facts of the text."""

    def __init__(self, engines: KnownEngines, rules: RoutingRules, *, fitness: Fitness, past: Past) -> None:
        self._engines = engines
        self._rules = rules
        self._fitness = fitness
        self._past = past

    def adopt(self, rules: RoutingRules) -> None:
        """Route what comes now by these rules."""
        self._rules = rules

    def dialect_of(self, engine: str) -> str:
        """In which an engine reads SQL; empty where that is not known."""
        return self._engines.engines[engine].dialect

    def dialect(self, submission: Submission) -> str:
        """In which the text of a submission is read for the rules."""
        return submission.dialect or self._rules.dialect

    def early(self, principal: Principal, submission: Submission, _: Analysis, plan: Plan) -> Plan:
        """The step: the plan with its engine, or as it is where that needs the text, or where a rule refuses the
        submission: `late` then does, as the submission may be a repeated one, from before the rules were changed.

        Raises UNKNOWN_ENGINE, and of an engine that no rule chose UNSUPPORTED for what it cannot do, and
        ENGINE_UNAVAILABLE when it cannot be used at all.
        """
        if submission.engine_hint:
            self._engines.named(submission.engine_hint)
        found = self._first(principal, submission)
        if found is None:
            is_refused = bool(submission.engine_hint) and self._rules.refuses_hints
            return plan if is_refused else self._without_rule(submission, plan)
        if found[0].needs_text:
            return plan
        try:
            return self._by_rule(*found, principal, submission, plan)
        except QueryEngineError:
            return plan

    def reads_text(self, principal: Principal, submission: Submission) -> bool:
        """Whether `late` needs what is known of the text."""
        found = self._first(principal, submission)
        return found is not None and found[0].needs_text

    def late(self, principal: Principal, submission: Submission, analysis: Analysis, plan: Plan) -> Plan:
        """The plan with its engine, by what is known of the text, too. Raises as `early` does, also for an engine that
        a rule chose, and ENGINE_HINT_REFUSED.
        """
        for rule in self._for(submission):
            facts = rule.for_submission(principal, submission)
            more = None if facts is None else rule.for_text(submission, analysis)
            if facts is None or more is None:
                continue
            # Not everybody who sees the query of a named one sees its text.
            facts += ["its text"] if more and submission.named_query else more
            if rule.of_estimate is not None:
                fact = self._estimated(rule, principal, submission, analysis)
                if fact is None:
                    continue
                facts.append(fact)
            return self._by_rule(rule, facts, principal, submission, plan)
        return self._without_rule(submission, plan)

    def _first(self, principal: Principal, submission: Submission) -> tuple[RoutingRule, list[str]] | None:
        """The first rule that is for a submission, as far as that alone says, and the facts by which it is."""
        for rule in self._for(submission):
            facts = rule.for_submission(principal, submission)
            if facts is not None:
                return rule, facts
        return None

    def _for(self, submission: Submission) -> Sequence[RoutingRule]:
        return self._rules.of_hinted if submission.engine_hint else self._rules.rules

    def _estimated(
        self, rule: RoutingRule, principal: Principal, submission: Submission, analysis: Analysis
    ) -> str | None:
        """The fact by which the bounds of a rule hold; None when they do not. From the past on the engines of the rule,
        or else on any.
        """
        assert rule.of_estimate is not None
        query_hash = analysis.query_hash(submission.sql)
        preferred = rule.target.ordered(rule.name, principal, submission)
        others = [name for name in self._engines.engines if name not in preferred]
        for name in (*preferred, *others):
            estimate = self._past(name, principal, query_hash)
            if estimate.is_known:
                fact = rule.of_estimate(estimate)
                return None if fact is None else f"{fact} by its past on {name}"
        return rule.of_estimate(NO_ESTIMATE)

    def _by_rule(
        self, rule: RoutingRule, facts: list[str], principal: Principal, submission: Submission, plan: Plan
    ) -> Plan:
        hint = submission.engine_hint
        if hint and rule.hint is Hint.REFUSE:
            return self._hinted(rule, facts, submission, plan)
        candidates = rule.target.ordered(rule.name, principal, submission)
        if rule.target.strict or submission.strict_routing:
            candidates = candidates[:1]
        translates = bool(rule.translate_from)
        chosen, passed = fitting(self._engines, self._fitness, candidates, submission, translates=translates)
        return self._planned(rule, facts, chosen, passed, plan, source=self._source(rule, chosen, submission))

    def _hinted(self, rule: RoutingRule, facts: list[str], submission: Submission, plan: Plan) -> Plan:
        hint = submission.engine_hint
        if hint not in rule.target.engines:
            allowed = ", ".join(rule.target.engines)
            message = f"engine {hint!r} may not be named for this (routing rule {rule.name!r}); leave `engine` out"
            raise error(
                Reason.ENGINE_HINT_REFUSED, f"{message}, or name one of: {allowed}", engine=hint, rule=rule.name
            )
        self._engines.require_fit(hint, submission, translates=bool(rule.translate_from))
        return self._planned(rule, ["explicit", *facts], hint, (), plan, source=self._source(rule, hint, submission))

    def _source(self, rule: RoutingRule, chosen: str, submission: Submission) -> str:
        """The dialect that a text is translated from; empty where it runs as it is."""
        written = submission.dialect or rule.translate_from
        return written if rule.translate_from and written != self._engines.engines[chosen].dialect else ""

    def _planned(
        self,
        rule: RoutingRule,
        facts: list[str],
        chosen: str,
        passed: tuple[PassedOver, ...],
        plan: Plan,
        *,
        source: str,
    ) -> Plan:
        engine = self._engines.engines[chosen]
        shown = tuple(clipped(fact, FACT_CHARACTERS_MAX) for fact in facts[:FACTS_MAX])
        reason = f"rule {rule.name}"
        if shown:
            reason += f": {', '.join(shown)}"
        if passed:
            reason += f"; {summary(passed, chosen)}"
        if source:
            reason += f"; translated from {source}"
        return replace(
            plan,
            engine=chosen,
            engine_type=engine.type,
            routing_reason=clipped(reason, REASON_CHARACTERS_MAX),
            routing=RoutingDecision(rule=rule.name, facts=shown, passed_over=passed, translated_from=source),
        )

    def _without_rule(self, submission: Submission, plan: Plan) -> Plan:
        name = self._engines.named(submission.engine_hint)
        if submission.engine_hint and self._rules.refuses_hints:
            message = "requests may not name an engine here (routing.explicit); leave `engine` out"
            raise error(Reason.ENGINE_HINT_REFUSED, message, engine=name, rule="")
        self._engines.require_fit(name, submission)
        reason = "explicit" if submission.engine_hint else "default"
        return replace(plan, engine=name, engine_type=self._engines.engines[name].type, routing_reason=reason)
