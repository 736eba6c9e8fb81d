"""SQLite's result codes as reasons."""

import sqlite3

from queryengine.engines.sqlalchemy.sqlite import REASONS

ERRORS = range(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB + 1)
"""The primary codes of sqlite3.h that end a statement; what follows are notices, rows and the end of them."""


def test_every_result_code_is_sorted() -> None:
    assert sorted(REASONS) == list(ERRORS)
