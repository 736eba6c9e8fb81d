"""Rows as JSON that loses nothing: what JSON cannot say exactly is a string.

Integers stay numbers of any size; decimals are strings of all their digits; NaN and infinities the strings
"NaN", "Infinity" and "-Infinity"; dates and times ISO 8601, to the nanosecond where the column has them, years
beyond 9999 and before 0 with all their digits and sign, and "infinity" and "-infinity" where an engine has those;
durations strings of seconds; bytes base64; intervals objects of months, days and nanoseconds; a map a list of
[key, value] pairs.
"""

import base64
import json
import math
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from queryengine.cli import temporal
from queryengine.codec.rows import PER_SECOND, list_parts
from queryengine.codec.types import is_json, is_list, is_octets, is_uuid

type_tests = pa.types


def lines(batch: pa.RecordBatch) -> Iterator[str]:
    """One JSON object per row. Of columns with one name the second is called name_2, and so on."""
    names = unique_names(batch.schema.names)
    columns = [values(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield text(dict(zip(names, row, strict=True)))


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


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


def values(array: pa.Array) -> list[Any]:
    """Each element as json.dumps takes it."""
    arrow = array.type
    if type_tests.is_dictionary(arrow):
        return values(array.dictionary_decode())
    if is_list(arrow):
        lengths, (elements,) = list_parts(array)
        return _grouped(array, lengths, values(elements))
    if type_tests.is_map(arrow):
        lengths, (keys, items) = list_parts(array)
        pairs = [list(pair) for pair in zip(values(keys), values(items), strict=True)]
        return _grouped(array, lengths, pairs)
    if type_tests.is_struct(arrow):
        return _structs(array)
    for test, convert in _CONVERTERS:
        if test(arrow):
            return convert(array)
    return array.to_pylist()  # type: ignore[no-any-return]


def _grouped(array: pa.Array, lengths: list[int], elements: list[Any]) -> list[Any]:
    rest = iter(elements)
    lists = [list(islice(rest, length)) for length in lengths]
    presence = array.is_valid().to_pylist()
    return [each if is_present else None for each, is_present in zip(lists, presence, strict=True)]


def _structs(array: pa.Array) -> list[Any]:
    names = unique_names([array.type.field(index).name for index in range(array.type.num_fields)])
    members = [values(array.field(index)) for index in range(array.type.num_fields)]
    rows = zip(*members, strict=True) if members else iter([()] * len(array))
    valid = array.is_valid().to_pylist()
    return [dict(zip(names, row, strict=True)) if is_valid else None for row, is_valid in zip(rows, valid, strict=True)]


def _each(convert: Callable[[Any], Any]) -> Callable[[pa.Array], list[Any]]:
    return lambda array: [None if value is None else convert(value) for value in array.to_pylist()]


def _storage(convert: Callable[[Any], Any]) -> Callable[[pa.Array], list[Any]]:
    return lambda array: _each(convert)(array.storage)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _decimal(value: Any) -> str:
    return format(value, "f")


def _octets(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _same(value: str) -> str:
    return value


def _interval(value: Any) -> dict[str, int]:
    return {"months": value.months, "days": value.days, "nanoseconds": value.nanoseconds}


def _durations(array: pa.Array) -> list[str | None]:
    per_second = PER_SECOND[array.type.unit]
    digits = len(str(per_second)) - 1
    texts: list[str | None] = []
    for count in array.view(pa.int64()).to_pylist():
        if count is None:
            texts.append(None)
        else:
            whole, rest = divmod(abs(count), per_second)
            texts.append(f"{'-' if count < 0 else ''}{whole}" + (f".{rest:0{digits}d}" if digits else ""))
    return texts


_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Any]]], ...] = (
    (is_uuid, _storage(_uuid)),
    (is_json, _storage(_same)),
    (type_tests.is_floating, _each(_float)),
    (type_tests.is_decimal, _each(_decimal)),
    (is_octets, _each(_octets)),
    (type_tests.is_timestamp, temporal.moments),
    (type_tests.is_date, temporal.dates),
    (type_tests.is_time, temporal.times),
    (type_tests.is_duration, _durations),
    (type_tests.is_interval, _each(_interval)),
)
