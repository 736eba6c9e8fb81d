"""How many queries a second the record accepts, and how long one Submit waits for the disk.

    python -m bench.store [folder on the disk to measure]

Prints the median of five runs each, at 1, 64 and 256 submits in flight. A submit is durable when it returns.
"""

import asyncio
import gc
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

from queryengine.domain.plan import Plan
from queryengine.domain.query import Query
from queryengine.domain.submission import Submission
from queryengine.store import Store

RUNS = 5


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


async def measure(store: Store, queries: list[Query], in_flight: int) -> tuple[float, float, float]:
    """Submits a second, and the median and 99th percentile of one submit's milliseconds."""
    waits: list[float] = []
    work = iter(queries)

    async def submit() -> None:
        for each in work:
            begin = time.perf_counter()
            await store.submit(each)
            waits.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*(submit() for _ in range(in_flight)))
    took = time.perf_counter() - begin
    waits.sort()
    return len(waits) / took, waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3


async def main() -> None:
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        store = await Store.open(Path(folder) / "queries.db", owner="bench")
        numbers = itertools.count()
        await measure(store, [query(next(numbers)) for _ in range(2000)], 64)
        print(f"{'in flight':>9} {'submits/s':>10} {'p50 ms':>8} {'p99 ms':>8}")
        for in_flight, count in ((1, 1000), (64, 8000), (256, 8000)):
            results = []
            for _ in range(RUNS):
                queries = [query(next(numbers)) for _ in range(count)]
                gc.collect()
                results.append(await measure(store, queries, in_flight))
            rate, middle, high = (statistics.median(column) for column in zip(*results, strict=True))
            print(f"{in_flight:>9} {rate:>10,.0f} {middle:>8.2f} {high:>8.2f}")
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
