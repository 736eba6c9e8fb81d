"""The databases behind the oracles, of each dialect."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, cast

import duckdb
import psycopg
import pyarrow as pa
from oracle import COLUMNS, Oracle, Row, full, names, policy, seen, sha256
from psycopg.types.string import TextLoader

from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.base import Engine, Statement
from queryengine.engines.clickhouse import row_security as of_clickhouse
from queryengine.engines.clickhouse.engine import ClickHouseEngine
from queryengine.engines.duckdb import row_security as of_duckdb
from queryengine.engines.postgresql import row_security as of_postgresql
from queryengine.engines.spark import row_security as of_spark
from queryengine.engines.spark.client import Session, proto
from queryengine.engines.spark.engine import SparkEngine
from queryengine.engines.sqlalchemy import sqlite_security as of_sqlite
from queryengine.engines.trino import row_security as of_trino
from queryengine.engines.trino.engine import TrinoEngine
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared
from tests.servers.spark import SparkServer
from tests.servers.trino import TrinoServer

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

    def run_again(sql: str) -> list[Row]:
        # DuckDB 2.0.0 answers an EXISTS over a LEFT JOIN wrongly with its optimizer.
        part.execute("PRAGMA disable_optimizer")
        try:
            return run(part, sql)
        finally:
            part.execute("PRAGMA enable_optimizer")

    def close() -> None:
        whole.close()
        part.close()

    return Oracle(
        schema="main",
        policy=policy("main"),
        close=close,
        secured=of_duckdb.secured,
        run_full=lambda sql: run(whole, sql),
        run_seen=lambda sql: run(part, sql),
        run_again=run_again,
        names_full=lambda sql: [each[0] for each in whole.execute(sql).description or ()],
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
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)

    def close() -> None:
        whole.close()
        part.close()

    return Oracle(
        schema="main",
        close=close,
        policy=policy("main", email="'m' || length(email)"),
        secured=of_sqlite.secured,
        run_full=lambda sql: whole.execute(sql).fetchall(),
        names_full=lambda sql: [each[0] for each in whole.execute(sql).description or ()],
        run_seen=lambda sql: part.execute(sql).fetchall(),
    )


def on_postgresql(server: PostgreSQLServer) -> Oracle:
    """With two databases on the server, which are made anew. `close` ends its connections."""
    connections = []
    for name, rows, is_full in (("policies_full", full(), True), ("policies_seen", seen(sha256), False)):
        with server.connect() as owner:
            owner.execute(f"DROP DATABASE IF EXISTS {name}")
            owner.execute(f"CREATE DATABASE {name}")
        with server.connect(name) as owner, owner.cursor() as cursor:
            for statement, content in made(rows, is_full=is_full, mark="%s"):
                cursor.executemany(statement, content) if content else cursor.execute(statement)
            if is_full:
                cursor.execute("CREATE VIEW all_orders AS SELECT * FROM orders")
                body = "SELECT sum(amount) FROM orders"
                cursor.execute(f"CREATE FUNCTION all_amounts() RETURNS bigint LANGUAGE sql AS '{body}'")
        connection = server.connect(name)
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SET statement_timeout = '20s'")
        # A row of a table and one of a subquery are of other types, with the same text.
        connection.adapters.register_loader("record", TextLoader)
        connections.append(connection)
    whole, part = connections

    def run(connection: psycopg.Connection[Any], sql: str) -> list[Row]:
        with connection.transaction(force_rollback=True):
            found: list[Row] = connection.execute(sql.encode()).fetchall()
        return found

    def close() -> None:
        for each in connections:
            each.close()

    return Oracle(
        schema="public",
        policy=policy("public"),
        secured=of_postgresql.secured,
        run_full=lambda sql: run(whole, sql),
        run_seen=lambda sql: run(part, sql),
        close=close,
    )


def filled(rows: dict[str, list[Row]], *, is_full: bool, schema: str, types: dict[str, str]) -> Iterator[str]:
    """Statements that make tables and fill them, with literals, and types by their names here."""
    for statement, content in made(rows, is_full=is_full):
        words = statement.split("VALUES")[0].replace(' "', f' {schema}."', 1)
        for name, kind in types.items():
            words = words.replace(f" {name}", f" {kind}")
        if not content:
            yield words
        else:
            lines = [f"({', '.join(map(_literal, row))})" for row in content]
            yield f"{words} VALUES {', '.join(lines)}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else f"'{value}'"


FULL, SEEN = "policies_full", "policies_seen"


def run_by(engine: Engine, schema: str, sql: str, *, catalog: str = "") -> list[Row]:
    """The rows of a text by the adapter itself, with `schema` in place of the one that has everything."""
    statement = Statement(sql=sql.replace(FULL, schema), query_id="policies", catalog=catalog, schema=schema)
    with engine.open(statement) as execution:
        execution.start()
        return [tuple(row.values()) for batch in execution.batches() for row in by_position(batch)]


def by_position(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows of columns that may have one name."""
    found: list[dict[str, Any]] = batch.rename_columns([str(number) for number in range(batch.num_columns)]).to_pylist()
    return found


