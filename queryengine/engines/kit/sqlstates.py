"""SQLSTATE, which most databases report with an error, as a reason: a whole class at a time, and states that differ."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason

QUERY_CANCELED: Final = "57014"
"""Stopped from outside, or by its deadline."""

_CLASSES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        # Whoever wrote the statement, or its data, can mend it; so too for functions that refuse something.
        Reason.STATEMENT_REJECTED: (
            "02 07 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 26 27 2B 2D 2F 34 38 39 3B 3F 42 44 46 51 54 55 P0"
        ),
        Reason.STATEMENT_NOT_ALLOWED: "25",
        Reason.OUT_OF_MEMORY: "53 82",
        # Another try may succeed: the connection, the account, an operator, another transaction.
        Reason.ENGINE_UNAVAILABLE: "08 28 3D 40 57 72",
        # The database itself, its files, its configuration or a system behind it is in trouble.
        Reason.ENGINE_ERROR: "00 01 03 56 58 F0 HV HY KD XX",
    }
)
_STATES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "07001": Reason.PARAMETER_MISMATCH,
        "25P03": Reason.ENGINE_UNAVAILABLE,
        "25P04": Reason.QUERY_TIMEOUT,
        "42601": Reason.SYNTAX_ERROR,
        "53300": Reason.ENGINE_UNAVAILABLE,
        "54000": Reason.ROW_TOO_LARGE,
        "54001": Reason.STATEMENT_TOO_COMPLEX,
        "55P03": Reason.ENGINE_UNAVAILABLE,
        "HV001": Reason.OUT_OF_MEMORY,
        "HV00N": Reason.ENGINE_UNAVAILABLE,
        QUERY_CANCELED: Reason.ENGINE_ERROR,
    }
)
_BY_CLASS: Final = MappingProxyType({each: reason for reason, classes in _CLASSES.items() for each in classes.split()})


def is_known(state: str) -> bool:
    """Whether the state belongs to a class that is sorted here."""
    return state in _STATES or state[:2] in _BY_CLASS


def reason_of_state(state: str) -> Reason:
    """ENGINE_ERROR for a state of an unknown class, and for an empty one."""
    return _STATES.get(state) or _BY_CLASS.get(state[:2], Reason.ENGINE_ERROR)
