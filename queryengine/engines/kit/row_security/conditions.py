"""Conditions of a decision point as predicates: nodes of a tree, into which no text of it goes but as a literal."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from queryengine.domain.row_policy import Condition

_COMPARING: Final[Mapping[str, type[exp.Binary]]] = MappingProxyType(
    {"eq": exp.EQ, "neq": exp.NEQ, "lt": exp.LT, "lte": exp.LTE, "gt": exp.GT, "gte": exp.GTE}
)


def predicate(condition: Condition, column: Any, literal: Callable[[Any, str], Any]) -> Any:
    """Over a column; `literal` makes a value one, and is given its name for messages."""
    values = [literal(value, condition.column) for value in condition.values]
    match condition.operator:
        case "in":
            found: Any = exp.In(this=column, expressions=values)
        case "not_in":
            found = exp.Not(this=exp.In(this=column, expressions=values))
        case "is_null":
            found = exp.Is(this=column, expression=exp.Null())
        case "is_not_null":
            found = exp.Not(this=exp.Is(this=column, expression=exp.Null()))
        case operator:
            found = _COMPARING[operator](this=column, expression=values[0])
    return exp.Paren(this=found)
