"""What a SQLAlchemy engine runs: one statement that reads. Judged from the text alone, with sqlglot."""

import logging
from dataclasses import dataclass
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from queryengine.domain.errors import Position, Reason, error
from queryengine.engines.sqltext import position_of_character

_QUERIES: Final = (exp.Query, exp.Values)
_WRITES: Final = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)
_COMMANDS: Final = frozenset({"CHECKPOINT", "CLUSTER", "DISCARD", "LISTEN", "MOVE", "NOTIFY", "REINDEX", "UNLISTEN"})
"""Statements that the parser takes for a word and its alias."""

# It tells about each statement it does not know; here that is a refusal, told to whoever sent it.
logging.getLogger("sqlglot").addFilter(lambda record: record.levelno > logging.WARNING)


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that reads, and what its text tells about parameters and columns."""

    placeholders: frozenset[str]
    """Their names; "1", "2", … when they are positional."""
    casts: tuple[str, ...]
    """For each item of the select list the type that it is cast to; empty for another kind of item."""
    without_placeholders: str
    """The query with NULL in place of each placeholder: the same columns."""
    statement: Any
    """The parsed statement, for what only one dialect asks of it."""


def check_text(sql: str, dialect: str) -> CheckedQuery:
    """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX."""
    try:
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
            raise error(Reason.SYNTAX_ERROR, "this is no statement", position=start)
        return _checked(statements[0], dialect)
    except RecursionError as cause:
        raise error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply") from cause
    except ParseError as cause:
        facts = cause.errors[0] if cause.errors else {}
        raise error(Reason.SYNTAX_ERROR, _message(facts, cause), position=_position(facts)) from cause
    except SqlglotError as cause:
        raise error(Reason.SYNTAX_ERROR, str(cause)) from cause


def _checked(statement: Any, dialect: str) -> CheckedQuery:
    if not isinstance(statement, _QUERIES):
        raise _not_allowed(statement)
    named = set()
    numbered = set()
    """The numbers of `$1`."""
    positional = 0
    for node in statement.walk():
        if isinstance(node, _WRITES):
            raise _not_allowed(node)
        if isinstance(node, exp.Placeholder):
            if node.this:
                named.add(str(node.this))
            else:
                positional += 1
        if dialect == "postgres" and isinstance(node, exp.Parameter):
            numbered.add(node.this.name)
    if bool(named) + bool(numbered) + bool(positional) > 1:
        raise error(Reason.PARAMETER_MISMATCH, "placeholders are all named or all positional")
    selects = statement.selects if isinstance(statement, exp.Query) else []
    casts = tuple(item.to.sql(dialect) if isinstance(item, exp.Cast) else "" for item in map(_unalias, selects))
    bare = statement.transform(lambda node: exp.null() if isinstance(node, exp.Placeholder) else node)
    placeholders = named or numbered or {str(number + 1) for number in range(positional)}
    return CheckedQuery(frozenset(placeholders), casts, bare.sql(dialect), statement)


def _unalias(item: Any) -> Any:
    return item.this if isinstance(item, exp.Alias) else item


def _not_allowed(node: Any) -> Exception:
    word = str(node.this).upper() if isinstance(node, exp.Command) else node.key.upper()
    message = f"{word} statements are not allowed; only one query that reads"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type=word)


def _message(facts: dict[str, Any], cause: ParseError) -> str:
    found = facts.get("highlight")
    description = facts.get("description") or str(cause)
    if "<class" in description:
        # What sqlglot says of its own classes tells a person nothing; the place does.
        description = "syntax error"
    return f"{description} near {found!r}" if found else description


def _position(facts: dict[str, Any]) -> Position | None:
    line, last_column = facts.get("line"), facts.get("col")
    if not line or not last_column:
        return None
    # sqlglot counts to the last character of the token.
    return Position(line, max(1, last_column - max(1, len(facts.get("highlight") or "")) + 1))
