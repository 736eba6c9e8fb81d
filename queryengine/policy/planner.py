"""Makes plans: runs the steps in their order, with the analysis of the text between them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from queryengine.domain.analysis import NOT_ANALYSED, Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.policy.analyses import Analyses
from queryengine.policy.decisions.decision_point import DecisionPoint, principal_key
from queryengine.policy.routing.routing import Routing
from queryengine.policy.row_security.live_catalog import LiveCatalog
from queryengine.policy.row_security.policies import EffectivePolicy, Policies
from queryengine.policy.step import Step


class Planner:
    """The steps that look at a submission alone come first, so that what they refuse costs no analysis, and because the
    dialect of a text is that of its engine. Where rules need the text to choose the engine, it is first read for them.
    """

    def __init__(
        self,
        *,
        first: Sequence[Step],
        then: Sequence[Step],
        analyses: Analyses,
        policies: Policies,
        catalog: LiveCatalog,
        decisions: DecisionPoint,
        allowed: Callable[[str], tuple[str, ...]] = lambda _: (),
        routing: Routing | None = None,
        routed: Sequence[Step] = (),
    ) -> None:
        """`allowed` are functions that texts for an engine may call although its adapter refuses them. `routing` has
        its step among the first; where that leaves the engine open, its second half follows, and the steps `routed`,
        which need the engine and no analysis.
        """
        self._allowed = allowed
        self._first = first
        self._then = then
        self._routing = routing
        self._routed = routed
        self._analyses = analyses
        self._policies = policies
        self._catalog = catalog
        self._decisions = decisions

    def outline(self, principal: Principal, submission: Submission) -> Plan:
        """The plan as far as the submission alone decides it, and all its limits; without an engine where rules need
        the text for that. Raises what the first steps raise.
        """
        plan = Plan()
        for step in self._first:
            plan = step(principal, submission, NOT_ANALYSED, plan)
        return plan

    async def routed(
        self, principal: Principal, submission: Submission, outline: Plan, *, leave_turn: Callable[[], None]
    ) -> Plan:
        """The outline with its engine. `leave_turn` is called before it waits for the text to be read. Raises what
        Routing and Analyses.facts raise.
        """
        if outline.engine or self._routing is None:
            return outline
        facts = NOT_ANALYSED
        if self._routing.reads_text(principal, submission):
            facts = await self._facts(self._routing.dialect(submission), submission, leave_turn)
        plan = self._routing.late(principal, submission, facts, outline)
        for step in self._routed:
            plan = step(principal, submission, NOT_ANALYSED, plan)
        return plan

    async def _facts(self, dialect: str, submission: Submission, leave_turn: Callable[[], None]) -> Analysis:
        known = self._analyses.remembered_facts(dialect, submission.sql)
        if known is not None:
            return known
        leave_turn()
        size = submission.record_bytes()
        return await self._analyses.facts(submission.tenant, dialect, submission.sql, size_bytes=size)

    async def complete(
        self, principal: Principal, submission: Submission, outline: Plan, *, leave_turn: Callable[[], None]
    ) -> tuple[Plan, Analysis]:
        """The whole plan of an outline, routed or not, and what is known of the text. `leave_turn` is called before it
        waits for an analysis. Raises what the other steps, `routed`, Analyses.of, Policies.of, DecisionPoint.decide and
        LiveCatalog.require raise.
        """
        outline = await self.routed(principal, submission, outline, leave_turn=leave_turn)
        if outline.routing is not None and outline.routing.translated_from:
            return await self._translated(principal, submission, outline, outline.routing.translated_from, leave_turn)
        return await self._analysed(principal, submission, outline, submission.sql, leave_turn)

    async def _translated(
        self, principal: Principal, submission: Submission, outline: Plan, source: str, leave_turn: Callable[[], None]
    ) -> tuple[Plan, Analysis]:
        """The plan of a text that runs in another dialect; its hash is that of the text as submitted."""
        assert self._routing is not None
        found = await self._analyses.translated(
            submission.tenant,
            submission.sql,
            source,
            self._routing.dialect_of(outline.engine),
            size_bytes=submission.record_bytes(),
            leave_turn=leave_turn,
        )
        outline = replace(outline, executed_sql=found.sql)
        plan, analysis = await self._analysed(principal, submission, outline, found.sql, leave_turn)
        return plan, replace(analysis, normalised=found.normalised)

    async def _analysed(
        self, principal: Principal, submission: Submission, outline: Plan, sql: str, leave_turn: Callable[[], None]
    ) -> tuple[Plan, Analysis]:
        """The plan by the steps behind the analysis of the text that is to run."""
        engine, plan = outline.engine, outline
        policy = self._policies.of(engine, principal, catalog=submission.catalog, schema=submission.schema)
        analysis = await self._analysis(submission, engine, sql, policy, leave_turn)
        if self._decisions.is_on and analysis.refusal is None:
            narrowed = await self._decisions.decide(principal, engine, analysis, policy, leave_turn=leave_turn)
            if narrowed is not policy:
                policy, analysis = narrowed, await self._analysis(submission, engine, sql, narrowed, leave_turn)
            plan = replace(plan, decided_for=principal_key(principal))
        for step in self._then:
            plan = step(principal, submission, analysis, plan)
        if policy is not None and analysis.policed is not None:
            await self._catalog.require(engine, policy, analysis.policed.relations, leave_turn=leave_turn)
        return plan, analysis

    async def _analysis(
        self,
        submission: Submission,
        engine: str,
        sql: str,
        policy: EffectivePolicy | None,
        leave_turn: Callable[[], None],
    ) -> Analysis:
        allowed = self._allowed(engine)
        known = self._analyses.remembered(engine, sql, policy, allowed)
        if known is not None:
            return known
        leave_turn()
        size = submission.record_bytes()
        return await self._analyses.of(submission.tenant, engine, sql, size_bytes=size, policy=policy, allowed=allowed)
