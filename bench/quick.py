"""The result path beside a hand-written pyarrow.flight server, in one run.

    python -m bench.quick [--fast] [--rows N] [--keep]

Ten million rows of four columns go from DuckDB to a client in another process that decodes every batch. queryengine
stores each page durably on the way; Flight keeps nothing. Runs of both alternate, so that a busy machine is busy for
both, and medians are shown. Both sides run with the same tuning of malloc and the same database file. Core-seconds
are those of all processes of a side; on a shared machine they are steadier than rows per second.

A result is released right before the next one is stored, outside of what is timed: a server that has run for a while
removes as much as it stores, so its files lie in memory that was in use before. With `--keep` nothing is released, and
each run takes new memory for its files; on a virtual machine whose host takes free memory back, that alone may cost
more than everything else.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from bench.running import Program, machine, program, server
from queryengine.client import Client

GENERATED: Final = (
    "SELECT i AS id, i * 0.5::DOUBLE AS value, 'name_' || (i % 1000) AS name, "
    "TIMESTAMP '2024-01-01' + to_seconds(i) AS at FROM range({rows}) t(i)"
)
SCAN: Final = "SELECT * FROM events"
ENGINE_BATCH_ROWS: Final = 122_880
"""For Flight; it is what gives it the most."""
TARGETS: Final = {"generated query": 0.8, "table scan": 0.5, "replay of a stored result": 1.0}
"""Least rows per second as a ratio to Flight's generated query, its scan, and its scan."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One drained result."""

    seconds: float
    first_seconds: float
    server_core_seconds: float
    worker_core_seconds: float
    client_core_seconds: float

    @property
    def core_seconds(self) -> float:
        return self.server_core_seconds + self.worker_core_seconds + self.client_core_seconds


@dataclass(frozen=True, slots=True)
class Side:
    """A server, a client of it that drains, and whose CPU time counts."""

    server: Program
    client: Program

    def drain(self, rows: int, **question: str) -> tuple[Sample, str]:
        before = self._core_seconds()
        answer = self.client.ask(**question)
        assert answer["rows"] == rows, answer
        spent = [after - former for after, former in zip(self._core_seconds(), before, strict=True)]
        return Sample(answer["seconds"], answer["first_seconds"], *spent), answer["query_id"]

    def _core_seconds(self) -> tuple[float, float, float]:
        client, _ = self.client.core_seconds()
        return (*self.server.core_seconds(), client)


def make_database(path: Path, rows: int) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute(f"CREATE TABLE events AS {GENERATED.format(rows=rows)}")


def measure(ours: Side, flight: Side, rows: int, runs: int, release: Callable[[str], None]) -> dict[str, list[Sample]]:
    """`release` is called with each stored result that is not needed any more, before the next one is stored."""
    generated = GENERATED.format(rows=rows)
    _, replayed = ours.drain(rows, sql=SCAN)
    _, stored = ours.drain(rows, sql=SCAN)

    def store(sql: str) -> Sample:
        nonlocal stored
        release(stored)
        sample, stored = ours.drain(rows, sql=sql)
        return sample

    steps: dict[str, Callable[[], Sample]] = {
        "flight generated query": lambda: flight.drain(rows, sql=generated)[0],
        "generated query": lambda: store(generated),
        "flight table scan": lambda: flight.drain(rows, sql=SCAN)[0],
        "table scan": lambda: store(SCAN),
        "replay of a stored result": lambda: ours.drain(rows, query_id=replayed)[0],
    }
    samples: dict[str, list[Sample]] = {name: [] for name in steps}
    for run in range(runs + 1):
        for name, step in steps.items():
            sample = step()
            # The first of each warms caches on both sides.
            if run:
                samples[name].append(sample)
    return samples


def show(samples: dict[str, list[Sample]], rows: int) -> None:
    def median(name: str, what: Callable[[Sample], float]) -> float:
        return statistics.median(map(what, samples[name]))

    columns = ("M rows/s", "core-s:", "server", "workers", "client", "first ms", "to Flight", "target")
    print(f"{'':<26}" + "".join(f"{column:>10}" for column in columns))
    missed = []
    for name in samples:
        seconds = median(name, lambda sample: sample.seconds)
        line = f"{name:<26}{rows / seconds / 1e6:>10.1f}{median(name, lambda sample: sample.core_seconds):>10.2f}"
        line += f"{median(name, lambda sample: sample.server_core_seconds):>10.2f}"
        line += f"{median(name, lambda sample: sample.worker_core_seconds):>10.2f}"
        line += f"{median(name, lambda sample: sample.client_core_seconds):>10.2f}"
        line += f"{median(name, lambda sample: sample.first_seconds) * 1e3:>10.1f}"
        if name in TARGETS:
            base = "flight generated query" if name == "generated query" else "flight table scan"
            ratio = median(base, lambda sample: sample.seconds) / seconds
            line += f"{ratio:>10.2f}{TARGETS[name]:>10.1f}"
            if ratio < TARGETS[name]:
                missed.append(name)
        print(line)
    print(f"targets missed: {', '.join(missed)}" if missed else "all targets met")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the result path with pyarrow.flight.")
    parser.add_argument("--fast", action="store_true", help="medians of 3 runs instead of 5")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--keep", action="store_true", help="release no result: each run stores into new memory")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    runs = 3 if arguments.fast else 5
    results = "kept" if arguments.keep else "released"
    print(f"{machine()}; {arguments.rows / 1e6:g}M rows of 4 columns, results {results}, medians of {runs}")
    with tempfile.TemporaryDirectory(prefix="queryengine-bench-") as folder:
        database = Path(folder) / "events.duckdb"
        make_database(database, arguments.rows)
        with (
            server({"path": str(database)}) as (our_server, address),
            program("bench.flight_server", str(database), str(ENGINE_BATCH_ROWS)) as flight_server,
            Client(address) as client,
            program("bench.drain", "queryengine", address) as our_client,
            program("bench.drain", "flight", f"127.0.0.1:{flight_server.line('port (.+)')}") as flight_client,
        ):

            def release(query_id: str) -> None:
                if not arguments.keep:
                    client.attach(query_id).release()

            ours, flight = Side(our_server, our_client), Side(flight_server, flight_client)
            show(measure(ours, flight, arguments.rows, runs, release), arguments.rows)
    print(f"took {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
