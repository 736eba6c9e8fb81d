"""Query values to rows and back. Nothing else knows how a query is laid out in columns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from queryengine.domain.errors import Failure
from queryengine.domain.lifecycle import QueryState, ResultState
from queryengine.domain.query import Compression, LimitAction, Query, QuerySpec, Truncation, WideIntegers

ASKED: Final = (
    "tenant",
    "query_id",
    "subject",
    "engine",
    "labels",
    "spec",
    "parameters",
    "fingerprint",
    "query_hash",
    "submit_us",
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
)
"""Columns that say what became of the query."""

CHANGEABLE: Final = frozenset(BECAME) - {"state", "version", "attempt", "record_bytes"}
"""What a caller may set: the state moves by an event, the attempt by a claim, the version by every change."""

# ASCII only, so that a NUL or a lone surrogate in a message cannot fail a write.
_json: Final = json.JSONEncoder(separators=(",", ":")).encode

_OWN_COLUMN = frozenset({"engine", "labels", "parameters"})
_IN_SPEC: Final = tuple(each.name for each in fields(QuerySpec) if each.name not in _OWN_COLUMN)
_FIRST_FACT: Final = len(ASKED)


def to_row(query: Query) -> tuple[Any, ...]:
    """The columns ASKED + BECAME of a query."""
    spec = query.spec
    asked = {name: getattr(spec, name) for name in _IN_SPEC}
    asked["session_settings"] = dict(spec.session_settings)
    return (
        query.tenant,
        query.query_id,
        query.subject,
        spec.engine,
        _json(dict(spec.labels)) if spec.labels else "{}",
        _json(asked),
        spec.parameters,
        query.fingerprint,
        query.query_hash,
        query.submit_us,
        *[_to_column(name, getattr(query, name)) for name in BECAME],
    )


def to_columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as column values. Raises ValueError that names what may not be changed this way."""
    if wrong := changes.keys() - CHANGEABLE:
        raise ValueError(f"may not be changed here: {', '.join(sorted(wrong))}")
    return {name: _to_column(name, value) for name, value in changes.items()}


def to_query(row: Sequence[Any]) -> Query:
    """The query in a row of the columns ASKED + BECAME. NULL as parameters means that they were left in the
    store.
    """
    tenant, query_id, subject, engine, labels, spec, parameters, fingerprint, query_hash, submit_us = row[:_FIRST_FACT]
    asked = json.loads(spec)
    asked["on_limit"] = LimitAction(asked["on_limit"])
    asked["compression"] = Compression(asked["compression"])
    # A record of an older server has none.
    asked["wide_integers"] = WideIntegers(asked.get("wide_integers", WideIntegers.FAIL))
    return Query(
        tenant=tenant,
        query_id=query_id,
        subject=subject,
        spec=QuerySpec(engine=engine, labels=json.loads(labels), parameters=parameters, **asked),
        fingerprint=fingerprint,
        query_hash=query_hash,
        submit_us=submit_us,
        **_facts(row[_FIRST_FACT:]),
    )


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
    return value
