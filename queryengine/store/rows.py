"""Query values to rows and back. Nothing else knows how a query is laid out in columns."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from queryengine.domain.errors import Failure
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.plan import Plan
from queryengine.domain.query import Query, Truncation
from queryengine.domain.routing import RoutingDecision
from queryengine.domain.submission import Compression, LimitAction, Submission, WideIntegers

ASKED: Final = (
    "tenant",
    "query_id",
    "subject",
    "engine",
    "engine_hint",
    "labels",
    "sql",
    "executed_sql",
    "spec",
    "policy_version",
    "cache_key",
    "parameters",
    "fingerprint",
    "query_hash",
    "submit_us",
    "api_key",
    "named_query",
)
"""Columns that Submit writes. Nothing changes them, but for the parameters, which go when the query has ended."""

BECAME: Final = (
    "state",
    "result_state",
    "version",
    "attempt",
    "owner",
    "rows",
    "pages",
    "bytes",
    "rows_scanned",
    "bytes_scanned",
    "truncation",
    "failure",
    "start_us",
    "first_page_us",
    "end_us",
    "expire_us",
    "cancel_us",
    "cancel_reason",
    "engine_query_id",
    "engine_query_url",
    "record_bytes",
    "result_id",
    "throttled_us",
)
"""Columns that say what became of the query."""

CHANGEABLE: Final = frozenset(BECAME) - {"state", "version", "attempt", "record_bytes", "result_id"}
"""What a caller may set: the state moves by an event, the attempt by a claim, the version by every change, the result
by a completion."""

# ASCII only, so that a NUL or a lone surrogate in a message cannot fail a write.
_json: Final = json.JSONEncoder(separators=(",", ":")).encode

_LIMITS: Final[Mapping[str, int | None]] = MappingProxyType(
    {"queue_timeout_ms": None, "execution_timeout_ms": None, "ttl_ms": None, "row_limit": 0, "byte_limit": 0}
)
"""Each with what stands in a submission that does not give it. `spec` has those in force, and under `asked` those that
the submission gave. A record of an older server has no `asked`: it gave what is in force, as far as is known.
"""
_SELDOM: Final = ("scan_row_limit", "scan_byte_limit", "interactive")
"""Of both, and mostly not given: `spec` and `asked` have those that are."""
_OF_PLAN: Final = ("engine_type", "routing_reason", *_LIMITS)
_OF_SUBMISSION: Final = (
    "catalog",
    "schema",
    "session_settings",
    "on_limit",
    "compression",
    "wide_integers",
    "priority",
    "cancel_on_disconnect",
    "disconnect_grace_ms",
)
_RARELY_ASKED: Final = ("dialect", "strict_routing")
"""Of the submission; in `spec` only where they are given, so that a server of an earlier version reads the others."""
_FIRST_FACT: Final = len(ASKED)

_TEXTS: Final = ("owner", "failure", "cancel_reason", "engine_query_id", "engine_query_url")
"""Of BECAME: what may hold any text, or has a form of its own in its column."""
_facts_of: Final = attrgetter(*BECAME)
_spec_of_submission: Final = attrgetter(*_OF_SUBMISSION)
_spec_of_plan: Final = attrgetter(*_OF_PLAN)
_seldom_of: Final = attrgetter(*_SELDOM)
_asked_limits: Final = attrgetter(*_LIMITS)


def to_row(query: Query) -> tuple[Any, ...]:
    """The columns ASKED + BECAME of a query."""
    submission, plan = query.submission, query.plan
    spec = dict(zip(_OF_SUBMISSION, _spec_of_submission(submission), strict=True))
    spec["session_settings"] = dict(submission.session_settings)
    spec.update(zip(_OF_PLAN, _spec_of_plan(plan), strict=True))
    if plan.row_policies:
        spec["row_policies"] = plan.row_policies
    if plan.enforced is not None:
        spec["enforced"] = plan.enforced
    if plan.decided_for:
        spec["decided_for"] = plan.decided_for
    if submission.named_query:
        spec["named_query"] = submission.named_query
    if plan.routing is not None:
        spec["routing"] = plan.routing.to_json()
    for name in _RARELY_ASKED:
        if asked_for := getattr(submission, name):
            spec[name] = asked_for
    if plan.limit_sources:
        spec["limit_sources"] = dict(plan.limit_sources)
    spec.update(_given(plan))
    if submission.parameter_types:
        spec["parameter_types"] = b64encode(submission.parameter_types).decode()
    asked = zip(_LIMITS.items(), _asked_limits(submission), strict=True)
    spec["asked"] = {name: limit for (name, none), limit in asked if limit != none} | _given(submission)
    became = dict(zip(BECAME, _facts_of(query), strict=True))
    for name in _TEXTS:
        became[name] = _to_column(name, became[name])
    return (
        query.tenant,
        query.query_id,
        query.subject,
        plan.engine,
        submission.engine_hint,
        to_labels(submission.labels),
        _to_bytes(submission.sql),
        _to_bytes(plan.executed_sql) if plan.executed_sql else None,
        _json(spec),
        plan.policy_version,
        plan.cache_key,
        submission.parameters,
        query.fingerprint,
        query.query_hash,
        query.submit_us,
        submission.api_key,
        plan.named_query,
        *became.values(),
    )


def _given(what: Plan | Submission) -> dict[str, Any]:
    return {name: value for name, value in zip(_SELDOM, _seldom_of(what), strict=True) if value}


def to_labels(labels: Mapping[str, str]) -> str:
    """Labels as JSON with every pair on a line of its own, which is found by `label_line`."""
    return "{" + ",".join([label_line(key, value) for key, value in labels.items()]) + "}"


def label_line(key: str, value: str) -> str:
    """The beginning of the line of a pair. Nothing else begins so: JSON has no line break inside a text."""
    return f"\n{_json(key)}:{_json(value)}"


def to_columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as column values. Raises ValueError that names what may not be changed this way."""
    if wrong := changes.keys() - CHANGEABLE:
        raise ValueError(f"may not be changed here: {', '.join(sorted(wrong))}")
    return {name: _to_column(name, value) for name, value in changes.items()}


