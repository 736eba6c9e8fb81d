"""Keeps texts from sqlglot that it would try in exponentially many ways.

A bracket behind the name of a type may belong to the type or to a call: sqlglot tries the one, then the other, and so
twice as often for each level. `ROW(ROW(…))` takes a second at 15 levels, and a year at 40.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlglot
from sqlglot.dialects.dialect import Dialect

from queryengine.domain.errors import Reason, error
from queryengine.engines.kit.sqltext import position_of_character

LEVELS_MAX: Final = 8
"""Of brackets behind types in each other; these take some 10 ms."""
_OPENING: Final = frozenset({"L_PAREN", "L_BRACKET", "L_BRACE"})
_CLOSING: Final = frozenset({"R_PAREN", "R_BRACKET", "R_BRACE"})


def tokens_to_parse(sql: str, dialect: str | type[Dialect]) -> Sequence[Any]:
    """Sqlglot's tokens of a text that may be parsed. Raises STATEMENT_TOO_COMPLEX with the place, and sqlglot's
    TokenError.
    """
    tokens: Sequence[Any] = sqlglot.tokenize(sql, read=dialect)
    types = Dialect.get_or_raise(dialect).parser_class.TYPE_TOKENS
    opened: list[bool] = []
    levels = 0
    former = None
    for token in tokens:
        if token.token_type.name in _OPENING:
            is_of_type = former is not None and former.token_type in types
            opened.append(is_of_type)
            levels += is_of_type
            if levels > LEVELS_MAX:
                message = f"brackets behind names of types are nested too deeply; {LEVELS_MAX} levels are the most"
                raise error(Reason.STATEMENT_TOO_COMPLEX, message, position=position_of_character(sql, token.start))
        elif token.token_type.name in _CLOSING and opened:
            levels -= opened.pop()
        former = token
    return tokens
