"""Types of the contract as one writes them: `int64`, `decimal(10, 2)`, `list(date)`, `struct(x int64, y string)`.

Times have a resolution, microseconds by default: `time(ns)`, `timestamp(s)`, `duration(ms)`. An instant, as opposed to
a wall-clock time, is a `timestamptz`, with a zone where that is not UTC: `timestamptz(us, Europe/Berlin)`.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from queryengine.codec.types import from_data_type
from queryengine.v1 import value_pb2
from queryengine.v1.value_pb2 import Column, DataType

_PLAIN: Final = {
    "bool": value_pb2.TYPE_KIND_BOOL,
    "string": value_pb2.TYPE_KIND_STRING,
    "bytes": value_pb2.TYPE_KIND_BYTES,
    "date": value_pb2.TYPE_KIND_DATE,
    "interval": value_pb2.TYPE_KIND_INTERVAL,
    "uuid": value_pb2.TYPE_KIND_UUID,
    "json": value_pb2.TYPE_KIND_JSON,
}
_SIZED: Final = {
    **{f"int{bits}": (value_pb2.TYPE_KIND_INT, bits) for bits in (8, 16, 32, 64, 128)},
    **{f"uint{bits}": (value_pb2.TYPE_KIND_UINT, bits) for bits in (8, 16, 32, 64, 128)},
    **{f"float{bits}": (value_pb2.TYPE_KIND_FLOAT, bits) for bits in (16, 32, 64)},
}
_TIMED: Final = {
    "time": value_pb2.TYPE_KIND_TIME,
    "timestamp": value_pb2.TYPE_KIND_TIMESTAMP,
    "timestamptz": value_pb2.TYPE_KIND_TIMESTAMP,
    "duration": value_pb2.TYPE_KIND_DURATION,
}
_NESTED: Final = {
    "list": value_pb2.TYPE_KIND_LIST,
    "map": value_pb2.TYPE_KIND_MAP,
    "struct": value_pb2.TYPE_KIND_STRUCT,
}
_UNITS: Final = {
    "s": value_pb2.TIME_UNIT_SECOND,
    "ms": value_pb2.TIME_UNIT_MILLI,
    "us": value_pb2.TIME_UNIT_MICRO,
    "ns": value_pb2.TIME_UNIT_NANO,
}
_UNIT_NAMES: Final = {number: name for name, number in _UNITS.items()}
TYPES: Final[Mapping[str, DataType]] = MappingProxyType(
    {
        **{name: DataType(kind=kind) for name, kind in _PLAIN.items()},
        **{name: DataType(kind=kind, bit_width=bits) for name, (kind, bits) in _SIZED.items()},
        **{name: DataType(kind=kind, unit=value_pb2.TIME_UNIT_MICRO) for name, kind in _TIMED.items()},
        "timestamptz": DataType(kind=value_pb2.TYPE_KIND_TIMESTAMP, unit=value_pb2.TIME_UNIT_MICRO, time_zone="UTC"),
    }
)
"""Types that are a word."""
_FORM: Final = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.ASCII | re.DOTALL)
_NAMES: Final = {data_type.SerializeToString(deterministic=True): name for name, data_type in TYPES.items()}


def data_type(text: str) -> DataType:
    """Raises ValueError that says what types there are."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise _unknown(text)
    name, inside = found[1].lower(), found[2]
    if inside is None and name in TYPES:
        return TYPES[name]
    arguments = list(_arguments(inside or ""))
    if name == "decimal" and len(arguments) == 2 and all(each.isdecimal() for each in arguments):
        precision, scale = map(int, arguments)
        made = DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=precision, scale=scale)
    elif name in _TIMED and arguments and arguments[0] in _UNITS and len(arguments) <= 1 + (name == "timestamptz"):
        zone = (arguments[1:] or ["UTC"])[0] if name == "timestamptz" else ""
        made = DataType(kind=_TIMED[name], unit=_UNITS[arguments[0]], time_zone=zone)
    elif name in _NESTED and arguments:
        made = DataType(kind=_NESTED[name], fields=_members(name, arguments))
    else:
        raise _unknown(text)
    from_data_type(made)
    return made


def type_name(message: DataType) -> str:
    """The inverse of `data_type`, for types that it makes and those that stand for them."""
    kind = message.kind
    if name := _NAMES.get(message.SerializeToString(deterministic=True)):
        return name
    if kind == value_pb2.TYPE_KIND_DECIMAL:
        return f"decimal({message.precision}, {message.scale})"
    if kind in _NESTED.values():
        name = next(each for each, number in _NESTED.items() if number == kind)
        members = [type_name(each.type) for each in message.fields]
        if name == "struct":
            members = [f"{each.name} {member}" for each, member in zip(message.fields, members, strict=True)]
        return f"{name}({', '.join(members)})"
    if kind in _TIMED.values():
        unit = _UNIT_NAMES.get(message.unit, "us")
        if message.time_zone:
            return f"timestamptz({unit}{f', {message.time_zone}' if message.time_zone != 'UTC' else ''})"
        return f"{next(each for each, number in _TIMED.items() if number == kind)}({unit})"
    return value_pb2.TypeKind.Name(kind) if kind in value_pb2.TypeKind.values() else str(kind)


def _members(name: str, arguments: list[str]) -> list[Column]:
    if name == "struct":
        named = [argument.split(maxsplit=1) for argument in arguments]
        if any(len(pair) != 2 for pair in named):
            raise ValueError("a struct has names and types, such as struct(x int64, y string)")
        return [Column(name=member, type=data_type(text), nullable=True) for member, text in named]
    names = ["item"] if name == "list" else ["key", "value"]
    if len(arguments) != len(names):
        raise ValueError(f"a {name} takes {len(names)} types, such as {name}({', '.join(['int64'] * len(names))})")
    pairs = zip(names, arguments, strict=True)
    return [Column(name=member, type=data_type(text), nullable=member != "key") for member, text in pairs]


def _arguments(text: str) -> Iterator[str]:
    """Parts between the commas that stand in no brackets."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    if text.strip():
        yield text[start:].strip()


def _unknown(text: str) -> ValueError:
    known = ", ".join(TYPES)
    return ValueError(
        f"{text.strip()[:80]!r} is no type; there are {known}, decimal(10, 2), list(int64), map(string, int64) and "
        "struct(x int64, y string)"
    )
