"""One call of Submit, and how far it has come."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.live.query import Key
from queryengine.policy.rights import Right

Allow = Callable[[str, Submission, Plan, Analysis], Awaitable[None]]
"""Given the id, what was asked, what would run and what is known of the text."""


@dataclass(slots=True, kw_only=True)
class SubmitCall:
    """One call of Submit."""

    query_id: str
    """Empty to have one made."""
    principal: Principal
    submission: Submission
    """As it was asked."""
    wait_seconds: float = 0.0
    """For the end of the query; 0 not to wait."""
    inline_as_rows: bool = False
    """The first rows of the answer as typed values, and not as Arrow."""
    leave_turn: Callable[[], None]
    """Called before it waits for anything."""
    allow: Allow | None = None
    """Called before it has an effect, to record it for audit; may refuse. None when nothing is recorded."""
    outline: Plan = field(default_factory=Plan)
    """What the submission alone decides of its plan; that of a named query once its text is known."""
    is_recorded: bool = False
    """Its record is written, or is about to be: it is finished then, whether its caller stays or not."""

    @property
    def right(self) -> Right:
        """What its principal needs for it."""
        return Right.SUBMIT_NAMED if self.submission.named_query else Right.SUBMIT_TEXT

    @property
    def key(self) -> Key:
        return self.submission.tenant, self.query_id
