"""Say what would become of a statement that was submitted now. Nothing runs, and no record is made."""

from dataclasses import dataclass

from queryengine.accepting.admitting import Admitting
from queryengine.accepting.resolving import Resolving
from queryengine.accepting.submit_call import SubmitCall
from queryengine.domain.analysis import Analysis
from queryengine.domain.plan import Plan
from queryengine.domain.routing import NO_ESTIMATE, Estimate
from queryengine.domain.submission import Submission
from queryengine.executing.engine_plans import NO_PLAN, EnginePlan, EnginePlans
from queryengine.policy.planner import Planner
from queryengine.policy.rights import require, sees_named_text
from queryengine.policy.routing.routing import Past


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a Submit would do."""

    submission: Submission
    plan: Plan
    analysis: Analysis
    shows_text: bool
    """False for a named query whose text the caller does not see."""
    query_hash: str
    estimate: Estimate = NO_ESTIMATE
    engine_plan: EnginePlan = NO_PLAN


class Explaining:
    """Plans as a Submit does, by the same planner. What may wait, run and be stored is not counted; how fast one may
    submit is.
    """

    def __init__(
        self,
        *,
        admitting: Admitting,
        resolving: Resolving,
        planner: Planner,
        past: Past,
        engine_plans: EnginePlans,
    ) -> None:
        self._admitting = admitting
        self._engine_plans = engine_plans
        self._resolving = resolving
        self._planner = planner
        self._past = past

    async def explain(self, call: SubmitCall, *, estimates: bool) -> Explanation:
        """The plan of a call; with `estimates`, what its statement is expected to take, and how its engine would run
        it. The id of the call means nothing.

        Raises ROLE_MISSING and SUBMIT_RATE_LIMIT, and what Resolving and Planner raise.
        """
        named = call.submission.named_query
        require(call.principal, call.right)
        submission = call.submission
        self._admitting.explained(submission)
        if named:
            resolved = await self._resolving.resolve(call.principal, submission, leave_turn=call.leave_turn)
            submission = resolved.submission
        outline = self._planner.outline(call.principal, submission)
        plan, analysis = await self._planner.complete(call.principal, submission, outline, leave_turn=call.leave_turn)
        if call.allow is not None:
            call.leave_turn()
            await call.allow("", submission, plan, analysis)
        query_hash = analysis.query_hash(submission.sql)
        shows_text = not named or sees_named_text(call.principal)
        return Explanation(
            submission=submission,
            plan=plan,
            analysis=analysis,
            shows_text=shows_text,
            query_hash=query_hash,
            estimate=self._past(plan.engine, call.principal, query_hash) if estimates else NO_ESTIMATE,
            engine_plan=await self._engine_plan(call, submission, plan, shows_text) if estimates else NO_PLAN,
        )

    async def _engine_plan(self, call: SubmitCall, submission: Submission, plan: Plan, shows_text: bool) -> EnginePlan:
        """In its words the text and the policies can be read."""
        if plan.policy_version:
            return EnginePlan(withheld="row and column policies shape the statement, and the plan would show them")
        if not shows_text:
            return EnginePlan(withheld="the text of the named query is not shown to the caller")
        call.leave_turn()
        return await self._engine_plans.of(submission, plan)
