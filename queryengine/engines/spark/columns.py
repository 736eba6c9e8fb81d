"""Columns as Spark sends or stores them, to the Arrow types that they are promised in."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa


def batch_of(columns: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of the schema. Raises ValueError when a column does not have the type that was announced for it."""
    made = [_column(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(made, schema=schema)


def _column(column: Any, target: pa.DataType) -> Any:
    if column.type == target:
        return column
    if pa.types.is_null(target):
        return pa.nulls(len(column))
    if isinstance(target, pa.JsonType):
        return pa.ExtensionArray.from_storage(target, column.cast(pa.string()))
    if pa.types.is_interval(target) and pa.types.is_integer(column.type):
        months = column.to_pylist()
        return pa.array([None if each is None else pa.MonthDayNano([each, 0, 0]) for each in months], target)
    if pa.types.is_map(target):
        entries = [_column(column.keys, target.key_type), _column(column.items, target.item_type)]
        return _list(column, target, pa.StructArray.from_arrays(entries, fields=[target.key_field, target.item_field]))
    if pa.types.is_list(target):
        return _list(column, target, _column(column.values, target.value_type))
    if pa.types.is_struct(target) and target.num_fields:
        members = [_column(column.field(number), member.type) for number, member in enumerate(target)]
        return pa.StructArray.from_arrays(members, fields=list(target), mask=column.is_null())
    return column.cast(target)


def _list(column: Any, target: pa.DataType, items: Any) -> Any:
    """The lists or maps of the column, around other items."""
    layout = column.buffers()[:2]
    return pa.Array.from_buffers(target, len(column), layout, column.null_count, column.offset, [items])
