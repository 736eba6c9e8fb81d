"""The step that has a policed text run in place of the one that was submitted."""

from dataclasses import replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission


def apply_policies(_: Principal, submission: Submission, analysis: Analysis, plan: Plan) -> Plan:
    """On an engine without policies the plan stays as it is. Raises UNSUPPORTED for scan limits of the submission:
    whether one is reached says how many rows there are, hidden ones included.
    """
    policed = analysis.policed
    if policed is None:
        return plan
    for limit in ("scan_row_limit", "scan_byte_limit"):
        if getattr(submission, limit):
            raise error(
                Reason.UNSUPPORTED,
                f"engine {plan.engine!r} takes no {limit}, as row and column policies apply to it; leave it out",
                engine=plan.engine,
                feature=f"limits.{limit}",
            )
    return replace(
        plan,
        executed_sql=policed.sql,
        policy_version=policed.version,
        row_policies=policed.policies,
        enforced=policed.enforced,
    )
