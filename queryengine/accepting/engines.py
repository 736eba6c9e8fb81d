"""The configured engines, as clients may see them: what each can do, and how busy it is."""

from dataclasses import dataclass

from queryengine.domain.errors import Failure
from queryengine.domain.identity import Principal
from queryengine.engines.base import EngineTraits
from queryengine.executing.dispatcher import Dispatcher
from queryengine.policy.rights import Right, require
from queryengine.policy.routing.engines import KnownEngines
from queryengine.workers.pool import EngineLoad, WorkerPool


@dataclass(frozen=True, slots=True)
class EngineView:
    """One engine, as clients may see it."""

    name: str
    type: str
    is_default: bool
    load: EngineLoad
    queued: int
    traits: EngineTraits
    """None of them, of an engine that cannot be used at all."""


class Engines:
    """Looks at the engines as they are now."""

    def __init__(self, choice: KnownEngines, pool: WorkerPool, dispatcher: Dispatcher) -> None:
        self._choice = choice
        self._pool = pool
        self._dispatcher = dispatcher

    def seen_by(self, principal: Principal) -> list[EngineView]:
        """Every engine, by name. Raises ROLE_MISSING for a principal without any role."""
        require(principal, Right.SEE_ENGINES)
        return self.views()

    def views(self) -> list[EngineView]:
        """Every engine, by name, for the service itself."""
        return [
            EngineView(
                name=name,
                type=engine.type,
                is_default=name == self._choice.default,
                load=self._pool.load(name),
                queued=self._dispatcher.waiting(name),
                traits=EngineTraits() if isinstance(engine.traits, Failure) else engine.traits,
            )
            for name, engine in sorted(self._choice.engines.items())
        ]
