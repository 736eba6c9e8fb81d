"""Small things: how long a short query takes, how soon a long one shows rows, and how many fit into a second; short
queries beside a pyarrow.flight server, in turns.

    python -m bench.small [--fast] [--only-flight]

Everything is durable as always: a reply to Submit means that the query is on disk, and a result that it is, too. The
client shares the machine with the server. Targets are those of a quiet machine with two cores.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bench.beside_flight import compare, flight_side, queryengine_side
from bench.running import Program, machine, server
from queryengine.client import AsyncClient, Client

SHORT: Final = "SELECT 1"
LONG: Final = "SELECT i, i * 0.5::DOUBLE AS value, 'name_' || (i % 1000) AS name FROM range(10000000) t(i)"
STATUS_CALLS: Final = 10_000
CALL_SECONDS: Final = 60.0


def show(name: str, figures: str, *, target: str = "", met: bool = True) -> None:
    verdict = f"   target {target}: {'met' if met else 'missed'}" if target else ""
    print(f"{name:<44}{figures}{verdict}", flush=True)


def milliseconds(call: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return sorted(times)


def p50_p99(times: list[float]) -> str:
    return f"p50 {times[len(times) // 2]:.2f} ms, p99 {times[len(times) * 99 // 100]:.2f} ms"


def one_call(client: Client) -> None:
    rows = client.query(SHORT, wait_timeout=10.0).to_pylist()
    assert rows == [{"1": 1}], rows


def first_page(client: Client) -> float:
    """Milliseconds from Submit to the first rows."""
    begin = time.perf_counter()
    handle = client.submit(LONG)
    with handle.result() as result:
        next(iter(result))
        took = (time.perf_counter() - begin) * 1e3
    handle.cancel(wait=10.0)
    return took


async def per_second(
    clients: int, seconds: float, call: Callable[[AsyncClient], Awaitable[object]], target: str
) -> float:
    """Calls a second from so many clients, each with a connection of its own and one call at a time."""
    end = time.perf_counter() + seconds
    done = 0

    async def work() -> None:
        nonlocal done
        async with AsyncClient(target, channel_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
            while time.perf_counter() < end:
                await call(client)
                done += 1

    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    return done / (time.perf_counter() - begin)


async def statuses(target: str) -> tuple[float, int]:
    """Seconds that many calls at once take, and how many of them failed."""
    async with AsyncClient(target, timeout=CALL_SECONDS) as client:
        handle = await client.submit(SHORT, wait_timeout=10.0)
        begin = time.perf_counter()
        answers = await asyncio.gather(*(handle.status() for _ in range(STATUS_CALLS)), return_exceptions=True)
        return time.perf_counter() - begin, sum(isinstance(answer, BaseException) for answer in answers)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure short queries and calls.")
    parser.add_argument("--fast", action="store_true", help="fewer calls")
    parser.add_argument("--only-flight", action="store_true", help="only the comparison with Flight")
    arguments = parser.parse_args()
    print(machine())
    with server() as (process, target):
        with flight_side(SHORT) as flight:
            rounds, seconds = (3, 1.5) if arguments.fast else (5, 3.0)
            compare(queryengine_side(process, target, SHORT), flight, rounds=rounds, seconds=seconds)
        if not arguments.only_flight:
            measure(process, target, fast=arguments.fast)


def measure(process: Program, target: str, *, fast: bool) -> None:
    """Print how long single calls take, and how many fit into a second."""
    count, seconds = (200, 1.0) if fast else (1000, 3.0)
    with Client(target) as client:
        milliseconds(lambda: one_call(client), 50)
        times = milliseconds(lambda: one_call(client), count)
        show(f"{SHORT}, rows in the reply", p50_p99(times), target="p50 < 5 ms", met=times[count // 2] < 5)
        show("ListEngines, a call without a query", p50_p99(milliseconds(client.engines, count)))
        first = statistics.median(first_page(client) for _ in range(count // 20))
        show("first page of 10M rows", f"p50 {first:.1f} ms", target="< 50 ms", met=first < 50)
    for clients in (1, 32):
        rate = asyncio.run(per_second(clients, seconds, lambda c: c.submit(SHORT, wait_timeout=30.0), target))
        goal = {"target": "500", "met": rate >= 500} if clients > 1 else {}
        show(f"{SHORT} to its end, {clients} clients", f"{rate:,.0f}/s", **goal)
    for clients in (1, 32):
        rate = asyncio.run(per_second(clients, seconds / 3, lambda c: c.submit(SHORT), target))
        show(f"Submit without waiting, {clients} clients", f"{rate:,.0f}/s")
    took, failed = asyncio.run(statuses(target))
    figures = f"{STATUS_CALLS / took:,.0f}/s, {failed} failed"
    show(f"{STATUS_CALLS:,} GetStatus at once", figures, target="none fails", met=not failed)
    show("server process", f"{process.resident_mib():.0f} MiB resident")


if __name__ == "__main__":
    main()
