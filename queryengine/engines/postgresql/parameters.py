"""Parameters of PostgreSQL: values travel as bound text into settings of the transaction, and the statement reads them
there with the type that the server itself gave them.

COPY, the fast way out, takes no parameters. Nothing of a value ever becomes part of a statement's text.
"""

import datetime as dt
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.engines.kit.arrow_types import TypeTable
from queryengine.engines.kit.parameters import word_of

UNKNOWN: Final = "unknown"
"""The server takes the type from where the parameter stands; text where that does not say."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A parameter as PostgreSQL reads it."""

    type: str
    text: str | None
    is_list: bool = False
    """A list whose elements have no type. Where the server finds no array in its place either, it is one of text."""


def render(parameter: BoundParameter) -> Rendered:
    """Raises ValueError for a value that PostgreSQL has no type for."""
    value = parameter.value
    kind = UNKNOWN if value is None and parameter.type is None else _type_of(value, parameter.type)
    text = None if value is None else _text(value)
    if kind.startswith(f"{UNKNOWN}["):
        return Rendered(UNKNOWN, text, is_list=True)
    return Rendered(kind, text)


def _type_of(value: Any, declared: pa.DataType | None) -> str:
    if declared is not None:
        return _TYPES.of(declared)
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if -(1 << 63) <= value < 1 << 63 else "numeric"
    if isinstance(value, dt.datetime):
        return "timestamp" if value.tzinfo is None else "timestamptz"
    if isinstance(value, list):
        kinds = {_type_of(each, None) for each in value if each is not None}
        if kinds == {"bigint", "numeric"}:
            kinds = {"numeric"}
        if len(kinds) > 1:
            raise ValueError("a list with values of several types")
        # Texts are a list of text; an empty list, or one of NULLs, is what its place asks for.
        return f"{'text' if kinds == {UNKNOWN} else next(iter(kinds), UNKNOWN)}[]"
    for python, kind in _BY_PYTHON:
        if isinstance(value, python):
            return kind
    raise ValueError(f"PostgreSQL has no type for a {word_of(value)}")


def _text(value: Any) -> str:
    match value:
        case str():
            if "\0" in value:
                raise ValueError("PostgreSQL holds no text with a NUL character")
            return value
        case bool():
            return str(value).lower()
        case float():
            return "Infinity" if value == math.inf else "-Infinity" if value == -math.inf else repr(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return f"\\x{value.hex()}"
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return f"{value // dt.timedelta(microseconds=1)} microseconds"
        case pa.MonthDayNano():
            months, days, nanoseconds = value
            if nanoseconds % 1000:
                raise ValueError("an interval of PostgreSQL has microseconds")
            return f"{months} months {days} days {nanoseconds // 1000} microseconds"
        case int() | uuid.UUID():
            return str(value)
        case list():
            return f"{{{','.join(map(_element, value))}}}"
        case _:
            raise ValueError(f"PostgreSQL has no exact value for this {word_of(value)}")


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        raise ValueError("a list of lists")  # noqa: TRY004 - for the caller it is the value that is wrong
    quoted = _text(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


_BY_PYTHON: Final[tuple[tuple[type, str], ...]] = (
    (str, UNKNOWN),
    (float, "double precision"),
    (Decimal, "numeric"),
    (bytes, "bytea"),
    (dt.date, "date"),
    (dt.time, "time"),
    (dt.timedelta, "interval"),
    (pa.MonthDayNano, "interval"),
    (uuid.UUID, "uuid"),
)

_WORDS: Final[Mapping[pa.DataType, str]] = MappingProxyType(
    {
        pa.null(): UNKNOWN,
        pa.bool_(): "boolean",
        pa.int8(): "smallint",
        pa.int16(): "smallint",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.uint8(): "smallint",
        pa.uint16(): "integer",
        pa.uint32(): "bigint",
        pa.uint64(): "numeric",
        pa.float16(): "real",
        pa.float32(): "real",
        pa.float64(): "double precision",
        pa.string(): "text",
        pa.binary(): "bytea",
        pa.date32(): "date",
        pa.month_day_nano_interval(): "interval",
        pa.uuid(): "uuid",
        pa.json_(): "jsonb",
    }
)

_TYPES: Final[TypeTable[str]] = TypeTable(
    "PostgreSQL",
    _WORDS,
    {
        pa.types.is_list: lambda each: f"{_TYPES.of(each.value_type)}[]",
        pa.types.is_decimal: lambda _: "numeric",
        pa.types.is_time: lambda _: "time",
        pa.types.is_timestamp: lambda each: "timestamp" if each.tz is None else "timestamptz",
        pa.types.is_duration: lambda _: "interval",
    },
)
