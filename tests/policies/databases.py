"""The databases behind the oracles, of each dialect."""

import sqlite3
from typing import Any

import duckdb
from oracle import COLUMNS, Oracle, Row, full, names, policy, seen, sha256

from queryengine.engines.duckdb import row_security as of_duckdb
from queryengine.engines.sqlalchemy import sqlite_security as of_sqlite

HIDDEN_COLUMNS = {"orders": {"tenant"}, "customers": {"tenant"}, "Odd Name": {"owner"}}


def made(rows: dict[str, list[Row]], *, is_full: bool, mark: str = "?") -> list[tuple[str, list[Row]]]:
    """Statements that make tables, and those that fill them."""
    found: list[tuple[str, list[Row]]] = []
    for table, content in rows.items():
        hidden = set() if is_full else HIDDEN_COLUMNS.get(table, set())
        columns = [
            column.strip()
            for column, name in zip(COLUMNS[table].split(","), names(table), strict=True)
            if name not in hidden
        ]
        found.append((f'CREATE TABLE "{table}" ({", ".join(columns)})', []))
        found.append((f'INSERT INTO "{table}" VALUES ({", ".join([mark] * len(columns))})', content))
    return found


def on_duckdb() -> Oracle:
    def connect(rows: dict[str, list[Row]], *, is_full: bool) -> Any:
        connection = duckdb.connect(":memory:", config={"threads": 2})
        for statement, content in made(rows, is_full=is_full):
            if content:
                connection.executemany(statement, content)
            else:
                connection.execute(statement)
        return connection

    whole, part = connect(full(), is_full=True), connect(seen(sha256), is_full=False)
    whole.execute("CREATE VIEW all_orders AS SELECT * FROM orders")
    whole.execute("CREATE MACRO all_amounts() AS (SELECT sum(amount) FROM orders)")
    for connection in (whole, part):
        connection.execute("SET enable_external_access = false")

    def run(connection: Any, sql: str) -> list[Row]:
        connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            found: list[Row] = connection.execute(sql).fetchall()
        finally:
            connection.execute("ROLLBACK")
        return found

    return Oracle(
        schema="main",
        policy=policy("main"),
        secured=of_duckdb.secured,
        run_full=lambda sql: run(whole, sql),
        run_seen=lambda sql: run(part, sql),
    )


def on_sqlite() -> Oracle:
    def connect(rows: dict[str, list[Row]], *, is_full: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        for statement, content in made(rows, is_full=is_full):
            connection.executemany(statement, content) if content else connection.execute(statement)
        return connection

    whole, part = connect(full(), is_full=True), connect(seen(lambda email: f"m{len(email)}"), is_full=False)
    whole.execute("CREATE VIEW all_orders AS SELECT * FROM orders")
    whole.create_function("all_amounts", 0, lambda: 666)
    for connection in (whole, part):
        connection.commit()
        connection.execute("PRAGMA query_only = 1")
    return Oracle(
        schema="main",
        policy=policy("main", email="'m' || length(email)"),
        secured=of_sqlite.secured,
        run_full=lambda sql: whole.execute(sql).fetchall(),
        run_seen=lambda sql: part.execute(sql).fetchall(),
    )
