"""What it costs a DuckDB worker that the next statement is another tenant's.

    python -m bench.tenants [--rounds N]

One engine in this process, as in a worker. Least and median times in ms; on a busy machine the least is steadier.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from queryengine.engines.base import Statement
from queryengine.engines.duckdb.engine import DuckDBEngine
from queryengine.engines.duckdb.setup import DuckDBOptions, open_instance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    engine = DuckDBEngine("duckdb", {})
    try:
        show("the same tenant again", rounds, lambda _: run(engine, "SELECT 1", "a"), engine.prepare)
        show(
            "another tenant each time", rounds, lambda number: run(engine, "SELECT 1", "ab"[number % 2]), engine.prepare
        )
        show("a text not seen before", rounds, lambda number: run(engine, f"SELECT {number}", "a"), engine.prepare)
        show("a new connection", rounds, lambda number: engine.sessions.take("a", number + 1).close())
    finally:
        engine.close()
    show("a new instance in memory", max(10, rounds // 10), lambda _: open_instance("duckdb", DuckDBOptions()).close())


def run(engine: DuckDBEngine, sql: str, tenant: str) -> None:
    with engine.open(Statement(sql=sql, query_id="q", tenant=tenant)) as execution:
        execution.start()
        for _ in execution.batches():
            pass


def show(what: str, rounds: int, timed: Callable[[int], object], between: Callable[[], None] = lambda: None) -> None:
    times = []
    for number in range(rounds):
        began = time.perf_counter()
        timed(number)
        times.append((time.perf_counter() - began) * 1000)
        between()
    print(f"{what:26} {min(times):8.2f} {statistics.median(times):8.2f}")


if __name__ == "__main__":
    main()
