"""How fast each engine's rows come as Arrow by our adapter, beside the engine's own Python client, in one run.

    python -m bench.engines [clickhouse postgresql spark spark-kept trino trino-spooling]

Both read the same million rows of four columns from the same private server, in turn, several times; what counts is
the ratio. `make engines` fetches the servers. Each client is used as its manual shows: ClickHouse's and Spark's give
Arrow themselves; rows of psycopg and of Trino's client are made into Arrow columns, as whoever wants Arrow must.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import trino.dbapi

from queryengine.engines.base import Statement
from queryengine.engines.registry import engine_class
from tests.servers.cache import cache_folder
from tests.servers.clickhouse import ClickHouseServer
from tests.servers.postgresql import PASSWORD, PostgreSQLServer
from tests.servers.server import Server
from tests.servers.spark import SparkServer
from tests.servers.trino import USER, SpoolingTrinoServer, TrinoServer

ROWS: Final = 1_000_000
RUNS: Final = 5
WARM_UPS: Final = 3
"""The JVMs need several runs before they stop getting faster."""
FETCH_ROWS: Final = 20_000

POSTGRESQL_SETUP: Final = (
    "CREATE TABLE bench AS SELECT n::int8 AS n, n * 0.5::float8 AS half, 'row ' || n AS s, "
    f"TIMESTAMP '2024-01-01' AS t FROM generate_series(1, {ROWS}) AS g (n); "
    "GRANT SELECT ON bench TO PUBLIC; ANALYZE bench"
)
SPARK_CLIENT: Final = """
import sys, time
from pyspark.sql.connect.session import SparkSession
url, sql, keeps_session = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
def session():
    return SparkSession.builder.remote(url).create()
kept = session() if keeps_session else None
for line in sys.stdin:
    before = time.perf_counter()
    spark = kept or session()
    rows = spark.sql(sql).toArrow().num_rows
    if not kept:
        spark.stop()
    print(rows, time.perf_counter() - before, flush=True)
"""
"""With a session for each query, as the adapter has and as the other clients connect; or one that it keeps."""


def drained(batches: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Rows of a DB-API cursor as Arrow columns, batch by batch; how many there were."""
    count = 0
    for rows in batches:
        columns = [pa.array(values) for values in zip(*rows, strict=True)]
        count += len(columns[0])
    return count


def by_psycopg(server: Any, sql: str) -> int:
    where = {"host": "127.0.0.1", "port": server.port, "user": "reader", "password": PASSWORD, "dbname": "postgres"}
    with psycopg.connect(**where) as connection, connection.cursor("bench", binary=True) as cursor:
        cursor.execute(sql)
        return drained(iter(lambda: cursor.fetchmany(FETCH_ROWS), []))


def by_trino(server: Any, sql: str) -> int:
    encoding = "json+zstd" if isinstance(server, SpoolingTrinoServer) else None
    where = {"host": "127.0.0.1", "port": server.port, "user": USER, "catalog": "tpch", "encoding": encoding}
    with trino.dbapi.connect(**where) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        return drained(iter(lambda: cursor.fetchmany(FETCH_ROWS), []))


def by_clickhouse(server: Any, sql: str) -> int:
    client = server.client()
    try:
        with client.query_arrow_stream(sql) as tables:
            return sum(table.num_rows for table in tables)
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Contest:
    """One engine: its server, the rows, and how its own client reads them."""

    engine: str
    server: type[Server]
    sql: str
    stock: Callable[[Any, str], int] | None
    """None for Spark, whose client is a process of its own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the adapter, beside those that the server needs."""


TRINO_LINES: Final = (
    f"SELECT orderkey, extendedprice, shipmode, CAST(shipdate AS timestamp(6)) AS t FROM tpch.sf1.lineitem LIMIT {ROWS}"
)
SPARK_ROWS: Final = (
    "SELECT id AS n, id * CAST(0.5 AS DOUBLE) AS half, concat('row ', id) AS s, TIMESTAMP '2024-01-01' AS t "
    f"FROM range({ROWS})"
)
CONTESTS: Final = {
    "postgresql": Contest("sqlalchemy", PostgreSQLServer, "SELECT * FROM bench", by_psycopg),
    "clickhouse": Contest(
        "clickhouse",
        ClickHouseServer,
        "SELECT toInt64(number) AS n, number * 0.5 AS half, concat('row ', toString(number)) AS s, "
        f"toDateTime64('2024-01-01 00:00:00', 6) AS t FROM numbers({ROWS})",
        by_clickhouse,
    ),
    "trino": Contest("trino", TrinoServer, TRINO_LINES, by_trino),
    "trino-spooling": Contest("trino", SpoolingTrinoServer, TRINO_LINES, by_trino),
    "spark": Contest("spark", SparkServer, SPARK_ROWS, None),
    "spark-kept": Contest("spark", SparkServer, SPARK_ROWS, None, {"keep_sessions": True}),
}


def seconds(read: Callable[[], int]) -> float:
    before = time.perf_counter()
    rows = read()
    assert rows == ROWS, rows
    return time.perf_counter() - before


def by_adapter(engine: Any, sql: str) -> int:
    with engine.open(Statement(sql=sql, query_id="bench")) as execution:
        execution.start()
        return sum(batch.num_rows for batch in execution.batches())


def in_turn(ours: Callable[[], float], theirs: Callable[[], float]) -> list[tuple[float, float]]:
    """Seconds of each, who goes first by turns, after runs that warm both up."""
    taken = []
    for number in range(WARM_UPS + RUNS):
        if number % 2:
            second, first = theirs(), ours()
        else:
            first, second = ours(), theirs()
        taken.append((first, second))
    return taken[WARM_UPS:]


def measure(contest: Contest, server: Server) -> list[tuple[float, float]]:
    if isinstance(server, PostgreSQLServer):
        with server.connect() as connection:
            connection.execute(POSTGRESQL_SETUP)
    engine = engine_class(contest.engine)("bench", {**server.options(), **contest.options})
    stock = contest.stock

    def ours() -> float:
        return seconds(lambda: by_adapter(engine, contest.sql))

    try:
        if stock is not None:
            return in_turn(ours, lambda: seconds(lambda: stock(server, contest.sql)))
        with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
            script.write(SPARK_CLIENT)
            script.flush()
            keeps_session = contest.options.get("keep_sessions", False)
            arguments = [sys.executable, script.name, server.options()["url"], contest.sql, str(keeps_session)]
            with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:

                def ask() -> float:
                    assert client.stdin is not None
                    assert client.stdout is not None
                    print(file=client.stdin, flush=True)
                    rows, took = client.stdout.readline().split()
                    assert int(rows) == ROWS
                    return float(took)

                return in_turn(ours, ask)
    finally:
        engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the adapters with their engines' own clients.")
    parser.add_argument("names", nargs="*", choices=[*CONTESTS, []], help="which (default: all that were fetched)")
    for name in parser.parse_args().names or CONTESTS:
        contest = CONTESTS[name]
        server = contest.server()
        if why := server.missing():
            print(f"{name:<16}not measured: {why}")
            continue
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=cache_folder()) as folder:
            server.folder = Path(folder)
            try:
                server.start()
                ours, theirs = (statistics.median(column) for column in zip(*measure(contest, server), strict=True))
            finally:
                server.stop()
        print(
            f"{name:<16}adapter {ROWS / ours / 1e6:5.2f} M rows/s, own client {ROWS / theirs / 1e6:5.2f}; "
            f"ratio {theirs / ours:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
