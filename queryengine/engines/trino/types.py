"""Trino's types in the canonical Arrow types, and JSON values of a column as an Arrow array.

Trino writes numbers as JSON numbers and nearly everything else as text. A column is converted as a whole: Arrow parses
the text of usual values, and Python only what Arrow's parser does not know, such as the year 12345.
"""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
import pyarrow as pa

from queryengine.engines.trino import times

Values = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of Trino: what it becomes, and how its JSON values do."""

    arrow: pa.DataType
    array: Callable[[Values], pa.Array]
    """Raises pa.ArrowInvalid, ValueError or OverflowError for a value that the type cannot hold."""
    key: Callable[[str], Any] = str
    """A value from its text as the key of a JSON object."""


def field_of(column: Mapping[str, Any]) -> tuple[pa.Field, Kind]:
    """The field and the kind of a column as Trino describes it."""
    kind = kind_of(column["typeSignature"])
    return pa.field(column["name"], kind.arrow, metadata={"engine_type": column["type"]}), kind


def kind_of(signature: Mapping[str, Any]) -> Kind:
    """A type that is not known here arrives as the text that Trino writes for it."""
    name = signature["rawType"]
    arguments = [each["value"] for each in signature.get("arguments", ())]
    if name in _FLAT:
        return _FLAT[name]
    make = _MADE.get(name)
    return make(arguments) if make is not None else _TEXT


def _plain(arrow: pa.DataType, key: Callable[[str], Any] = str) -> Kind:
    return Kind(arrow, lambda values: pa.array(values, arrow), key)


def _floating(arrow: pa.DataType) -> Kind:
    def array(values: Values) -> pa.Array:
        try:
            return pa.array(values, arrow)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # JSON has no number for "NaN", "Infinity" and "-Infinity".
            return pa.array([None if each is None else float(each) for each in values], arrow)

    return Kind(arrow, array, float)


def _each(arrow: pa.DataType, storage: pa.DataType, convert: Callable[[Any], Any]) -> Kind:
    """Converted one by one into what the storage of the type takes."""

    def array(values: Values) -> pa.Array:
        stored = pa.array([None if each is None else convert(each) for each in values], storage)
        return _of_storage(arrow, stored)

    return Kind(arrow, array)


def _of_storage(arrow: pa.DataType, stored: pa.Array) -> pa.Array:
    return stored if stored.type == arrow else pa.ExtensionArray.from_storage(arrow, stored)


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _decimal(arguments: Sequence[Any]) -> Kind:
    arrow = pa.decimal128(*arguments)
    return Kind(arrow, lambda values: pa.array(values, pa.string()).cast(arrow))


def _array(arguments: Sequence[Any]) -> Kind:
    item = kind_of(arguments[0])
    arrow = pa.list_(item.arrow)

    def array(values: Values) -> pa.Array:
        offsets, flat = _flattened(values)
        return pa.ListArray.from_arrays(offsets, item.array(flat), arrow, mask=_missing(values))

    return Kind(arrow, array)


def _map(arguments: Sequence[Any]) -> Kind:
    key, item = map(kind_of, arguments)
    if pa.types.is_nested(key.arrow) or pa.types.is_binary(key.arrow) or pa.types.is_null(key.arrow):
        # Trino writes such a key as a text for people. A map whose keys have no type is empty.
        key = _TEXT
    arrow = pa.map_(key.arrow, item.arrow)

    def array(values: Values) -> pa.Array:
        offsets, names = _flattened(values)
        items = [each for value in values if value is not None for each in value.values()]
        keys = key.array([key.key(name) for name in names])
        return pa.MapArray.from_arrays(offsets, keys, item.array(items), arrow, mask=_missing(values))

    return Kind(arrow, array)


def _row(arguments: Sequence[Any]) -> Kind:
    members = [kind_of(each["typeSignature"]) for each in arguments]
    names = [(each.get("fieldName") or {}).get("name") or f"field{number}" for number, each in enumerate(arguments)]
    fields = [pa.field(name, member.arrow) for name, member in zip(names, members, strict=True)]

    def array(values: Values) -> pa.Array:
        nothing = (None,) * len(members)
        columns = (
            zip(*(nothing if each is None else each for each in values), strict=True) if values else [()] * len(members)
        )
        arrays = [member.array(column) for member, column in zip(members, columns, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=_missing(values))

    return Kind(pa.struct(fields), array)


def _flattened(values: Values) -> tuple[pa.Array, list[Any]]:
    """The members of all values in one list, and where those of each begin."""
    flat: list[Any] = []
    offsets = [0]
    for each in values:
        if each is not None:
            flat.extend(each)
        offsets.append(len(flat))
    return pa.array(offsets, pa.int32()), flat


def _missing(values: Values) -> pa.Array:
    return pa.array([each is None for each in values], pa.bool_())


def _timed(arrow_of: Callable[[int], pa.DataType | None], parse: Callable[[Values, pa.DataType], pa.Array]) -> Any:
    """Of so many digits of a fraction of a second; as text when Arrow has no unit for them."""

    def make(arguments: Sequence[Any]) -> Kind:
        arrow = arrow_of(arguments[0])
        return _TEXT if arrow is None else Kind(arrow, lambda values: parse(values, arrow))

    return make


_TEXT: Final = _each(pa.string(), pa.string(), _text_of)

_FLAT: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "unknown": _plain(pa.null()),
        "boolean": _plain(pa.bool_(), lambda text: text == "true"),
        "tinyint": _plain(pa.int8(), int),
        "smallint": _plain(pa.int16(), int),
        "integer": _plain(pa.int32(), int),
        "bigint": _plain(pa.int64(), int),
        "real": _floating(pa.float32()),
        "double": _floating(pa.float64()),
        "varchar": _plain(pa.string()),
        "char": _plain(pa.string()),
        "varbinary": _each(pa.binary(), pa.binary(), binascii.a2b_base64),
        "json": _each(pa.json_(), pa.string(), _text_of),
        "uuid": _each(pa.uuid(), pa.binary(16), lambda text: bytes.fromhex(text.replace("-", ""))),
        "date": Kind(pa.date32(), times.dates),
        "interval day to second": _each(pa.duration("ms"), pa.duration("ms"), times.milliseconds),
        "interval year to month": _each(
            pa.month_day_nano_interval(), pa.month_day_nano_interval(), lambda text: (times.months(text), 0, 0)
        ),
    }
)
_MADE: Final[Mapping[str, Callable[[Sequence[Any]], Kind]]] = MappingProxyType(
    {
        "decimal": _decimal,
        "time": _timed(times.time_type, times.times),
        "timestamp": _timed(times.timestamp_type, times.timestamps),
        "timestamp with time zone": _timed(times.instant_type, times.instants),
        "array": _array,
        "map": _map,
        "row": _row,
    }
)
