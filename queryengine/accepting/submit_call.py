"""One call of Submit, and how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass

from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission


@dataclass(slots=True, kw_only=True)
class SubmitCall:
    """One call of Submit."""

    query_id: str
    submission: Submission
    plan: Plan
    leave_turn: Callable[[], None]
    """Called before it waits for a check or for the disk."""
    is_recorded: bool = False
    """Its record is written, or is about to be: it is finished then, whether its caller stays or not."""
