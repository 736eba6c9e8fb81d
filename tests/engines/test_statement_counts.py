"""What the gateway takes for one statement, its engine never takes for two: texts made of what lexers stumble over."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import cast

import psycopg
import pytest
from clickhouse_connect.driver.exceptions import Error
from postgresql_support import shared_server

from queryengine.domain.errors import QueryEngineError
from queryengine.engines.clickhouse.check import check as check_clickhouse
from queryengine.engines.kit.sqltemplate import Template
from queryengine.engines.postgresql.check import check as check_postgresql
from queryengine.engines.sqlalchemy.sqlite_check import check as check_sqlite
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.server import shared

TEXTS = 1500
FRAGMENTS = (
    *("'", "'", '"', "`", "[", "]", "\\", "\\'", "''", "$$", "$a$", "$b$", "E'", "U&'", "x'", "b'0'", "r'", "{", "}"),
    *("--", "-- ", "#", "# ", "#!", "//", "/*", "*/", "/*+", "-", "/", "*", "+", "?", ":a", "1", "a", "é", ";", ";"),
    *("\n", "\r", "\t", " ", "\f", "\v", "\u00a0", "\u2028", "\u2018", "\u2019", "\u201c", "\u201d"),
    *("; SELECT 2", "E'\n'", "'\n'", "'\n--\n'"),
)


def texts() -> Iterator[str]:
    """The same ones in each run."""
    chosen = random.Random(7)
    for _ in range(TEXTS):
        middle = "".join(chosen.choices(FRAGMENTS, k=chosen.randint(1, 12)))
        yield f"SELECT 1 {middle}{chosen.choice(('', ' -- ', ' SELECT 3', chr(39), ' */'))}"


def taken(check: Callable[[str], Template]) -> list[str]:
    """What the gateway takes for one query, as it is sent."""
    found = []
    for sql in texts():
        try:
            template = check(sql)
        except QueryEngineError:
            continue
        found.append(template.filled(dict.fromkeys(template.names, "NULL")).sql)
    # Else it is a test of nothing.
    assert len(found) > TEXTS // 20
    return found


def test_postgresql_takes_them_for_one() -> None:
    with shared_server().connect() as connection:
        for sql in taken(lambda sql: check_postgresql(sql)[1]):
            result = connection.pgconn.prepare(b"", sql.encode())
            assert b"multiple commands" not in result.error_message, sql
            assert b"unterminated" not in result.error_message, sql


def test_sqlite_takes_them_for_one() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        for sql in taken(lambda sql: check_sqlite(sql).template):
            try:
                connection.execute(f"EXPLAIN {sql}")
            except (sqlite3.Error, sqlite3.Warning) as refusal:
                assert "one statement" not in str(refusal), sql  # noqa: PT017 - any other refusal is as good
    finally:
        connection.close()


def test_clickhouse_takes_them_for_one() -> None:
    client = cast("ClickHouseServer", shared(ClickHouseServer)).client()
    try:
        for sql in taken(lambda sql: check_clickhouse(sql).template):
            try:
                client.raw_query(f"EXPLAIN AST {sql}")
            except Error as refusal:
                words = str(refusal)
                assert "Multi-statements" not in words, sql
                assert "is not closed" not in words, sql
    finally:
        client.close()


@pytest.mark.parametrize(
    ("sql", "error"),
    [("SELECT 1; SELECT 2", "multiple commands"), ("SELECT 1 'a", "unterminated")],
)
def test_the_words_that_are_looked_for_are_those_of_postgresql(sql: str, error: str) -> None:
    with shared_server().connect() as connection, pytest.raises(psycopg.errors.SyntaxError, match=error):
        connection.execute(cast("str", sql), prepare=True)
