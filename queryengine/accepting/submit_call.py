"""One call of Submit, and how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass, field

from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.live.query import Key


@dataclass(slots=True, kw_only=True)
class SubmitCall:
    """One call of Submit."""

    query_id: str
    """Empty to have one made."""
    principal: Principal
    submission: Submission
    wait_seconds: float = 0.0
    """For the end of the query; 0 not to wait."""
    inline_as_rows: bool = False
    """The first rows of the answer as typed values, and not as Arrow."""
    leave_turn: Callable[[], None]
    """Called before it waits for anything."""
    outline: Plan = field(default_factory=Plan)
    """What the submission alone decides of its plan."""
    is_recorded: bool = False
    """Its record is written, or is about to be: it is finished then, whether its caller stays or not."""

    @property
    def key(self) -> Key:
        return self.submission.tenant, self.query_id
