"""What a planning step is."""

from collections.abc import Callable

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission

Step = Callable[[Principal, Submission, Analysis, Plan], Plan]
"""Takes who asks, what is asked, what is known of its text, and the plan as far as the steps before have come, and
returns the plan with what this one adds. Refuses a submission by raising QueryEngineError. Does no I/O and waits for
nothing."""
