"""How fast PostgreSQL comes out as Arrow by our adapter, beside psycopg in one run: `python -m bench.engines`.

Both read the same million rows from the same private server, in turn, several times; what counts is the ratio.
"""

import statistics
import time
from collections.abc import Callable

import psycopg
import pyarrow as pa

from queryengine.engines.base import Statement
from queryengine.engines.sqlalchemy.engine import SQLAlchemyEngine
from tests.servers.postgresql import PASSWORD, PostgreSQLServer
from tests.servers.server import shared, stop_all

ROWS = 1_000_000
RUNS = 3
SETUP = f"""
CREATE TABLE bench AS SELECT n, n * 0.5::float8 AS half, 'row ' || n AS s, TIMESTAMP '2024-01-01' AS t
FROM generate_series(1::bigint, {ROWS}) AS g (n);
VACUUM ANALYZE bench;
GRANT SELECT ON bench TO reader
"""
SQL = "SELECT n, half, s, t FROM bench"
TYPES = (pa.int64(), pa.float64(), pa.string(), pa.timestamp("us"))
FETCH_ROWS = 20_000


def by_adapter(engine: SQLAlchemyEngine) -> int:
    with engine.open(Statement(sql=SQL, query_id="bench")) as execution:
        execution.start()
        return sum(batch.num_rows for batch in execution.batches())


def by_psycopg(server: PostgreSQLServer) -> int:
    where = {"host": "127.0.0.1", "port": server.port, "user": "reader", "password": PASSWORD, "dbname": "postgres"}
    count = 0
    with psycopg.connect(**where) as connection, connection.cursor("bench", binary=True) as cursor:
        cursor.execute(SQL)
        while rows := cursor.fetchmany(FETCH_ROWS):
            columns = zip(zip(*rows, strict=True), TYPES, strict=True)
            arrays = [pa.array(values, kind) for values, kind in columns]
            count += len(arrays[0])
    return count


def seconds(read: Callable[[], int]) -> float:
    before = time.perf_counter()
    assert read() == ROWS
    return time.perf_counter() - before


def main() -> None:
    server = shared(PostgreSQLServer)
    assert isinstance(server, PostgreSQLServer)
    with server.connect() as connection:
        for statement in SETUP.split(";"):
            connection.execute(statement)
    engine = SQLAlchemyEngine("bench", server.options())
    try:
        pairs = [(seconds(lambda: by_adapter(engine)), seconds(lambda: by_psycopg(server))) for _ in range(RUNS)]
    finally:
        engine.close()
        stop_all()
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{ROWS:,} rows of 4 columns, median of {RUNS}: adapter {ROWS / ours / 1e6:.2f} M rows/s,")
    print(f"psycopg {ROWS / theirs / 1e6:.2f} M rows/s; ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
