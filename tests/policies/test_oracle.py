"""Texts by hand against the oracle: none gives what its principal may not see, and few honest ones are refused."""

import generated
import pytest
from databases import ORACLES
from oracle import REFUSED_PERCENT_MAX, judge_by_hand, texts


def test_duckdb_by_hand() -> None:
    judge_by_hand(ORACLES["duckdb"](), "common.sql", "duckdb.sql")


def test_sqlite_by_hand() -> None:
    judge_by_hand(ORACLES["sqlite"](), "common.sql", "sqlite.sql")


@pytest.mark.engine_server
def test_postgresql_by_hand() -> None:
    judge_by_hand(ORACLES["postgresql"](), "common.sql", "postgresql.sql")


@pytest.mark.engine_server
def test_clickhouse_by_hand() -> None:
    judge_by_hand(ORACLES["clickhouse"](), "common.sql", "clickhouse.sql")


@pytest.mark.engine_server
@pytest.mark.timeout(900)
def test_trino_by_hand() -> None:
    # A statement takes a cluster a quarter of a second; `make policies` judges all texts.
    judge_by_hand(ORACLES["trino"](), "common.sql", "trino.sql", every=4)


@pytest.mark.engine_server
@pytest.mark.timeout(900)
def test_spark_by_hand() -> None:
    judge_by_hand(ORACLES["spark"](), "common.sql", "spark.sql", every=6)


def few_honest_refused(dialect: str, count: int) -> None:
    oracle = ORACLES[dialect]()
    try:
        equal, _, honest = generated.judge(oracle, count, seed=7)
    finally:
        oracle.close()
    assert honest * 100 < REFUSED_PERCENT_MAX * (equal + honest), "\n".join(oracle.honest_refused)


def test_duckdb_by_chance() -> None:
    few_honest_refused("duckdb", 200)


@pytest.mark.engine_server
def test_postgresql_by_chance() -> None:
    few_honest_refused("postgresql", 200)


@pytest.mark.parametrize("dialect", ORACLES)
def test_each_dialect_has_enough_texts(dialect: str) -> None:
    count = sum(1 for kind in ("honest", "hostile") for _ in texts(kind, "common.sql", f"{dialect}.sql"))
    assert count >= 400
