"""Parameters as DuckDB binds them: by value, never by text substitution."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import duckdb
import pyarrow as pa
from duckdb.value.constant import Value

from queryengine.codec.values import BoundParameter
from queryengine.engines.duckdb.text import identifier
from queryengine.engines.duckdb.values import DIGITS_MAX, HUGEINT_MAX, WIDE_INTEGER, digits_of, plain
from queryengine.engines.kit.arrow_types import TypeTable
from queryengine.engines.kit.parameters import bound, check_names

_REMEMBERED_MAX: Final = 256
_NAMES: Final[Mapping[pa.DataType, str]] = {
    pa.null(): '"NULL"',
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float16(): "FLOAT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
    pa.date32(): "DATE",
    pa.time32("s"): "TIME",
    pa.time32("ms"): "TIME",
    pa.time64("us"): "TIME",
    pa.time64("ns"): "TIME_NS",
    pa.timestamp("s"): "TIMESTAMP_S",
    pa.timestamp("ms"): "TIMESTAMP_MS",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("ns"): "TIMESTAMP_NS",
    pa.month_day_nano_interval(): "INTERVAL",
    pa.uuid(): "UUID",
    pa.json_(): "JSON",
}


def bind(parameters: Sequence[BoundParameter], expected: Collection[str]) -> list[Any] | dict[str, Any] | None:
    """What DuckDB takes as params, for a statement with placeholders of these names ("1", "2", … when
    positional).

    Raises PARAMETER_MISMATCH, with the names as metadata `missing` and `unexpected`, or with `parameter`
    for a value that DuckDB cannot hold exactly.
    """
    check_names(parameters, expected)
    if not parameters:
        return None
    values = bound(parameters, _bound)
    return values if parameters[0].name else list(values.values())


def _bound(parameter: BoundParameter) -> Any:
    value, arrow_type = parameter.value, parameter.type
    if arrow_type == WIDE_INTEGER and isinstance(value, int) and value > HUGEINT_MAX:
        return Value(value, _duckdb_type("UHUGEINT"))
    if arrow_type is None:
        arrow_type = _type_of_value(value)
    held = plain(value, arrow_type)
    return held if arrow_type is None or held is None else Value(held, _duckdb_type(type_of(arrow_type)))


def _type_of_value(value: Any) -> pa.DataType | None:
    """Of a value that the client would bind wrong, or not at all, without one."""
    match value:
        case pa.Scalar():
            return value.type
        case bool():
            return None
        case int() if -(1 << 63) <= value < 1 << 63:
            # The client would take 32 bits where they do.
            return pa.int64()
        case pa.MonthDayNano():
            return pa.month_day_nano_interval()
        case Decimal():
            digits, scale = digits_of(value), max(0, -int(value.as_tuple().exponent))
            if digits > DIGITS_MAX:
                raise ValueError(f"DuckDB's decimals have at most {DIGITS_MAX} digits")
            return pa.decimal128(digits, scale)
        case _:
            return None


def _duckdb_type(name: str) -> Any:
    # To make one takes longer than to bind its value. Names of members are their tenant's, and not kept.
    return duckdb.type(name) if "STRUCT" in name else _nameless_type(name)


@lru_cache(_REMEMBERED_MAX)
def _nameless_type(name: str) -> Any:
    return duckdb.type(name)


def _decimal(arrow_type: pa.DataType) -> str:
    if arrow_type.precision == DIGITS_MAX + 1 and arrow_type.scale == 0:
        return "HUGEINT"
    if arrow_type.precision > DIGITS_MAX:
        raise ValueError(f"DuckDB's decimals have at most {DIGITS_MAX} digits")
    if arrow_type.scale < 0:
        raise ValueError("DuckDB's decimals have no negative scale")
    return f"DECIMAL({arrow_type.precision},{arrow_type.scale})"


def _members(arrow_type: pa.DataType) -> str:
    if not arrow_type.num_fields:
        raise ValueError("a STRUCT of DuckDB has at least one member")
    members = [f"{identifier(field.name)} {type_of(field.type)}" for field in arrow_type.fields]
    return f"STRUCT({', '.join(members)})"


_TYPES: Final[TypeTable[str]] = TypeTable(
    "DuckDB",
    _NAMES,
    {
        pa.types.is_decimal: _decimal,
        pa.types.is_timestamp: lambda _: "TIMESTAMPTZ",
        pa.types.is_duration: lambda _: "INTERVAL",
        pa.types.is_fixed_size_list: lambda each: f"{type_of(each.value_type)}[{each.list_size}]",
        pa.types.is_list: lambda each: f"{type_of(each.value_type)}[]",
        pa.types.is_struct: _members,
        pa.types.is_map: lambda each: f"MAP({type_of(each.key_type)}, {type_of(each.item_type)})",
    },
)
type_of: Final[Callable[[pa.DataType], str]] = _TYPES.of
"""DuckDB's type for an Arrow type. Raises ValueError when there is none."""
