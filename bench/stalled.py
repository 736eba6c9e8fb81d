"""Readers that stop reading: what they cost the server, and how long others wait meanwhile.

    python -m bench.stalled [--rows 10000000]

Each reader takes two pages of a large stored result and no more. Meanwhile another client asks for a status, one call
at a time. Memory is that of the server process, from before the readers came.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import grpc

from bench.running import Program, machine, server
from queryengine.client import AsyncClient
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc

SQL: Final = (
    "SELECT i, i * 0.5::DOUBLE AS value, 'name_' || (i % 1000) AS name, TIMESTAMP '2026-01-01' AS at "
    "FROM range({rows}) t(i)"
)
TARGETS_MIB: Final = {0: 0, 1: 64, 200: 128}
P99_MS: Final = 100
CALLS: Final = 1000
READERS_PER_CONNECTION: Final = 10
SETTLED_SECONDS: Final = 1.0


@asynccontextmanager
async def readers(target: str, query_id: str, count: int) -> AsyncIterator[None]:
    """So many streams of which two pages were read, on as few connections as a fleet of clients would have."""
    async with AsyncExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 5 << 20)]
        stubs = []
        for _ in range(-(-count // READERS_PER_CONNECTION)):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options=options))
            stubs.append(pb_grpc.QueryServiceStub(channel))
        for number in range(count):
            call = stubs[number % len(stubs)].StreamResults(pb.StreamResultsRequest(query_id=query_id))
            stack.callback(call.cancel)
            pages = 0
            while pages < 2:
                pages += (await call.read()).WhichOneof("event") == "page"
        yield


async def settled_mib(process: Program) -> float:
    """The server's memory once it has stopped to grow."""
    before = -1.0
    while (now := process.resident_mib()) > before:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)
    return before


async def measure(process: Program, target: str, rows: int) -> None:
    async with AsyncClient(target) as client:
        handle = await client.submit(SQL.format(rows=rows))
        async for _ in handle.watch():
            pass
        for count, most_mib in TARGETS_MIB.items():
            before = await settled_mib(process)
            async with readers(target, handle.query_id, count):
                times = []
                for _ in range(CALLS):
                    begin = time.perf_counter()
                    await handle.status()
                    times.append((time.perf_counter() - begin) * 1e3)
                grown = await settled_mib(process) - before
            times.sort()
            p50, p99 = times[CALLS // 2], times[CALLS * 99 // 100]
            met = grown <= most_mib and p99 < P99_MS
            target_text = f"< {most_mib} MiB, p99 < {P99_MS} ms: {'met' if met else 'missed'}" if count else ""
            print(
                f"{count:>4} stalled readers of {rows / 1e6:.0f}M rows: server grew {grown:6.1f} MiB; "
                f"GetStatus p50 {p50:.1f} ms, p99 {p99:.1f} ms   {target_text}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what readers cost that stop reading.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="size of the result (default 10000000)")
    rows = parser.parse_args().rows
    print(machine())
    with server() as (process, target):
        asyncio.run(measure(process, target, rows))


if __name__ == "__main__":
    main()
