"""What a database runs of which no lexicon is here: one statement that reads, as far as sqlglot can read it.

Such a database may have nothing else that refuses a write, so what sqlglot does not know is refused, and the refusal
says whose knowledge ended.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from queryengine.domain.analysis import Analysis, Name
from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.kit.backtracking import tokens_to_parse
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.measuring import kinds_in, measured
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.kit.sqltext import position_of_character
from queryengine.engines.sqlalchemy.dialect import CheckedText

_QUERIES: Final = (exp.Query, exp.Values)
_WRITES: Final = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)
_COMMANDS: Final = frozenset({"CHECKPOINT", "CLUSTER", "DISCARD", "LISTEN", "MOVE", "NOTIFY", "REINDEX", "UNLISTEN"})
"""Statements that the parser takes for a word and its alias."""
_POSTGRESQL: Final = "queryengine.engines.kit.postgresql"
"""Whose lists hold for a PostgreSQL that another driver reaches; no other database has such names."""
_UNKNOWN: Final = (
    "the gateway's own parser, not the database, does not know this: {what}; write it otherwise, or make it a view "
    "of the database"
)

# It logs each statement that it does not know; here that is a refusal, which whoever sent it gets.
logging.getLogger("sqlglot").addFilter(lambda record: record.levelno > logging.WARNING)


def check(sql: str, dialect: str) -> CheckedText:
    """`dialect` is sqlglot's name.

    Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX,
    PARAMETER_MISMATCH.
    """
    _, placeholders = _read(sql, dialect)
    try:
        return CheckedText(_cut(sql, dialect, placeholders), placeholders)
    except SqlglotError as cause:
        raise error(Reason.SYNTAX_ERROR, _UNKNOWN.format(what=cause)) from cause


def analyse(sql: str, dialect: str) -> Analysis:
    """What is known of the text, which is what sqlglot's tree says. Raises as `check` does."""
    statement, placeholders = _read(sql, dialect)
    functions = {
        each.name if isinstance(each, exp.Anonymous) else each.sql_name() for each in statement.find_all(exp.Func)
    }
    tokens = list(_tokens(sql, dialect))
    called = frozenset(map(str.lower, functions))
    tables = frozenset(tuple(part.name for part in each.parts) for each in statement.find_all(exp.Table))
    return Analysis(
        kind=statement.key.upper(),
        kinds=kinds_in(tokens) | {"SELECT"},
        # Of such a database no function is known.
        unproven=called,
        measures=measured(tokens),
        tables=tables,
        reaching=_reaching(called, tokens, tables),
        functions=called,
        placeholders=placeholders,
    )


def _reaching(called: Iterable[str], tokens: Sequence[Token], tables: Iterable[Name]) -> frozenset[str]:
    """Of what is called, also by its name as it is written, which sqlglot may know by another, and of what is read."""
    written = (name.text.lower() for name, sign in pairwise(tokens) if sign.is_sign("(") and name.kind is not Kind.SIGN)
    read = (path[-1].lower() for path in tables if path)
    functions = Reaching.listed(_POSTGRESQL), Reaching.listed(__package__, "generic_reaching.txt")
    known = (*functions, Reaching.listed(_POSTGRESQL, "reaching_tables.txt"))
    names = frozenset((*called, *written, *read))
    return frozenset().union(*(each.among(names) for each in known))


def _tokens(sql: str, dialect: str) -> Iterator[Token]:
    for token in sqlglot.tokenize(sql, read=dialect):
        name = token.token_type.name
        if name == "IDENTIFIER":
            kind = Kind.QUOTED
        elif name.endswith("STRING"):
            kind = Kind.STRING
        else:
            kind = Kind.WORD if token.text[:1].isalpha() else Kind.SIGN
        yield Token(kind, token.text, token.start, token.end + 1)


