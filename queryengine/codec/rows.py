"""Arrow batches to and from typed rows, column by column. No value passes through a type that could round it.

Temporal columns travel as the integers Arrow stores, decimals as text, so nanoseconds, far years, NaN and
every digit survive. `decode_rows(encode_rows(batch), batch.schema)` equals the batch for canonical types.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import chain, pairwise, repeat
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError

from queryengine.codec.infinity import INT64_MAX, infinite_count
from queryengine.codec.types import DECIMAL256_DIGITS, is_json, is_list, is_octets, is_text, is_uuid
from queryengine.v1 import result_pb2, value_pb2
from queryengine.v1.value_pb2 import Value

NANOS: Final = 1_000_000_000
PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": NANOS}

type_tests = pa.types

Add = Callable[..., Value]
"""Appends a Value with the fields given and returns it: the `add` of a repeated field."""


def encode_rows(batch: pa.RecordBatch) -> bytes:
    """The batch as an encoded RowSet. Raises ValueError for a type the contract has no kind for."""
    message = result_pb2.RowSet()
    add_row = message.rows.add
    adders = [add_row().values.add for _ in range(batch.num_rows)]
    for column in batch.columns:
        _encode(column, adders)
    encoded: bytes = message.SerializeToString()
    return encoded


def decode_rows(encoded: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of an encoded RowSet as a batch of this schema. Raises ValueError when they do not fit it."""
    try:
        rows = result_pb2.RowSet.FromString(encoded).rows
    except DecodeError as error:
        raise ValueError("not an encoded RowSet") from error
    width = len(schema)
    values = [row.values for row in rows]
    if any(len(each) != width for each in values):
        raise ValueError(f"a row has not the {width} values of its schema")
    columns = list(zip(*values, strict=True)) if values else [()] * width
    arrays = []
    for field, column in zip(schema, columns, strict=True):
        try:
            arrays.append(decode_values(column, field.type))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"column {field.name!r}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def encode_array(array: pa.Array) -> list[Value]:
    """Each element as a Value. Raises ValueError for a type the contract has no kind for."""
    message = value_pb2.ListValue()
    _encode(array, [message.values.add] * len(array))
    return list(message.values)


def _encode(array: pa.Array, adders: Sequence[Add]) -> None:
    """Append element i through adders[i], for every i."""
    arrow = array.type
    if type_tests.is_dictionary(arrow):
        _encode(array.dictionary_decode(), adders)
    elif type_tests.is_run_end_encoded(arrow):
        _encode(pc.run_end_decode(array), adders)
    elif is_list(arrow):
        _encode_lists(array, adders)
    elif type_tests.is_struct(arrow):
        _encode_structs(array, adders)
    elif type_tests.is_map(arrow):
        _encode_maps(array, adders)
    else:
        _encode_scalars(array, adders)


def _encode_scalars(array: pa.Array, adders: Sequence[Add]) -> None:
    arrow = array.type
    field, convert = _scalar_encoding(arrow)
    for add, value in zip(adders, convert(array), strict=True):
        if value is None:
            add(null_value=value_pb2.NULL_VALUE_UNSPECIFIED)
        else:
            add(**{field: value})


def _scalar_encoding(arrow: pa.DataType) -> tuple[str, Callable[[pa.Array], list[Any]]]:
    for test, field, convert in _SCALARS:
        if test(arrow):
            return field, convert
    raise ValueError(f"no kind for the Arrow type {arrow}")


def _encode_lists(array: pa.Array, adders: Sequence[Add]) -> None:
    lengths, (elements,) = list_parts(array)
    places: list[Add] = []
    for add, length, is_present in zip(adders, lengths, _presence(array), strict=True):
        target = add(list_value={}).list_value.values.add if is_present else _null(add)
        places.extend(repeat(target, length))
    _encode(elements, places)


