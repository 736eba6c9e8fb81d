"""Where in a text SQLite met a mistake in the grammar. It says only near which word."""

import re
import sqlite3
from collections.abc import Callable
from typing import Final

from queryengine.domain.errors import Position
from queryengine.engines.kit.lexicons import SQLITE
from queryengine.engines.kit.sqltext import position_of_character

_NEAR: Final = re.compile(r'near "(.*)": syntax error', re.DOTALL)
_PROBES_MAX: Final = 100


def place_of(sql: str, cause: sqlite3.Error, explain: Callable[[str], object]) -> Position | None:
    """The place of the word that the message names: the first one up to which the text already fails so.

    `explain` has SQLite parse a text without running it. None when the word is not found among the first hundred.
    """
    words = str(cause)
    if words == "incomplete input":
        return position_of_character(sql, len(sql))
    found = _NEAR.fullmatch(words)
    if found is None:
        return None
    candidates = [token for token in SQLITE.tokens(sql) if token.text == found.group(1)]
    for token in candidates[:_PROBES_MAX]:
        if len(candidates) == 1 or _message(explain, sql[: token.end]) == words:
            return position_of_character(sql, token.start)
    return None


def _message(explain: Callable[[str], object], text: str) -> str:
    try:
        explain(text)
    except sqlite3.Error as cause:
        return str(cause)
    return ""
