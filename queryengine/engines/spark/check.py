"""What Spark may be asked: one query that reads. Spark itself has no lock to put behind this, so it is strict.

Besides the statement as such, it refuses what reaches out of a query: Java by name, files by path, scripts, and names
that are made at run time.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.dialects import Spark
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.sqlcheck import check_text
from queryengine.engines.sqltext import position_of_character

_JAVA: Final = frozenset({"reflect", "java_method", "try_reflect"})
_MADE_NAMES: Final = "identifier"


@dataclass(frozen=True, slots=True)
class CheckedText:
    placeholders: frozenset[str]
    """Their names; "1", "2", … when they are positional."""
    query: str
    """The text without what ends a statement, so that it can stand in parentheses."""


def check(sql: str) -> CheckedText:
    """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX."""
    checked = check_text(sql, "spark")
    tokens = Spark().tokenize(sql)
    for token, following in pairwise(tokens):
        _check_pair(sql, token, following)
    try:
        for table in parse_one(sql, read="spark").find_all(exp.Table):
            if "/" in table.name:
                raise _refused("a path in place of a table", None)
    except SqlglotError as cause:
        raise error(Reason.SYNTAX_ERROR, str(cause)) from cause
    ends = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    return CheckedText(checked.placeholders, sql[: ends[0]] if ends else sql)


def _check_pair(sql: str, token: Token, following: Token) -> None:
    word = token.text.lower()
    if following.token_type is TokenType.L_PAREN and word in _JAVA:
        raise _refused(f"the function {word}", position_of_character(sql, token.start))
    if following.token_type is TokenType.L_PAREN and word == _MADE_NAMES:
        raise _refused("IDENTIFIER(…)", position_of_character(sql, token.start))
    if word == "using" and following.token_type in (TokenType.STRING, TokenType.RAW_STRING):
        raise _refused("a script", position_of_character(sql, token.start))


def _refused(what: str, position: Position | None) -> QueryEngineError:
    message = f"{what} is not allowed; only one query that reads tables"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT", position=position)
