"""Contract to domain: which queries a request is about."""

from collections.abc import Iterable
from typing import Final

from queryengine.domain.filters import QueryFilter
from queryengine.domain.lifecycle import QueryState
from queryengine.domain.named_queries import LATEST, Reference
from queryengine.edges.grpc.fields import choice, invalid, mapping, rounded_up, short
from queryengine.v1 import query_pb2, query_service_pb2

SUBJECT_CHARACTERS_MAX: Final = 128
POSITION_CHARACTERS_MAX: Final = 64
QUERY_ID_CHARACTERS: Final = 36
QUERY_ID_SIGNS: Final = frozenset("0123456789abcdef-")
_QUERY_STATES: Final = {query_pb2.QueryState.Value(f"QUERY_STATE_{state}"): state for state in QueryState}


def to_filter(request: query_service_pb2.ListQueriesRequest) -> QueryFilter:
    """Which queries to list."""
    submitted_from_us = rounded_up(request, "submitted_after")
    submitted_before_us = rounded_up(request, "submitted_before")
    if submitted_from_us is not None and submitted_before_us is not None and submitted_from_us >= submitted_before_us:
        raise invalid("submitted_before", "must be later than submitted_after")
    return QueryFilter(
        states=_states(request.states),
        labels=mapping(request.labels, "labels", 63, 255),
        engine=short(request.engine, "engine"),
        subject=_subject(request.subject),
        query_id_prefix=_prefix(request.query_id_prefix),
        named_query=_named_query(request.named_query),
        submitted_from_us=submitted_from_us,
        submitted_before_us=submitted_before_us,
    )


def to_watched(request: query_service_pb2.WatchQueriesRequest) -> QueryFilter:
    """Changes of which queries to send."""
    return QueryFilter(
        states=_states(request.states),
        labels=mapping(request.labels, "labels", 63, 255),
        engine=short(request.engine, "engine"),
        subject=_subject(request.subject),
    )


def to_cancelled(request: query_service_pb2.CancelQueriesRequest) -> QueryFilter:
    """Which queries to cancel."""
    if not request.labels:
        raise invalid("labels", "must hold at least one label, so that no call stops every query by mistake")
    return QueryFilter(
        labels=mapping(request.labels, "labels", 63, 255),
        engine=short(request.engine, "engine"),
        subject=_subject(request.subject),
    )


def to_position(request: query_service_pb2.WatchQueriesRequest) -> str:
    if len(request.position) > POSITION_CHARACTERS_MAX:
        raise invalid("position", "is not that of an earlier message")
    return request.position


def _states(states: Iterable[int]) -> frozenset[QueryState]:
    return frozenset(choice(_QUERY_STATES, state, "states") for state in set(states))


def _prefix(text: str) -> str:
    """The beginning of ids, as they are stored."""
    prefix = text.lower()
    if len(prefix) > QUERY_ID_CHARACTERS or not QUERY_ID_SIGNS.issuperset(prefix):
        raise invalid("query_id_prefix", "is not the beginning of a UUID")
    return prefix


def _named_query(text: str) -> str:
    """Queries know the version that they ran, and not the tag by which it was asked for."""
    found = Reference.of(text) if text else None
    if text and (found is None or (found.version is None and found.tag != LATEST) or text.endswith(f"@{LATEST}")):
        raise invalid("named_query", "must be a name or name@version, such as report or report@7")
    return text


def _subject(text: str) -> str:
    if len(text) > SUBJECT_CHARACTERS_MAX:
        raise invalid("subject", f"has more than {SUBJECT_CHARACTERS_MAX} characters")
    return text
