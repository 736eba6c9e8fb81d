"""The nodes that a tree may have, and the parts of each. Every other node and every other part is refused."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from sqlglot import exp

from queryengine.engines.kit.row_security.grammar import DoubleColon, Mark, TypedLiteral, refused

# fmt: off
_QUERIES: Final = """
    Select: with_ expressions distinct from_ laterals joins where group having windows order limit offset
    Union: with_ this expression distinct order limit offset
    Except: with_ this expression distinct order limit offset
    Intersect: with_ this expression distinct order limit offset
    Subquery: with_ this alias joins order limit offset
    Values: expressions alias
    With: expressions recursive
    CTE: this alias materialized
    TableAlias: this columns
    Table: this db catalog alias joins laterals ordinality
    From: this
    Join: this on side kind using method
    Lateral: this alias ordinality
    Unnest: expressions alias offset
    Where: this
    Group: expressions grouping_sets cube rollup all
    GroupingSets: expressions
    Cube: expressions
    Rollup: expressions
    Having: this
    Qualify: this
    Order: this expressions
    Ordered: this desc nulls_first
    Limit: this expression
    Fetch: direction count limit_options
    LimitOptions: rows percent
    Offset: this expression
    Distinct: expressions on
    Window: this partition_by order spec alias over first
    WindowSpec: kind start start_side end end_side exclude
"""
_EXPRESSIONS: Final = """
    Column: this table db catalog
    Identifier: this quoted
    Star:
    Dot: this expression
    Alias: this alias
    Literal: this is_string
    Boolean: this
    Null:
    Mark: this
    Paren: this
    Tuple: expressions
    Anonymous: this expressions
    Var: this
    Filter: this expression
    Exists: this
    Any: this
    All: this
    In: this expressions query
    Between: this low high symmetric
    Case: this ifs default
    If: this true false
    Cast: this to
    DataType: this expressions nested
    DataTypeParam: this expression
    Interval: this unit
    Extract: this expression
    Trim: this expression position
    Substring: this start length
    StrPosition: this substr
    Overlay: this expression from_ for_
    CurrentDate:
    CurrentTime: this
    CurrentTimestamp: this
    Not: this
    Neg: this
    BitwiseNot: this
    Collate: this expression
    AtTimeZone: this zone
    JSONExtract: this expression
    JSONExtractScalar: this expression
    JSONPath: expressions
    JSONPathRoot:
    JSONPathKey: this
    JSONPathSubscript: this
    Like: this expression negate
    ILike: this expression negate
    Is: this expression negate
"""
_BINARY: Final = """
    Add Sub Mul Div Mod IntDiv Pow And Or EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ DPipe Escape Glob SimilarTo
    RegexpLike RegexpILike BitwiseAnd BitwiseOr BitwiseXor BitwiseLeftShift BitwiseRightShift JSONBExtract
    JSONBExtractScalar ArrayContainsAll ArrayContainedBy ArrayOverlaps
"""
# fmt: on
Nodes = Mapping[type[exp.Expr], frozenset[str]]
_HOW: Final = frozenset({"typed", "only_json_types", "scalar_only", "safe", "requires_string"}) | frozenset(
    {"identify_pivot_strings", "pivot_column_naming", "prefixed_pivot_columns", "value_columns_first"}
)
"""Parts by which sqlglot notes how something was written, and which it prints or leaves out with the same meaning."""


_OWN: Final[Mapping[str, type[exp.Expr]]] = {"Mark": Mark, "DoubleColon": DoubleColon, "TypedLiteral": TypedLiteral}


def _nodes(text: str) -> Nodes:
    """From lines of the form `Class: part part`."""
    lines = [line.partition(":") for line in text.strip().splitlines()]
    return {_class(name.strip()): frozenset(parts.split()) for name, _, parts in lines}


def _class(name: str) -> type[exp.Expr]:
    found: type[exp.Expr] = _OWN[name] if name in _OWN else getattr(exp, name)
    return found


_COMMON: Final[Nodes] = {
    **_nodes(_QUERIES),
    **_nodes(_EXPRESSIONS),
    **{_class(name): frozenset({"this", "expression"}) for name in _BINARY.split()},
}
"""What the dialects have in common."""


def nodes(text: str, without: Collection[str] = ()) -> Nodes:
    """Of one dialect: what all have in common but for the classes that it does not have, and what `text` adds or
    replaces, in lines of the form `Class: part part`.
    """
    return {kind: parts for kind, parts in {**_COMMON, **_nodes(text)}.items() if kind.__name__ not in without}


_STATEMENTS: Final[Mapping[type[exp.Expr], str]] = {
    exp.Describe: "DESCRIBE",
    exp.Summarize: "SUMMARIZE",
    exp.Show: "SHOW",
    exp.Command: "this kind of statement",
    exp.Pragma: "PRAGMA",
    exp.Into: "INTO",
    exp.Lock: "a lock of rows",
    exp.TableSample: "a sample",
}


def check_node(node: exp.Expr, allowed: Nodes) -> None:
    """Raises STATEMENT_NOT_ALLOWED for a node or a part of it that is not known."""
    parts = allowed.get(type(node))
    if parts is None:
        what = _STATEMENTS.get(type(node), f"{type(node).__name__} in it")
        raise refused(f"{what} is not among what is known to be safe there; a SELECT of listed tables is")
    for name, part in node.args.items():
        if part and name not in parts and name not in _HOW:
            word = name.strip("_").upper()
            raise refused(f"{word} of {type(node).__name__} is not among what is known to be safe there")


def children(node: exp.Expr) -> Iterator[tuple[str, int | None, exp.Expr]]:
    """Each child with its place: the part, and the index where the part is a list."""
    for name, part in list(node.args.items()):
        if isinstance(part, exp.Expr):
            yield name, None, part
        elif isinstance(part, list):
            for index, each in enumerate(part):
                if isinstance(each, exp.Expr):
                    yield name, index, each


def put(node: exp.Expr, name: str, index: int | None, child: Any) -> None:
    """Set a child at its place."""
    if index is None:
        node.set(name, child)
    else:
        node.set(name, child, index)
