"""SQLSTATE, which most databases tell with an error, as a reason."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason

QUERY_CANCELED: Final = "57014"
"""Stopped from outside, or by its deadline."""

_STATES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "42000": Reason.STATEMENT_REJECTED,
        "42601": Reason.SYNTAX_ERROR,
        "53200": Reason.OUT_OF_MEMORY,
        "53300": Reason.ENGINE_UNAVAILABLE,
        "54000": Reason.ROW_TOO_LARGE,
        "54001": Reason.STATEMENT_TOO_COMPLEX,
        QUERY_CANCELED: Reason.ENGINE_ERROR,
    }
)
_CLASSES: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "08": Reason.ENGINE_UNAVAILABLE,
        "0A": Reason.STATEMENT_REJECTED,
        "20": Reason.STATEMENT_REJECTED,
        "21": Reason.STATEMENT_REJECTED,
        "22": Reason.STATEMENT_REJECTED,
        "25": Reason.STATEMENT_NOT_ALLOWED,
        "28": Reason.ENGINE_UNAVAILABLE,
        "2F": Reason.STATEMENT_REJECTED,
        "38": Reason.STATEMENT_REJECTED,
        "39": Reason.STATEMENT_REJECTED,
        "3D": Reason.ENGINE_UNAVAILABLE,
        "3F": Reason.STATEMENT_REJECTED,
        "40": Reason.ENGINE_UNAVAILABLE,
        "42": Reason.STATEMENT_REJECTED,
        "54": Reason.STATEMENT_REJECTED,
        "57": Reason.ENGINE_UNAVAILABLE,
        "P0": Reason.STATEMENT_REJECTED,
    }
)
"""By the first two characters. What is in neither table is the database's own trouble: ENGINE_ERROR."""


def reason_of_state(state: str) -> Reason:
    return _STATES.get(state) or _CLASSES.get(state[:2], Reason.ENGINE_ERROR)
