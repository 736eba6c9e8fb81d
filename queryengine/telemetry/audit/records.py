"""What stands in a record: one JSON object. Parameters, rows and credentials are in none."""

import json
from datetime import UTC, datetime
from typing import Any

from queryengine.domain.audit import Decision, Planned
from queryengine.domain.identity import Principal
from queryengine.domain.query import Query


def decision(made: Decision, *, with_text: bool) -> dict[str, Any]:
    """Without what is empty or not known."""
    fields = {
        "event": "call",
        "verdict": made.verdict.value,
        "reason": made.reason,
        "rpc": made.rpc,
        **_principal(made.principal),
        "peer": made.peer,
        "query_id": made.query_id,
        "key_id": made.key_id,
        "named_query": made.named_query,
    }
    if made.planned is None:
        return _filled(fields)
    found = _filled({**fields, **_planned(made.planned, with_text=with_text)})
    if made.planned.tables is not None:
        # Empty for a statement that is known to read none.
        found["tables"] = sorted(".".join(name) for name in made.planned.tables)
    return found


def query_end(query: Query) -> dict[str, Any]:
    """Rows and bytes of the result, as stored; they are there for a query that failed, too, and may be 0."""
    failure = query.failure
    return {
        **_filled(
            {
                "event": "query_end",
                "state": query.state.value,
                "reason": "" if failure is None else failure.reason.value,
                "tenant": query.tenant,
                "subject": query.submission.subject,
                "query_id": query.query_id,
                "engine": query.plan.engine,
                "statement": query.query_hash,
            }
        ),
        "attempt": query.attempt,
        "rows": query.rows,
        "bytes": query.bytes,
    }


def line(fields: dict[str, Any], *, now_us: int, server: str, sequence: int) -> bytes:
    """One line. Characters that could break out of it are escaped."""
    time = datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    head = {"time": f"{time}.{now_us % 1_000_000:06}Z", "server": server, "sequence": sequence}
    return f"{json.dumps({**head, **fields})}\n".encode()


def _principal(principal: Principal) -> dict[str, Any]:
    return {
        "tenant": principal.tenant,
        "home_tenant": principal.home_tenant,
        "subject": principal.subject,
        "roles": sorted(role.value for role in principal.roles),
        "authenticator": principal.authenticator if principal.roles or principal.tenant else "",
        "credential_id": principal.credential_id,
    }


def _planned(planned: Planned, *, with_text: bool) -> dict[str, Any]:
    return {
        "engine": planned.engine,
        "statement": planned.fingerprint,
        "sql": planned.sql if with_text else "",
        "row_policies": list(planned.row_policies),
        "policy_version": planned.policy_version,
    }


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None, [])}
