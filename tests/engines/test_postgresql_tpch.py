"""TPC-H: its 22 queries come out of PostgreSQL by ADBC exactly as by psycopg, and equal those of DuckDB as numbers."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from queryengine.engines.base import Statement
from queryengine.engines.databases import SQLAlchemyEngine
from tests.servers.postgresql import PASSWORD, PostgreSQLServer
from tests.servers.server import shared

QUERIES = sorted((Path(__file__).parents[1] / "data" / "tpch").glob("q*.sql"))
TYPES = {"VARCHAR": "text", "DOUBLE": "double precision"}


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over the eight tables at scale 0.01, which are in PostgreSQL too."""
    folder = tmp_path_factory.mktemp("tpch")
    tool = Path(sys.executable).with_name("tpchgen-cli")
    for form in ("parquet", "csv"):
        subprocess.run([tool, form, "-s", "0.01", f"--output-dir={folder}"], check=True, capture_output=True)
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    with duckdb.connect() as files, server.connect() as connection:
        for path in sorted(folder.glob("*.parquet")):
            files.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
            columns = files.sql(f"DESCRIBE {path.stem}").fetchall()
            definition = ", ".join(f"{name} {TYPES.get(kind, kind)}" for name, kind, *_ in columns)
            connection.execute(f"CREATE TABLE {path.stem} ({definition}); GRANT SELECT ON {path.stem} TO reader")
            with connection.cursor().copy(f"COPY {path.stem} FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write(path.with_suffix(".csv").read_bytes())
        # Without these PostgreSQL takes minutes for the queries whose subqueries look up single parts.
        for keys in ("lineitem (l_partkey, l_suppkey)", "lineitem (l_orderkey)", "orders (o_orderkey)"):
            connection.execute(f"CREATE INDEX ON {keys}")
        connection.execute("ANALYZE")
        yield files


@pytest.fixture(scope="module")
def engine(tpch: duckdb.DuckDBPyConnection) -> Iterator[SQLAlchemyEngine]:
    engine = SQLAlchemyEngine("pg", shared(PostgreSQLServer).options())
    yield engine
    engine.close()


def by_psycopg(sql: str) -> list[tuple[Any, ...]]:
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="reader", password=PASSWORD, dbname="postgres"
    ) as connection:
        return connection.execute(sql).fetchall()


def rounded(value: Any) -> Any:
    """DuckDB divides in floating point."""
    return f"{float(value):.6g}" if isinstance(value, int | float | Decimal) else value


def test_there_are_22() -> None:
    assert len(QUERIES) == 22


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_query_equals_the_answer_of_the_driver(
    engine: SQLAlchemyEngine, tpch: duckdb.DuckDBPyConnection, path: Path
) -> None:
    sql = path.read_text()
    with engine.open(Statement(sql=sql, query_id=path.stem)) as execution:
        execution.start()
        rows = [tuple(row) for batch in execution.batches() for row in zip(*batch.to_pydict().values(), strict=True)]
    assert rows == by_psycopg(sql)
    theirs = tpch.sql(sql).fetchall()
    assert sorted(map(str, (tuple(map(rounded, row)) for row in rows))) == sorted(
        map(str, (tuple(map(rounded, row)) for row in theirs))
    )
