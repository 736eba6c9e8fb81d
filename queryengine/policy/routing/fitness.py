"""Which of the engines that a rule prefers takes a statement: the first that can, is up and is not full."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.routing import FACT_CHARACTERS_MAX, PassedOver, clipped
from queryengine.domain.submission import Submission
from queryengine.engines.base import EngineTraits
from queryengine.policy.routing.engines import KnownEngines


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why an engine should not be given a statement now."""

    why: str
    is_down: bool
    """Nothing can run on it; otherwise a statement would only wait."""


Fitness = Callable[[str], Unfit | None]
"""Of an engine at this moment; None when it takes a statement at once, or soon."""


def fitting(
    engines: KnownEngines, fitness: Fitness, candidates: Sequence[str], submission: Submission, *, translates: bool
) -> tuple[str, tuple[PassedOver, ...]]:
    """The engine to take, and those before it that were not. Where none is fit, the statement waits for the first that
    is up, else for the first. Raises what KnownEngines.require_fit says of the first where none can do what is asked.
    """
    able, passed = list[tuple[str, Unfit]](), list[PassedOver]()
    refusal: QueryEngineError | None = None
    for name in candidates:
        try:
            engines.require_fit(name, submission, translates=translates)
        except QueryEngineError as cause:
            refusal = refusal or cause
            is_known = isinstance(engines.engines[name].traits, EngineTraits)
            what = cause.failure.message.removeprefix(f"engine {name!r} ")
            passed.append(_passed(name, what if is_known else f"unavailable: {what}"))
            continue
        unfit = fitness(name)
        if unfit is None:
            return name, tuple(passed)
        able.append((name, unfit))
        passed.append(_passed(name, unfit.why))
    if not able:
        assert refusal is not None, "a rule has engines"
        raise refusal
    chosen = next((name for name, unfit in able if not unfit.is_down), able[0][0])
    return chosen, tuple(passed)


def summary(passed: Sequence[PassedOver], chosen: str) -> str:
    """What a reason says of the engines that were passed over: the beginning of why; the decision has all of it."""
    short = {each.engine: each.why.partition(":")[0] for each in passed}
    waits = short.pop(chosen, "")
    others = ", ".join(f"{engine} {why}" for engine, why in short.items())
    last = f"waits for {chosen}, which is {waits}" if waits else f"next {chosen}"
    return ", ".join(filter(None, [others, last])) if passed else ""


def _passed(engine: str, why: str) -> PassedOver:
    return PassedOver(engine, clipped(why, FACT_CHARACTERS_MAX))
