"""Spark's error conditions as reasons: by SQLSTATE, and by name where the state is missing or says too little."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queryengine.domain.errors import Reason
from queryengine.engines.kit.sqlstates import is_known, reason_of_state

_LEGACY: Final = "_LEGACY_ERROR_TEMP_"
"""Begins the names of conditions that have no state yet; the digit behind it says which part of Spark raises them."""
_LEGACY_PARTS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        # Parser and analyzer.
        "0": Reason.STATEMENT_REJECTED,
        "1": Reason.STATEMENT_REJECTED,
        # Execution and core.
        "2": Reason.ENGINE_ERROR,
        "3": Reason.ENGINE_ERROR,
    }
)
_NAMES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.SYNTAX_ERROR: "PARSE_SYNTAX_ERROR PARSE_EMPTY_STATEMENT UNCLOSED_BRACKETED_COMMENT",
        Reason.PARAMETER_MISMATCH: (
            "UNBOUND_SQL_PARAMETER INVALID_PARAMETER_MARKER_VALUE INVALID_SQL_ARG INVALID_QUERY_MIXED_QUERY_PARAMETERS"
        ),
        # Limits of a function, of grouping sets; malformed rows under the mode FAILFAST; what a setting switches off;
        # maps, arrays and JSON text that a function cannot make something of.
        Reason.STATEMENT_REJECTED: (
            "COLLECTION_SIZE_LIMIT_EXCEEDED GROUPING_SIZE_LIMIT_EXCEEDED MALFORMED_CSV_RECORD FEATURE_NOT_ENABLED "
            "_LEGACY_ERROR_TEMP_2003 _LEGACY_ERROR_TEMP_2026 _LEGACY_ERROR_TEMP_2126 _LEGACY_ERROR_TEMP_2128 "
            "_LEGACY_ERROR_TEMP_2166 _LEGACY_ERROR_TEMP_2176"
        ),
        Reason.ROW_TOO_LARGE: "_LEGACY_ERROR_TEMP_2108",
        # Maps of a join or an aggregation, and tables to broadcast.
        Reason.OUT_OF_MEMORY: (
            "RESOURCE_EXHAUSTED KRYO_BUFFER_OVERFLOW _LEGACY_ERROR_TEMP_2105 _LEGACY_ERROR_TEMP_2106 "
            "_LEGACY_ERROR_TEMP_2107 _LEGACY_ERROR_TEMP_2109 _LEGACY_ERROR_TEMP_2110 _LEGACY_ERROR_TEMP_2248 "
            "_LEGACY_ERROR_TEMP_2249 _LEGACY_ERROR_TEMP_2250"
        ),
        Reason.QUERY_CANCELLED: "OPERATION_CANCELED",
        # What an operation leaves behind when the server that ran it is another one now.
        Reason.ENGINE_UNAVAILABLE: "INVALID_HANDLE INVALID_CURSOR",
    }
)
_BY_NAME: Final = MappingProxyType({name: reason for reason, names in _NAMES.items() for name in names.split()})


def is_sorted(condition: str, state: str) -> bool:
    """Whether a condition of Spark has a reason because it was given one, and not because nobody knows it."""
    return condition in _BY_NAME or is_known(state) or _legacy_part(condition) in _LEGACY_PARTS


def reason_of(condition: str, state: str) -> Reason | None:
    """None when neither says whose mistake it is."""
    name = condition.partition(".")[0]
    if name in _BY_NAME:
        return _BY_NAME[name]
    reason = reason_of_state(state) if state else _LEGACY_PARTS.get(_legacy_part(name), Reason.ENGINE_ERROR)
    if reason is Reason.SYNTAX_ERROR:
        # Spark has this state also for values that a function cannot parse.
        return Reason.STATEMENT_REJECTED
    return None if reason is Reason.ENGINE_ERROR else reason


def _legacy_part(name: str) -> str:
    return name.removeprefix(_LEGACY)[:1] if name.startswith(_LEGACY) else ""
