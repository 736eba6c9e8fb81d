"""What a PostgreSQL engine runs: one query that reads. The server's transaction reads only; what is refused here is
refused early, and by name.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.lexing import Token
from queryengine.engines.kit.placeholders import by_colon, by_number, of_one_kind
from queryengine.engines.kit.reading import StatementText, not_allowed
from queryengine.engines.kit.sqltemplate import Template

_LOCKS: Final = ("UPDATE", "SHARE", "NO", "KEY")
"""What follows FOR where rows are locked."""


def check(sql: str) -> tuple[StatementText, Template]:
    """The query, and its text cut at the placeholders.

    Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, PARAMETER_MISMATCH.
    """
    query = StatementText.read(sql, POSTGRESQL)
    for token, word in _refused(query.tokens):
        raise not_allowed(sql, token, word)
    return query, Template.of(query, of_one_kind(by_colon(query), by_number(query)))


def _refused(tokens: Sequence[Token]) -> list[tuple[Token, str]]:
    found, depth = [], 0
    for former, token in pairwise(tokens):
        depth += former.is_sign("(") - former.is_sign(")")
        # A reserved word: as a name it stands behind AS or a point.
        if token.is_word("INTO") and not (former.is_word("AS") or former.is_sign(".")):
            found.append((token, "INTO"))
        if not depth and former.is_word("FOR") and token.is_word(*_LOCKS):
            found.append((former, "LOCK"))
    return found
