"""Asks an engine how it would run a statement: in a free slot, about one statement at a time, for a few seconds."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from queryengine.domain.errors import Failure
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.executing.slots import Slots
from queryengine.workers.orders import ExplainOrder

ENGINE_SECONDS: Final = 2.0
"""What the engine gets, by its own deadline."""
ANSWER_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What an engine says, or why it was not asked or says nothing."""

    text: str = ""
    withheld: str = ""


NO_PLAN: Final = EnginePlan()


class EnginePlans:
    """Of all engines. Nobody waits here: an engine is not asked without a free slot, while queries wait for it, or
    while it is asked already.
    """

    def __init__(
        self,
        slots: Slots,
        allowed: Callable[[str], Sequence[str]],
        *,
        waiting: Callable[[str], int],
        freed: Callable[[], None],
    ) -> None:
        """`allowed` are the functions that statements on an engine may call although its adapter refuses them,
        `waiting` is how many queries wait for an engine, and `freed` is called when a slot is there for them again.
        """
        self._slots = slots
        self._waiting = waiting
        self._freed = freed
        self._allowed = allowed
        self._asked: set[str] = set()

    async def of(self, submission: Submission, plan: Plan) -> EnginePlan:
        """How the engine of a plan would run it."""
        engine = plan.engine
        if engine in self._asked:
            return EnginePlan(withheld="the engine is asked about another statement; ask again")
        if self._waiting(engine):
            return EnginePlan(withheld="queries wait for the engine; ask again")
        slot = self._slots.take(engine)
        if slot is None:
            return EnginePlan(withheld=self._slots.why_down(engine) or "the engine has no free slot; ask again")
        self._asked.add(engine)
        try:
            order = self._order(submission, plan).to_json()
            answer = await slot.ask("explain", seconds=ANSWER_SECONDS, order=order)
        finally:
            self._asked.discard(engine)
            slot.release()
            self._freed()
        if answer is None:
            return EnginePlan(withheld="the worker of the engine ended; ask again")
        return EnginePlan(withheld=answer.message) if isinstance(answer, Failure) else EnginePlan(answer["plan"])

    def _order(self, submission: Submission, plan: Plan) -> ExplainOrder:
        return ExplainOrder(
            sql=plan.executed_sql or submission.sql,
            parameters=b64encode(submission.parameters or b"").decode(),
            tenant=submission.tenant,
            subject=submission.subject,
            catalog=submission.catalog,
            schema=submission.schema,
            session_settings=dict(submission.session_settings),
            timeout_seconds=ENGINE_SECONDS,
            allowed_functions=list(self._allowed(plan.engine)),
        )
