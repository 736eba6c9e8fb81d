"""Texts by hand against the oracle: none gives what its principal may not see, and few honest ones are refused."""

from typing import cast

import generated
import pytest
from databases import on_clickhouse, on_duckdb, on_postgresql, on_sqlite, on_trino
from oracle import Oracle, texts

from tests.servers.clickhouse import ClickHouseServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.server import shared
from tests.servers.trino import TrinoServer

REFUSED_PERCENT_MAX = 3


def judge(oracle: Oracle, *files: str) -> None:
    honest = list(texts("honest", *files))
    try:
        for sql in honest:
            oracle.ask(sql)
        refused = list(oracle.honest_refused)
        for sql in texts("hostile", *files):
            oracle.ask(sql, is_honest=False)
    finally:
        oracle.close()
    assert not oracle.leaks, "\n".join(oracle.leaks)
    assert len(refused) * 100 < REFUSED_PERCENT_MAX * len(honest), "\n".join(refused)


def test_duckdb_by_hand() -> None:
    judge(on_duckdb(), "common.sql", "duckdb.sql")


def test_sqlite_by_hand() -> None:
    judge(on_sqlite(), "common.sql", "sqlite.sql")


@pytest.mark.engine_server
def test_postgresql_by_hand() -> None:
    judge(on_postgresql(cast("PostgreSQLServer", shared(PostgreSQLServer))), "common.sql", "postgresql.sql")


@pytest.mark.engine_server
def test_clickhouse_by_hand() -> None:
    judge(on_clickhouse(cast("ClickHouseServer", shared(ClickHouseServer))), "common.sql", "clickhouse.sql")


@pytest.mark.engine_server
def test_trino_by_hand() -> None:
    judge(on_trino(cast("TrinoServer", shared(TrinoServer))), "common.sql", "trino.sql")


def few_honest_refused(oracle: Oracle, count: int) -> None:
    try:
        equal, _, honest = generated.judge(oracle, count, seed=7)
    finally:
        oracle.close()
    assert honest * 100 < REFUSED_PERCENT_MAX * (equal + honest), "\n".join(oracle.honest_refused)


def test_duckdb_by_chance() -> None:
    few_honest_refused(on_duckdb(), 200)


@pytest.mark.engine_server
def test_postgresql_by_chance() -> None:
    few_honest_refused(on_postgresql(cast("PostgreSQLServer", shared(PostgreSQLServer))), 200)


@pytest.mark.parametrize("file", ["duckdb.sql", "sqlite.sql", "postgresql.sql", "clickhouse.sql", "trino.sql"])
def test_each_dialect_has_enough_texts(file: str) -> None:
    count = sum(1 for kind in ("honest", "hostile") for _ in texts(kind, "common.sql", file))
    assert count >= 400
