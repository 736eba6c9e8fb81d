"""How many queries a second the record accepts, and how long one Submit waits for it, on both databases.

    python -m bench.store [folder on the disk to measure]

Prints the median of five runs each, at 1, 64 and 256 submits in flight, the databases in turn within each run. A submit
is durable when it returns. "one by one" is the same statement on the same SQLite engine with a transaction for each
submit. PostgreSQL is started by the tests' means, with fsync, in the same folder; without it SQLite is measured alone.
"""

import asyncio
import gc
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import sqlalchemy as sa

from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.domain.submission import Submission
from queryengine.store import Store, statements
from queryengine.store.rows import to_row
from queryengine.store.sqlite import SQLite
from tests.servers.postgresql import PostgreSQLServer

RUNS = 5
LOADS = ((1, 400), (64, 4000), (256, 4000))
ONE_BY_ONE = "one by one"

Submit = Callable[[Query], Awaitable[object]]


def query(number: int) -> Query:
    submission = Submission(
        tenant="tenant",
        subject="bench",
        sql="SELECT carrier, count(*) FROM flights WHERE origin = $origin GROUP BY carrier ORDER BY 2 DESC",
        labels={"team": "growth"},
    )
    plan = Plan(
        engine="duckdb",
        engine_type="duckdb",
        routing_reason="default",
        queue_timeout_ms=600_000,
        execution_timeout_ms=1_800_000,
        ttl_ms=86_400_000,
    )
    return Query(
        query_id=f"00000000-0000-4000-8000-{number:012d}",
        submission=submission,
        plan=plan,
        fingerprint=submission.fingerprint(),
        query_hash=submission.query_hash(),
        submit_us=1_700_000_000_000_000 + number,
    )


async def measure(submit: Submit, queries: list[Query], in_flight: int) -> tuple[float, float, float, float]:
    """Submits a second, the median and 99th percentile of one submit's milliseconds, and this process's
    microseconds on a processor for one.
    """
    waits: list[float] = []
    work = iter(queries)

    async def one_after_the_other() -> None:
        for each in work:
            begin = time.perf_counter()
            await submit(each)
            waits.append(time.perf_counter() - begin)

    begin, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    took, used = time.perf_counter() - begin, time.process_time() - used
    waits.sort()
    return len(waits) / took, waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3, used / len(waits) * 1e6


@asynccontextmanager
async def one_by_one(path: Path) -> AsyncIterator[Submit]:
    """A transaction for each submit, each on the connection in turn, every call of the driver a visit of its thread."""
    database = await SQLite.open(path, read_connections=1)
    turn = asyncio.Lock()
    form = statements.INSERT.form("sqlite")
    assert form.reorder is not None

    async def submit(each: Query) -> None:
        row = form.reorder(to_row(each))

        def insert(connection: sa.Connection) -> None:
            with connection.begin():
                connection.exec_driver_sql(form.sql, row)

        async with turn, database.writing.connect() as connection:
            await connection.run_sync(insert)

    try:
        yield submit
    finally:
        await database.close()


@asynccontextmanager
async def postgresql(folder: Path) -> AsyncIterator[str]:
    server = PostgreSQLServer(settings={"fsync": "on"})
    server.folder = folder
    try:
        server.start()
        yield server.record_url("bench")
    finally:
        server.stop()


async def main() -> None:
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
        sqlite = await Store.open(folder / "queries.db", owner="bench")
        stack.push_async_callback(sqlite.close)
        submits: dict[str, Submit] = {"sqlite": sqlite.submit}
        if why := PostgreSQLServer().missing():
            print(f"PostgreSQL is not measured: {why}")
        else:
            url = await stack.enter_async_context(postgresql(Path(tempfile.mkdtemp(dir=parent))))
            record = await Store.open(url, owner="bench")
            stack.push_async_callback(record.close)
            submits["postgresql"] = record.submit
        submits[ONE_BY_ONE] = await stack.enter_async_context(one_by_one(folder / "single" / "queries.db"))
        await compare(submits)


async def compare(submits: dict[str, Submit]) -> None:
    numbers = itertools.count()
    for submit in submits.values():
        await measure(submit, [query(next(numbers)) for _ in range(200)], 64)
    print(f"{'in flight':>9} {'database':>11} {'submits/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'cpu us':>8}")
    for in_flight, count in LOADS:
        figures: dict[str, list[tuple[float, ...]]] = {name: [] for name in submits}
        for _ in range(RUNS):
            for name, submit in submits.items():
                few = count // 10 if name == ONE_BY_ONE else count
                queries = [query(next(numbers)) for _ in range(max(few, in_flight))]
                gc.collect()
                figures[name].append(await measure(submit, queries, in_flight))
        for name, results in figures.items():
            rate, middle, high, used = (statistics.median(column) for column in zip(*results, strict=True))
            print(f"{in_flight:>9} {name:>11} {rate:>10,.0f} {middle:>8.2f} {high:>8.2f} {used:>8.0f}")


if __name__ == "__main__":
    asyncio.run(main())
