"""The step that has a policed text run in place of the one that was submitted."""

from dataclasses import replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission


def apply_policies(_: Principal, __: Submission, analysis: Analysis, plan: Plan) -> Plan:
    """On an engine without policies the plan stays as it is."""
    policed = analysis.policed
    if policed is None:
        return plan
    return replace(
        plan,
        executed_sql=policed.sql,
        policy_version=policed.version,
        row_policies=policed.policies,
        enforced=policed.enforced,
    )
