r"""Values as text, in one form each, and rows as JSON that loses nothing: what JSON cannot say exactly is a string.

Integers stay numbers of any size; decimals are strings of all their digits; NaN and infinities the strings
"NaN", "Infinity" and "-Infinity"; dates and times ISO 8601, to the nanosecond where the column has them, years
beyond 9999 and before 0 with all their digits and sign, and "infinity" and "-infinity" where an engine has those;
intervals and durations as in `intervals`; bytes base64, and \x with hexadecimal digits for people; a map a list of
[key, value] pairs. docs/cli.md shows each.
"""

import base64
import json
import math
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeAlias

import pyarrow as pa

from queryengine.cli import intervals, temporal
from queryengine.codec.rows import list_parts
from queryengine.codec.types import is_json, is_list, is_octets, is_uuid

SHOWN_BYTES = 32
"""Of a long value of bytes, for people."""

Octets: TypeAlias = Callable[[bytes], str]
"""How bytes are written."""

type_tests = pa.types


def base64_text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def hex_text(value: bytes) -> str:
    """As PostgreSQL shows it; of long values the beginning and the size, for people."""
    if len(value) <= SHOWN_BYTES:
        return f"\\x{value.hex()}"
    return f"\\x{value[:SHOWN_BYTES].hex()}… ({len(value):,} bytes)"


def lines(batch: pa.RecordBatch) -> Iterator[str]:
    """One JSON object per row. Of columns with one name the second is called name_2, and so on."""
    names = unique_names(batch.schema.names)
    columns = [values(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield text(dict(zip(names, row, strict=True)))


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def plain(array: pa.Array, octets: Octets = base64_text) -> pa.Array:
    """Each element as text that is not quoted; nested values as JSON."""
    found = (value if value is None or isinstance(value, str) else text(value) for value in values(array, octets))
    return pa.array(found, pa.string())


def unique_names(names: list[str]) -> list[str]:
    taken: set[str] = set(names)
    seen: set[str] = set()
    unique = []
    for name in names:
        chosen, number = name, 2
        while chosen in seen or (chosen != name and chosen in taken):
            chosen, number = f"{name}_{number}", number + 1
        seen.add(chosen)
        unique.append(chosen)
    return unique


def values(array: pa.Array, octets: Octets = base64_text) -> list[Any]:
    """Each element as json.dumps takes it."""
    arrow = array.type
    if type_tests.is_dictionary(arrow):
        return values(array.dictionary_decode(), octets)
    if is_list(arrow):
        lengths, (elements,) = list_parts(array)
        return _grouped(array, lengths, values(elements, octets))
    if type_tests.is_map(arrow):
        lengths, (keys, items) = list_parts(array)
        pairs = [list(pair) for pair in zip(values(keys, octets), values(items, octets), strict=True)]
        return _grouped(array, lengths, pairs)
    if type_tests.is_struct(arrow):
        return _structs(array, octets)
    if is_octets(arrow):
        return _each(octets)(array)
    for test, convert in _CONVERTERS:
        if test(arrow):
            return convert(array)
    return array.to_pylist()  # type: ignore[no-any-return]


def _grouped(array: pa.Array, lengths: list[int], elements: list[Any]) -> list[Any]:
    rest = iter(elements)
    lists = [list(islice(rest, length)) for length in lengths]
    presence = array.is_valid().to_pylist()
    return [each if is_present else None for each, is_present in zip(lists, presence, strict=True)]


def _structs(array: pa.Array, octets: Octets) -> list[Any]:
    names = unique_names([array.type.field(index).name for index in range(array.type.num_fields)])
    members = [values(array.field(index), octets) for index in range(array.type.num_fields)]
    rows = zip(*members, strict=True) if members else iter([()] * len(array))
    valid = array.is_valid().to_pylist()
    return [dict(zip(names, row, strict=True)) if is_valid else None for row, is_valid in zip(rows, valid, strict=True)]


def _each(convert: Callable[[Any], Any]) -> Callable[[pa.Array], list[Any]]:
    return lambda array: [None if value is None else convert(value) for value in array.to_pylist()]


def _storage(convert: Callable[[Any], Any]) -> Callable[[pa.Array], list[Any]]:
    return lambda array: _each(convert)(array.storage)


def _floats(array: pa.Array) -> list[float | str | None]:
    """The fewest digits that distinguish a value from the others of its type."""
    found = array.to_pylist() if type_tests.is_float64(array.type) else _as_doubles(array)
    return [None if value is None else value if math.isfinite(value) else _special(value) for value in found]


def _as_doubles(array: pa.Array) -> list[float | None]:
    # A float of 32 bits as one of 64 would have digits that nobody wrote.
    narrow = array.cast(pa.float32()).cast(pa.string()).to_pylist()
    return [None if each is None else float(each) for each in narrow]


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(value: Any) -> str:
    return format(value, "f")


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _same(value: str) -> str:
    return value


_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Any]]], ...] = (
    (is_uuid, _storage(_uuid)),
    (is_json, _storage(_same)),
    (type_tests.is_floating, _floats),
    (type_tests.is_decimal, _each(_decimal)),
    (type_tests.is_timestamp, temporal.moments),
    (type_tests.is_date, temporal.dates),
    (type_tests.is_time, temporal.times),
    (type_tests.is_duration, intervals.durations),
    (type_tests.is_interval, _each(intervals.interval)),
)
