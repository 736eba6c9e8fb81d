"""SQL text for Trino: what its user wrote, with named placeholders made positional.

Trino takes no parameters beside a statement: a statement with placeholders travels as a text inside EXECUTE IMMEDIATE,
and its values as literals behind it. User text is never mixed with values.

Nothing in Trino refuses a write for us. Its grammar does: behind the words that a query begins with, and behind a
parenthesis, it has nothing but queries, and a request holds one statement.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from queryengine.engines.kit.lexicons import TRINO
from queryengine.engines.kit.placeholders import by_colon, by_question_mark, of_one_kind
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.trino.guard import check_names_in

PREFIX: Final = "EXECUTE IMMEDIATE "


@dataclass(frozen=True, slots=True)
class SentText:
    """What is sent, and how many characters of it stand before the user's text."""

    sql: str
    skipped: int


def check(sql: str, allowed: Container[str] = ()) -> tuple[StatementText, list[Placeholder]]:
    """The query and its placeholders. `allowed` are names that it may use whatever the guard says.

    Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, PARAMETER_MISMATCH.
    """
    query = StatementText.read(sql, TRINO)
    check_names_in(query, allowed)
    return query, of_one_kind(by_colon(query), by_question_mark(query))


def text_to_send(query: StatementText, placeholders: Sequence[Placeholder], literals: Mapping[str, str]) -> SentText:
    """The statement with these literals, by name or number, for its placeholders."""
    # Blanks keep the place of everything else, and line breaks its line.
    pieces = ["".join(each if each == "\n" else " " for each in query.sql[: query.start])]
    end = query.start
    for each in placeholders:
        pieces += [query.sql[end : each.start], "?".ljust(each.end - each.start)]
        end = each.end
    sql = "".join([*pieces, query.sql[end : query.end]])
    if not placeholders:
        return SentText(sql, 0)
    using = ", ".join(literals[each.name] for each in placeholders)
    return SentText(f"{PREFIX}{quoted(sql)} USING {using}", len(PREFIX) + 1)


def quoted(text: str) -> str:
    """A string literal. Trino knows no escape in it but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"
