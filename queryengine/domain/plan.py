"""What runs for a submission: made by policy, fixed when the query is accepted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from queryengine.domain.analysis import Name
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.routing import RoutingDecision
from queryengine.domain.submission import FINGERPRINT_FORM, SQL_CHARACTERS_KEPT, Submission, WideIntegers


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where and how a submission runs. Its limits are those in force: none is left open. Planning begins with an empty
    one, to which each step adds.
    """

    engine: str = ""
    engine_type: str = ""
    routing_reason: str = ""
    """Why this engine, such as "explicit" or "default"."""
    routing: RoutingDecision | None = None
    """None where no rule chose the engine."""
    executed_sql: str = ""
    """What runs in place of the submitted text; empty when that runs as it is."""
    queue_timeout_ms: int = 0
    execution_timeout_ms: int = 0
    row_limit: int = 0
    """0 means none."""
    byte_limit: int = 0
    """0 means none but the service's own."""
    scan_row_limit: int = 0
    scan_byte_limit: int = 0
    """What the engine may read for it, where the engine says so while it runs; 0 means no bound."""
    interactive: bool = False
    """Somebody waits for it, so that it may not run for as long as others."""
    limit_sources: Mapping[str, str] = field(default_factory=dict)
    """Keys of the settings that give bounds of this tenant, subject or key, by the names of the bounds."""
    ttl_ms: int = 0
    policy_version: str = ""
    """Of what row and column policies show of the tables that it reads; empty on an engine without policies."""
    row_policies: tuple[str, ...] = ()
    """The rules that apply to those tables, as `schema.table:rule`."""
    enforced: tuple[Name, ...] | None = None
    """Of the tables that it reads, those that the engine itself filters; None where it is not given who asks."""
    decided_for: str = ""
    """For which principal a decision point has allowed it, which nobody else may read then; empty without one."""
    cache_key: str = ""
    """Equal for plans that may share a result; empty when the result is not to be shared."""
    named_query: str = ""
    """The version of a named query that runs, as `name@version`; empty for SQL text."""

    def for_reference(self) -> "Plan":
        """What of it is asked for once its query has ended: of the executed SQL the beginning."""
        if len(self.executed_sql) > SQL_CHARACTERS_KEPT:
            return replace(self, executed_sql=self.executed_sql[:SQL_CHARACTERS_KEPT])
        return self


def is_same_submission(stored: str, asked: str, submission: Submission, plan: Plan) -> bool:
    """Whether a query with a stored fingerprint was submitted by an equal submission as the one with the fingerprint
    `asked`. The submission and the plan that it would get now count only for fingerprints of earlier versions, which
    had no named queries.
    """
    if stored.startswith(FINGERPRINT_FORM):
        return stored == asked
    return not submission.named_query and stored == legacy_fingerprint(submission, plan)


def id_reused(query_id: str) -> QueryEngineError:
    """The refusal of a submission whose id has another query. It says nothing of that, which may be anybody's."""
    message = "this query_id was used for another request; choose a new one"
    return error(Reason.QUERY_ID_REUSED, message, query_id=query_id)


def legacy_fingerprint(submission: Submission, plan: Plan) -> str:
    """The fingerprint that earlier versions stored: over the engine chosen and the limits in force."""
    if submission.parameters is None:
        raise ValueError("a submission without its parameters has no fingerprint")
    parts = [
        plan.engine,
        submission.catalog,
        submission.schema,
        json.dumps(dict(sorted(submission.session_settings.items()))),
        plan.queue_timeout_ms,
        plan.execution_timeout_ms,
        submission.row_limit,
        submission.byte_limit,
        submission.on_limit.value,
        plan.ttl_ms,
        submission.compression.value,
    ]
    if submission.wide_integers is not WideIntegers.FAIL:
        # It came later, so it is there only when it was asked for.
        parts.append(submission.wide_integers.value)
    # The hash of a JSON list of the SQL, the parameters in hexadecimal and these parts. In pieces, because the
    # parameters may be large and need no escapes.
    digest = hashlib.sha256(f'[{json.dumps(submission.sql)}, "'.encode())
    digest.update(submission.parameters.hex().encode())
    digest.update(f'", {json.dumps(parts)[1:]}'.encode())
    return digest.hexdigest()
