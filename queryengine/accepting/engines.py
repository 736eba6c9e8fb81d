"""The configured engines: which one a request gets, what each can do, and how busy it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.submission import Submission
from queryengine.engines.base import EngineTraits
from queryengine.executing.dispatcher import Dispatcher
from queryengine.workers.pool import EngineLoad, WorkerPool
from queryengine.workers.seat import EngineConfig


@dataclass(frozen=True, slots=True)
class EngineView:
    """One engine, as clients may see it."""

    config: EngineConfig
    is_default: bool
    load: EngineLoad
    queued: int
    traits: EngineTraits


class Engines:
    """The engines by name. `traits` maps a name to what the engine can do, or to why that is not known."""

    def __init__(
        self,
        *,
        configs: Mapping[str, EngineConfig],
        default: str,
        traits: Mapping[str, EngineTraits | Failure],
        pool: WorkerPool,
        dispatcher: Dispatcher,
    ) -> None:
        self._configs = configs
        self._default = default
        self._traits = traits
        self._pool = pool
        self._dispatcher = dispatcher

    def choose(self, name: str) -> tuple[str, str, str]:
        """Name, type and routing reason of the engine for a request. Raises UNKNOWN_ENGINE with the known names."""
        chosen = name or self._default
        config = self._configs.get(chosen)
        if config is None:
            known = ", ".join(sorted(self._configs))
            raise error(
                Reason.UNKNOWN_ENGINE,
                f"there is no engine {name!r}; known engines: {known}",
                engine=name,
                known=",".join(sorted(self._configs)),
            )
        return chosen, config.type, "explicit" if name else "default"

    def require(self, name: str, submission: Submission) -> None:
        """Raises UNSUPPORTED for what the engine cannot do, and ENGINE_UNAVAILABLE when it cannot be used at all."""
        traits = self._traits[name]
        if isinstance(traits, Failure):
            raise QueryEngineError(traits)
        if submission.catalog and not traits.catalog:
            raise _unsupported(name, "catalog")
        if submission.schema and not traits.schema:
            raise _unsupported(name, "schema")
        for setting in submission.session_settings:
            if setting not in traits.session_settings:
                known = ", ".join(traits.session_settings) or "none"
                raise error(
                    Reason.UNSUPPORTED,
                    f"engine {name!r} does not take the setting {setting!r}; it takes: {known}",
                    engine=name,
                    feature=f"session_settings.{setting}",
                )

    def views(self) -> list[EngineView]:
        """Every engine, by name."""
        views = []
        for name in sorted(self._configs):
            traits = self._traits[name]
            known = EngineTraits() if isinstance(traits, Failure) else traits
            load = self._pool.load(name)
            queued = self._dispatcher.waiting(name)
            views.append(EngineView(self._configs[name], name == self._default, load, queued, known))
        return views


def _unsupported(engine: str, feature: str) -> QueryEngineError:
    message = f"engine {engine!r} does not support {feature}"
    return error(Reason.UNSUPPORTED, message, engine=engine, feature=feature)