def _encode_maps(array: pa.Array, adders: Sequence[Add]) -> None:
    lengths, (keys, items) = list_parts(array)
    key_places: list[Add] = []
    item_places: list[Add] = []
    for add, length, is_present in zip(adders, lengths, _presence(array), strict=True):
        if is_present:
            value = add(map_value={}).map_value
            key_places.extend(repeat(value.keys.add, length))
            item_places.extend(repeat(value.values.add, length))
        else:
            nowhere = _null(add)
            key_places.extend(repeat(nowhere, length))
            item_places.extend(repeat(nowhere, length))
    _encode(keys, key_places)
    _encode(items, item_places)


def _encode_structs(array: pa.Array, adders: Sequence[Add]) -> None:
    places = [
        add(list_value={}).list_value.values.add if is_present else _null(add)
        for add, is_present in zip(adders, _presence(array), strict=True)
    ]
    for index in range(array.type.num_fields):
        _encode(array.field(index), places)


def _presence(array: pa.Array) -> list[bool]:
    return array.is_valid().to_pylist()  # type: ignore[no-any-return]


def _null(add: Add) -> Add:
    """Append NULL, and return where the elements go that Arrow may keep under a NULL: into a message nobody
    reads.
    """
    add(null_value=value_pb2.NULL_VALUE_UNSPECIFIED)
    return value_pb2.ListValue().values.add


def list_parts(array: pa.Array) -> tuple[list[int], tuple[pa.Array, ...]]:
    """How many elements each list or map has, and the elements of all of them in order: one array of a list,
    keys and values of a map. A NULL may have elements too, which mean nothing.
    """
    arrow = array.type
    if type_tests.is_list_view(arrow) or type_tests.is_large_list_view(arrow):
        lengths = pc.list_value_length(array).fill_null(0).to_pylist()
        return lengths, (array.flatten(),)
    if type_tests.is_fixed_size_list(arrow):
        size = arrow.list_size
        return [size] * len(array), (array.values.slice(array.offset * size, len(array) * size),)
    # Arrow's own flatten knows slices and NULLs too, but not extension types inside.
    offsets = array.offsets.to_pylist()
    start, end = offsets[0], offsets[-1]
    lengths = [after - before for before, after in pairwise(offsets)]
    parts = (array.keys, array.items) if type_tests.is_map(arrow) else (array.values,)
    return lengths, tuple(part.slice(start, end - start) for part in parts)


def decode_values(values: Sequence[Value], arrow: pa.DataType) -> pa.Array:
    """The values as an array of this type. Raises ValueError when one is of another kind or too fine."""
    if is_list(arrow) or type_tests.is_map(arrow) or type_tests.is_struct(arrow):
        return _decode_nested(values, arrow)
    if is_uuid(arrow) or is_json(arrow):
        field = "uuid_value" if is_uuid(arrow) else "string_value"
        storage = pa.array(_pick(values, field), arrow.storage_type)
        return pa.ExtensionArray.from_storage(arrow, storage)
    if type_tests.is_decimal(arrow):
        return decimal_array([_exact_decimal(text) for text in _pick(values, "decimal_value")], arrow)
    for test, field, convert in _PARSERS:
        if test(arrow):
            picked = _pick(values, field)
            return pa.array(picked if convert is None else convert(picked, arrow), arrow)
    raise ValueError(f"no kind for the Arrow type {arrow}")


def _pick(values: Iterable[Value], field: str) -> list[Any]:
    """The member `field` of every value, None for NULL."""
    picked: list[Any] = []
    for value in values:
        kind = value.WhichOneof("kind")
        if kind == "null_value":
            picked.append(None)
        elif kind == field:
            picked.append(getattr(value, field))
        else:
            raise ValueError(f"expected {field}, got {kind or 'no value'}")
    return picked


