"""What Spark may be asked: one query that reads. Spark has no mode that only reads, so the text is checked strictly.

The grammar is Spark's alone: it gets the text inside of `SELECT * FROM (…)`, where nothing but a query can stand. What
a query can do beyond reading tables is refused here: Java by name, files by path, scripts, and names made at run time.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.engines.kit.analysing import of_tokens
from queryengine.engines.kit.calls import computing, unproven
from queryengine.engines.kit.lexicons import SPARK
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.placeholders import by_colon, by_question_mark, names, of_one_kind
from queryengine.engines.kit.reaching import Reaching
from queryengine.engines.kit.reading import READING, StatementText
from queryengine.engines.kit.sqltext import position_of_character

_BEGINS: Final = READING | {"FROM"}
_DEPTH_MAX: Final = 200
"""Of brackets and CASE. Spark's parser takes seconds and more memory than its stack has for what is nested deeper."""
_ANY: Final = -1
_REFUSED: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("reflect", "java_method", "try_reflect"), (_ANY, "which calls Java by name")),
        **dict.fromkeys(("from_protobuf", "to_protobuf"), (_ANY, "which reads files by path")),
        "python_worker_logs": (_ANY, "which shows what others have logged"),
        "identifier": (_ANY, "which makes names at run time"),
        "from_xml": (2, "with options, which may name files and addresses"),
        "from_avro": (2, "with options, which may name files and addresses"),
        "schema_of_xml": (1, "with options, which may name files and addresses"),
        "schema_of_avro": (1, "with options, which may name files and addresses"),
    }
)
"""Functions, and how many arguments they may have."""
_TABLE_BEHIND: Final = ("FROM", "JOIN", "TABLE")


@dataclass(frozen=True, slots=True)
class CheckedText:
    placeholders: frozenset[str]
    """Their names; "1", "2", … when they are positional."""
    query: str
    """The text without what stands around the statement, so that it can stand in parentheses. Each of its characters is
    where it was."""


def check(sql: str, allowed: Container[str] = ()) -> CheckedText:
    """`allowed` are functions that it may call whatever is said here.

    Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX.
    """
    query, placeholders = _read(sql, allowed)
    lead = "".join(each if each == "\n" else " " for each in sql[: query.start])
    return CheckedText(placeholders, lead + sql[query.start : query.end])


def analyse(sql: str, allowed: Container[str] = ()) -> Analysis:
    """What is known of the text. Raises as `check` does."""
    query, placeholders = _read(sql, allowed)
    called = unproven(query.tokens, SPARK, computing(__package__))
    reaching = Reaching.listed(__package__).among(called)
    return of_tokens(query, SPARK, placeholders, unproven=called, reaching=reaching)


def _read(sql: str, allowed: Container[str]) -> tuple[StatementText, frozenset[str]]:
    """The query, and the names of its placeholders."""
    query = StatementText.read(sql, SPARK, _BEGINS)
    _check_depth(query)
    for number, (token, following) in enumerate(pairwise(query.tokens)):
        if following.is_sign("("):
            _check_function(query, number, allowed)
        if token.is_word("USING") and (following.kind is Kind.STRING or following.text in {":", "?"}):
            raise _refused(query, token, "a script")
        if token.is_word(*_TABLE_BEHIND):
            _check_table(query, number + 1)
    return query, names(of_one_kind(by_colon(query), by_question_mark(query)))


def _check_depth(query: StatementText) -> None:
    depth = 0
    for token in query.tokens:
        if token.kind is Kind.SIGN:
            depth += (token.text in "([{") - (token.text in ")]}")
        elif token.is_word("CASE", "END"):
            depth += 1 if token.is_word("CASE") else -1
        if depth > _DEPTH_MAX:
            message = f"the statement is nested more than {_DEPTH_MAX} levels deep"
            place = position_of_character(query.sql, token.start)
            raise error(Reason.STATEMENT_TOO_COMPLEX, message, position=place)


def _check_function(query: StatementText, number: int, allowed: Container[str]) -> None:
    """The token there stands before a bracket."""
    token = query.tokens[number]
    # With a setting of the server a name may stand in double quotes.
    name = (token.text[1:-1] if token.kind is Kind.STRING else SPARK.name(token)).lower()
    maximum, why = _REFUSED.get(name, (_ANY, ""))
    if why and name not in allowed and (maximum == _ANY or _arguments(query.tokens[number + 1 :]) > maximum):
        raise _refused(query, token, f"the function {name} {why}")


def _arguments(tokens: Sequence[Token]) -> int:
    """Of a call; at least 1. The tokens begin with its bracket."""
    depth, count = 0, 1
    for token in tokens:
        if token.kind is Kind.SIGN:
            depth += (token.text in "([{") - (token.text in ")]}")
            count += token.text == "," and depth == 1
        if not depth:
            break
    return count


def _check_table(query: StatementText, number: int) -> None:
    """A name in several parts, with a path as the last of them, or a path without quotes. Spark itself refuses all of
    them, in words that help less.
    """
    for token in query.tokens[number:]:
        if token.kind in (Kind.WORD, Kind.QUOTED):
            if "/" in token.text:
                raise _refused(query, token, "a path in place of a table")
        elif not token.is_sign("."):
            return


def _refused(query: StatementText, token: Token, what: str) -> QueryEngineError:
    message = f"{what} is not allowed; a statement may only read"
    place = position_of_character(query.sql, token.start)
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT", position=place)
