"""SQLite's authorizer: it lets through reading, and remembers what it refused."""

import sqlite3
from collections.abc import Container
from types import MappingProxyType
from typing import Final

_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_OF_INDEXES: Final = frozenset({"data_version", "page_size"})
"""Pragmas that full-text indexes ask for while they are read."""
_WORDS: Final = MappingProxyType(
    {
        sqlite3.SQLITE_ATTACH: "ATTACH",
        sqlite3.SQLITE_DELETE: "DELETE from {}",
        sqlite3.SQLITE_FUNCTION: "the function {}",
        sqlite3.SQLITE_INSERT: "INSERT into {}",
        sqlite3.SQLITE_PRAGMA: "PRAGMA {}",
        sqlite3.SQLITE_UPDATE: "UPDATE of {}",
    }
)


class Authorizer:
    """Of one connection."""

    def __init__(self, allowed: Container[str] = ()) -> None:
        """`allowed` are functions, in lower case, that may be called although they reach beyond the database."""
        self._allowed = allowed
        self.refused = ""
        """What was refused last; empty as long as nothing was."""

    def __call__(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            is_allowed = name not in _FORBIDDEN_FUNCTIONS or name in self._allowed
        elif action == sqlite3.SQLITE_PRAGMA:
            is_allowed = first in _OF_INDEXES and second is None
        else:
            # A virtual table declares its columns by a statement that counts as an update of the schema; nothing is
            # written, and nothing can be: the file is open for reading only.
            is_allowed = action in _READING or (action == sqlite3.SQLITE_UPDATE and first == "sqlite_master")
        if is_allowed:
            return sqlite3.SQLITE_OK
        subject = second if action == sqlite3.SQLITE_FUNCTION else first
        self.refused = _WORDS.get(action, "what the statement does").format(subject or "")
        return sqlite3.SQLITE_DENY
