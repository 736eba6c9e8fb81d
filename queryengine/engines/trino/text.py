"""SQL text for Trino: what its user wrote, with named placeholders made positional.

Trino takes no parameters beside a statement: a statement with placeholders travels as a text inside EXECUTE IMMEDIATE,
and its values as literals behind it. User text is never mixed with values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot.tokens import Token, TokenType

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.sqlcheck import CheckedQuery, check_text

DIALECT: Final = "trino"
PREFIX: Final = "EXECUTE IMMEDIATE "


@dataclass(frozen=True, slots=True)
class Text:
    """What is sent, and how many characters of it stand before the user's text."""

    sql: str
    skipped: int


def checked(sql: str) -> CheckedQuery:
    """As check_text: one query that reads, in Trino's dialect."""
    return check_text(sql, DIALECT)


def text_to_send(sql: str, query: CheckedQuery, literals: Mapping[str, str]) -> Text:
    """The statement with these literals, by name or number, for its placeholders. Raises UNSUPPORTED when a placeholder
    stands where it cannot be told from other uses of a colon.
    """
    tokens = sqlglot.tokenize(sql, read=DIALECT)
    sql, tokens = _without_semicolon(sql, tokens)
    if not literals:
        return Text(sql, 0)
    names = [str(number) for number in range(1, len(literals) + 1)]
    if query.placeholders != frozenset(names):
        sql, names = _positional(sql, tokens, query.placeholders)
    using = ", ".join(literals[name] for name in names)
    return Text(f"{PREFIX}{quoted(sql)} USING {using}", len(PREFIX) + 1)


def quoted(text: str) -> str:
    """A string literal. Trino knows no escape in it but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"


def _without_semicolon(sql: str, tokens: Sequence[Token]) -> tuple[str, Sequence[Token]]:
    """Without the semicolons around the statement, and what comments stand beyond them: Trino takes none."""
    inner = [number for number, each in enumerate(tokens) if each.token_type is not TokenType.SEMICOLON]
    first, behind = inner[0], inner[-1] + 1
    end = tokens[behind].start if behind < len(tokens) else len(sql)
    blank = tokens[first - 1].end + 1 if first else 0
    # Blanks keep the place of everything else, and line breaks its line.
    lead = "".join(each if each == "\n" else " " for each in sql[:blank])
    return lead + sql[blank:end], tokens[first:behind]


def _positional(sql: str, tokens: Sequence[Token], names: frozenset[str]) -> tuple[str, list[str]]:
    """The text with a question mark for each named placeholder, everything else in its place, and their names in
    order.
    """
    found: list[str] = []
    pieces: list[str] = []
    end = 0
    for colon, word in pairwise(tokens):
        is_placeholder = colon.token_type is TokenType.COLON and word.start == colon.end + 1 and word.text in names
        if is_placeholder:
            found.append(word.text)
            # Blanks keep the columns that Trino reports.
            pieces += [sql[end : colon.start], "?", " " * (word.end - colon.start)]
            end = word.end + 1
    positional = "".join([*pieces, sql[end:]])
    expected = frozenset(str(number) for number in range(1, len(found) + 1))
    if set(found) != names or _placeholders(positional) != expected:
        raise error(
            Reason.UNSUPPORTED,
            "a named parameter stands beside another use of a colon; put parameters in parentheses or use ?",
            feature="parameters",
        )
    return positional, found


def _placeholders(sql: str) -> frozenset[str] | None:
    """None for a text that does not parse."""
    try:
        return checked(sql).placeholders
    except QueryEngineError:
        return None
