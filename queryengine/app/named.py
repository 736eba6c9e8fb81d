"""Named queries of one server: what remembers them, what resolves them, and what manages them."""

from dataclasses import dataclass

from queryengine.accepting.named import NamedQueries
from queryengine.accepting.resolving import Resolving
from queryengine.domain.clock import Clock
from queryengine.policy.named import NamedIndex
from queryengine.policy.planner import Planner
from queryengine.store import Store


@dataclass(frozen=True, slots=True)
class Named:
    """They share what is remembered, so that a change is seen by the next Submit."""

    resolving: Resolving
    queries: NamedQueries


def make_named(store: Store, planner: Planner, clock: Clock) -> Named:
    index = NamedIndex(store.named)
    return Named(Resolving(index), NamedQueries(store.named, index, planner, clock))
