"""The step that refuses what the engine cannot run, as far as its text shows."""

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission


def check_text(_: Principal, __: Submission, analysis: Analysis, plan: Plan) -> Plan:
    """Raises what Engine.check has against the text."""
    if analysis.refusal is not None:
        raise QueryEngineError(analysis.refusal)
    return plan
