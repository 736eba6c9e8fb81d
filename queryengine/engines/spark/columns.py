"""Columns as Spark sends or stores them, to the Arrow types that they are promised in."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pyarrow as pa

from queryengine.engines.spark.client import Proto, proto

NOT_AS_ARROW: Final = frozenset({"variant", "year_month_interval"})
"""A variant has an encoding of Spark's own; Python's Arrow has no months alone."""
NOT_AS_PARQUET: Final = NOT_AS_ARROW | {"null"}
"""It has no column without a type, either."""


def readable(relation: Proto, columns: Sequence[Proto], unreadable: AbstractSet[str]) -> Proto:
    """The relation, with columns of unreadable types turned into what can be read. `columns` are the fields of its
    schema. Without any such column it is the same relation.
    """
    if not any(str(each.data_type.WhichOneof("kind")) in unreadable for each in columns):
        return relation
    names = [f"c{number}" for number in range(len(columns))]
    renamed = proto.Relation(to_df=proto.ToDF(input=relation, column_names=names))
    made = [_made(name, each) for name, each in zip(names, columns, strict=True)]
    return proto.Relation(project=proto.Project(input=renamed, expressions=made))


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