def _decode_nested(values: Sequence[Value], arrow: pa.DataType) -> pa.Array:
    is_map = type_tests.is_map(arrow)
    picked = _pick(values, "map_value" if is_map else "list_value")
    mask = pa.array([each is None for each in picked], pa.bool_())
    if type_tests.is_struct(arrow):
        return _decode_structs(picked, mask, arrow)
    offsets = _offsets(picked)
    elements = list(chain.from_iterable(each.values for each in picked if each is not None))
    if is_map:
        keys = list(chain.from_iterable(each.keys for each in picked if each is not None))
        if any(each is not None and len(each.keys) != len(each.values) for each in picked):
            raise ValueError("a map has not as many values as keys")
        key_array = decode_values(keys, arrow.key_type)
        if key_array.null_count:
            raise ValueError("a map has a NULL key")
        item_array = decode_values(elements, arrow.item_type)
        return pa.MapArray.from_arrays(offsets, key_array, item_array, type=arrow, mask=mask)
    children = decode_values(elements, arrow.value_type)
    plain = pa.list_(arrow.value_field)
    array = pa.ListArray.from_arrays(offsets, children, type=plain, mask=mask)
    return array if arrow.equals(plain) else array.cast(arrow)


def _offsets(picked: Sequence[Any]) -> pa.Array:
    offsets = [0]
    for each in picked:
        offsets.append(offsets[-1] + (0 if each is None else len(each.values)))
    return pa.array(offsets, pa.int32())


def _decode_structs(picked: Sequence[Any], mask: pa.Array, arrow: pa.DataType) -> pa.Array:
    width = arrow.num_fields
    if any(each is not None and len(each.values) != width for each in picked):
        raise ValueError(f"a struct has not the {width} members of its type")
    null = Value(null_value=value_pb2.NULL_VALUE_UNSPECIFIED)
    fields = [arrow.field(index) for index in range(width)]
    if not fields:
        return pa.array([None if each is None else {} for each in picked], arrow)
    children = [
        decode_values([null if each is None else each.values[index] for each in picked], field.type)
        for index, field in enumerate(fields)
    ]
    return pa.StructArray.from_arrays(children, fields=fields, mask=mask)


def _objects(array: pa.Array) -> list[Any]:
    return array.to_pylist()  # type: ignore[no-any-return]


def _storage_objects(array: pa.Array) -> list[Any]:
    return array.storage.to_pylist()  # type: ignore[no-any-return]


def _integers(array: pa.Array) -> list[int | None]:
    """The integers Arrow stores for a temporal column."""
    wide = pa.int32() if array.type.bit_width == 32 else pa.int64()
    return array.view(wide).to_pylist()  # type: ignore[no-any-return]


def _decimal_texts(array: pa.Array) -> list[str | None]:
    return [None if value is None else format(value, "f") for value in array.to_pylist()]


def _dates(array: pa.Array) -> list[int | None]:
    return _integers(array.cast(pa.date32()))


def _time_nanos(array: pa.Array) -> list[int | None]:
    factor = NANOS // PER_SECOND[array.type.unit]
    return [None if value is None else value * factor for value in _integers(array)]


