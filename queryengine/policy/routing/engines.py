"""The configured engines by name: which one a name means, and what a submission asks that an engine cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass

from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.domain.submission import Submission
from queryengine.engines.base import EngineTraits


@dataclass(frozen=True, slots=True)
class KnownEngine:
    """A configured engine."""

    type: str
    traits: EngineTraits | Failure
    """What it can do, or why that is not known."""
    dialect: str = ""
    """In which it reads SQL; empty where that is not known."""


class KnownEngines:
    """All configured engines. They do not change while a server runs."""

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

    def require_fit(self, name: str, submission: Submission, *, translates: bool = False) -> None:
        """Raises UNSUPPORTED for what the engine cannot do, TRANSLATION_REFUSED where it reads another dialect and
        the statement is not translated, and ENGINE_UNAVAILABLE when it cannot be used at all.
        """
        traits = self.engines[name].traits
        if isinstance(traits, Failure):
            raise QueryEngineError(traits)
        if submission.catalog and not traits.catalog:
            raise _unsupported(name, "catalog")
        if submission.schema and not traits.schema:
            raise _unsupported(name, "schema")
        own = self.engines[name].dialect
        if submission.dialect and submission.dialect != own and not translates:
            message = f"engine {name!r} reads {own or 'another dialect'}, and the statement is {submission.dialect}"
            raise error(Reason.TRANSLATION_REFUSED, message, written=submission.dialect, reads=own)
        for limit in ("scan_row_limit", "scan_byte_limit"):
            if getattr(submission, limit) and not traits.scan_statistics:
                raise _unsupported(name, f"limits.{limit}")
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
