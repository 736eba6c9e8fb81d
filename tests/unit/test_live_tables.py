"""What embedded engines say of their tables, and which columns a policy compares with its caller."""

import sqlite3
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from queryengine.domain.live_table import AskedTable, LiveTable
from queryengine.domain.row_policy import RelationPolicy, RowPolicy
from queryengine.engines.base import Engine
from queryengine.engines.clickhouse.row_security import GRAMMAR as CLICKHOUSE
from queryengine.engines.databases import SQLAlchemyEngine
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.row_security import GRAMMAR as DUCKDB
from queryengine.engines.kit.row_security.comparing import compared
from queryengine.engines.kit.row_security.grammar import Grammar
from queryengine.engines.postgresql.row_security import GRAMMAR as POSTGRESQL
from queryengine.engines.sqlalchemy.sqlite_security import GRAMMAR as SQLITE

WANTED = ("id", "Tenant", "gone")


def asked(*path: str) -> AskedTable:
    return AskedTable(path, WANTED)


def described(engine: Engine, *paths: tuple[str, ...]) -> list[Any]:
    with closing(engine):
        found = engine.live_tables([asked(*path) for path in paths])
    # As they come over the connection of a worker.
    return [None if each is None else LiveTable.from_json(each.to_json()) for each in found]


def test_duckdb_finds_tables_and_views_by_each_of_their_names(tmp_path: Path) -> None:
    sql = ["CREATE TABLE orders (ID INTEGER, tenant VARCHAR)", "CREATE VIEW seen AS SELECT id, 1 AS tenant FROM orders"]
    engine = DuckDBEngine("duck", {"init_sql": sql})
    table = LiveTable({"id": "INTEGER", "Tenant": "VARCHAR"}, frozenset({"id"}))
    view = LiveTable({"id": "INTEGER", "Tenant": "INTEGER"}, frozenset({"id", "Tenant"}))
    paths = (("main", "orders"), ("MAIN", "Orders"), ("memory", "main", "orders"), ("memory", "orders"))
    others = (("main", "seen"), ("main", "other"), ("other", "orders"), ("main", "duckdb_tables"))
    assert described(engine, *paths, *others) == [table] * 4 + [view, None, None, None]


def test_duckdb_finds_the_views_of_a_folder_as_its_files_are_now(tmp_path: Path) -> None:
    engine = DuckDBEngine("duck", {"directory": str(tmp_path)})
    with closing(engine):
        assert list(engine.live_tables([asked("main", "orders")])) == [None]
        pq.write_table(pa.table({"id": [1], "tenant": ["a"]}), tmp_path / "orders.parquet")
        (found,) = engine.live_tables([asked("main", "orders")])
    assert found == LiveTable({"id": "BIGINT", "Tenant": "VARCHAR"}, frozenset({"id"}))


def test_sqlite_says_which_columns_have_the_affinity_of_text(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, tenant VARCHAR(20))")
        connection.execute("CREATE TABLE loose (id, TENANT CHARINT)")
        connection.execute("CREATE VIEW seen AS SELECT id, tenant FROM orders")
    engine = SQLAlchemyEngine("lite", {"url": f"sqlite:///{path}"})
    table = LiveTable({"id": "INTEGER", "Tenant": "VARCHAR(20)"}, frozenset({"id"}))
    loose = LiveTable({"id": "no type", "Tenant": "CHARINT"}, frozenset({"id", "Tenant"}))
    paths = (("main", "orders"), ("main", "loose"), ("main", "seen"), ("main", "x"), ("temp", "orders"))
    found = described(engine, *paths)
    assert found == [table, loose, table, None, None]


@pytest.mark.parametrize("grammar", [DUCKDB, SQLITE, POSTGRESQL, CLICKHOUSE], ids=["duckdb", "sqlite", "pg", "ch"])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ("tenant = {tenant}", ["tenant"]),
        ("{subject} = owner AND tenant = {tenant}", ["owner", "tenant"]),
        ('("tenant") <> ({tenant}) OR owner IS NULL', ["tenant"]),
        ("tenant IN ({tenant}, 'shared')", ["tenant"]),
        ("owner BETWEEN {subject} AND {subject}", ["owner"]),
        ("tenant LIKE {tenant}", ["tenant"]),
        ("lower(tenant) = {tenant}", []),
        ("CAST(id AS VARCHAR) = {tenant}", []),
        ("id = {claims.id} OR owner = 'x'", []),
        ("tenant = {tenant} OR", []),
    ],
)
def test_columns_beside_tenant_and_subject_are_found(grammar: Grammar, rows: str, columns: list[str]) -> None:
    relation = RelationPolicy(
        path=("s", "t"), columns=("id", "tenant", "owner"), rule="own", rows=rows, masks=MappingProxyType({})
    )
    found = compared(RowPolicy(schema="s", relations=(relation,)), grammar)
    assert sorted(found) == [(0, column) for column in sorted(columns)]
