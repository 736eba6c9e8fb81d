"""What a SQLite engine runs: one query that reads. The file is opened read-only, and its authorizer refuses more."""

from collections.abc import Iterator, Sequence

from queryengine.domain.analysis import Analysis
from queryengine.engines.kit.analysing import of_tokens
from queryengine.engines.kit.calls import computing, unproven
from queryengine.engines.kit.lexicons import SQLITE
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.placeholders import names, of_one_kind
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.sqlalchemy.dialect import CheckedText

_ENDS = ("FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "UNION", "INTERSECT", "EXCEPT")
"""What may follow a select list."""


def check(sql: str) -> CheckedText:
    """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, PARAMETER_MISMATCH."""
    query, placeholders = _read(sql)
    return CheckedText(Template.of(query, placeholders), names(placeholders), tuple(_casts(query)))


def analyse(sql: str) -> Analysis:
    """What is known of the text. Raises as `check` does."""
    query, placeholders = _read(sql)
    called = unproven(query.tokens, SQLITE, computing(__package__, "sqlite_computing.txt"))
    reaching = Reaching.listed(__package__, "sqlite_reaching.txt").among(called)
    return of_tokens(query, SQLITE, names(placeholders), unproven=called, reaching=reaching)


def _read(sql: str) -> tuple[StatementText, list[Placeholder]]:
    query = StatementText.read(sql, SQLITE)
    marks = [token for token in query.tokens if token.kind is Kind.MARK]
    # `:a`, `@a` and `$a` are the same parameter: its name is what follows.
    named = [Placeholder(each.text[1:], each.start, each.end) for each in marks if each.text[0] != "?"]
    return query, of_one_kind(named, list(_numbered(marks)))


def _numbered(marks: Sequence[Token]) -> Iterator[Placeholder]:
    """`?7` by its number; a `?` has the one after the greatest before it, as SQLite counts."""
    greatest = 0
    for mark in marks:
        if mark.text[0] == "?":
            number = int(mark.text[1:6]) if len(mark.text) > 1 else greatest + 1
            greatest = max(greatest, number)
            yield Placeholder(str(number), mark.start, mark.end)


def _casts(query: StatementText) -> Iterator[str]:
    """For each item of the select list the type that it is cast to as a whole; empty for another item."""
    for item in items(query.tokens):
        if len(item) < 6 or not item[0].is_word("CAST") or not item[1].is_sign("("):
            yield ""
            continue
        depth, as_at = 0, 0
        for number, token in enumerate(item):
            depth += token.is_sign("(") - token.is_sign(")")
            if depth == 1 and token.is_word("AS"):
                as_at = number
            if number and not depth:
                rest = [each for each in item[number + 1 :] if not each.is_word("AS")]
                yield query.sql[item[as_at].end : token.start].strip() if len(rest) < 2 else ""
                break


def items(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The items of the first select list outside of brackets."""
    depth, item, is_inside = 0, list[Token](), False
    for token in tokens:
        if is_inside and not depth and (token.is_word(*_ENDS) or token.is_sign(",")):
            yield item
            item = []
            is_inside = token.is_sign(",")
            if not is_inside:
                return
        elif is_inside and (item or not token.is_word("DISTINCT", "ALL")):
            item.append(token)
        elif not depth and token.is_word("SELECT"):
            is_inside = True
        depth += token.is_sign("(") - token.is_sign(")")
    if item:
        yield item
