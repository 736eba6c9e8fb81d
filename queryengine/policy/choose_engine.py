"""The step that chooses the engine: the one that the submission names, or the default."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission
from queryengine.engines.base import EngineTraits


@dataclass(frozen=True, slots=True)
class KnownEngine:
    """A configured engine."""

    type: str
    traits: EngineTraits | Failure
    """What it can do, or why that is not known."""


class ChooseEngine:
    """A step; also knows the engines by name for whoever asks."""

    def __init__(self, engines: Mapping[str, KnownEngine], default: str) -> None:
        self.engines = engines
        self.default = default

    def named(self, name: str) -> str:
        """The name of the engine that a caller means by a name, which may be empty. Raises UNKNOWN_ENGINE with the
        known names.
        """
        chosen = name or self.default
        if chosen not in self.engines:
            known = sorted(self.engines)
            raise error(
                Reason.UNKNOWN_ENGINE,
                f"there is no engine {name!r}; known engines: {', '.join(known)}",
                engine=name,
                known=",".join(known),
            )
        return chosen

    def __call__(self, _: Principal, submission: Submission, __: Analysis, plan: Plan) -> Plan:
        """Raises UNKNOWN_ENGINE, UNSUPPORTED for what the engine cannot do, and ENGINE_UNAVAILABLE when it cannot be
        used at all.
        """
        name = self.named(submission.engine_hint)
        engine = self.engines[name]
        if isinstance(engine.traits, Failure):
            raise QueryEngineError(engine.traits)
        _require(name, engine.traits, submission)
        reason = "explicit" if submission.engine_hint else "default"
        return replace(plan, engine=name, engine_type=engine.type, routing_reason=reason)


def _require(name: str, traits: EngineTraits, submission: Submission) -> None:
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


def _unsupported(engine: str, feature: str) -> QueryEngineError:
    message = f"engine {engine!r} does not support {feature}"
    return error(Reason.UNSUPPORTED, message, engine=engine, feature=feature)
