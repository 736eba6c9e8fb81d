"""A projection around a query, computed by Spark, that turns columns of types which cannot travel into ones which can.

Such a type may stand anywhere inside an array, a map or a struct.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from queryengine.engines.spark.client import Proto, proto

NOT_AS_ARROW: Final = frozenset({"variant", "year_month_interval"})
"""A variant has a binary encoding of its own, and Python's Arrow library has no type for an interval of months only."""
NOT_AS_PARQUET: Final = NOT_AS_ARROW | {"null"}
"""Parquet has no column without a type, either."""


def readable(relation: Proto, columns: Sequence[Proto], unreadable: AbstractSet[str]) -> Proto:
    """The relation with a variant as its JSON text, an interval of months as their number, and a value without a type
    as a string, wherever `unreadable` names the type. `columns` are the fields of the relation's schema. Without such
    a column it is the same relation.
    """
    if not any(_contains(each.data_type, unreadable) for each in columns):
        return relation
    names = [f"c{number}" for number in range(len(columns))]
    renamed = proto.Relation(to_df=proto.ToDF(input=relation, column_names=names))
    made = [_made(_attribute(name), each.data_type, unreadable) for name, each in zip(names, columns, strict=True)]
    return proto.Relation(project=proto.Project(input=renamed, expressions=made))


def _contains(kind: Proto, unreadable: AbstractSet[str]) -> bool:
    match kind.WhichOneof("kind"):
        case "array":
            return _contains(kind.array.element_type, unreadable)
        case "map":
            return _contains(kind.map.key_type, unreadable) or _contains(kind.map.value_type, unreadable)
        case "struct":
            return any(_contains(each.data_type, unreadable) for each in kind.struct.fields)
        case which:
            return which in unreadable


def _made(value: Proto, kind: Proto, unreadable: AbstractSet[str], depth: int = 0) -> Proto:
    if not _contains(kind, unreadable):
        return value
    match kind.WhichOneof("kind"):
        case "variant":
            return _call("to_json", value)
        case "year_month_interval":
            # Spark casts to a number only what is in months, or in years, alone.
            month = {"year_month_interval": {"start_field": 1, "end_field": 1}}
            return _cast(_cast(value, month), {"integer": {}})
        case "null":
            return _cast(value, {"string": {}})
        case "array":
            (item,) = variables = _variables(depth, "x")
            return _call("transform", value, _lambda(_made(item, kind.array.element_type, unreadable, depth + 1), item))
        case "map":
            key, item = variables = _variables(depth, "k", "v")
            keys = _lambda(_made(key, kind.map.key_type, unreadable, depth + 1), *variables)
            items = _lambda(_made(item, kind.map.value_type, unreadable, depth + 1), *variables)
            return _call("transform_keys", _call("transform_values", value, items), keys)
        case _:
            return _struct(value, kind.struct, unreadable, depth)


def _struct(value: Proto, kind: Proto, unreadable: AbstractSet[str], depth: int) -> Proto:
    members: list[Proto] = []
    for each in kind.fields:
        member = proto.Expression(unresolved_extract_value={"child": value, "extraction": _text(each.name)})
        members += [_text(each.name), _made(member, each.data_type, unreadable, depth)]
    nothing = proto.Expression(literal=proto.Expression.Literal(null={"null": {}}))
    return _call("if", _call("isnull", value), nothing, _call("named_struct", *members))


def _variables(depth: int, *letters: str) -> tuple[Proto, ...]:
    """Names of their own at each depth, as a lambda sees those of the lambdas around it."""
    names = (f"{letter}{depth}" for letter in letters)
    return tuple(proto.Expression(unresolved_named_lambda_variable={"name_parts": [name]}) for name in names)


def _lambda(body: Proto, *variables: Proto) -> Proto:
    arguments = [each.unresolved_named_lambda_variable for each in variables]
    return proto.Expression(lambda_function={"function": body, "arguments": arguments})


def _cast(value: Proto, kind: Any) -> Proto:
    return proto.Expression(cast={"expr": value, "type": kind})


def _attribute(name: str) -> Proto:
    return proto.Expression(unresolved_attribute={"unparsed_identifier": name})


def _text(text: str) -> Proto:
    return proto.Expression(literal=proto.Expression.Literal(string=text))


def _call(function: str, *arguments: Proto) -> Proto:
    call = proto.Expression.UnresolvedFunction(function_name=function, arguments=arguments)
    return proto.Expression(unresolved_function=call)
