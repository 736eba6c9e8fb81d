"""Results of many columns: the service beside DuckDB itself, in one run.

    python -m bench.wide [--columns N ...] [--rows N]

A table of so many columns is read whole: by DuckDB in a process of its own, as Arrow, and by a client of the service.
Both read the same file. Pages of the service carry their schema each, so wide results show what a column costs.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import duckdb

from bench.running import machine, program, server

SQL: Final = "SELECT * FROM wide"
KINDS: Final = ("i", "i * 0.5::DOUBLE", "'name_' || i", "TIMESTAMP '2024-01-01' + to_seconds(i)")


def make_database(path: Path, columns: int, rows: int) -> None:
    wanted = ", ".join(f"{KINDS[number % len(KINDS)]} AS column_{number}" for number in range(columns))
    with duckdb.connect(str(path)) as database:
        database.execute("SET enable_progress_bar = false")
        database.execute(f"CREATE TABLE wide AS SELECT {wanted} FROM range({rows}) t(i)")


def native(path: Path) -> dict[str, Any]:
    with program("bench.drain", "duckdb", str(path)) as reader:
        return reader.ask(sql=SQL)


def service(path: Path) -> tuple[dict[str, Any], list[float]]:
    """The answer, and core-seconds of server, workers and client."""
    with (
        server({"path": str(path)}) as (process, target),
        program("bench.drain", "queryengine", target) as client,
    ):
        before = *process.core_seconds(), client.core_seconds()[0]
        answer = client.ask(sql=SQL)
        after = *process.core_seconds(), client.core_seconds()[0]
    return answer, [later - former for later, former in zip(after, before, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure results of many columns.")
    parser.add_argument("--columns", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    parser.add_argument("--rows", type=int, default=200)
    arguments = parser.parse_args()
    print(machine())
    for columns in arguments.columns:
        with tempfile.TemporaryDirectory(prefix="queryengine-wide-") as folder:
            path = Path(folder) / "wide.duckdb"
            make_database(path, columns, arguments.rows)
            theirs = native(path)
            ours, cores = service(path)
        assert ours["rows"] == theirs["rows"] == arguments.rows, (ours, theirs)
        ratio = ours["seconds"] / theirs["seconds"]
        print(
            f"{columns:>7,} columns x {arguments.rows:,} rows: DuckDB {theirs['seconds']:6.2f} s, "
            f"service {ours['seconds']:6.2f} s, {ratio:4.1f} times; core-seconds of server, workers, client: "
            f"{', '.join(f'{each:.2f}' for each in cores)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
