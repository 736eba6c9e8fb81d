"""Columns as Spark sends or stores them, to the Arrow types that they are promised in."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from queryengine.engines.spark.client import Proto, proto

_NOT_AS_THEY_ARE: Final = ("variant", "year_month_interval", "null")
"""A variant has an encoding of Spark's own; Python's Arrow has no months alone, Parquet no column without a type."""


def readable(relation: Proto, columns: Sequence[Proto]) -> Proto:
    """The relation, with what Arrow cannot carry turned into what it can. `columns` are fields of its schema."""
    if not any(_needs_call(each) for each in columns):
        return relation
    names = [f"c{number}" for number in range(len(columns))]
    renamed = proto.Relation(to_df=proto.ToDF(input=relation, column_names=names))
    made = [_made(name, each) for name, each in zip(names, columns, strict=True)]
    return proto.Relation(project=proto.Project(input=renamed, expressions=made))


def _needs_call(column: Proto) -> bool:
    return str(column.data_type.WhichOneof("kind")) in _NOT_AS_THEY_ARE


def _made(name: str, column: Proto) -> Proto:
    attribute = _attribute(name)
    match str(column.data_type.WhichOneof("kind")):
        case "variant":
            return _call("to_json", attribute)
        case "year_month_interval":
            years = _call("date_part", _text("YEAR"), attribute)
            months = _call("date_part", _text("MONTH"), attribute)
            return _call("+", _call("*", years, proto.Expression(literal=proto.Expression.Literal(integer=12))), months)
        case "null":
            return proto.Expression(cast={"expr": attribute, "type": {"string": {}}})
        case _:
            return attribute


def _attribute(name: str) -> Proto:
    return proto.Expression(unresolved_attribute={"unparsed_identifier": name})


def _text(text: str) -> Proto:
    return proto.Expression(literal=proto.Expression.Literal(string=text))


def _call(function: str, *arguments: Proto) -> Proto:
    call = proto.Expression.UnresolvedFunction(function_name=function, arguments=arguments)
    return proto.Expression(unresolved_function=call)


def batch_of(columns: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of the schema. Raises ValueError when a column is not what it was told to be."""
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
    return column.cast(target)
