"""What a ClickHouse engine runs: one query that reads, without clauses that choose settings or the format."""

from collections.abc import Sequence
from typing import Final

from sqlglot import Dialect, TokenType, exp

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason, error
from queryengine.engines.clickhouse.parameters import Encoded, encode, type_of
from queryengine.engines.clickhouse.times import Calendar
from queryengine.engines.parameters import check_names
from queryengine.engines.sqlcheck import CheckedQuery, check_text

_DIALECT: Final = "clickhouse"
_CLAUSES: Final = ("settings", "format")


def check(sql: str) -> CheckedQuery:
    """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX."""
    query = check_text(sql, _DIALECT)
    for node in query.statement.find_all(exp.Query):
        for clause in _CLAUSES:
            if node.args.get(clause):
                word = clause.upper()
                message = f"the clause {word} is not allowed; settings are given beside a statement"
                raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=word)
    return query


def without_semicolon(sql: str) -> str:
    """The text of one statement up to its semicolon, so that it can stand in parentheses."""
    tokens = Dialect.get_or_raise(_DIALECT).tokenize(sql)
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        sql = sql[: tokens.pop().start]
    return sql


def with_named(sql: str, query: CheckedQuery, placeholders: Sequence[str]) -> str:
    """The text with these in place of its question marks, of which it has as many.

    Raises UNSUPPORTED when a question mark may also be the operator.
    """
    marks = [
        token.start
        for token in Dialect.get_or_raise(_DIALECT).tokenize(sql)
        if token.token_type == TokenType.PLACEHOLDER
    ]
    if len(marks) != len(query.placeholders):
        message = "a statement with positional parameters cannot have the operator ? :; write if(…) instead"
        raise error(Reason.UNSUPPORTED, message, feature="positional_parameters")
    for start, placeholder in reversed(list(zip(marks, placeholders, strict=True))):
        sql = sql[:start] + placeholder + sql[start + 1 :]
    return sql


def prepared(sql: str, parameters: Sequence[BoundParameter], calendar: Calendar) -> tuple[str, dict[str, Encoded]]:
    """The text as it is sent, and the values of its placeholders.

    Raises as `check` does, and PARAMETER_MISMATCH.
    """
    query = check(sql)
    check_names(parameters, query.placeholders)
    sql = without_semicolon(sql)
    types = {
        str(node.this): node.text("kind") or node.args["kind"].sql(_DIALECT)
        for node in query.statement.find_all(exp.Placeholder)
        if node.this and node.args.get("kind")
    }
    if parameters and not parameters[0].name:
        types = {f"p{number}": type_of(str(number), each) for number, each in enumerate(parameters, 1)}
        sql = with_named(sql, query, [f"{{{name}:{kind}}}" for name, kind in types.items()])
        return sql, {
            f"p{number}": encode(str(number), each, types[f"p{number}"], calendar)
            for number, each in enumerate(parameters, 1)
        }
    return sql, {each.name: encode(each.name, each, types.get(each.name, "String"), calendar) for each in parameters}
