"""Parameters as DuckDB binds them: by value, never by text substitution."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.value.constant import Value

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason, error
from queryengine.engines.duckdb.text import identifier
from queryengine.engines.parameters import check_names, name_of

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

DIGITS_MAX: Final = 38
"""Of a DECIMAL; whole numbers beyond are HUGEINT or UHUGEINT."""


def bind(parameters: Sequence[BoundParameter], expected: Collection[str]) -> list[Any] | dict[str, Any] | None:
    """What DuckDB takes as params, for a statement with placeholders of these names ("1", "2", … when
    positional).

    Raises PARAMETER_MISMATCH, with the names as metadata `missing` and `unexpected`, or with `parameter`
    for a value that DuckDB cannot hold exactly.
    """
    check_names(parameters, expected)
    if not parameters:
        return None
    numbered = ((name_of(each, number), each) for number, each in enumerate(parameters, 1))
    bound = {name: _bound(name, each) for name, each in numbered}
    return bound if parameters[0].name else list(bound.values())


def _bound(name: str, parameter: BoundParameter) -> Any:
    try:
        value = _plain(parameter.value, parameter.type)
        arrow_type = parameter.type
        if arrow_type is None and isinstance(parameter.value, pa.Scalar):
            arrow_type = parameter.value.type
        if arrow_type is None and isinstance(parameter.value, pa.MonthDayNano):
            arrow_type = pa.month_day_nano_interval()
        if arrow_type is None or value is None:
            return value
        return Value(value, duckdb.type(type_of(arrow_type)))
    except ValueError as cause:
        raise error(Reason.PARAMETER_MISMATCH, f"parameter {name}: {cause}", parameter=name) from cause


def type_of(arrow_type: pa.DataType) -> str:
    """DuckDB's type for an Arrow type. Raises ValueError when there is none."""
    if arrow_type in _NAMES:
        return _NAMES[arrow_type]
    for matches, name in _NESTED:
        if matches(arrow_type):
            return name(arrow_type)
    raise ValueError(f"DuckDB has no type for {arrow_type}")


def _decimal(arrow_type: pa.DataType) -> str:
    if arrow_type.precision == DIGITS_MAX + 1 and arrow_type.scale == 0:
        return "HUGEINT"
    if arrow_type.precision > DIGITS_MAX:
        raise ValueError(f"DuckDB's decimals have at most {DIGITS_MAX} digits")
    if arrow_type.scale < 0:
        raise ValueError("DuckDB's decimals have no negative scale")
    return f"DECIMAL({arrow_type.precision},{arrow_type.scale})"


def _members(arrow_type: pa.DataType) -> str:
    members = [f"{identifier(field.name)} {type_of(field.type)}" for field in arrow_type.fields]
    return f"STRUCT({', '.join(members)})"


_NESTED: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], str]], ...]] = (
    (pa.types.is_decimal, _decimal),
    (pa.types.is_timestamp, lambda _: "TIMESTAMPTZ"),
    (pa.types.is_duration, lambda _: "INTERVAL"),
    (pa.types.is_fixed_size_list, lambda each: f"{type_of(each.value_type)}[{each.list_size}]"),
    (pa.types.is_list, lambda each: f"{type_of(each.value_type)}[]"),
    (pa.types.is_struct, _members),
    (pa.types.is_map, lambda each: f"MAP({type_of(each.key_type)}, {type_of(each.item_type)})"),
)


def _plain(value: Any, arrow_type: pa.DataType | None) -> Any:
    """A value that DuckDB's client takes: what Python has no type for goes as text that DuckDB casts
    exactly.
    """
    match value:
        case pa.Scalar():
            return _scalar_text(value)
        case Decimal() if arrow_type is None and _digits(value) > DIGITS_MAX:
            # DuckDB's client would make it a DOUBLE.
            raise ValueError(f"DuckDB's decimals have at most {DIGITS_MAX} digits")
        case pa.MonthDayNano():
            return f"{value.months} months {value.days} days {_whole_micros(value.nanoseconds)} microseconds"
        case list() if arrow_type is not None and pa.types.is_map(arrow_type):
            keys = [_plain(key, arrow_type.key_type) for key, _ in value]
            return {"key": keys, "value": [_plain(item, arrow_type.item_type) for _, item in value]}
        case list():
            inner = arrow_type.value_type if arrow_type is not None else None
            return [_plain(each, inner) for each in value]
        case dict():
            types = {field.name: field.type for field in arrow_type.fields} if arrow_type is not None else {}
            return {name: _plain(each, types.get(name)) for name, each in value.items()}
        case _:
            return value


def _digits(value: Decimal) -> int:
    """How many a DECIMAL needs to hold it exactly, before and after the point together."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "neither infinite nor NaN: parameters are exact decimals"
    return max(len(digits) + max(exponent, 0), -exponent)


def _scalar_text(scalar: pa.Scalar) -> Any:
    if not scalar.is_valid:
        return None
    if pa.types.is_duration(scalar.type):
        nanos = scalar.cast(pa.int64()).as_py() * {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[scalar.type.unit]
        return f"{_whole_micros(nanos)} microseconds"
    if pa.types.is_temporal(scalar.type):
        return pc.cast(scalar, pa.string()).as_py()
    return scalar.as_py()


def _whole_micros(nanos: int) -> int:
    micros, rest = divmod(nanos, 1000)
    if rest:
        raise ValueError("DuckDB's intervals have no nanoseconds")
    return micros
