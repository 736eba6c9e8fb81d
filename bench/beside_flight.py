"""One short query at a time on each of some connections: queryengine and a pyarrow.flight server, in turns.

Both answer the same SELECT from DuckDB to a thin client in this process: a thread and a connection of its own for each
caller, blocking calls, rows decoded to an Arrow table. queryengine has made the query and its result durable when it
answers; Flight keeps nothing. Core-milliseconds are processor time of all processes of a side divided by the queries
it answered: on a busy machine they are steadier than the rest.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import grpc
import pyarrow as pa
import pyarrow.flight as fl

from bench.running import Program, program
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

CONNECTIONS: Final = (1, 8, 32)
WARM_CALLS: Final = 8
"""Of each connection, before anything is measured."""
BATCH_ROWS: Final = 122_880

P50_MOST: Final = 2.0
"""At one connection, as a multiple of Flight's."""
RATE_LEAST: Final = 0.6
"""At 32 connections, as a share of Flight's."""
CORE_MS_MOST: Final = 2.2
"""Of server and workers for one query, at any number of connections."""

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Round:
    """What some seconds of calls came to."""

    times_ms: list[float]
    per_second: float
    server_core_ms: float
    worker_core_ms: float


@dataclass(frozen=True, slots=True)
class Side:
    """A server, and how to make a connection to it that asks the query once at each call."""

    name: str
    server: Program
    connect: Callable[[ExitStack], Call]


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of some rounds, and the 99th percentile of all their calls."""

    p50_ms: float
    p99_ms: float
    per_second: float
    server_core_ms: float
    worker_core_ms: float

    @classmethod
    def of(cls, rounds: list[Round]) -> "Figures":
        every = sorted(took for each in rounds for took in each.times_ms)
        return cls(
            statistics.median(statistics.median(each.times_ms) for each in rounds),
            every[len(every) * 99 // 100],
            statistics.median(each.per_second for each in rounds),
            statistics.median(each.server_core_ms for each in rounds),
            statistics.median(each.worker_core_ms for each in rounds),
        )

    @property
    def core_ms(self) -> float:
        return self.server_core_ms + self.worker_core_ms

    def line(self) -> str:
        figures = (self.p50_ms, self.p99_ms, self.per_second, self.core_ms, self.server_core_ms, self.worker_core_ms)
        return "".join(f"{figure:>10.2f}" for figure in figures)


class Callers:
    """Connections to one side, opened and used once."""

    def __init__(self, side: Side, connections: int, stack: ExitStack) -> None:
        self._server = side.server
        self._calls = [side.connect(stack) for _ in range(connections)]
        for call in self._calls:
            for _ in range(WARM_CALLS):
                call()

    def run(self, seconds: float) -> Round:
        """Have each connection ask again and again for so long."""
        times: list[float] = []
        errors: list[Exception] = []
        end = time.perf_counter() + seconds

        def ask(call: Call) -> None:
            try:
                while (begin := time.perf_counter()) < end:
                    call()
                    times.append((time.perf_counter() - begin) * 1e3)
            except Exception as cause:
                errors.append(cause)

        threads = [threading.Thread(target=ask, args=(call,)) for call in self._calls]
        before, begin = self._server.core_seconds(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, after = time.perf_counter() - begin, self._server.core_seconds()
        if errors:
            raise errors[0]
        spent = [(now - then) * 1e3 / len(times) for now, then in zip(after, before, strict=True)]
        return Round(times, len(times) / took, *spent)


def queryengine_side(server: Program, target: str, sql: str) -> Side:
    request = pb.SubmitRequest(sql=sql, wait_timeout={"seconds": 30})

    def connect(stack: ExitStack) -> Call:
        # A connection of its own: gRPC shares those with equal options.
        channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        submit = pb_grpc.QueryServiceStub(stack.enter_context(channel)).Submit

        def call() -> pa.Table:
            reply = submit(request)
            assert reply.HasField("end"), reply.status
            return pa.concat_tables(pa.ipc.open_stream(page.arrow).read_all() for page in reply.pages)

        return call

    return Side("queryengine", server, connect)


@contextmanager
def flight_side(sql: str) -> Iterator[Side]:
    """A pyarrow.flight server over one shared DuckDB connection, a cursor for each call."""
    with tempfile.TemporaryDirectory(prefix="queryengine-bench-") as folder:
        database = Path(folder) / "empty.duckdb"
        duckdb.connect(str(database)).close()
        with program("bench.flight_server", str(database), str(BATCH_ROWS)) as server:
            target = f"grpc://127.0.0.1:{server.line('port (.+)')}"

            def connect(stack: ExitStack) -> Call:
                client: Any = stack.enter_context(fl.FlightClient(target))
                ticket = fl.Ticket(sql.encode())
                return lambda: client.do_get(ticket).read_all()

            yield Side("flight", server, connect)


def compare(ours: Side, flight: Side, *, rounds: int, seconds: float) -> None:
    """Print a line for each side and number of connections, ours with its ratios to Flight's; rounds take turns."""
    columns = ("p50 ms", "p99 ms", "per s", "core-ms:", "server", "workers", "p50 to", "rate to")
    print(f"{'connections':<18}" + "".join(f"{column:>10}" for column in columns))
    missed = []
    for connections in CONNECTIONS:
        with ExitStack() as stack:
            both = [(side, Callers(side, connections, stack), list[Round]()) for side in (flight, ours)]
            for _ in range(rounds):
                for _, callers, done in both:
                    done.append(callers.run(seconds))
        base, own = (Figures.of(done) for _, _, done in both)
        p50, rate = own.p50_ms / base.p50_ms, own.per_second / base.per_second
        print(f"{connections:>4}  {flight.name:<12}{base.line()}")
        print(f"{connections:>4}  {ours.name:<12}{own.line()}{p50:>9.2f}x{rate:>9.2f}x", flush=True)
        if connections == min(CONNECTIONS) and p50 > P50_MOST:
            missed.append(f"p50 at most {P50_MOST} times Flight's at {connections} connection")
        if connections == max(CONNECTIONS) and rate < RATE_LEAST:
            missed.append(f"at least {RATE_LEAST} of Flight's rate at {connections} connections")
        if own.core_ms > CORE_MS_MOST:
            missed.append(f"at most {CORE_MS_MOST} core-ms at {connections} connections")
    print(f"targets missed: {'; '.join(missed)}" if missed else "all targets met")
