"""The subquery that stands for a table: its visible columns, masked, and the rows that the policy shows."""

import re
from collections.abc import Mapping
from functools import reduce
from typing import Any, Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.row_policy import CLAIMS, RelationPolicy
from queryengine.engines.kit.row_security.conditions import predicate
from queryengine.engines.kit.row_security.grammar import Grammar
from queryengine.engines.kit.row_security.nodes import check_node
from queryengine.engines.kit.row_security.reserved import BASE, PREFIX

PLACEHOLDER: Final = re.compile(r"\{(tenant|subject|claims\.[^{}'\"\s]+|salt)\}")
_VALUE: Final = f"{PREFIX}v_"
_NO_EXPRESSION: Final = (exp.Query, exp.Table, exp.Star, exp.Window, exp.Values, exp.Exists, exp.Distinct)


class PolicyError(ValueError):
    """SQL of a policy that cannot be used."""


def wrapped(policy: RelationPolicy, values: Mapping[str, Any], grammar: Grammar, *, salt: str) -> Any:
    """The SELECT of a table. Raises PolicyError for a policy that cannot be used, and RELATION_NOT_ALLOWED where the
    principal lacks a value that it needs.
    """
    columns = [
        exp.alias_(
            _masked(policy, column, values, grammar, salt) if column in policy.masks else _column(column),
            exp.to_identifier(column, quoted=True),
        )
        for column in policy.visible
    ]
    parts = [exp.to_identifier(part, quoted=True) for part in reversed(policy.path)]
    table = exp.Table(
        **dict(zip(("this", "db", "catalog"), parts, strict=False)), alias=exp.TableAlias(this=_identifier(BASE))
    )
    select = exp.Select(expressions=columns, from_=exp.From(this=table))
    predicates = [predicate(each, _column(each.column), _literal) for each in policy.conditions]
    if policy.rows:
        predicates.insert(0, expression(policy.rows, policy, values, grammar))
    if predicates:
        select.set(
            "where", exp.Where(this=reduce(lambda left, right: exp.And(this=left, expression=right), predicates))
        )
    if policy.rule or policy.conditions:
        _fence(select, grammar)
    return select