def _read(sql: str, dialect: str) -> tuple[Any, frozenset[str]]:
    """Sqlglot's tree, and the names of its placeholders."""
    try:
        tokens_to_parse(sql, dialect)
        parsed = sqlglot.parse(sql, read=dialect, error_level=sqlglot.ErrorLevel.IMMEDIATE)
        statements = [each for each in parsed if each is not None and not isinstance(each, exp.Semicolon)]
        if len(statements) != 1:
            count = len(statements)
            raise error(Reason.NOT_ONE_STATEMENT, f"expected one statement, got {count}", statements=count)
        if isinstance(statements[0], exp.Condition | exp.Alias):
            word = sql.split(maxsplit=1)[0].upper()
            if word in _COMMANDS:
                raise _not_allowed(exp.Command(this=word))
            start = position_of_character(sql, len(sql) - len(sql.lstrip()))
            raise error(
                Reason.SYNTAX_ERROR, _UNKNOWN.format(what=f"a statement that begins with {word}"), position=start
            )
        return statements[0], _placeholders(statements[0])
    except RecursionError as cause:
        raise error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply") from cause
    except ParseError as cause:
        facts = cause.errors[0] if cause.errors else {}
        raise error(Reason.SYNTAX_ERROR, _message(facts, cause), position=_position(facts)) from cause
    except SqlglotError as cause:
        raise error(Reason.SYNTAX_ERROR, _UNKNOWN.format(what=cause)) from cause


def _placeholders(statement: Any) -> frozenset[str]:
    """Their names; "1", "2", … when they are positional."""
    if not isinstance(statement, _QUERIES):
        raise _not_allowed(statement)
    named = set()
    positional = 0
    for node in statement.walk():
        if isinstance(node, _WRITES):
            raise _not_allowed(node)
        if isinstance(node, exp.Placeholder):
            if node.this:
                named.add(str(node.this))
            else:
                positional += 1
    if named and positional:
        raise error(Reason.PARAMETER_MISMATCH, "placeholders are all named or all positional")
    return frozenset(named or map(str, range(1, positional + 1)))


def _cut(sql: str, dialect: str, placeholders: Collection[str]) -> Template:
    """The text at its placeholders of the form `:name`."""
    tokens = sqlglot.tokenize(sql, read=dialect)
    while tokens and tokens[-1].token_type.name == "SEMICOLON":
        tokens.pop()
    pieces: list[tuple[str, int]] = []
    names: list[str] = []
    start = 0
    for colon, word in pairwise(tokens):
        # `a[1:n]` is a slice: the colon of a placeholder follows no word.
        before = sql[colon.start - 1 : colon.start] if colon.start else ""
        is_free = not before.isalnum() and before not in {"_", '"', "]", ")"}
        if colon.token_type.name == "COLON" and is_free and word.start == colon.end + 1 and word.text in placeholders:
            pieces.append((sql[start : colon.start], start))
            names.append(word.text)
            start = word.end + 1
    end = tokens[-1].end + 1 if tokens else len(sql)
    return Template((*pieces, (sql[start:end], start)), tuple(names))


def _not_allowed(node: Any) -> QueryEngineError:
    word = str(node.this).upper() if isinstance(node, exp.Command) else node.key.upper()
    message = f"{word} statements are not allowed; a statement may only read"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=word)


def _message(facts: dict[str, Any], cause: ParseError) -> str:
    found = facts.get("highlight")
    description = facts.get("description") or str(cause)
    if "<class" in description:
        # What sqlglot says of its own classes means nothing to a person; the place does.
        description = "syntax error"
    return _UNKNOWN.format(what=f"{description} near {found!r}" if found else description)


def _position(facts: dict[str, Any]) -> Position | None:
    line, last_column = facts.get("line"), facts.get("col")
    if not line or not last_column:
        return None
    # sqlglot counts to the last character of the token.
    return Position(line, max(1, last_column - max(1, len(facts.get("highlight") or "")) + 1))
