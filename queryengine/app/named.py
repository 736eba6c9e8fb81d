"""Named queries of one server: what remembers them, what resolves them, and what manages them."""

from dataclasses import dataclass

from queryengine.accepting.named import NamedQueries
from queryengine.accepting.resolving import Resolving
from queryengine.domain.clock import Clock
from queryengine.policy.binding import Binding
from queryengine.policy.named import NamedIndex
from queryengine.policy.planner import Planner
from queryengine.store import Store
from queryengine.workers.sandbox_pool import SandboxPool


@dataclass(frozen=True, slots=True)
class Named:
    """They share what is remembered, so that a change is seen by the next Submit."""

    resolving: Resolving
    queries: NamedQueries


def make_named(store: Store, planner: Planner, lane: SandboxPool, clock: Clock) -> Named:
    """Large values are looked at in the lane."""
    index = NamedIndex(store.named)
    return Named(Resolving(index, Binding(lane)), NamedQueries(store.named, index, planner, clock))