def to_query(row: Sequence[Any], sql_characters: int | None = None) -> Query:
    """The query in a row of the columns ASKED + BECAME, with that much of its SQL. NULL as parameters means that they
    were left in the store.
    """
    asked = dict(zip(ASKED, row, strict=False))
    spec = json.loads(asked["spec"])
    plan = Plan(
        engine=asked["engine"],
        executed_sql=_to_text(asked["executed_sql"] or b"", sql_characters),
        policy_version=asked["policy_version"],
        cache_key=asked["cache_key"],
        named_query=asked["named_query"],
        row_policies=tuple(spec.pop("row_policies", ())),
        routing=RoutingDecision.from_json(routing) if (routing := spec.pop("routing", None)) else None,
        enforced=_enforced(spec.pop("enforced", None)),
        limit_sources=spec.pop("limit_sources", {}),
        **{name: spec.pop(name) for name in _SELDOM if name in spec},
        decided_for=spec.pop("decided_for", ""),
        **{name: spec.pop(name) for name in _OF_PLAN},
    )
    in_force = {name: getattr(plan, name) for name in _LIMITS}
    submission = Submission(
        tenant=asked["tenant"],
        subject=asked["subject"],
        api_key=asked["api_key"],
        sql=_to_text(asked["sql"], sql_characters),
        engine_hint=asked["engine_hint"],
        labels=json.loads(asked["labels"]),
        parameters=asked["parameters"],
        parameter_types=b64decode(spec.pop("parameter_types", "")),
        on_limit=LimitAction(spec.pop("on_limit")),
        compression=Compression(spec.pop("compression")),
        # A record of an older server has none.
        wide_integers=WideIntegers(spec.pop("wide_integers", WideIntegers.FAIL)),
        **spec.pop("asked", in_force),
        **spec,
    )
    return Query(
        query_id=asked["query_id"],
        submission=submission,
        plan=plan,
        fingerprint=asked["fingerprint"],
        query_hash=asked["query_hash"],
        submit_us=asked["submit_us"],
        **_facts(row[_FIRST_FACT:]),
    )


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _to_text(stored: bytes, characters: int | None) -> str:
    # The beginning of a long text may end inside a character.
    return stored.decode("utf-8", "ignore")[:characters]


def with_facts(query: Query, row: Sequence[Any]) -> Query:
    """The same query with what became of it, from a row of the columns BECAME; the request cannot have changed."""
    return query.but(**_facts(row))


def _facts(row: Sequence[Any]) -> dict[str, Any]:
    facts = dict(zip(BECAME, row, strict=True))
    facts["state"] = QueryState(facts["state"])
    facts["result_state"] = ResultState(facts["result_state"])
    if facts["truncation"] is not None:
        facts["truncation"] = Truncation(facts["truncation"])
    if facts["failure"] is not None:
        facts["failure"] = Failure.from_json(json.loads(facts["failure"]))
    return facts


def _to_column(name: str, value: Any) -> Any:
    if name == "failure" and value is not None:
        return _json(value.to_json())
    return plain(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """A text for a column of text, which has no NUL in PostgreSQL: what comes from elsewhere may."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _enforced(paths: list[list[str]] | None) -> tuple[tuple[str, ...], ...] | None:
    return None if paths is None else tuple(map(tuple, paths))
