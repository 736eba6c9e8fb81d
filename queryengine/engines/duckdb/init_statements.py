"""Runs the statements of the option init_sql. They may hold secrets in their literals, and whoever asks for the engine
sees why it is down: so an error of DuckDB is passed on without literals.
"""

import re
from collections.abc import Iterable
from typing import Final

import duckdb

_EXCERPT: Final = re.compile(r"\n\s*LINE \d+:.*", re.DOTALL)
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'|\$(\w*)\$(.*?)\$\2\$", re.DOTALL)
SHORT_CHARACTERS: Final = 3
"""A literal of no more is no secret, and may be a part of any word."""


def run_all(instance: duckdb.DuckDBPyConnection, statements: Iterable[str]) -> None:
    """Raises ValueError that says which statement failed, and why, without its text."""
    for number, sql in enumerate(statements, 1):
        try:
            instance.execute(sql)
        except duckdb.Error as cause:
            problem = without_literals(str(cause), sql)
        else:
            continue
        # Outside of the handler: the cause has the text.
        raise ValueError(f"statement {number} of option 'init_sql': {problem}")


def without_literals(message: str, sql: str) -> str:
    """A message about a statement, without an excerpt of that or anything that stands in a literal of it."""
    found = [quoted.replace("''", "'") + dollars for quoted, _, dollars in _LITERAL.findall(sql)]
    cut = _EXCERPT.sub("", message)
    for literal in sorted(found, key=len, reverse=True):
        if len(literal) > SHORT_CHARACTERS:
            cut = cut.replace(literal, "…").replace(literal.replace("'", "''"), "…")
    return cut.strip()