def expression(sql: str, policy: RelationPolicy, values: Mapping[str, Any], grammar: Grammar) -> Any:
    """An expression of a policy over the columns of its table, with the principal's values as literals."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        names.append(match[1])
        return f" {_VALUE}{len(names) - 1} "

    text = PLACEHOLDER.sub(number, sql)
    if PREFIX in sql.lower():
        raise PolicyError(f"names that begin with {PREFIX} are reserved")
    try:
        tree = grammar.parse_condition(text)
    except SqlglotError as cause:
        raise PolicyError(f"cannot be read as an SQL expression{_place(cause) if not names else ''}") from cause
    except RecursionError as cause:
        raise PolicyError("nested too deeply") from cause
    left = set(range(len(names)))
    tree = exp.Paren(this=tree)
    for node in list(tree.walk()):
        _check(node, grammar)
        if isinstance(node, exp.Column):
            left.discard(_bind(node, names, policy, values, grammar))
    if left:
        raise PolicyError(f"the placeholder {{{names[min(left)]}}} stands where no value can, such as inside of quotes")
    return tree


def _check(node: Any, grammar: Grammar) -> None:
    if isinstance(node, _NO_EXPRESSION):
        raise PolicyError(f"{type(node).__name__} is not allowed; an expression over the table's columns is")
    try:
        check_node(node, grammar.nodes)
        grammar.check(node)
        if isinstance(node, grammar.calls) and str(node.this).lower() not in grammar.functions:
            raise PolicyError(f"function {node.this} is not among those that are known to be safe")
    except QueryEngineError as cause:
        raise PolicyError(cause.failure.message.rpartition(": ")[2]) from cause


def _bind(
    node: exp.Column, names: list[str], policy: RelationPolicy, values: Mapping[str, Any], grammar: Grammar
) -> int:
    """Make a name a column of the table or a value; returns the number of the placeholder, or -1."""
    name = str(node.this.this)
    if name.startswith(_VALUE):
        index = int(name.removeprefix(_VALUE))
        _fill(node, names[index], policy, values)
        return index
    if len(node.parts) > 1:
        raise PolicyError(f"name the column {name!r} without its table")
    folded = grammar.fold(node.this)
    found = [each for each in policy.columns if _same(each, folded, grammar)]
    if len(found) != 1:
        known = ", ".join(policy.columns)
        raise PolicyError(f"{name!r} is not among the columns of {'.'.join(policy.path)}: {known}")
    node.replace(_column(found[0]))
    return -1


def _fill(node: exp.Column, name: str, policy: RelationPolicy, values: Mapping[str, Any]) -> None:
    if name not in values or values[name] in ("", None):
        what = f"the claim {name.removeprefix(CLAIMS)!r}" if name.startswith(CLAIMS) else f"a {name}"
        relation = ".".join(policy.path)
        message = f"the policy of {relation} needs {what}, which the caller's credential does not have"
        raise error(Reason.RELATION_NOT_ALLOWED, message, relation=relation)
    value = values[name]
    if isinstance(value, list | tuple):
        parent = node.parent
        if not isinstance(parent, exp.In) or node.arg_key != "expressions":
            raise PolicyError(f"{{{name}}} is a list, which can stand only in `column IN ({{{name}}})`")
        items = [_literal(each, name) for each in value] or [exp.Null()]
        siblings = [each for each in parent.expressions if each is not node]
        parent.set("expressions", [*siblings, *items])
    else:
        node.replace(_literal(value, name))


def _literal(value: Any, name: str) -> Any:
    match value:
        case bool():
            return exp.Boolean(this=value)
        case int() if abs(value) < 1 << 63:
            return exp.Literal.number(value) if value >= 0 else exp.Paren(this=exp.Neg(this=exp.Literal.number(-value)))
        case str() if "\0" not in value and PREFIX not in value:
            return exp.Literal.string(value)
        case float() if value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN
            number = exp.Literal.number(repr(abs(value)))
            return number if value >= 0 else exp.Paren(this=exp.Neg(this=number))
    raise PolicyError(f"{{{name}}} has a value of another kind than text, number, truth value or list of those")


def _masked(policy: RelationPolicy, column: str, values: Mapping[str, Any], grammar: Grammar, salt: str) -> Any:
    mask = policy.masks[column]
    named = grammar.masks.get(mask)
    if named is None:
        return expression(mask, policy, values, grammar)
    # The column by its name with quotation marks, whatever stands in it.
    quoted = exp.to_identifier(column, quoted=True).sql(dialect=grammar.dialect)
    return expression(named.replace("{column}", quoted), policy, {"salt": salt}, grammar)


def _fence(select: exp.Select, grammar: Grammar) -> None:
    """Keep what stands around the subquery out of it."""
    word, _, rest = grammar.fence.partition(" ")
    if word == "AND":
        where = select.args.get("where")
        condition = grammar.parse_condition(rest)
        select.set("where", exp.Where(this=exp.And(this=where.this, expression=condition) if where else condition))
        return
    number: Any = exp.Literal.number(rest.lstrip("-"))
    number = exp.Neg(this=number) if rest.startswith("-") else number
    select.set(word.lower(), exp.Limit(expression=number) if word == "LIMIT" else exp.Offset(expression=number))


def _column(name: str) -> Any:
    return exp.Column(this=_identifier(name), table=_identifier(BASE))


def _identifier(name: str) -> Any:
    return exp.to_identifier(name, quoted=True)


def _same(column: str, folded: str, grammar: Grammar) -> bool:
    return grammar.fold(_identifier(column)) == folded


def _place(cause: SqlglotError) -> str:
    """Where the reader gave up, when it says so; its own words are about its grammar."""
    first: dict[str, Any] = next(iter(getattr(cause, "errors", ())), {})
    line, column = first.get("line"), first.get("col")
    if not line or not column:
        return ""
    return f" near character {column}" if line == 1 else f" near line {line}, character {column}"
