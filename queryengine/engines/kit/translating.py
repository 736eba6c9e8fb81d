"""From one dialect of SQL to another, where the meaning is certain to stay; everything else is refused by name.

Sqlglot translates more than this, but it does not know the types of columns, and dialects give one text two meanings:
`a / b` of whole numbers is a whole number in some. So only what means the same in both is taken: the nodes listed here,
functions that have one meaning, and texts that come back as they were from the other dialect.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.backtracking import tokens_to_parse
from queryengine.engines.kit.dialects import SQLGLOT

# fmt: off
_STRUCTURE: Final = frozenset({
    exp.Alias, exp.CTE, exp.Column, exp.Distinct, exp.Except, exp.From, exp.Group, exp.Having, exp.Identifier,
    exp.Intersect, exp.Join, exp.Limit, exp.Offset, exp.Order, exp.Ordered, exp.Paren, exp.Select, exp.Star,
    exp.Subquery, exp.Table, exp.TableAlias, exp.Union, exp.Where, exp.With,
})
_OPERATORS: Final = frozenset({
    exp.Add, exp.And, exp.Between, exp.Boolean, exp.Case, exp.EQ, exp.Exists, exp.GT, exp.GTE, exp.If, exp.In, exp.Is,
    exp.LT, exp.LTE, exp.Like, exp.Literal, exp.Mul, exp.NEQ, exp.Neg, exp.Not, exp.Null, exp.Or, exp.Sub,
})
_FUNCTIONS: Final = frozenset({
    exp.Abs, exp.Avg, exp.Coalesce, exp.Count, exp.Lower, exp.Max, exp.Min, exp.Nullif, exp.Sum, exp.Upper,
})
# fmt: on
_KNOWN: Final = _STRUCTURE | _OPERATORS | _FUNCTIONS
_OF_LITERALS: Final = frozenset({"DATE", "TIMESTAMP"})
"""Types to which a text of the statement may be cast; a cast of anything else rounds or fails here and not there."""
_CLAUSES: Final = frozenset(
    {"distinct", "expressions", "from_", "group", "having", "joins", "limit", "offset", "order", "where", "with_"}
)
_SET: Final = frozenset({"this", "expression", "distinct", "with_", "order", "limit", "offset"})
_PARTS: Final[Mapping[type[Any], frozenset[str]]] = MappingProxyType(
    {
        exp.Select: _CLAUSES,
        exp.Between: frozenset({"this", "low", "high"}),
        exp.CTE: frozenset({"this", "alias"}),
        exp.Column: frozenset({"this", "table", "db", "catalog"}),
        exp.Distinct: frozenset({"expressions"}),
        exp.Group: frozenset({"expressions"}),
        exp.In: frozenset({"this", "expressions", "query"}),
        exp.Join: frozenset({"this", "on", "using", "side", "kind"}),
        exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
        exp.Star: frozenset[str](),
        exp.Subquery: frozenset({"this", "alias"}),
        exp.Table: frozenset({"this", "db", "catalog", "alias"}),
        exp.With: frozenset({"expressions"}),
        **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), _SET),
    }
)
"""Of nodes that have parts which are not in every dialect: those that are."""


def translated(sql: str, source: str, target: str) -> str:
    """The text in the dialect `target`. Raises TRANSLATION_REFUSED, SYNTAX_ERROR, STATEMENT_TOO_COMPLEX."""
    try:
        return _translated(sql, SQLGLOT[source], SQLGLOT[target])
    except SqlglotError as cause:
        first = str(cause).partition("\n")[0]
        raise _refused(f"it is not understood as {source}: {first}", source, target) from cause
    except RecursionError as cause:
        raise error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply") from cause
    except _DoubtError as doubt:
        raise _refused(str(doubt), source, target) from None


class _DoubtError(Exception):
    """What is not certain to mean the same."""


def _translated(sql: str, source: str, target: str) -> str:
    tokens_to_parse(sql, source)
    statements = [
        each
        for each in sqlglot.parse(sql, read=source, error_level=sqlglot.ErrorLevel.IMMEDIATE)
        if each is not None and not isinstance(each, exp.Semicolon)
    ]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise _DoubtError("only one query can be translated")
    [tree] = statements
    for what in _doubts(tree, is_case_strict="postgres" in (source, target)):
        raise _DoubtError(what)
    text = _written(tree, target)
    back = sqlglot.parse_one(text, read=target, error_level=sqlglot.ErrorLevel.IMMEDIATE)
    for what in _doubts(back, is_case_strict=False):
        raise _DoubtError(what)
    if _written(back, source) != _written(tree, source):
        raise _DoubtError("it does not come back as it was")
    return text


def _written(tree: Any, dialect: str) -> str:
    written: str = tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    return written


def _doubts(tree: Any, *, is_case_strict: bool) -> Iterator[str]:
    for node in tree.walk():
        kind = type(node)
        if kind is exp.Cast:
            if not _is_text(node.this) or node.to.sql() not in _OF_LITERALS:
                yield "CAST rounds, pads or fails in different ways"
        elif kind is exp.DataType:
            if not isinstance(node.parent, exp.Cast):
                yield f"the type {node.sql()}"
        elif kind in (exp.Placeholder, exp.Parameter):
            yield "placeholders of parameters are not translated"
        elif kind not in _KNOWN:
            yield f"{_name(node)} is not known to mean the same"
        elif others := sorted({key for key, value in node.args.items() if value} - _PARTS.get(kind, node.args.keys())):
            yield f"{_name(node)} with {others[0].strip('_').upper()} is not known to mean the same"
        elif kind is exp.Join and node.kind not in ("", "CROSS", "INNER", "OUTER"):
            yield f"{node.kind} JOIN is not known to mean the same"
        elif kind is exp.Like and not (_is_text(node.expression) and "\\" not in node.expression.name):
            yield "LIKE reads a backslash in different ways"
        elif kind is exp.Table and not isinstance(node.this, exp.Identifier):
            yield "functions in place of tables are not translated"
        elif kind is exp.Identifier and is_case_strict and node.args.get("quoted") and node.name != node.name.lower():
            yield f"the name {node.name!r} means another thing in another case in one of them"


def _is_text(node: Any) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def _name(node: Any) -> str:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return f"the function {str(node.this).lower()}"
    return f"the function {node.sql_name().lower()}" if isinstance(node, exp.Func) else str(node.key).upper()


def _refused(what: str, source: str, target: str) -> QueryEngineError:
    message = (
        f"the statement cannot be translated from {source} to {target} for certain: {what}; write it in the dialect of "
        "the engine, and say so in routing.dialect"
    )
    return error(Reason.TRANSLATION_REFUSED, message, written=source, reads=target)
