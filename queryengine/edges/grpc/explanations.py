"""What would become of a statement, as a message."""

import re
from typing import Final

from queryengine.accepting.explaining import Explanation
from queryengine.domain.analysis import Name
from queryengine.domain.routing import Estimate
from queryengine.edges.grpc import convert
from queryengine.v1 import query_service_pb2 as pb

TABLES_SHOWN: Final = 1_000
_PLAIN: Final = re.compile(r"\w+")


def explanation(found: Explanation) -> pb.Explanation:
    plan, analysis = found.plan, found.analysis
    tables = analysis.tables if found.shows_text else None
    message = pb.Explanation(
        engine=plan.engine,
        engine_type=plan.engine_type,
        routing_reason=plan.routing_reason,
        routing=None if plan.routing is None else convert.routing(plan.routing),
        kinds=sorted(analysis.kinds or ()) if found.shows_text else (),
        tables=sorted(map(_quoted, tables or ()))[:TABLES_SHOWN],
        tables_known=tables is not None,
        row_policies=plan.row_policies[: convert.POLICIES_SHOWN],
        policy_version=plan.policy_version,
        limits=convert.limits(found.submission, plan),
        query_hash=found.query_hash,
        estimate=_estimate(found.estimate),
        engine_plan=found.engine_plan.text,
        engine_plan_withheld=found.engine_plan.withheld,
    )
    if found.shows_text and not plan.policy_version:
        message.executed_sql = plan.executed_sql or found.submission.sql
    return message


def _estimate(known: Estimate) -> pb.Estimate | None:
    if not known.is_known:
        return None
    microseconds = None if known.seconds is None else int(known.seconds * 1e6)
    return pb.Estimate(execution_time=convert.duration(microseconds), rows=known.rows, bytes_scanned=known.bytes)


def _quoted(name: Name) -> str:
    return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in name)
