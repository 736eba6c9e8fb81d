"""Dialects of SQL by the words that settings and requests use, and what sqlglot reads of a text in one of them.

What is read here decides where a statement runs and nothing else: its engine judges the text for itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from queryengine.domain.analysis import KINDS, NOT_ANALYSED, Analysis, Name
from queryengine.domain.routing import DIALECTS
from queryengine.engines.kit.analysing import NO_FUNCTIONS
from queryengine.engines.kit.backtracking import tokens_to_parse

SQLGLOT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "": "",
        **{name: name for name in DIALECTS},
        "postgresql": "postgres",
    }
)
"""Sqlglot's names of them."""
_QUERIES: Final = frozenset({"SELECT", "PIVOT"})
"""Kinds of statements of which sqlglot reads more than the first word."""


def facts_of(sql: str, dialect: str) -> Analysis:
    """What a text says of itself: its kind, the tables that it reads, the functions that it may call, and its
    normalised form. Nothing of a text that sqlglot does not read.

    Raises STATEMENT_TOO_COMPLEX.
    """
    name = SQLGLOT[dialect]
    try:
        tokens = list(tokens_to_parse(sql, name))
    except SqlglotError:
        return NOT_ANALYSED
    while tokens and tokens[-1].token_type.name == "SEMICOLON":
        tokens.pop()
    kind = next((token.text.upper() for token in tokens if token.token_type.name != "L_PAREN"), None)
    if KINDS.get(kind or "") not in _QUERIES:
        return Analysis(kind=kind)
    return Analysis(
        kind=kind,
        tables=_tables(sql, name),
        functions=frozenset(_called(tokens)),
        normalised=_normalised(sql, tokens),
    )


def _called(tokens: Sequence[Any]) -> Iterator[str]:
    for token, following in pairwise(tokens):
        if following.token_type.name != "L_PAREN" or token.token_type.name.endswith("STRING"):
            continue
        if token.text[:1].isalpha() and token.text.upper() not in NO_FUNCTIONS:
            yield token.text.lower()


def _normalised(sql: str, tokens: Sequence[Any]) -> str:
    """The text without comments and with one blank for white space, as adapters make it."""
    pieces, end = list[str](), None
    for token in tokens:
        if end is not None and token.start > end:
            pieces.append(" ")
        end = token.end + 1
        pieces.append(sql[token.start : end])
    return "".join(pieces)


def _tables(sql: str, dialect: str) -> frozenset[Name] | None:
    """None of a text that is not one statement that sqlglot reads."""
    try:
        found = sqlglot.parse(sql, read=dialect, error_level=sqlglot.ErrorLevel.IMMEDIATE)
    except (SqlglotError, RecursionError):
        return None
    statements = [each for each in found if each is not None and not isinstance(each, exp.Semicolon)]
    if len(statements) != 1 or isinstance(statements[0], exp.Command):
        return None
    tables = set[Name]()
    for table in statements[0].find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            # A function that stands for a table, which may read anything.
            return None
        if table.args.get("db") is not None or not _is_expression(table):
            tables.add(tuple(part.name for part in table.parts))
    return frozenset(tables)


def _is_expression(table: Any) -> bool:
    """Whether a name is that of a common table expression where it stands."""
    name = table.name.lower()
    inner, outer = table, table.parent
    while outer is not None:
        clause = outer if isinstance(outer, exp.With) else outer.args.get("with_")
        if isinstance(clause, exp.With) and clause is not inner:
            for each in clause.expressions:
                if each is inner and not clause.recursive:
                    # Neither itself nor what comes behind it is known inside of one.
                    break
                if each.alias.lower() == name:
                    return True
        inner, outer = outer, outer.parent
    return False