def _timestamps(array: pa.Array) -> list[dict[str, int] | None]:
    per_second = PER_SECOND[array.type.unit]
    factor = NANOS // per_second
    infinite = infinite_count(array.type)
    return [
        None
        if value is None
        else {"seconds": value // per_second, "nanos": value % per_second * factor}
        if not infinite or abs(value) != infinite
        else {"seconds": value}
        for value in _integers(array)
    ]


def _durations(array: pa.Array) -> list[dict[str, int] | None]:
    per_second = PER_SECOND[array.type.unit]
    return [None if value is None else duration_parts(value, per_second) for value in _integers(array)]


def duration_parts(count: int, per_second: int) -> dict[str, int]:
    """Seconds and nanoseconds, of one sign, of a count of so many units per second."""
    sign = -1 if count < 0 else 1
    seconds, rest = divmod(abs(count), per_second)
    return {"seconds": sign * seconds, "nanos": sign * rest * (NANOS // per_second)}


def _intervals(array: pa.Array) -> list[dict[str, int] | None]:
    return [
        None if value is None else {"months": value.months, "days": value.days, "nanos": value.nanoseconds}
        for value in array.to_pylist()
    ]


def decimal_array(values: list[Decimal | None], arrow: pa.DataType) -> pa.Array:
    """Raises ValueError when a value would lose digits."""
    if 0 <= arrow.scale <= arrow.precision:
        return pa.array(values, arrow)
    # Arrow counts the zeros next to the point as digits of a Python value, though not of the type.
    return pa.array(values, pa.decimal256(DECIMAL256_DIGITS, max(arrow.scale, 0))).cast(arrow)


def _exact_decimal(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"not a decimal: {text[:80]!r}") from error
    if not value.is_finite():
        raise ValueError(f"not a decimal: {text[:80]!r}")
    return value


def _times(nanos: list[int | None], arrow: pa.DataType) -> list[int | None]:
    factor = NANOS // PER_SECOND[arrow.unit]
    return [None if value is None else _whole(value, factor) for value in nanos]


def _moments(parts: list[Any], arrow: pa.DataType) -> list[int | None]:
    """As _counts, and the infinities."""
    infinite = infinite_count(arrow)
    ends = [None if part is None or abs(part.seconds) != INT64_MAX else part.seconds for part in parts]
    if not any(ends):
        return _counts(parts, arrow)
    if not infinite:
        raise ValueError("a timestamp in nanoseconds holds no infinity")
    finite = _counts([None if end else part for part, end in zip(parts, ends, strict=True)], arrow)
    return [end or count for end, count in zip(ends, finite, strict=True)]


def _counts(parts: list[Any], arrow: pa.DataType) -> list[int | None]:
    """Seconds and nanoseconds as a count of the type's unit."""
    factor = NANOS // PER_SECOND[arrow.unit]
    return [None if part is None else _whole(part.seconds * NANOS + part.nanos, factor) for part in parts]


def _whole(nanos: int, factor: int) -> int:
    count, rest = divmod(nanos, factor)
    if rest:
        raise ValueError(f"{nanos} nanoseconds is finer than its type")
    return count


def _triples(parts: list[Any], _: pa.DataType) -> list[tuple[int, int, int] | None]:
    return [None if part is None else (part.months, part.days, part.nanos) for part in parts]


_SCALARS: Final[tuple[tuple[Callable[[pa.DataType], bool], str, Callable[[pa.Array], list[Any]]], ...]] = (
    (is_uuid, "uuid_value", _storage_objects),
    (is_json, "string_value", _storage_objects),
    (type_tests.is_signed_integer, "int_value", _objects),
    (type_tests.is_floating, "double_value", _objects),
    (is_text, "string_value", _objects),
    (type_tests.is_boolean, "bool_value", _objects),
    (type_tests.is_timestamp, "timestamp_value", _timestamps),
    (type_tests.is_date, "date_days", _dates),
    (type_tests.is_decimal, "decimal_value", _decimal_texts),
    (type_tests.is_unsigned_integer, "uint_value", _objects),
    (is_octets, "bytes_value", _objects),
    (type_tests.is_time, "time_nanos", _time_nanos),
    (type_tests.is_duration, "duration_value", _durations),
    (type_tests.is_interval, "interval_value", _intervals),
    (type_tests.is_null, "null_value", _objects),
)
"""Of a kind of Arrow type: the member of Value it travels in, and how to get plain values out of an array."""

_PARSERS: Final[
    tuple[tuple[Callable[[pa.DataType], bool], str, Callable[[list[Any], pa.DataType], list[Any]] | None], ...]
] = (
    (type_tests.is_signed_integer, "int_value", None),
    (type_tests.is_floating, "double_value", None),
    (is_text, "string_value", None),
    (type_tests.is_boolean, "bool_value", None),
    (type_tests.is_timestamp, "timestamp_value", _moments),
    (type_tests.is_date32, "date_days", None),
    (type_tests.is_unsigned_integer, "uint_value", None),
    (is_octets, "bytes_value", None),
    (type_tests.is_time, "time_nanos", _times),
    (type_tests.is_duration, "duration_value", _counts),
    (type_tests.is_interval, "interval_value", _triples),
    (type_tests.is_null, "null_value", None),
)
"""The way back: how to get what an array of the type is made from; None where the member is that already."""
