"""What one call of Submit asks, and how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass

from queryengine.domain.query import QuerySpec


@dataclass(slots=True, kw_only=True)
class Submission:
    """One call of Submit."""

    tenant: str
    subject: str
    query_id: str
    spec: QuerySpec
    leave_turn: Callable[[], None]
    """Called before it waits for a check or for the disk."""
    is_recorded: bool = False
    """Its record is written, or is about to be: it is finished then, whether its caller stays or not."""
