"""What a planning step is."""

from collections.abc import Callable

from queryengine.domain.analysis import Analysis
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission

Step = Callable[[Submission, Analysis, Plan], Plan]
"""Takes the plan as far as the steps before have come, and returns it with what this one adds. Refuses a submission by
raising QueryEngineError. Does no I/O and waits for nothing."""
