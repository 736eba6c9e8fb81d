"""Compares the parameters of a statement with the placeholders in it."""

from collections.abc import Collection, Sequence

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason


def check_names(parameters: Sequence[BoundParameter], expected: Collection[str]) -> None:
    """`expected` are the names of the placeholders; "1", "2", … for positional ones.

    Raises PARAMETER_MISMATCH with the names that differ as metadata `missing` and `unexpected`.
    """
    given = {name_of(parameter, number) for number, parameter in enumerate(parameters, 1)}
    differences = {}
    if missing := set(expected) - given:
        differences["missing"] = ", ".join(sorted(missing))
    if unexpected := given - set(expected):
        differences["unexpected"] = ", ".join(sorted(unexpected))
    if differences:
        message = "; ".join(f"{label} parameters: {names}" for label, names in differences.items())
        raise QueryEngineError(Failure(Reason.PARAMETER_MISMATCH, message, differences))


def name_of(parameter: BoundParameter, number: int) -> str:
    """The name of a parameter, or its number, counted from 1, when it is positional."""
    return parameter.name or str(number)
