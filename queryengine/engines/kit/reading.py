"""One statement that reads, judged from its tokens; what it says beyond that, its engine judges.

No parser of ours knows all of any dialect, so none stands between a valid query and its engine. Whether this is enough
depends on the engine: one that itself refuses to write needs no more, nor does one whose grammar has nothing but
queries behind the words that a query begins with.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.lexing import Kind, Lexer, Token
from queryengine.engines.kit.sqltext import position_of_character

READING: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
"""What a query of standard SQL begins with, beside parentheses."""
DEPTH_MAX: Final = 400
"""Of brackets in each other. Parsers of engines take far longer for deeper ones, or overflow."""
_WRITING: Final = {"INSERT": "INTO", "MERGE": "INTO", "DELETE": "FROM", "UPDATE": "SET"}
"""What writes inside of WITH, and the word that it needs beside it."""
# fmt: off
_STATEMENTS: Final = frozenset({
    "ABORT", "ADD", "ALTER", "ANALYSE", "ANALYZE", "ASSUME", "ATTACH", "BACKUP", "BEGIN", "CACHE", "CALL", "CHECK",
    "CHECKPOINT", "CLEAR", "CLOSE", "CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE",
    "DELETE", "DENY", "DESC", "DESCRIBE", "DETACH", "DISCARD", "DO", "DROP", "END", "EXCHANGE", "EXECUTE", "EXISTS",
    "EXPLAIN", "EXPORT", "FETCH", "FROM", "GRANT", "IMPORT", "INSERT", "KILL", "LIST", "LISTEN", "LOAD", "LOCK",
    "MERGE", "MOVE", "MSCK", "NOTIFY", "OPTIMIZE", "PRAGMA", "PREPARE", "REASSIGN", "REFRESH", "REINDEX", "RELEASE",
    "RENAME", "REPAIR", "REPLACE", "RESET", "RESTORE", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "SET",
    "SHOW", "START", "SUMMARIZE", "SYSTEM", "TABLE", "TRUNCATE", "UNCACHE", "UNDROP", "UNLISTEN", "UNLOCK", "UPDATE",
    "USE", "VACUUM", "VALUES", "WATCH", "WITH",
})
# fmt: on
"""Words that statements begin with. Everything else at the beginning is a mistake."""
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}


class Placeholder(NamedTuple):
    """A place in the text that a parameter fills."""

    name: str
    """Of the parameter; "1", "2", … when it is positional."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StatementText:
    """One statement that reads."""

    sql: str
    """The whole text, as its user wrote it."""
    tokens: Sequence[Token]
    """Of the statement, without the semicolons around it."""

    @classmethod
    def read(cls, sql: str, lexer: Lexer, begins: Collection[str] = READING) -> Self:
        """`begins` are the words that a query begins with, in upper case.

        Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX.
        """
        statements = [each for each in _statements(lexer.tokens(sql)) if each]
        if len(statements) != 1:
            count = len(statements)
            raise error(Reason.NOT_ONE_STATEMENT, f"expected one statement, got {count}", statements=count)
        [tokens] = statements
        _check_first_word(sql, tokens, begins)
        _check_brackets(sql, tokens)
        for word in _writes(tokens):
            raise not_allowed(sql, word, word.text.upper())
        return cls(sql, tokens)

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """Behind the last character of the statement; what follows is a semicolon or a comment."""
        return self.tokens[-1].end


def not_allowed(sql: str, token: Token, word: str) -> QueryEngineError:
    message = f"{word} statements are not allowed; a statement may only read"
    place = position_of_character(sql, token.start)
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=word, position=place)


def _statements(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    statement: list[Token] = []
    for token in tokens:
        if token.is_sign(";"):
            yield statement
            statement = []
        else:
            statement.append(token)
    yield statement


def _check_first_word(sql: str, tokens: Sequence[Token], begins: Collection[str]) -> None:
    first = next((each for each in tokens if not each.is_sign("(")), tokens[0])
    word = first.text.upper()
    if first.kind is Kind.WORD and word in begins:
        return
    if first.kind is Kind.WORD and word in _STATEMENTS:
        raise not_allowed(sql, first, word)
    message = f"a query begins with {', '.join(sorted(begins))}, and not with {first.text[:40]!r}"
    raise error(Reason.SYNTAX_ERROR, message, position=position_of_character(sql, first.start))


def _check_brackets(sql: str, tokens: Sequence[Token]) -> None:
    """Text of a user may stand inside of ours only when it cannot leave its place."""
    opened: list[Token] = []
    for token in tokens:
        if token.kind is not Kind.SIGN:
            continue
        if token.text in _BRACKETS.values():
            opened.append(token)
            if len(opened) > DEPTH_MAX:
                message = f"the statement is nested too deeply; brackets may be nested {DEPTH_MAX} times"
                raise error(Reason.STATEMENT_TOO_COMPLEX, message, position=position_of_character(sql, token.start))
        elif token.text in _BRACKETS and (not opened or opened.pop().text != _BRACKETS[token.text]):
            raise _unbalanced(sql, token)
    if opened:
        raise _unbalanced(sql, opened[-1])


def _unbalanced(sql: str, token: Token) -> QueryEngineError:
    message = f"{token.text!r} has no counterpart"
    return error(Reason.SYNTAX_ERROR, message, position=position_of_character(sql, token.start))


@dataclass(slots=True)
class _Level:
    """What stands between a pair of parentheses, or outside of all."""

    has_with: bool = False
    """A WITH began here, and the statement behind its parts has not."""
    write: Token | None = None
    """The word that would be a write if the word that it needs followed."""


def _writes(tokens: Sequence[Token]) -> Iterator[Token]:
    """The words for writes in WITH and behind it, as far as they cannot be names."""
    levels = [_Level(has_with=tokens[0].is_word("WITH"))]
    for number, (former, token) in enumerate(pairwise(tokens), 1):
        if former.is_sign("("):
            levels.append(_Level())
        elif former.is_sign(")"):
            levels.pop()
        if token.kind is not Kind.WORD:
            continue
        word, level = token.text.upper(), levels[-1]
        if level.write is not None and word == _WRITING[level.write.text.upper()]:
            yield level.write
        elif word == "WITH" and former.is_sign("("):
            level.has_with = True
        elif word in READING and former.is_sign(")"):
            level.has_with = False
        elif word in _WRITING and _begins(tokens, number, is_behind_with=level.has_with):
            level.write = token


def _begins(tokens: Sequence[Token], number: int, *, is_behind_with: bool) -> bool:
    """Whether a statement may begin here: after `AS (`, or after the last part of a WITH."""
    if tokens[number - 1].is_sign(")"):
        return is_behind_with
    if not tokens[number - 1].is_sign("("):
        return False
    before = [each for each in tokens[max(0, number - 4) : number - 1] if not each.is_word("NOT", "MATERIALIZED")]
    return bool(before) and before[-1].is_word("AS")
