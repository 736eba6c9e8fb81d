"""The changes of all queries of a tenant, from streams that may break, without a gap that is not reported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from queryengine.client.arguments import choices, text, texts
from queryengine.client.backoff import Backoff
from queryengine.client.brief import Brief
from queryengine.client.errors import RpcFailure
from queryengine.client.model import QueryStatus, query_status
from queryengine.domain.lifecycle import QueryState
from queryengine.v1 import query_service_pb2, result_pb2


@dataclass(frozen=True, slots=True, repr=False)
class QueryChange(Brief):
    """A query that was accepted or has changed."""

    status: QueryStatus | None
    """Its newest status. None: changes before this one may be missing; list the queries to catch up."""
    position: str
    """Where to go on after this change."""


def watch_request(
    *,
    states: Iterable[QueryState | str],
    labels: Mapping[str, str] | None,
    engine: str,
    subject: str,
    position: str,
) -> query_service_pb2.WatchQueriesRequest:
    """Raises ValueError and TypeError that name an argument and what it takes."""
    return query_service_pb2.WatchQueriesRequest(
        states=[f"QUERY_STATE_{state}" for state in choices("states", states, QueryState)],
        labels=texts("labels", labels or {}),
        engine=text("engine", engine),
        subject=text("subject", subject),
        position=text("position", position),
    )


class ChangesReader:
    """Goes on from the position of the last message, whatever kind it was of."""

    is_done = False

    def __init__(self, request: query_service_pb2.WatchQueriesRequest, *, backoff: Backoff) -> None:
        self._request = request
        self._backoff = backoff
        self._is_planned = False

    def request(self) -> query_service_pb2.WatchQueriesRequest:
        return self._request

    def receive(self, message: query_service_pb2.WatchQueriesResponse) -> QueryChange | None:
        self._request.position = message.position
        match message.WhichOneof("event"):
            case "status":
                self._backoff.progressed()
                return QueryChange(query_status(message.status), message.position)
            case "reset":
                self._backoff.progressed()
                return QueryChange(None, message.position)
            case "heartbeat":
                self._backoff.progressed()
            case "rotate":
                self._is_planned = message.rotate.reason != result_pb2.ROTATE_REASON_DRAIN
            case _:
                # An event of a newer contract.
                pass
        return None

    def closed(self, failure: RpcFailure | None, now: float) -> float:
        """As WatchReader.closed."""
        is_planned, self._is_planned = self._is_planned, False
        if failure is not None and not failure.is_passing:
            raise failure.to_error("")
        return self._backoff.delay(now, is_planned=is_planned, failure=failure)