def on_clickhouse(server: ClickHouseServer) -> Oracle:
    """With two databases on the server, which are made anew."""
    types = {"INTEGER": "Nullable(Int32)", "TEXT": "Nullable(String)"}
    for schema, rows, is_full in ((FULL, full(), True), (SEEN, seen(sha256), False)):
        server.command(f"DROP DATABASE IF EXISTS {schema}")
        server.command(f"CREATE DATABASE {schema}")
        for statement in filled(rows, is_full=is_full, schema=schema, types=types):
            is_table = statement.startswith("CREATE")
            server.command(f"{statement} ENGINE = MergeTree ORDER BY tuple()" if is_table else statement)
        if is_full:
            server.command(f"CREATE VIEW {schema}.all_orders AS SELECT * FROM {schema}.orders")
    # Its cache of conditions keeps too few rows behind a join.
    engine = ClickHouseEngine("oracle", {**server.options(), "settings": {"use_query_condition_cache": "0"}})
    return Oracle(
        schema=FULL,
        policy=policy(FULL),
        secured=of_clickhouse.secured,
        run_full=lambda sql: run_by(engine, FULL, sql),
        run_seen=lambda sql: run_by(engine, SEEN, sql),
        close=engine.close,
    )


def on_trino(server: TrinoServer) -> Oracle:
    """With two schemas of the catalog `memory`, which are made anew."""
    for schema, rows, is_full in ((FULL, full(), True), (SEEN, seen(sha256), False)):
        server.query(f"DROP SCHEMA IF EXISTS memory.{schema} CASCADE")
        server.query(f"CREATE SCHEMA memory.{schema}")
        for statement in filled(rows, is_full=is_full, schema=f"memory.{schema}", types={"TEXT": "VARCHAR"}):
            server.query(statement)
        if is_full:
            server.query(f"CREATE VIEW memory.{schema}.all_orders AS SELECT * FROM memory.{schema}.orders")
    engine = TrinoEngine("oracle", server.options())
    return Oracle(
        schema=FULL,
        policy=within("memory", policy(FULL)),
        secured=of_trino.secured,
        run_full=lambda sql: run_by(engine, FULL, sql, catalog="memory"),
        run_seen=lambda sql: run_by(engine, SEEN, sql, catalog="memory"),
        close=engine.close,
    )


def on_spark(server: SparkServer) -> Oracle:
    """With two schemas on the server, which are made anew. Its tables have no blanks in their names."""
    # A session of its own for each statement would take as long as the statement.
    engine = SparkEngine("oracle", {**server.options(), "keep_sessions": True})
    owner = Session(engine.connection)

    def write(sql: str) -> None:
        command = proto.SqlCommand(input=proto.Relation(sql=proto.SQL(query=sql)))
        plan = proto.Plan(command=proto.Command(sql_command=command))
        list(owner.operation(plan, [], time.monotonic() + 60.0).responses())

    for schema, rows, is_full in ((FULL, full(), True), (SEEN, seen(sha256), False)):
        write(f"DROP DATABASE IF EXISTS {schema} CASCADE")
        write(f"CREATE DATABASE {schema}")
        plain = {table: content for table, content in rows.items() if " " not in table}
        for statement in filled(plain, is_full=is_full, schema=schema, types={"TEXT": "STRING"}):
            write(statement.replace('"', "`"))
        if is_full:
            write(f"CREATE VIEW {schema}.all_orders AS SELECT * FROM {schema}.orders")
    owner.release()
    return Oracle(
        schema=FULL,
        policy=policy(FULL),
        secured=of_spark.secured,
        run_full=lambda sql: run_by(engine, FULL, sql),
        run_seen=lambda sql: run_by(engine, SEEN, sql),
        close=engine.close,
    )


def within(catalog: str, policy: RowPolicy) -> RowPolicy:
    """The policy with its tables in a catalog."""
    relations = tuple(replace(each, path=(catalog, *each.path)) for each in policy.relations)
    return replace(policy, relations=relations, closed=tuple((catalog, *path) for path in policy.closed))


ORACLES: Final[Mapping[str, Callable[[], Oracle]]] = MappingProxyType(
    {
        "clickhouse": lambda: on_clickhouse(cast("ClickHouseServer", shared(ClickHouseServer))),
        "duckdb": on_duckdb,
        "postgresql": lambda: on_postgresql(cast("PostgreSQLServer", shared(PostgreSQLServer))),
        "spark": lambda: on_spark(cast("SparkServer", shared(SparkServer))),
        "sqlite": on_sqlite,
        "trino": lambda: on_trino(cast("TrinoServer", shared(TrinoServer))),
    }
)
"""By dialect, on a server that the process shares."""
