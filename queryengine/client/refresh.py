"""What a client learns of an engine's folder."""

from dataclasses import dataclass

from queryengine.client.errors import QueryEngineClientError
from queryengine.domain.views import ViewChangeKind
from queryengine.v1 import query_service_pb2


@dataclass(frozen=True, slots=True)
class ViewChange:
    """One view, and why it cannot be read when it cannot."""

    view: str
    kind: ViewChangeKind
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRefresh:
    """What the workers of an engine found when they looked at its folder again."""

    engine: str
    views: int
    """That can be read now."""
    workers: int
    """That have looked."""
    workers_waiting: int
    """That have not, and will before their next query."""
    changes: tuple[ViewChange, ...]
    changes_left_out: int
    """That did not fit in the reply."""


def engine_refresh(message: query_service_pb2.RefreshEngineResponse) -> EngineRefresh:
    """Raises QueryEngineClientError for a kind of a newer contract."""
    return EngineRefresh(
        engine=message.engine,
        views=message.views,
        workers=message.workers,
        workers_waiting=message.workers_waiting,
        changes=tuple(ViewChange(each.view, _kind(each.kind), each.reason) for each in message.changes),
        changes_left_out=message.changes_left_out,
    )


def _kind(number: int) -> ViewChangeKind:
    names = query_service_pb2.ViewChangeKind
    name = names.Name(number).removeprefix("VIEW_CHANGE_KIND_") if number in names.values() else str(number)
    if name not in ViewChangeKind.__members__:
        raise QueryEngineClientError(f"the server sent a change of the kind {name}, which this client does not know")
    return ViewChangeKind[name]
