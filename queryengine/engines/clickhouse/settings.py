"""Settings of a statement in ClickHouse: ours, those of the configuration, and those that a session may choose."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Statement
from queryengine.engines.clickhouse.types import Type
from queryengine.engines.kit.session_settings import check_settings

LIMITS: Final = ("max_bytes_to_read", "max_memory_usage", "max_rows_to_read", "max_threads")
"""A session may lower these, not raise them."""
SESSION_SETTINGS: Final = (*LIMITS, "join_use_nulls", "session_timezone")

_MESSAGE_BYTES: Final = 8 << 20
_ROWS_MAX: Final = 65_409
"""ClickHouse's own size of a block."""
_ROWS_MIN: Final = 1_024
_WIDTHS: Final[Mapping[str, int]] = MappingProxyType({"String": 256, "FixedString": 256})
_NESTED_WIDTH: Final = 2_048
_NESTED: Final = ("Array", "Nested", "Map", "Tuple", "JSON", "Dynamic", "Variant", "Object", "AggregateFunction")

_OURS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Also refuses table functions that reach files and networks, and every other change of a setting.
        "readonly": "1",
        "output_format_arrow_compression_method": "lz4_frame",
        "output_format_arrow_low_cardinality_as_dictionary": "0",
        "output_format_arrow_record_batch_size_bytes": str(_MESSAGE_BYTES),
        # Otherwise text that is not UTF-8 comes as if it were.
        "output_format_arrow_string_as_string": "0",
        "output_format_arrow_variant_as_string": "1",
        "describe_compact_output": "1",
        "print_pretty_type_names": "0",
        # A limit of the user's profile ends a query with an error, never with part of its result.
        "distinct_overflow_mode": "throw",
        "group_by_overflow_mode": "throw",
        "join_overflow_mode": "throw",
        "read_overflow_mode": "throw",
        "result_overflow_mode": "throw",
        "set_overflow_mode": "throw",
        "sort_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
        "transfer_overflow_mode": "throw",
    }
)


class Known(Protocol):
    """What the server says of a setting."""

    value: str
    readonly: int


def base_settings(configured: Mapping[str, str], known: Mapping[str, Known]) -> dict[str, str]:
    """For every statement. Older servers do not know all of ours; a user that is readonly already stays so.

    Raises ValueError when the user may not change settings at all.
    """
    readonly = known["readonly"].value if "readonly" in known else "0"
    if readonly == "1":
        raise ValueError("its user may not change settings (readonly = 1); give it readonly = 2, or 0")
    ours = {name: value for name, value in _OURS.items() if name in known and not known[name].readonly}
    if readonly != "0":
        ours.pop("readonly", None)
    return {**configured, **ours}


def statement_settings(
    statement: Statement, configured: Mapping[str, str], known: Mapping[str, Known]
) -> dict[str, str]:
    """What one statement adds. Raises UNSUPPORTED for what a session may not choose."""
    chosen = dict(statement.session_settings)
    check_settings(statement, SESSION_SETTINGS)
    for name, value in chosen.items():
        if name in LIMITS:
            _check_lowered(name, value, configured.get(name) or (known[name].value if name in known else "0"))
    labels = {"tenant": statement.tenant, "subject": statement.subject, "query_id": statement.query_id}
    return {
        **chosen,
        "max_execution_time": f"{max(0.001, statement.execution_timeout_seconds):.3f}",
        "log_comment": json.dumps({name: value for name, value in labels.items() if value}),
    }


def policed_settings(known: Mapping[str, Known]) -> dict[str, str]:
    """What a statement needs that row and column policies have rewritten. Raises UNSUPPORTED for a server that is too
    old for them.
    """
    if "allow_experimental_analyzer" not in known:
        message = "row and column policies need ClickHouse 24.3 or newer, which finds names in subqueries as they stand"
        raise error(Reason.UNSUPPORTED, message, feature="policies")
    # Without its analyzer, a name that a statement gives in a WITH takes the place of a column in a policy's predicate.
    # The cache remembers which rows a condition has kept, and with joins at run time too few of them (in 26.9).
    ours = {"allow_experimental_analyzer": "1", "use_query_condition_cache": "0"}
    return {name: value for name, value in ours.items() if name in known}


def block_settings(types: Sequence[Type]) -> dict[str, str]:
    """So many rows in a block that those of usual width take some MiB. ClickHouse does not say how wide values are."""
    width = sum(map(_width, types))
    return {"max_block_size": str(max(_ROWS_MIN, min(_ROWS_MAX, _MESSAGE_BYTES // max(1, width))))}


def _width(kind: Type) -> int:
    if kind.name in ("Nullable", "LowCardinality"):
        return _width(kind.types[0])
    return _NESTED_WIDTH if kind.name in _NESTED else _WIDTHS.get(kind.name, 16)


def _check_lowered(name: str, value: str, ceiling: str) -> None:
    """0 is ClickHouse's word for no limit."""
    feature = f"session_settings.{name}"
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise error(Reason.UNSUPPORTED, f"setting {name!r} must be a whole number from 1", feature=feature)
    if ceiling.isdigit() and 0 < int(ceiling) < int(value):
        raise error(Reason.UNSUPPORTED, f"setting {name!r} can only be lowered; it is {ceiling}", feature=feature)
