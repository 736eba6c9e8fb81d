"""Parameters as ClickHouse binds them: by value, as text that the server reads as the type that a placeholder names.

A named placeholder names its type itself, as in {day:Date}. A question mark does not, so it gets the type of its
parameter. The server wraps, clamps or cuts what does not fit a type, so every value is compared with its type here.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from queryengine.codec.values import BoundParameter
from queryengine.engines.clickhouse import numbers, times, words
from queryengine.engines.clickhouse.times import Calendar
from queryengine.engines.clickhouse.types import Type, parse

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'"})
_WRITTEN_PLAIN: Final = frozenset({*numbers.INTEGERS, *numbers.FLOATS, *numbers.DECIMALS, "Bool"})
"""Types whose values stand without quotes inside of others."""

_WRITERS: Final[Mapping[str, Callable[[Any, Type], str | bytes]]] = MappingProxyType(
    {
        **dict.fromkeys(numbers.INTEGERS, numbers.integer),
        **dict.fromkeys(numbers.FLOATS, numbers.floating),
        **dict.fromkeys(numbers.DECIMALS, numbers.decimal),
        **dict.fromkeys(("Enum", "Enum8", "Enum16"), words.member),
        **dict.fromkeys(("IPv4", "IPv6"), words.address),
        **dict.fromkeys(("Time", "Time64"), times.clock),
        "Bool": numbers.boolean,
        "String": words.text,
        "FixedString": words.fixed,
        "UUID": words.unique_id,
        "JSON": words.document,
        "Identifier": words.identifier,
    }
)
_CALENDAR_WRITERS: Final[Mapping[str, Callable[[Any, Type, Calendar], str]]] = MappingProxyType(
    {
        **dict.fromkeys(("Date", "Date32"), times.date),
        **dict.fromkeys(("DateTime", "DateTime32", "DateTime64"), times.moment),
    }
)
_SHAPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Point": "Tuple(Float64, Float64)",
        "Ring": "Array(Point)",
        "LineString": "Array(Point)",
        "MultiPoint": "Array(Point)",
        "Polygon": "Array(Ring)",
        "MultiLineString": "Array(LineString)",
        "MultiPolygon": "Array(Polygon)",
    }
)
"""What the geometric types are made of."""
_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: kind
        for kind, names in {
            "Int8": "TINYINT INT1 BYTE",
            "Int16": "SMALLINT",
            "Int32": "INT INTEGER MEDIUMINT",
            "Int64": "BIGINT SIGNED",
            "UInt16": "YEAR",
            "UInt64": "UNSIGNED BIT SET",
            "Float32": "FLOAT REAL SINGLE",
            "Float64": "DOUBLE",
            "Decimal": "DECIMAL DEC NUMERIC FIXED",
            "Bool": "BOOL BOOLEAN",
            "Date": "DATE",
            "DateTime": "DATETIME TIMESTAMP",
            "DateTime32": "DATETIME32",
            "DateTime64": "DATETIME64",
            "Time": "TIME",
            "Time64": "TIME64",
            "String": "TEXT CHAR CHARACTER VARCHAR VARCHAR2 NCHAR NVARCHAR CLOB BLOB BYTEA VARBINARY TINYTEXT "
            "MEDIUMTEXT LONGTEXT TINYBLOB MEDIUMBLOB LONGBLOB",
            "FixedString": "BINARY",
            "IPv4": "INET4",
            "IPv6": "INET6",
            "Enum": "ENUM",
            "JSON": "JSON",
        }.items()
        for name in names.split()
    }
)
"""Other names that the server knows for a type, whatever their case."""


class Encoded:
    """A value as the server reads it. The driver formats every other object once more."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def encode(parameter: BoundParameter, declared: str, calendar: Calendar) -> Encoded:
    """The value of a parameter for a placeholder of this type. Raises ValueError when the type cannot hold the value
    exactly; no message repeats a value.
    """
    try:
        return Encoded(_Writer(calendar).written(parameter.value, parse(declared), nested=False))
    except IndexError:
        raise ValueError(f"the type {declared} lacks an argument") from None


class _Writer:
    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def written(self, value: Any, declared: Type, *, nested: bool) -> str:
        """A value as ClickHouse writes it: plain outside, quoted where it is part of another."""
        declared, may_be_null = _bare(declared)
        if value is None or (isinstance(value, pa.Scalar) and not value.is_valid):
            if not may_be_null:
                raise ValueError(f"{declared.name} holds no NULL; write Nullable({declared.name})")
            return "NULL" if nested else "\\N"
        if isinstance(value, pa.Scalar) and not pa.types.is_temporal(value.type):
            value = value.as_py()
        match declared.name:
            case "Array":
                return self._array(value, declared.types[0])
            case "Map":
                return self._map(value, declared)
            case "Tuple":
                return self._tuple(value, declared)
            case _:
                return self._plain(value, declared, nested=nested)

    def _plain(self, value: Any, declared: Type, *, nested: bool) -> str:
        name = declared.name
        if name in _CALENDAR_WRITERS:
            found: str | bytes = _CALENDAR_WRITERS[name](value, declared, self._calendar)
        elif name in _WRITERS:
            found = _WRITERS[name](value, declared)
        else:
            raise ValueError(f"{declared} cannot be checked before it is sent; name another type and CAST in the query")
        if name in _WRITTEN_PLAIN:
            return str(found)
        escaped = found.translate(_ESCAPES) if isinstance(found, str) else "".join(f"\\x{octet:02x}" for octet in found)
        return f"'{escaped}'" if nested else escaped

    def _array(self, value: Any, inner: Type) -> str:
        if not isinstance(value, list):
            raise ValueError("an Array is sent as a list")  # noqa: TRY004 - for the caller it is the value that is wrong
        return f"[{', '.join(self.written(each, inner, nested=True) for each in value)}]"

    def _map(self, value: Any, declared: Type) -> str:
        pairs = list(value.items()) if isinstance(value, dict) else value
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise ValueError("a Map is sent as a map")
        key, item = declared.types
        entries = (f"{self.written(k, key, nested=True)}: {self.written(v, item, nested=True)}" for k, v in pairs)
        return "{" + ", ".join(entries) + "}"

    def _tuple(self, value: Any, declared: Type) -> str:
        """By names, or by position from a list."""
        members = declared.types
        if isinstance(value, dict):
            if [member.label for member in members] != list(value):
                raise ValueError(f"its members are not those of {declared}")
            value = list(value.values())
        if not isinstance(value, list) or len(value) != len(members):
            raise ValueError(f"{declared} is sent as a struct or a list of {len(members)} values")
        parts = [self.written(each, member, nested=True) for each, member in zip(value, members, strict=True)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _bare(declared: Type) -> tuple[Type, bool]:
    """The type by its main name and without its wrappers, and whether it holds NULL."""
    may_be_null = False
    while declared.types:
        match declared.name:
            case "Nullable":
                may_be_null = True
                declared = declared.types[0]
            case "LowCardinality":
                declared = declared.types[0]
            case "SimpleAggregateFunction":
                declared = declared.types[-1]
            case "Nested":
                declared = Type("Array", (Type("Tuple", declared.arguments),))
            case _:
                break
    if declared.name in _SHAPES:
        declared = parse(_SHAPES[declared.name])
    name = _ALIASES.get(declared.name.upper(), declared.name)
    return Type(name, declared.arguments), may_be_null or name == "Nothing"
