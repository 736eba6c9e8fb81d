"""What the adapters share about the parameters of a statement."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error

T = TypeVar("T")


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


def bound(parameters: Sequence[BoundParameter], bind: Callable[[BoundParameter], T]) -> dict[str, T]:
    """What `bind` makes of each parameter, by its name, or by its number as check_names has it; in their order.

    Raises PARAMETER_MISMATCH with metadata `parameter` for a value of which `bind` makes nothing. A plain ValueError
    says why, and must not repeat the value; the words of any other exception may, and stay its cause.
    """
    found = {}
    for number, each in enumerate(parameters, 1):
        try:
            found[name_of(each, number)] = bind(each)
        except (ValueError, TypeError, OverflowError, pa.ArrowException) as cause:
            why = str(cause) if type(cause) is ValueError else "the engine has no type that holds this value exactly"
            name = name_of(each, number)
            raise error(Reason.PARAMETER_MISMATCH, f"parameter {name}: {why}", parameter=name) from cause
    return found


def with_short_integers(parameters: Sequence[BoundParameter]) -> tuple[BoundParameter, ...] | None:
    """The same with 32 bits for the whole numbers that came without a type, which bind as 64 bits. Some places take no
    more: LIMIT in Spark, a date + n, round(x, n). None when there is no such number, or one does not fit.
    """
    free = [each.value for each in parameters if _is_free(each)]
    if not free or min(free) < -(1 << 31) or max(free) >= 1 << 31:
        return None
    return tuple(replace(each, type=pa.int32()) if _is_free(each) else each for each in parameters)


def _is_free(parameter: BoundParameter) -> bool:
    return parameter.type is None and type(parameter.value) is int


def word_of(value: object) -> str:
    """The contract's word for the kind of a value that an engine has no type for."""
    if isinstance(value, pa.Scalar):
        # time64[ns], timestamp[us, tz=UTC], …
        kind = str(value.type).partition("[")[0].rstrip("0123456789")
        return f"{kind.upper()} of this precision or range"
    return next((word for kind, word in _WORDS.items() if isinstance(value, kind)), type(value).__name__)


_WORDS: Final[Mapping[type, str]] = MappingProxyType(
    {
        pa.MonthDayNano: "INTERVAL",
        dt.timedelta: "DURATION",
        Decimal: "DECIMAL",
        str: "STRING with a NUL character",
        list: "LIST or MAP",
        dict: "STRUCT",
    }
)
"""In order: an interval is a tuple of its own."""


def name_of(parameter: BoundParameter, number: int) -> str:
    """The name of a parameter, or its number, counted from 1, when it is positional."""
    return parameter.name or str(number)
