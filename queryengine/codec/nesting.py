"""Conversions of what is inside lists, structs and maps, with the nesting around it kept as it is."""

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa

Convert: TypeAlias = Callable[[pa.Array], pa.Array]
Plan: TypeAlias = tuple[pa.DataType, Convert | None]
"""The type that an array becomes, and how; None when it stays as it is."""


def plan_inside(arrow: pa.DataType, plan: Callable[[int, pa.DataType], Plan]) -> Plan:
    """For an array of this type. `plan` is asked for each part by its number: the element of a list, the members of a
    struct, key and value of a map. Every other type stays as it is.
    """
    types = pa.types
    if types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow):
        return _list(arrow, plan)
    if types.is_struct(arrow):
        return _struct(arrow, plan)
    if types.is_map(arrow):
        return _map(arrow, plan)
    return arrow, None


def _list(arrow: pa.DataType, plan: Callable[[int, pa.DataType], Plan]) -> Plan:
    inner, convert = plan(0, arrow.value_type)
    if convert is None:
        return arrow, None
    field = arrow.value_field.with_type(inner)
    if pa.types.is_fixed_size_list(arrow):
        target = pa.list_(field, arrow.list_size)
    else:
        target = pa.large_list(field) if pa.types.is_large_list(arrow) else pa.list_(field)

    def convert_list(array: pa.Array) -> pa.Array:
        own = _from_the_beginning(array)
        used = len(own) * arrow.list_size if pa.types.is_fixed_size_list(arrow) else own.offsets[-1].as_py()
        return _around(own, target, convert(own.values[:used]))

    return target, convert_list


def _struct(arrow: pa.DataType, plan: Callable[[int, pa.DataType], Plan]) -> Plan:
    plans = [plan(number, field.type) for number, field in enumerate(arrow.fields)]
    converts = [convert for _, convert in plans]
    if not any(converts):
        return arrow, None
    fields = [field.with_type(inner) for field, (inner, _) in zip(arrow.fields, plans, strict=True)]

    def convert_struct(array: pa.Array) -> pa.Array:
        # Of an array that begins within its memory, `field` gives the part that belongs to it.
        parts = [array.field(number) for number in range(len(fields))]
        converted = [convert(part) if convert else part for part, convert in zip(parts, converts, strict=True)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(converted, fields=fields, mask=mask)

    return pa.struct(fields), convert_struct


def _map(arrow: pa.DataType, plan: Callable[[int, pa.DataType], Plan]) -> Plan:
    key, convert_key = plan(0, arrow.key_type)
    item, convert_item = plan(1, arrow.item_type)
    if convert_key is None and convert_item is None:
        return arrow, None
    target = pa.map_(arrow.key_field.with_type(key), arrow.item_field.with_type(item))

    def convert_map(array: pa.Array) -> pa.Array:
        own = _from_the_beginning(array)
        used = own.offsets[-1].as_py()
        keys, items = own.keys[:used], own.items[:used]
        parts = [convert_key(keys) if convert_key else keys, convert_item(items) if convert_item else items]
        fields = [target.key_field, target.item_field]
        return _around(own, target, pa.StructArray.from_arrays(parts, fields=fields))

    return target, convert_map


def _from_the_beginning(array: pa.Array) -> pa.Array:
    """The same values, alone in their memory where they began within some."""
    return pa.concat_arrays([array]) if array.offset else array


def _around(array: pa.Array, target: pa.DataType, child: pa.Array) -> pa.Array:
    """The same validity and lengths around another child."""
    own = 1 if pa.types.is_fixed_size_list(target) else 2
    return pa.Array.from_buffers(target, len(array), array.buffers()[:own], array.null_count, children=[child])
