"""The step that fills the limits which a submission leaves open."""

from dataclasses import dataclass, replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLimits:
    """Limits of the service for what is left open."""

    queue_timeout_ms: int
    execution_timeout_ms: int
    ttl_ms: int


class ApplyLimits:
    """A step. What was asked for holds; its bounds are checked where it is asked."""

    def __init__(self, defaults: DefaultLimits) -> None:
        self._defaults = defaults

    def adopt(self, defaults: DefaultLimits) -> None:
        """Use other defaults for submissions that come now."""
        self._defaults = defaults

    def __call__(self, _: Principal, submission: Submission, __: Analysis, plan: Plan) -> Plan:
        defaults = self._defaults
        return replace(
            plan,
            queue_timeout_ms=_or(submission.queue_timeout_ms, defaults.queue_timeout_ms),
            execution_timeout_ms=_or(submission.execution_timeout_ms, defaults.execution_timeout_ms),
            row_limit=submission.row_limit,
            byte_limit=submission.byte_limit,
            ttl_ms=_or(submission.ttl_ms, defaults.ttl_ms),
        )


def _or(asked: int | None, default: int) -> int:
    return default if asked is None else asked
